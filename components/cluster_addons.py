"""What Slipway's services need in a cluster of their own: metrics, observability, KEDA, the ingress class."""

import json
from collections.abc import Sequence
from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s

from components import iam
from components.cluster_logs import CLUSTER_LOGS, addon_configuration, cluster_log_group
from components.iam import Statement
from components.metrics import log_group
from components.naming import Limit, named
from components.place import Place, place_of

KEDA_CHART = "2.19.0"
"""Chart version of KEDA; there is no EKS add-on of it."""
KEDA_NAMESPACE = "keda"
SECRETS_CHART = "1.3.2"
"""Chart version of the External Secrets operator; there is no EKS add-on of it."""
SECRETS_NAMESPACE = "external-secrets"
INGRESS_CLASS = "alb"
"""Ingress class of ModelService: AWS's application load balancers."""


class AddonVersions(TypedDict):
    """Exact EKS add-on versions (`aws eks describe-addon-versions --addon-name NAME` lists them)."""

    metrics_server: str
    observability: str
    pod_identity: str
    vpc_cni: str


PINNED: AddonVersions = {
    "metrics_server": "v0.8.0-eksbuild.2",
    "observability": "v4.10.3-eksbuild.1",
    "pod_identity": "v1.3.8-eksbuild.2",
    "vpc_cni": "v1.20.4-eksbuild.1",
}


class ClusterAddonsArgs(TypedDict):
    """What ClusterAddons is given."""

    environment: str
    """Environment name; part of every name."""
    cluster: pulumi.Input[str]
    """The cluster, once it is there."""
    cluster_name: str
    """Its name, which is known before."""
    kms_key_arn: pulumi.Input[str]
    """Key that encrypts logs."""
    log_retention_days: int
    """Days that the cluster's logs are kept."""
    auto_mode: bool
    """Whether the cluster runs in Auto Mode, which brings Pod Identity and the load balancer controller."""
    secret_arns: Sequence[pulumi.Input[str]]
    """Secrets that become Secrets of Kubernetes; without any, there is no operator for it."""
    versions: NotRequired[AddonVersions]
    """Versions of the EKS add-ons. Default `PINNED`."""
    tags: NotRequired[dict[str, pulumi.Input[str]]]
    """Tags on everything that takes tags."""


class ClusterAddons(pulumi.ComponentResource):
    """Metrics for autoscaling, logs and metrics to CloudWatch, KEDA for streams, an ingress class, and External Secrets
    where it is needed.

    Objects in the cluster use the Kubernetes provider that the component is given.
    """

    scaler_role_name: pulumi.Output[str]
    """IAM role of the KEDA operator; it may do nothing until a stream grants it to read its backlog."""

    def __init__(self, name: str, args: ClusterAddonsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:index:ClusterAddons", name, {**args}, opts)
        self._name = name
        self._args = args
        self._mine = pulumi.ResourceOptions(parent=self)
        self._place = place_of(self)
        versions = args.get("versions", PINNED)
        identity: list[pulumi.Resource] = []
        if args["auto_mode"]:
            self._enforce_network_policies()
        else:
            identity.append(self._addon("eks-pod-identity-agent", versions["pod_identity"]))
            self._addon("vpc-cni", versions["vpc_cni"], {"enableNetworkPolicy": "true"})
        self._addon("metrics-server", versions["metrics_server"])
        self._observability(versions["observability"], identity)
        self.scaler_role_name = self._keda(identity)
        if args["secret_arns"]:
            self._external_secrets(args["secret_arns"], identity)
        self._ingress_class()
        self.register_outputs({"scaler_role_name": self.scaler_role_name})

    def _enforce_network_policies(self) -> None:
        """Auto Mode takes network policies, and does nothing about them until it is told to
        (https://docs.aws.amazon.com/eks/latest/userguide/auto-net-pol.html)."""
        k8s.core.v1.ConfigMap(
            f"{self._name}-network-policies",
            metadata={"name": "amazon-vpc-cni", "namespace": "kube-system"},
            data={"enable-network-policy-controller": "true"},
            opts=self._mine,
        )

    def _addon(self, addon: str, version: str, configuration: dict[str, str] | None = None) -> aws.eks.Addon:
        return aws.eks.Addon(
            f"{self._name}-{addon}",
            cluster_name=self._args["cluster"],
            addon_name=addon,
            addon_version=version,
            configuration_values=json.dumps(configuration) if configuration else None,
            resolve_conflicts_on_create="OVERWRITE",
            resolve_conflicts_on_update="OVERWRITE",
            tags=self._args.get("tags"),
            opts=self._mine,
        )

    def _role(self, purpose: str, namespace: str, service_account: str) -> aws.iam.Role:
        return aws.iam.Role(
            f"{self._name}-{purpose}-role",
            name=named(self._args["environment"], "cluster", purpose, limit=Limit.IAM_ROLE),
            description=f"{service_account} in {self._args['environment']}'s cluster.",
            assume_role_policy=iam.trust_pod(namespace, service_account, self._place.account),
            tags=self._args.get("tags"),
            opts=self._mine,
        )

    def _observability(self, version: str, identity: list[pulumi.Resource]) -> None:
        """CloudWatch agent and Fluent Bit, which share a service account: pods' logs and Container Insights."""
        role = self._role("cloudwatch", "amazon-cloudwatch", "cloudwatch-agent")
        allowed = aws.iam.RolePolicy(
            f"{self._name}-cloudwatch-policy",
            role=role.name,
            policy=iam.document(agent_statements(self._args["environment"], self._args["cluster_name"], self._place)),
            opts=self._mine,
        )
        aws.eks.Addon(
            f"{self._name}-observability",
            cluster_name=self._args["cluster"],
            addon_name="amazon-cloudwatch-observability",
            addon_version=version,
            configuration_values=json.dumps(addon_configuration(self._args["environment"])),
            pod_identity_associations=[{"role_arn": role.arn, "service_account": "cloudwatch-agent"}],
            resolve_conflicts_on_create="OVERWRITE",
            resolve_conflicts_on_update="OVERWRITE",
            tags=self._args.get("tags"),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[allowed, *self._log_groups(), *identity]),
        )

    def _log_groups(self) -> list[aws.cloudwatch.LogGroup]:
        """The groups of the cluster's own logs, which the add-on finds and may not make."""
        return [
            aws.cloudwatch.LogGroup(
                f"{self._name}-{what}-log",
                name=cluster_log_group(self._args["cluster_name"], what),
                retention_in_days=self._args["log_retention_days"],
                kms_key_id=self._args["kms_key_arn"],
                tags=self._args.get("tags"),
                opts=self._mine,
            )
            for what in CLUSTER_LOGS
        ]

    def _identity(
        self, purpose: str, namespace: str, service_account: str, after: list[pulumi.Resource]
    ) -> tuple[aws.iam.Role, aws.eks.PodIdentityAssociation]:
        """A role, and its association with an operator's service account."""
        role = self._role(purpose, namespace, service_account)
        association = aws.eks.PodIdentityAssociation(
            f"{self._name}-{purpose}-identity",
            cluster_name=self._args["cluster"],
            namespace=namespace,
            service_account=service_account,
            role_arn=role.arn,
            tags=self._args.get("tags"),
            opts=pulumi.ResourceOptions(parent=self, depends_on=after),
        )
        return role, association

    def _keda(self, identity: list[pulumi.Resource]) -> pulumi.Output[str]:
        role, association = self._identity("scaler", KEDA_NAMESPACE, "keda-operator", identity)
        values: dict[str, Any] = {
            "serviceAccount": {"operator": {"name": "keda-operator"}},
            "operator": {"replicaCount": 2},
            "resources": {"operator": {"limits": {"memory": "1000Mi"}, "requests": {"cpu": "100m"}}},
        }
        repository = "https://kedacore.github.io/charts"
        self._chart("keda", KEDA_CHART, repository, KEDA_NAMESPACE, values, [association])
        return role.name

    def _external_secrets(self, secret_arns: Sequence[pulumi.Input[str]], identity: list[pulumi.Resource]) -> None:
        """Copies these secrets, and can read no others, into the namespaces that ask for them."""
        role, association = self._identity("secrets", SECRETS_NAMESPACE, "external-secrets", identity)
        allowed = aws.iam.RolePolicy(
            f"{self._name}-secrets-policy",
            role=role.name,
            policy=iam.document([iam.allow(["secretsmanager:GetSecretValue"], secret_arns)]),
            opts=self._mine,
        )
        values: dict[str, Any] = {
            "serviceAccount": {"name": "external-secrets"},
            "replicaCount": 2,
            "leaderElect": True,
            # A namespace gets what its own store brings; nothing is offered to all of them, or written back.
            "processClusterStore": False,
            "processClusterExternalSecret": False,
            "processClusterPushSecret": False,
            "processClusterGenerator": False,
            "processPushSecret": False,
        }
        repository = "https://charts.external-secrets.io"
        self._chart("external-secrets", SECRETS_CHART, repository, SECRETS_NAMESPACE, values, [association, allowed])

    def _chart(
        self,
        name: str,
        version: str,
        repository: str,
        namespace: str,
        values: dict[str, Any],
        identity: list[pulumi.Resource],
    ) -> None:
        """Installs a chart. A pod gets its identity when it starts, so `identity` comes first."""
        k8s.helm.v3.Release(
            f"{self._name}-{name}",
            name=name,
            chart=name,
            version=version,
            repository_opts={"repo": repository},
            namespace=namespace,
            create_namespace=True,
            atomic=True,
            values=values,
            opts=pulumi.ResourceOptions(parent=self, depends_on=identity),
        )

    def _ingress_class(self) -> None:
        auto_mode = self._args["auto_mode"]
        k8s.networking.v1.IngressClass(
            f"{self._name}-ingress-class",
            metadata={"name": INGRESS_CLASS},
            spec={"controller": "eks.amazonaws.com/alb" if auto_mode else "ingress.k8s.aws/alb"},
            opts=self._mine,
        )


def agent_statements(environment: str, cluster: str, place: Place) -> list[Statement]:
    """What CloudWatch agent and Fluent Bit may do: write to the log groups that are there, and publish what they
    measure of the nodes."""
    groups = [*(cluster_log_group(cluster, what) for what in CLUSTER_LOGS), log_group(environment, "*")]
    return [
        iam.allow(
            ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
            [place.arn("logs", f"log-group:{group}:*") for group in groups],
        ),
        # PutMetricData supports no resource ARNs: the namespace narrows it.
        iam.allow(
            ["cloudwatch:PutMetricData"], ["*"], {"StringEquals": {"cloudwatch:namespace": ["ContainerInsights"]}}
        ),
        # Neither do these two, by which the agent finds the volumes and the group of the node that it runs on.
        iam.allow(["ec2:DescribeTags", "ec2:DescribeVolumes"], ["*"]),
    ]
