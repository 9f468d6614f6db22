"""Events: what happened to an object, in words, kept for an hour in memory (`kubectl get events`)."""

from local.node.objects import Object, age, micro_timestamp, name_of, namespace_of, timestamp, uid_of
from local.node.resources import random_suffix
from local.node.store import Store

KEPT_SECONDS = 3600
KEPT = 1000


def record(store: Store, about: Object, reason: str, message: str, *, warning: bool = False) -> None:
    """Note that something happened to an object; the same again only counts."""
    kind = store.kind("v1", "Event")
    namespace = namespace_of(about) or "default"
    events = list(store.select(kind, namespace))
    for event in events:
        if event["involvedObject"]["uid"] == uid_of(about) and (event["reason"], event["message"]) == (reason, message):
            store.change(kind, namespace, name_of(event), _again)
            return
    for event in events[:-KEPT] + [e for e in events if age(e["lastTimestamp"]) > KEPT_SECONDS]:
        store.remove(kind, namespace, name_of(event))
    store.create(
        kind,
        {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{name_of(about)}.{random_suffix()}{random_suffix()}", "namespace": namespace},
            "involvedObject": {
                "apiVersion": about["apiVersion"],
                "kind": about["kind"],
                "name": name_of(about),
                "namespace": namespace_of(about),
                "uid": uid_of(about),
            },
            "reason": reason,
            "message": message,
            "type": "Warning" if warning else "Normal",
            "source": {"component": "slipway-local"},
            "firstTimestamp": timestamp(),
            "lastTimestamp": timestamp(),
            "eventTime": micro_timestamp(),
            "count": 1,
        },
    )


def _again(event: Object) -> None:
    event["count"] += 1
    event["lastTimestamp"] = timestamp()
