"""Config → components: network, cluster and machines, of every environment but `local`."""

import pulumi
import pulumi_aws as aws

from components.cluster import Cluster, ClusterArgs, ExistingClusterArgs
from components.compute_pool import ComputePool, ComputePoolArgs
from components.data_store import DataStore
from components.delivery import role_name
from components.network import ExistingNetworkArgs, Network, NetworkArgs
from stacks.config.model import StackConfig
from stacks.config.platform import Pool
from stacks.ingress import sign_in_secrets

LEAST_ZONES = 2
"""EKS puts its control plane into subnets of two zones at least
(https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html)."""


class Cloud:
    """Where the services of an environment run."""

    def __init__(self, config: StackConfig, data: DataStore, account: aws.Provider) -> None:
        self._config = config
        self._data = data
        opts = pulumi.ResourceOptions(providers=[account])
        self.network = Network("network", self._network(), opts)
        # Nodes need the way out that the network gives them to the last: it goes after the cluster as a whole.
        within = pulumi.ResourceOptions(providers=[account], depends_on=[self.network])
        self.cluster = Cluster("cluster", self._cluster(), within)
        in_cluster = pulumi.ResourceOptions(providers=[account, self.cluster.kubernetes])
        self.pools = {
            name: ComputePool(f"pool-{name}", self._pool(name, pool), in_cluster)
            for name, pool in config.platform.pools.items()
        }

    def _network(self) -> NetworkArgs:
        network = self._config.platform.network
        args: NetworkArgs = {
            "environment": self._config.environment.value,
            "cidr": network.cidr,
            "zones": max(network.zones, LEAST_ZONES),
            "nat": network.nat.value,
            "interface_endpoints": network.interface_endpoints,
            "flow_logs": network.flow_logs,
            "log_retention_days": self._config.platform.data.retention.logs_days,
            "kms_key_arn": self._data.kms_key_arn,
        }
        if existing := network.existing:
            taken: ExistingNetworkArgs = {
                "vpc_id": existing.vpc_id,
                "private_subnet_ids": existing.private_subnet_ids,
                "public_subnet_ids": existing.public_subnet_ids,
            }
            args["existing"] = taken
        return args

    def _cluster(self) -> ClusterArgs:
        cluster = self._config.platform.cluster
        args: ClusterArgs = {
            "environment": self._config.environment.value,
            "private_subnet_ids": self.network.private_subnet_ids,
            "kms_key_arn": self._data.kms_key_arn,
            "version": cluster.version.value,
            "auto_mode": cluster.auto_mode,
            "service_cidr": cluster.service_cidr,
            "public_access_cidrs": cluster.public_access_cidrs,
            "admin_role_arns": (*cluster.admins, *self._delivery_role("deploy")),
            "viewer_role_arns": self._delivery_role("preview"),
            "sign_in_secret_arns": sign_in_secrets(self._config.services.values()),
            "log_retention_days": self._config.platform.data.retention.logs_days,
            "protected": self._config.protected,
        }
        if existing := cluster.existing:
            taken: ExistingClusterArgs = {"name": existing.name, "auto_mode": existing.auto_mode}
            if existing.node_role_name:
                taken["node_role_name"] = existing.node_role_name
            if existing.scaler_role_name:
                taken["scaler_role_name"] = existing.scaler_role_name
            args["existing"] = taken
        return args

    def _delivery_role(self, purpose: str) -> list[str]:
        """ARN of one of Delivery's roles, which deployments and previews reach the API server with."""
        platform = self._config.platform
        if not (platform.delivery and platform.account):
            return []
        return [f"arn:aws:iam::{platform.account}:role/{role_name(self._config.environment.value, purpose)}"]

    def _pool_subnets(self) -> pulumi.Output[list[str]]:
        subnets = self.network.private_subnet_ids
        single = self._config.platform.network.zones < LEAST_ZONES
        return subnets.apply(lambda ids: ids[:1]) if single else subnets

    def _pool(self, name: str, pool: Pool) -> ComputePoolArgs:
        cluster = self._config.platform.cluster
        return {
            "environment": self._config.environment.value,
            "pool": name,
            "node_role_name": self.cluster.node_role_name,
            "subnet_ids": self._pool_subnets(),
            "security_group_id": self.cluster.security_group_id,
            "families": pool.families,
            "hardware": pool.hardware.value,
            "capacity": pool.capacity.value,
            "max_cpu": pool.max_cpu,
            "max_gpus": pool.max_gpus,
            "auto_mode": cluster.existing.auto_mode if cluster.existing else cluster.auto_mode,
            "kms_key_arn": self._data.kms_key_arn,
        }
