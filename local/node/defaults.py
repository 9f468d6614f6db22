"""What an API server fills in when an object leaves it out, as far as something here reads it."""

import base64

from local.node.objects import Object, items_of, section


def fill_in(item: Object) -> None:
    """Set the defaults of an object's kind, in place."""
    spec = section(item, "spec")
    match item["kind"]:
        case "Namespace":
            item.setdefault("status", {}).setdefault("phase", "Active")
            item["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = item["metadata"]["name"]
        case "Secret":
            item.setdefault("type", "Opaque")
            _secret(item)
        case "Pod" if spec:
            _pod(spec)
        case "Deployment" if spec:
            _deployment(spec)
        case "ReplicaSet" if spec:
            spec.setdefault("replicas", 1)
        case "Service" if spec:
            _service(spec)
        case "Job" if spec:
            _job(spec)
        case "CronJob" if spec:
            spec.setdefault("concurrencyPolicy", "Allow")
            spec.setdefault("suspend", False)
            spec.setdefault("successfulJobsHistoryLimit", 3)
            spec.setdefault("failedJobsHistoryLimit", 1)
        case _:
            pass


def _secret(item: Object) -> None:
    """`stringData` is for writing only: it becomes `data`."""
    plain: dict[str, object] = item.pop("stringData", None) or {}
    encoded = {key: base64.b64encode(str(value).encode()).decode() for key, value in plain.items()}
    if encoded:
        item["data"] = {**section(item, "data"), **encoded}


def _pod(spec: Object) -> None:
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("terminationGracePeriodSeconds", 30)
    spec.setdefault("serviceAccountName", "default")


def _deployment(spec: Object) -> None:
    spec.setdefault("replicas", 1)
    spec.setdefault("revisionHistoryLimit", 10)
    spec.setdefault("progressDeadlineSeconds", 600)
    strategy = spec.setdefault("strategy", {})
    if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxSurge", "25%")
        rolling.setdefault("maxUnavailable", "25%")


def _service(spec: Object) -> None:
    kind = spec.setdefault("type", "ClusterIP")
    if kind != "ExternalName":
        spec.setdefault("clusterIP", "127.0.0.1")
    for port in items_of(spec, "ports"):
        port.setdefault("protocol", "TCP")
        port.setdefault("targetPort", port.get("port"))


def _job(spec: Object) -> None:
    spec.setdefault("backoffLimit", 6 if "backoffLimitPerIndex" not in spec else 2**31 - 1)
    spec.setdefault("completionMode", "NonIndexed")
    spec.setdefault("suspend", False)
    if spec["completionMode"] == "NonIndexed" and "parallelism" not in spec and "completions" not in spec:
        spec["completions"] = 1
    spec.setdefault("parallelism", 1)
