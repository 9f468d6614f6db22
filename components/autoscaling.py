"""How many pods a service has: by CPU, and where set by requests a second."""

from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_kubernetes as k8s

from components.pod import REST_PORT, Identity

REQUESTS_METRIC = "slipway_requests_per_second"
"""Gauge on /metrics: requests a second that the pod answered over the last 15 seconds."""
SCALE_DOWN_SECONDS = 300
"""Load must have been lower for this long before pods go: traffic comes in waves, and a model takes time to load."""


class ReplicasArgs(TypedDict):
    """How many pods, and by what they are scaled."""

    min: int
    """Fewest pods, at least 1."""
    max: int
    """Most pods; equal to `min` for a fixed number."""
    cpu_percent: NotRequired[int]
    """Average CPU use, in percent of the request, above which pods are added. Default 60."""
    requests_per_second: NotRequired[int]
    """Requests a second that one pod shall answer; needs KEDA in the cluster. Default: CPU alone decides."""


def scales(replicas: ReplicasArgs) -> bool:
    """Whether an autoscaler decides about the number of pods; a ValueError when the bounds cannot be."""
    if not 1 <= replicas["min"] <= replicas["max"]:
        raise ValueError(f"replicas: expected 1 <= min <= max, got min {replicas['min']}, max {replicas['max']}")
    return replicas["min"] < replicas["max"]


def scale(
    name: str,
    deployment: k8s.apps.v1.Deployment,
    identity: Identity,
    namespace: pulumi.Input[str],
    replicas: ReplicasArgs,
    *,
    parent: pulumi.Resource,
) -> None:
    """Makes the autoscaler of `deployment`: an HPA, KEDA's where requests count, none for a fixed number."""
    if not scales(replicas):
        return
    meta: k8s.meta.v1.ObjectMetaArgsDict = {
        "name": identity.name,
        "namespace": namespace,
        "labels": identity.labels,
    }
    after = pulumi.ResourceOptions(parent=parent, depends_on=[deployment])
    if "requests_per_second" in replicas:
        k8s.apiextensions.CustomResource(
            name,
            api_version="keda.sh/v1alpha1",
            kind="ScaledObject",
            metadata=meta,
            spec=pulumi.Output.from_input(namespace).apply(lambda ns: scaled_object(identity, ns, replicas)),
            opts=after,
        )
        return
    k8s.autoscaling.v2.HorizontalPodAutoscaler(
        name,
        metadata=meta,
        spec={
            "scale_target_ref": {"api_version": "apps/v1", "kind": "Deployment", "name": identity.name},
            "min_replicas": replicas["min"],
            "max_replicas": replicas["max"],
            "metrics": [
                {
                    "type": "Resource",
                    "resource": {
                        "name": "cpu",
                        "target": {"type": "Utilization", "average_utilization": replicas.get("cpu_percent", 60)},
                    },
                }
            ],
            "behavior": {"scale_down": {"stabilization_window_seconds": SCALE_DOWN_SECONDS}},
        },
        opts=after,
    )


def scaled_object(identity: Identity, namespace: str, replicas: ReplicasArgs) -> dict[str, Any]:
    """Spec of KEDA's ScaledObject for CPU and requests a second (KEDA makes and owns the autoscaler).

    The metrics-api scaler asks every pod behind the Service and adds up, so no metrics server stands between
    (https://keda.sh/docs/latest/scalers/metrics-api/).
    """
    return {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": identity.name},
        "minReplicaCount": replicas["min"],
        "maxReplicaCount": replicas["max"],
        "pollingInterval": 15,
        "advanced": {
            "horizontalPodAutoscalerConfig": {
                "behavior": {"scaleDown": {"stabilizationWindowSeconds": SCALE_DOWN_SECONDS}}
            }
        },
        "triggers": [
            {
                "type": "cpu",
                "metricType": "Utilization",
                "metadata": {"value": str(replicas.get("cpu_percent", 60))},
            },
            {
                "type": "metrics-api",
                "metricType": "AverageValue",
                "metadata": {
                    "url": f"http://{identity.name}.{namespace}.svc.cluster.local:{REST_PORT}/metrics",
                    "format": "prometheus",
                    "valueLocation": REQUESTS_METRIC,
                    "aggregateFromKubeServiceEndpoints": "true",
                    "aggregationType": "sum",
                    "targetValue": str(replicas.get("requests_per_second")),
                },
            },
        ],
    }
