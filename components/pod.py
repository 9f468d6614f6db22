"""The pod template of every workload: one hardened shape for services, batch jobs, stream workers and trainers.

Config reaches the container as `SLIPWAY_*` variables only (docs/architecture.md); the container's only argument is
what it shall do; an init container `fetch` brings the model package into a volume that the main one reads.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NotRequired, TypedDict

import pulumi
import pulumi_kubernetes as k8s

from components.model import ModelArgs, package_uri
from components.naming import label_value

USER = 10001
"""User and group of the runtime's image: no account of the node has this number."""
REST_PORT = 8080
GRPC_PORT = 8081
MODEL_DIR = "/var/slipway/model"
SPOOL_DIR = "/var/slipway/spool"
GPU = "nvidia.com/gpu"
POOL_LABEL = "slipway.dev/pool"
"""Label of the nodes of a ComputePool; its value is the pool's name."""

_VOLUMES: list[k8s.core.v1.VolumeArgsDict] = [
    {"name": "model", "empty_dir": {}},
    {"name": "spool", "empty_dir": {}},
    {"name": "tmp", "empty_dir": {}},
]
_MOUNTS: list[k8s.core.v1.VolumeMountArgsDict] = [
    {"name": "model", "mount_path": MODEL_DIR, "read_only": True},
    {"name": "spool", "mount_path": SPOOL_DIR},
    {"name": "tmp", "mount_path": "/tmp"},  # noqa: S108 - a volume of this pod alone
]


class ResourcesArgs(TypedDict):
    """What one pod needs. Requests and limits are equal, so that a pod has in production what it was measured with."""

    cpu: str
    """CPU as a Kubernetes quantity: `500m`, `2`."""
    memory: str
    """Memory as a Kubernetes quantity: `512Mi`, `4Gi`."""
    gpus: NotRequired[int]
    """Whole NVIDIA GPUs. Default 0."""
    disk: NotRequired[str]
    """Scratch space for model, spool and temporary files. Default `4Gi`."""


@dataclass(frozen=True)
class Identity:
    """Which workload this is: its service, its part of it, and the environment."""

    environment: str
    service: str
    component: str
    """`rest`, `batch`, `stream`, `monitor` or `retrain`."""

    @property
    def name(self) -> str:
        """Name of the workload's Kubernetes objects: `<service>-<component>`."""
        return f"{self.service}-{self.component}"

    @property
    def selector(self) -> dict[str, str]:
        """Labels that select exactly this workload's pods."""
        return {"app.kubernetes.io/name": self.service, "app.kubernetes.io/component": self.component}

    @property
    def labels(self) -> dict[str, str]:
        """Labels on every object of the workload."""
        return {
            **self.selector,
            "app.kubernetes.io/part-of": "slipway",
            "app.kubernetes.io/managed-by": "pulumi",
            "slipway.dev/environment": self.environment,
        }


@dataclass(frozen=True)
class Pod:
    """What differs between the pods of two workloads."""

    identity: Identity
    image: pulumi.Input[str]
    service_account: str
    model: ModelArgs
    models_bucket: pulumi.Input[str]
    region: pulumi.Input[str]
    resources: ResourcesArgs
    variables: Mapping[str, pulumi.Input[str]] = field(default_factory=dict[str, pulumi.Input[str]])
    """Further `SLIPWAY_*` variables of the main container."""
    fields: Mapping[str, str] = field(default_factory=dict[str, str])
    """Variable -> field of the pod that it is taken from (downward API)."""
    pool: str | None = None
    """ComputePool that the pod must run on; anywhere when None."""
    restart_policy: str = "Always"
    grace_seconds: int = 30
    scraped: bool = False
    """Answers `/metrics` on the port `rest`: a Prometheus that may call the service finds it by annotations."""


def pod_template(pod: Pod, main: k8s.core.v1.ContainerArgsDict | None = None) -> k8s.core.v1.PodTemplateSpecArgsDict:
    """The pod template; `main` adds ports, probes and lifecycle to the main container."""
    container: k8s.core.v1.ContainerArgsDict = {**(main or {"name": pod.identity.component}), **_container(pod)}
    spec: k8s.core.v1.PodSpecArgsDict = {
        "service_account_name": pod.service_account,
        # Pod Identity projects a token of its own; nothing here talks to the Kubernetes API.
        "automount_service_account_token": False,
        "enable_service_links": False,
        "restart_policy": pod.restart_policy,
        "termination_grace_period_seconds": pod.grace_seconds,
        "security_context": {
            "run_as_non_root": True,
            "run_as_user": USER,
            "run_as_group": USER,
            "fs_group": USER,
            "seccomp_profile": {"type": "RuntimeDefault"},
        },
        "init_containers": [_fetch(pod)],
        "containers": [container],
        "volumes": _VOLUMES,
        "topology_spread_constraints": spread(pod.identity),
    }
    if pod.pool is not None:
        spec["node_selector"] = {POOL_LABEL: pod.pool}
        spec["tolerations"] = tolerations(pod.resources)
    elif pod.resources.get("gpus", 0):
        spec["tolerations"] = tolerations(pod.resources)
    return {"metadata": _metadata(pod), "spec": spec}


def model_variables(pod: Pod) -> dict[str, pulumi.Input[str]]:
    """The variables that say which model: the same ones for `fetch` and for the main container."""
    return {
        "SLIPWAY_ENVIRONMENT": pod.identity.environment,
        "SLIPWAY_SERVICE": pod.identity.service,
        "SLIPWAY_MODEL_NAME": pod.model["name"],
        "SLIPWAY_MODEL_VERSION": pod.model["version"],
        "SLIPWAY_MODEL_URI": package_uri(pod.models_bucket, pod.model),
        "SLIPWAY_MODEL_DIGEST": pod.model["digest"],
        "SLIPWAY_MODEL_DIR": MODEL_DIR,
        "AWS_REGION": pod.region,
    }


def quantities(resources: ResourcesArgs) -> k8s.core.v1.ResourceRequirementsArgsDict:
    """Requests and limits, equal: the pod is of the class Guaranteed, last to be evicted."""
    amounts: dict[str, pulumi.Input[str]] = {
        "cpu": resources["cpu"],
        "memory": resources["memory"],
        "ephemeral-storage": resources.get("disk", "4Gi"),
    }
    if gpus := resources.get("gpus", 0):
        amounts[GPU] = str(gpus)
    return {"requests": amounts, "limits": amounts}


def tolerations(resources: ResourcesArgs) -> list[k8s.core.v1.TolerationArgsDict]:
    """Tolerations for the taints of ComputePools: every pool may be reserved, a GPU pool always is."""
    pool: list[k8s.core.v1.TolerationArgsDict] = [
        {"key": POOL_LABEL, "operator": "Exists", "effect": "NoSchedule"},
    ]
    if resources.get("gpus", 0):
        pool.append({"key": GPU, "operator": "Exists", "effect": "NoSchedule"})
    return pool


def spread(identity: Identity) -> list[k8s.core.v1.TopologySpreadConstraintArgsDict]:
    """Pods over zones and nodes as evenly as possible.

    `ScheduleAnyway`: in the hour in which a zone is down, pods crowd into the others rather than wait for it.
    """
    return [
        {
            "max_skew": 1,
            "topology_key": key,
            "when_unsatisfiable": "ScheduleAnyway",
            "label_selector": {"match_labels": identity.selector},
        }
        for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
    ]


def environment(variables: Mapping[str, pulumi.Input[str]]) -> list[k8s.core.v1.EnvVarArgsDict]:
    """Container variables in the order of the mapping."""
    return [{"name": name, "value": value} for name, value in variables.items()]


def _from_fields(fields: Mapping[str, str]) -> list[k8s.core.v1.EnvVarArgsDict]:
    return [{"name": name, "value_from": {"field_ref": {"field_path": path}}} for name, path in fields.items()]


def _metadata(pod: Pod) -> k8s.meta.v1.ObjectMetaArgsDict:
    annotations = {
        "slipway.dev/model-version": pod.model["version"],
        "slipway.dev/model-digest": pod.model["digest"],
    }
    if pod.scraped:
        annotations |= {
            "prometheus.io/scrape": "true",
            "prometheus.io/port": str(REST_PORT),
            "prometheus.io/path": "/metrics",
        }
    return {
        "labels": {**pod.identity.labels, "slipway.dev/model-version": label_value(pod.model["version"])},
        "annotations": annotations,
    }


def _container(pod: Pod) -> k8s.core.v1.ContainerArgsDict:
    return {
        "name": pod.identity.component,
        "image": pod.image,
        "args": [pod.identity.component],
        "env": [*environment({**model_variables(pod), **pod.variables}), *_from_fields(pod.fields)],
        "resources": quantities(pod.resources),
        "security_context": _locked_down(),
        "volume_mounts": _MOUNTS,
    }


def _fetch(pod: Pod) -> k8s.core.v1.ContainerArgsDict:
    return {
        "name": "fetch",
        "image": pod.image,
        "args": ["fetch"],
        "env": environment(model_variables(pod)),
        # The scheduler takes the larger of init and main containers: the GPUs stay with the main one.
        "resources": quantities({**pod.resources, "gpus": 0}),
        "security_context": _locked_down(),
        "volume_mounts": [
            {"name": "model", "mount_path": MODEL_DIR},
            {"name": "tmp", "mount_path": "/tmp"},  # noqa: S108 - a volume of this pod alone
        ],
    }


def _locked_down() -> k8s.core.v1.SecurityContextArgsDict:
    """Nothing that the restricted Pod Security Standard forbids, and a root file system that cannot be written."""
    return {
        "allow_privilege_escalation": False,
        "read_only_root_filesystem": True,
        "run_as_non_root": True,
        "capabilities": {"drop": ["ALL"]},
        "seccomp_profile": {"type": "RuntimeDefault"},
    }
