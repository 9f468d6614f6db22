"""Machines of one kind, added and removed as pods need them."""

from collections.abc import Sequence
from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_kubernetes as k8s

from components.naming import require_name
from components.pod import GPU, POOL_LABEL

HARDWARE = ("cpu", "gpu")
CAPACITY = ("on_demand", "spot")


class ComputePoolArgs(TypedDict):
    """What a ComputePool is given."""

    environment: str
    """Environment name; tag of the machines."""
    pool: str
    """Pool name, which services name; label `slipway.dev/pool` of its nodes."""
    node_role_name: pulumi.Input[str]
    """IAM role of the nodes; the cluster must let it join."""
    subnet_ids: pulumi.Input[Sequence[pulumi.Input[str]]]
    """Private subnets that the nodes are in."""
    security_group_id: pulumi.Input[str]
    """Security group of the nodes."""
    families: Sequence[str]
    """EC2 instance families to choose from, such as `m7i`; at least one."""
    hardware: NotRequired[str]
    """`cpu` or `gpu`. Default `cpu`. A GPU pool is tainted `nvidia.com/gpu`: only pods that ask for GPUs land there."""
    capacity: NotRequired[str]
    """`on_demand` or `spot` (with on-demand machines where no spot is to be had). Default `on_demand`."""
    max_cpu: NotRequired[int]
    """Most CPUs of all its machines together. Default 64."""
    max_gpus: NotRequired[int]
    """Most GPUs of all its machines together, for a GPU pool. Default 4."""
    auto_mode: NotRequired[bool]
    """Whether EKS Auto Mode runs the cluster's nodes; else Karpenter does. Default True."""
    disk_gib: NotRequired[int]
    """Disk of a machine, for images, models and spools. Default 80."""
    kms_key_arn: NotRequired[pulumi.Input[str]]
    """Key that encrypts the disks. Default: the account's key for EBS."""
    tags: NotRequired[dict[str, pulumi.Input[str]]]
    """Tags on the machines."""


class ComputePool(pulumi.ComponentResource):
    """A Karpenter NodePool with its node class, for EKS Auto Mode or for Karpenter of one's own.

    Every pool has a ceiling. Idle and underused machines are consolidated, one in ten at a time; machines are replaced
    after two weeks at most, so that they run a patched system. Needs the cluster's Kubernetes provider.
    """

    pool: pulumi.Output[str]
    """Name of the NodePool."""

    def __init__(self, name: str, args: ComputePoolArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:index:ComputePool", name, {**args}, opts)
        pool = require_name("pool", args["pool"])
        if not args["families"]:
            raise ValueError(f"pool {pool}: families: expected at least one EC2 instance family, got none")
        mine = pulumi.ResourceOptions(parent=self)
        _require("hardware", args.get("hardware", "cpu"), HARDWARE, pool)
        _require("capacity", args.get("capacity", "on_demand"), CAPACITY, pool)
        make_class = _auto_mode_class if args.get("auto_mode", True) else _karpenter_class
        node_class = make_class(f"{name}-nodes", pool, args, mine)
        made = k8s.apiextensions.CustomResource(
            f"{name}-pool",
            api_version="karpenter.sh/v1",
            kind="NodePool",
            metadata={"name": pool, "labels": _labels(args)},
            spec=node_pool(args),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[node_class]),
        )
        # Who names the pool waits until it is there.
        self.pool = made.id.apply(lambda _: pool)
        self.register_outputs({"pool": self.pool})


def node_pool(args: ComputePoolArgs) -> dict[str, Any]:
    """The NodePool's spec (https://karpenter.sh/docs/concepts/nodepools/)."""
    auto_mode = args.get("auto_mode", True)
    gpu = args.get("hardware", "cpu") == "gpu"
    family = "eks.amazonaws.com/instance-family" if auto_mode else "karpenter.k8s.aws/instance-family"
    template: dict[str, Any] = {
        "nodeClassRef": {
            "group": "eks.amazonaws.com" if auto_mode else "karpenter.k8s.aws",
            "kind": "NodeClass" if auto_mode else "EC2NodeClass",
            "name": args["pool"],
        },
        "requirements": [
            {"key": family, "operator": "In", "values": list(args["families"])},
            {"key": "kubernetes.io/arch", "operator": "In", "values": ["amd64"]},
            {"key": "kubernetes.io/os", "operator": "In", "values": ["linux"]},
            {"key": "karpenter.sh/capacity-type", "operator": "In", "values": _capacity(args)},
        ],
        # Two weeks: the longest that a machine runs without the newest patched image; pods get an hour to move.
        "expireAfter": "336h",
        "terminationGracePeriod": "1h",
    }
    if gpu:
        template["taints"] = [{"key": GPU, "value": "true", "effect": "NoSchedule"}]
    limits: dict[str, Any] = {"cpu": str(args.get("max_cpu", 64))}
    if gpu:
        limits[GPU] = str(args.get("max_gpus", 4))
    return {
        "template": {"metadata": {"labels": {POOL_LABEL: args["pool"]}}, "spec": template},
        "limits": limits,
        "disruption": {
            "consolidationPolicy": "WhenEmptyOrUnderutilized",
            # Five minutes: a batch run's pods come and go without a machine going with each.
            "consolidateAfter": "5m",
            "budgets": [{"nodes": "10%"}],
        },
    }


def _auto_mode_class(
    name: str, pool: str, args: ComputePoolArgs, opts: pulumi.ResourceOptions
) -> k8s.apiextensions.CustomResource:
    """NodeClass of EKS Auto Mode (https://docs.aws.amazon.com/eks/latest/userguide/create-node-class.html)."""
    storage: dict[str, pulumi.Input[str]] = {"size": f"{args.get('disk_gib', 80)}Gi"}
    if "kms_key_arn" in args:
        storage["kmsKeyID"] = args["kms_key_arn"]
    return k8s.apiextensions.CustomResource(
        name,
        api_version="eks.amazonaws.com/v1",
        kind="NodeClass",
        metadata={"name": pool, "labels": _labels(args)},
        spec={
            "role": args["node_role_name"],
            "subnetSelectorTerms": _terms(args["subnet_ids"]),
            "securityGroupSelectorTerms": [{"id": args["security_group_id"]}],
            # Policies are enforced for pods that have one; Slipway's pods all have.
            "networkPolicy": "DefaultAllow",
            "ephemeralStorage": storage,
            "tags": _tags(args),
        },
        opts=opts,
    )


def _karpenter_class(
    name: str, pool: str, args: ComputePoolArgs, opts: pulumi.ResourceOptions
) -> k8s.apiextensions.CustomResource:
    """EC2NodeClass of Karpenter (https://karpenter.sh/docs/concepts/nodeclasses/)."""
    disk: dict[str, pulumi.Input[str | bool]] = {
        "volumeSize": f"{args.get('disk_gib', 80)}Gi",
        "volumeType": "gp3",
        "encrypted": True,
        "deleteOnTermination": True,
    }
    if "kms_key_arn" in args:
        disk["kmsKeyID"] = args["kms_key_arn"]
    return k8s.apiextensions.CustomResource(
        name,
        api_version="karpenter.k8s.aws/v1",
        kind="EC2NodeClass",
        metadata={"name": pool, "labels": _labels(args)},
        spec={
            "role": args["node_role_name"],
            # Follows AWS's newest patched image: `expireAfter` rolls it out.
            "amiSelectorTerms": [{"alias": "bottlerocket@latest"}],
            "subnetSelectorTerms": _terms(args["subnet_ids"]),
            "securityGroupSelectorTerms": [{"id": args["security_group_id"]}],
            # IMDSv2, and no pod behind the node's own network can reach it.
            "metadataOptions": {"httpTokens": "required", "httpPutResponseHopLimit": 1, "httpEndpoint": "enabled"},
            # Bottlerocket keeps images and pods on its second disk.
            "blockDeviceMappings": [{"deviceName": "/dev/xvdb", "ebs": disk}],
            "tags": _tags(args),
        },
        opts=opts,
    )


def _require(key: str, value: str, choices: Sequence[str], pool: str) -> None:
    if value not in choices:
        raise ValueError(f"pool {pool}: {key}: expected one of {', '.join(choices)}, got {value!r}")


def _capacity(args: ComputePoolArgs) -> list[str]:
    return ["spot", "on-demand"] if args.get("capacity", "on_demand") == "spot" else ["on-demand"]


def _terms(subnet_ids: pulumi.Input[Sequence[pulumi.Input[str]]]) -> pulumi.Output[list[dict[str, str]]]:
    return pulumi.Output.from_input(subnet_ids).apply(lambda ids: [{"id": str(subnet)} for subnet in ids])


def _labels(args: ComputePoolArgs) -> dict[str, str]:
    return {
        "app.kubernetes.io/part-of": "slipway",
        "app.kubernetes.io/managed-by": "pulumi",
        "slipway.dev/environment": args["environment"],
    }


def _tags(args: ComputePoolArgs) -> dict[str, pulumi.Input[str]]:
    return {**args.get("tags", {}), "slipway:environment": args["environment"], "slipway:pool": args["pool"]}
