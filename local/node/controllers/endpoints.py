"""Which pods a Service leads to, and the EndpointSlices that say so."""

import json

from local.node.objects import (
    Object,
    annotations_of,
    is_deleting,
    is_true,
    items_of,
    name_of,
    namespace_of,
    owner_reference,
    uid_of,
)
from local.node.pods.worker import PORTS


def target_port(pod: Object, port: Object) -> int | None:
    """The loopback port that a Service port leads to on this pod; None while the pod has none."""
    wanted = port.get("targetPort", port["port"])
    picked: dict[str, int] = json.loads(annotations_of(pod).get(PORTS) or "{}")
    declared = [p for c in pod["spec"]["containers"] for p in items_of(c, "ports")]
    if isinstance(wanted, str):
        return picked.get(wanted)
    named = next((p["name"] for p in declared if p["containerPort"] == wanted and p.get("name")), None)
    return wanted if named is None else picked.get(named)


def serves(service: Object, pod: Object) -> bool:
    """Whether a pod gets the Service's connections."""
    unready_too = bool(service["spec"].get("publishNotReadyAddresses"))
    return not is_deleting(pod) and (unready_too or is_true(pod, "Ready"))


def endpoint_slice(service: Object, pod: Object) -> Object:
    """The EndpointSlice of one pod of a Service."""
    ports = [
        {"name": p.get("name", ""), "port": number, "protocol": "TCP"}
        for p in items_of(service["spec"], "ports")
        if (number := target_port(pod, p)) is not None
    ]
    ready = serves(service, pod)
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{name_of(service)}-{uid_of(pod)[:8]}",
            "namespace": namespace_of(service),
            "labels": {"kubernetes.io/service-name": name_of(service)},
            "ownerReferences": [owner_reference(service)],
        },
        "addressType": "IPv4",
        "endpoints": [
            {
                "addresses": ["127.0.0.1"],
                "conditions": {"ready": ready, "serving": is_true(pod, "Ready"), "terminating": is_deleting(pod)},
                "targetRef": {
                    "kind": "Pod",
                    "name": name_of(pod),
                    "namespace": namespace_of(pod),
                    "uid": uid_of(pod),
                },
            }
        ],
        "ports": ports,
    }
