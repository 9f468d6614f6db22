"""Ports, probes and the end of a container that answers: the server's, and a stream worker's `/metrics` and health."""

import pulumi_kubernetes as k8s

from components.drain import Drain
from components.pod import GRPC_PORT, REST_PORT

STARTUP_SECONDS = 300
"""How long a pod may take to load and warm up a model before it is started again."""


def serving_container(name: str, drain: Drain, *, grpc: bool) -> k8s.core.v1.ContainerArgsDict:
    """What `pod_template` does not know of a container that answers on the port `rest`, and on `grpc` where it does.

    The startup probe gives a large model time without making liveness slow to notice a hang; readiness looks often,
    so that a pod which is not ready gets no more than two seconds of requests.
    """
    live: k8s.core.v1.HTTPGetActionArgsDict = {"path": "/v2/health/live", "port": "rest"}
    ready: k8s.core.v1.HTTPGetActionArgsDict = {"path": "/v2/health/ready", "port": "rest"}
    ports: list[k8s.core.v1.ContainerPortArgsDict] = [
        {"name": "rest", "container_port": REST_PORT, "protocol": "TCP"},
    ]
    if grpc:
        ports.append({"name": "grpc", "container_port": GRPC_PORT, "protocol": "TCP"})
    container: k8s.core.v1.ContainerArgsDict = {
        "name": name,
        "ports": ports,
        "startup_probe": {
            "http_get": ready,
            "period_seconds": 1,
            "timeout_seconds": 1,
            "failure_threshold": STARTUP_SECONDS,
        },
        "readiness_probe": {"http_get": ready, "period_seconds": 2, "timeout_seconds": 1, "failure_threshold": 1},
        "liveness_probe": {"http_get": live, "period_seconds": 10, "timeout_seconds": 2, "failure_threshold": 3},
    }
    if drain.pre_stop_seconds:
        container["lifecycle"] = {"pre_stop": {"sleep": {"seconds": drain.pre_stop_seconds}}}
    return container
