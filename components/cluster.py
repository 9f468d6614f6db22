"""The Kubernetes cluster of an environment: EKS with Auto Mode, or one that exists already."""

from collections.abc import Sequence
from typing import NotRequired, TypedDict

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s

from components import iam
from components.cluster_addons import ClusterAddons
from components.kubeconfig import kubeconfig
from components.naming import Limit, fit, named
from components.place import Place, place_of

LOG_TYPES = ("api", "audit", "authenticator", "controllerManager", "scheduler")
"""All control-plane logs there are."""
AUTO_MODE_POLICIES = (
    "AmazonEKSBlockStoragePolicy",
    "AmazonEKSClusterPolicy",
    "AmazonEKSComputePolicy",
    "AmazonEKSLoadBalancingPolicy",
    "AmazonEKSNetworkingPolicy",
)
"""What the control plane needs to run nodes, volumes and load balancers itself
(https://docs.aws.amazon.com/eks/latest/userguide/auto-cluster-iam-role.html)."""
NODE_POLICIES = {
    True: ("AmazonEC2ContainerRegistryPullOnly", "AmazonEKSWorkerNodeMinimalPolicy"),
    False: ("AmazonEC2ContainerRegistryPullOnly", "AmazonEKSWorkerNodePolicy", "AmazonEKS_CNI_Policy"),
}
"""What nodes need, with and without Auto Mode (without it, the network plugin works with the node's role)."""


class ExistingClusterArgs(TypedDict):
    """An EKS cluster that is taken as it is.

    It has Pod Identity, an ingress controller and KEDA already, and External Secrets where callers sign in at the load
    balancer. It sends logs to CloudWatch as `components.cluster_logs` tells the observability add-on: alarms read
    metrics from them.
    """

    name: pulumi.Input[str]
    """Its name."""
    scaler_role_name: NotRequired[pulumi.Input[str]]
    """IAM role of its KEDA operator; streams let it read their backlog. Needed where a service has a stream."""
    node_role_name: NotRequired[pulumi.Input[str]]
    """IAM role of its nodes. Needed where compute pools are made."""
    auto_mode: NotRequired[bool]
    """Whether Auto Mode runs its nodes; else Karpenter must. Default True."""


class ClusterArgs(TypedDict):
    """What a Cluster is given."""

    environment: str
    """Environment name; part of every name."""
    private_subnet_ids: pulumi.Input[Sequence[pulumi.Input[str]]]
    """Subnets of at least two zones for the control plane's network interfaces and the nodes."""
    kms_key_arn: pulumi.Input[str]
    """Key that encrypts Kubernetes secrets and the control-plane logs."""
    version: NotRequired[str]
    """Kubernetes version, such as `1.34`. Default `1.34`."""
    auto_mode: NotRequired[bool]
    """Whether EKS runs nodes, volumes and load balancers itself. Default True. Without it two managed nodes are made,
    and Karpenter and the AWS Load Balancer Controller are the platform team's to install."""
    service_cidr: NotRequired[str]
    """Addresses of Services. Default `172.20.0.0/16`."""
    public_access_cidrs: NotRequired[Sequence[str]]
    """Networks that may reach the API server over the internet. Default none: from the VPC only."""
    admin_role_arns: NotRequired[Sequence[str]]
    """IAM roles that administer the cluster, besides the one that makes it. Default none."""
    viewer_role_arns: NotRequired[Sequence[str]]
    """IAM roles that may look at what services are made of, but not at secrets: previews need it. Default none."""
    sign_in_secret_arns: NotRequired[Sequence[pulumi.Input[str]]]
    """Secrets Manager secrets by which load balancers sign callers in. With any, the External Secrets operator is
    there, and may read exactly these. Default none."""
    log_retention_days: NotRequired[int]
    """Days that the cluster's logs are kept, of control plane, nodes and pods. Default 30."""
    protected: NotRequired[bool]
    """Refuse to delete the cluster. Default False."""
    existing: NotRequired[ExistingClusterArgs]
    """Take this cluster instead of making one; nothing is made or changed in it."""
    tags: NotRequired[dict[str, pulumi.Input[str]]]
    """Tags on everything that takes tags."""


class Cluster(pulumi.ComponentResource):
    """An EKS cluster: API authentication by access entries only, secrets encrypted with the environment's key, all
    control-plane logs kept, Pod Identity for workloads, and the add-ons that Slipway's services need.

    The API server is reached from the VPC only unless `public_access_cidrs` says otherwise.
    """

    name: pulumi.Output[str]
    """Name of the cluster."""
    kubeconfig: pulumi.Output[str]
    """A kubeconfig (JSON) that asks the AWS command line for a token; holds no credentials."""
    security_group_id: pulumi.Output[str]
    """Security group of the control plane and the nodes."""
    node_role_name: pulumi.Output[str]
    """IAM role of the nodes, for compute pools."""
    scaler_role_name: pulumi.Output[str]
    """IAM role of the KEDA operator: a stream grants it to read its backlog."""

    def __init__(self, name: str, args: ClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:index:Cluster", name, {**args}, opts)
        self._name = name
        self._args = args
        self._mine = pulumi.ResourceOptions(parent=self)
        existing = args.get("existing")
        if existing is None:
            self._make(place_of(self))
        else:
            self._take(existing, place_of(self))
        self.register_outputs(
            {
                "name": self.name,
                "kubeconfig": self.kubeconfig,
                "security_group_id": self.security_group_id,
                "node_role_name": self.node_role_name,
                "scaler_role_name": self.scaler_role_name,
            }
        )

    @property
    def kubernetes(self) -> k8s.Provider:
        """Provider for objects in this cluster, for programs in Python; others make theirs from `kubeconfig`."""
        return self._kubernetes

    def _take(self, existing: ExistingClusterArgs, place: Place) -> None:
        found = aws.eks.get_cluster_output(name=existing["name"], opts=pulumi.InvokeOptions(parent=self))
        self.name = found.name
        self.security_group_id = found.vpc_config.cluster_security_group_id
        self.node_role_name = pulumi.Output.from_input(existing.get("node_role_name", ""))
        self.scaler_role_name = pulumi.Output.from_input(existing.get("scaler_role_name", ""))
        self._connect(found.endpoint, found.certificate_authorities[0].data, place, [])

    def _make(self, place: Place) -> None:
        auto_mode = self._args.get("auto_mode", True)
        environment = self._args["environment"]
        cluster_name = named(environment, limit=Limit.EKS_CLUSTER)
        nodes, allowed_nodes = self._role("nodes", iam.trust_nodes(), NODE_POLICIES[auto_mode], place)
        control, allowed_control = self._role(
            "control",
            iam.trust_control_plane(place.account),
            AUTO_MODE_POLICIES if auto_mode else ("AmazonEKSClusterPolicy",),
            place,
        )
        logs = aws.cloudwatch.LogGroup(
            f"{self._name}-logs",
            # EKS writes to this name; made first, it has our retention and key.
            name=f"/aws/eks/{cluster_name}/cluster",
            retention_in_days=self._args.get("log_retention_days", 30),
            kms_key_id=self._args["kms_key_arn"],
            tags=self._args.get("tags"),
            opts=self._mine,
        )
        public = list(self._args.get("public_access_cidrs", ()))
        cluster = aws.eks.Cluster(
            f"{self._name}-eks",
            name=cluster_name,
            version=self._args.get("version", "1.34"),
            role_arn=control.arn,
            access_config={"authentication_mode": "API", "bootstrap_cluster_creator_admin_permissions": True},
            vpc_config={
                "subnet_ids": self._args["private_subnet_ids"],
                "endpoint_private_access": True,
                "endpoint_public_access": bool(public),
                "public_access_cidrs": public or None,
            },
            kubernetes_network_config={
                "service_ipv4_cidr": self._args.get("service_cidr", "172.20.0.0/16"),
                "elastic_load_balancing": {"enabled": auto_mode},
            },
            compute_config={
                "enabled": auto_mode,
                "node_pools": ["general-purpose", "system"] if auto_mode else None,
                "node_role_arn": nodes.arn if auto_mode else None,
            },
            storage_config={"block_storage": {"enabled": auto_mode}},
            # Auto Mode brings network, DNS and proxy itself; without it EKS installs its own at creation.
            bootstrap_self_managed_addons=not auto_mode,
            encryption_config={"provider": {"key_arn": self._args["kms_key_arn"]}, "resources": ["secrets"]},
            enabled_cluster_log_types=list(LOG_TYPES),
            # Extended support costs six times as much: EKS upgrades by itself instead.
            upgrade_policy={"support_type": "STANDARD"},
            zonal_shift_config={"enabled": True},
            deletion_protection=self._args.get("protected", False),
            tags=self._args.get("tags"),
            opts=pulumi.ResourceOptions(
                parent=self,
                # Without its policies EKS could not take away what it has made (interfaces, groups, machines), so they
                # go after the cluster.
                depends_on=[logs, *allowed_control, *allowed_nodes],
                protect=self._args.get("protected", False),
                # Only creation reads it; EKS reports it as false afterwards, which must not replace the cluster.
                ignore_changes=["bootstrapSelfManagedAddons"],
            ),
        )
        self.name = cluster.name
        self.security_group_id = cluster.vpc_config.cluster_security_group_id
        self.node_role_name = nodes.name
        ready: list[pulumi.Resource] = [cluster, *self._access(place)]
        if not auto_mode:
            ready.append(self._system_nodes(nodes, allowed_nodes))
        self._connect(cluster.endpoint, cluster.certificate_authority.data, place, ready)
        self.scaler_role_name = ClusterAddons(
            f"{self._name}-addons",
            {
                "environment": environment,
                "cluster": self.name,
                "cluster_name": cluster_name,
                "kms_key_arn": self._args["kms_key_arn"],
                "log_retention_days": self._args.get("log_retention_days", 30),
                "auto_mode": auto_mode,
                "secret_arns": self._args.get("sign_in_secret_arns", ()),
                "tags": self._args.get("tags", {}),
            },
            opts=pulumi.ResourceOptions(parent=self, depends_on=ready, providers=[self.kubernetes]),
        ).scaler_role_name

    def _role(
        self, purpose: str, trust: pulumi.Input[str], policies: Sequence[str], place: Place
    ) -> tuple[aws.iam.Role, list[pulumi.Resource]]:
        """A role, and the attachments of AWS's own policies to it."""
        role = aws.iam.Role(
            f"{self._name}-{purpose}-role",
            name=named(self._args["environment"], "cluster", purpose, limit=Limit.IAM_ROLE),
            description=f"EKS {purpose} of {self._args['environment']}.",
            assume_role_policy=trust,
            tags=self._args.get("tags"),
            opts=self._mine,
        )
        return role, [
            aws.iam.RolePolicyAttachment(
                f"{self._name}-{purpose}-{policy}",
                role=role.name,
                policy_arn=pulumi.Output.concat("arn:", place.partition, ":iam::aws:policy/", policy),
                opts=self._mine,
            )
            for policy in policies
        ]

    def _access(self, place: Place) -> list[pulumi.Resource]:
        """Access entries of the administrators and viewers."""
        made: list[pulumi.Resource] = []
        for arns, policy, purpose in (
            (self._args.get("admin_role_arns", ()), "AmazonEKSClusterAdminPolicy", "admin"),
            (self._args.get("viewer_role_arns", ()), "AmazonEKSViewPolicy", "viewer"),
        ):
            for arn in arns:
                who = fit(f"{self._name}-{purpose}-{arn.rpartition('/')[2]}", Limit.IAM_ROLE)
                entry = aws.eks.AccessEntry(
                    who,
                    cluster_name=self.name,
                    principal_arn=arn,
                    type="STANDARD",
                    tags=self._args.get("tags"),
                    opts=self._mine,
                )
                made.append(
                    aws.eks.AccessPolicyAssociation(
                        f"{who}-policy",
                        cluster_name=self.name,
                        principal_arn=entry.principal_arn,
                        policy_arn=pulumi.Output.concat(
                            "arn:", place.partition, ":eks::aws:cluster-access-policy/", policy
                        ),
                        access_scope={"type": "cluster"},
                        opts=self._mine,
                    )
                )
        return made

    def _system_nodes(self, role: aws.iam.Role, allowed: list[pulumi.Resource]) -> aws.eks.NodeGroup:
        """Two nodes for what must run before any pool exists (DNS, Karpenter)."""
        return aws.eks.NodeGroup(
            f"{self._name}-system",
            cluster_name=self.name,
            node_group_name="system",
            node_role_arn=role.arn,
            subnet_ids=self._args["private_subnet_ids"],
            ami_type="AL2023_x86_64_STANDARD",
            instance_types=["m7i.large"],
            scaling_config={"min_size": 2, "max_size": 3, "desired_size": 2},
            update_config={"max_unavailable": 1},
            tags=self._args.get("tags"),
            opts=pulumi.ResourceOptions(parent=self, depends_on=allowed),
        )

    def _connect(
        self,
        endpoint: pulumi.Output[str],
        authority: pulumi.Output[str],
        place: Place,
        ready: list[pulumi.Resource],
    ) -> None:
        self.kubeconfig = pulumi.Output.all(self.name, endpoint, authority, place.region).apply(
            lambda known: kubeconfig(*known)
        )
        self._kubernetes = k8s.Provider(
            f"{self._name}-kubernetes",
            kubeconfig=self.kubeconfig,
            enable_server_side_apply=True,
            opts=pulumi.ResourceOptions(parent=self, depends_on=ready),
        )
