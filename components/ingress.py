"""How a service is reached from outside the cluster: its Ingress, and what the load balancer needs for it."""

from collections.abc import Sequence

import pulumi
import pulumi_kubernetes as k8s

from components.drain import Drain
from components.load_balancer import (
    GRPC_PREFIX,
    OIDC_SECRET,
    IngressArgs,
    OidcArgs,
    grpc_annotations,
    ingress_annotations,
)
from components.pod import GRPC_PORT
from components.workload import Workload

SECRETS_API = "external-secrets.io/v1"
"""API of the External Secrets operator."""


def expose(
    name: str, ingress: IngressArgs, workload: Workload, drain: Drain, *, parent: pulumi.Resource
) -> pulumi.Output[str | None]:
    """Makes the Ingress of a service whose Kubernetes Service is there; the load balancer's DNS name.

    `name` is the first part of the resources' names.
    """
    identity = workload.identity
    mine = pulumi.ResourceOptions(parent=parent)
    grpc = _grpc_service(name, workload, drain, mine)
    before = _oidc_client(name, ingress["oidc"], workload, parent) if "oidc" in ingress else []
    annotations = ingress_annotations(identity.environment, identity.service, ingress, drain)
    if workload.model is None:
        # An Ingress is awaited until its Services have ready pods, and there are none yet.
        annotations["pulumi.com/skipAwait"] = "true"
    rule: k8s.networking.v1.IngressRuleArgsDict = {
        "http": {"paths": [_path(GRPC_PREFIX, grpc, "grpc"), _path("/", identity.name, "rest")]}
    }
    if "host" in ingress:
        rule["host"] = ingress["host"]
    made = k8s.networking.v1.Ingress(
        f"{name}-ingress",
        metadata={
            "name": identity.name,
            "namespace": workload.namespace,
            "labels": identity.labels,
            "annotations": annotations,
        },
        spec={"ingress_class_name": ingress.get("ingress_class", "alb"), "rules": [rule]},
        opts=pulumi.ResourceOptions(parent=parent, depends_on=before),
    )
    return made.status.apply(_load_balancer_host)


def _grpc_service(name: str, workload: Workload, drain: Drain, mine: pulumi.ResourceOptions) -> str:
    """The Service that the gRPC paths lead to: a target group has one protocol."""
    identity = workload.identity
    service = f"{identity.service}-grpc"
    k8s.core.v1.Service(
        f"{name}-grpc-service",
        metadata={
            "name": service,
            "namespace": workload.namespace,
            "labels": identity.labels,
            "annotations": {"pulumi.com/skipAwait": "true", **grpc_annotations(drain)},
        },
        spec={
            "type": "ClusterIP",
            "selector": identity.selector,
            "ports": [{"name": "grpc", "port": GRPC_PORT, "target_port": "grpc"}],
        },
        opts=mine,
    )
    return service


def _oidc_client(name: str, oidc: OidcArgs, workload: Workload, parent: pulumi.Resource) -> list[pulumi.Resource]:
    """The client's Secret, and leave for the load balancer controller (and nobody else) to read it.

    The External Secrets operator writes it, from Secrets Manager: neither the engine nor its state ever has it, a
    preview needs no leave to read it, and a rotation arrives within the hour.
    """
    mine = pulumi.ResourceOptions(parent=parent)
    meta: k8s.meta.v1.ObjectMetaArgsDict = {
        "name": OIDC_SECRET,
        "namespace": workload.namespace,
        "labels": workload.identity.labels,
    }
    store = k8s.apiextensions.CustomResource(
        f"{name}-oidc-store",
        api_version=SECRETS_API,
        kind="SecretStore",
        metadata=meta,
        # Without credentials of its own: the operator's role may read the secrets that the cluster was made with.
        spec={"provider": {"aws": {"service": "SecretsManager", "region": workload.place.region}}},
        opts=mine,
    )
    client = k8s.apiextensions.CustomResource(
        f"{name}-oidc-client",
        api_version=SECRETS_API,
        kind="ExternalSecret",
        metadata=meta,
        spec={
            "refreshInterval": "1h0m0s",
            "secretStoreRef": {"kind": "SecretStore", "name": OIDC_SECRET},
            "target": {"name": OIDC_SECRET, "creationPolicy": "Owner"},
            "data": [
                {"secretKey": key, "remoteRef": {"key": oidc["client_secret_arn"], "property": key}}
                for key in ("clientID", "clientSecret")
            ],
        },
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[store]),
    )
    role = k8s.rbac.v1.Role(
        f"{name}-oidc-reader",
        metadata=meta,
        rules=[{"api_groups": [""], "resources": ["secrets"], "resource_names": [OIDC_SECRET], "verbs": ["get"]}],
        opts=mine,
    )
    binding = k8s.rbac.v1.RoleBinding(
        f"{name}-oidc-reader-binding",
        metadata=meta,
        role_ref={"api_group": "rbac.authorization.k8s.io", "kind": "Role", "name": OIDC_SECRET},
        # EKS Auto Mode's controllers are the group; a controller of one's own is the service account.
        subjects=[
            {"api_group": "rbac.authorization.k8s.io", "kind": "Group", "name": "eks:managed"},
            {"kind": "ServiceAccount", "name": "aws-load-balancer-controller", "namespace": "kube-system"},
        ],
        opts=mine,
    )
    return [client, role, binding]


def _path(prefix: str, service: str, port: str) -> k8s.networking.v1.HTTPIngressPathArgsDict:
    return {
        "path": prefix,
        "path_type": "Prefix",
        "backend": {"service": {"name": service, "port": {"name": port}}},
    }


def _load_balancer_host(status: k8s.networking.v1.outputs.IngressStatus | None) -> str | None:
    entries: Sequence[k8s.networking.v1.outputs.IngressLoadBalancerIngress] = (
        (status.load_balancer.ingress or []) if status and status.load_balancer else []
    )
    return entries[0].hostname if entries else None
