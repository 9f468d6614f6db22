"""Who a pod is to AWS: a service account, a role with least privilege, and the Pod Identity that joins them."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s

from components import iam
from components.iam import Statement
from components.naming import Limit, named
from components.place import Place
from components.pod import Identity


@dataclass(frozen=True)
class WorkloadIdentity:
    """A workload's service account and role, as made by `workload_identity`."""

    service_account: str
    role_arn: pulumi.Output[str]
    ready: Sequence[pulumi.Resource]
    """What must be there before the first pod starts: credentials are given to a pod when it is created."""


def workload_identity(
    name: str,
    identity: Identity,
    namespace: pulumi.Input[str],
    grants: Sequence[Statement],
    place: Place,
    *,
    cluster_name: pulumi.Input[str] | None,
    tags: dict[str, pulumi.Input[str]] | None,
    parent: pulumi.Resource,
) -> WorkloadIdentity:
    """Makes the service account `<service>-<component>`, its role and, on an EKS cluster, their association.

    Without `cluster_name` the pods get their credentials some other way (the local node gives its own).
    """
    mine = pulumi.ResourceOptions(parent=parent)
    account = k8s.core.v1.ServiceAccount(
        f"{name}-service-account",
        metadata={"name": identity.name, "namespace": namespace, "labels": identity.labels},
        automount_service_account_token=False,
        opts=mine,
    )
    role = aws.iam.Role(
        f"{name}-role",
        name=named(identity.environment, identity.name, limit=Limit.IAM_ROLE),
        description=f"Pods of {identity.name} in {identity.environment}.",
        assume_role_policy=iam.trust_pod(namespace, identity.name, place.account),
        tags=tags,
        opts=mine,
    )
    policy = aws.iam.RolePolicy(f"{name}-policy", role=role.name, policy=iam.document(grants), opts=mine)
    ready: list[pulumi.Resource] = [account, policy]
    if cluster_name is not None:
        ready.append(
            aws.eks.PodIdentityAssociation(
                f"{name}-pod-identity",
                cluster_name=cluster_name,
                namespace=namespace,
                service_account=identity.name,
                role_arn=role.arn,
                tags=tags,
                opts=mine,
            )
        )
    return WorkloadIdentity(identity.name, role.arn, ready)
