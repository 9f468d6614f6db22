"""Deployments: a ReplicaSet for each template that was asked for, and the way from one to the next.

New pods are available before old ones go, within maxSurge and maxUnavailable; what a real controller manager reports
(conditions, revisions, observedGeneration) is reported here, so that `kubectl rollout status` reads it too.
"""

import copy
import hashlib
import json
import math
from collections.abc import Callable, Iterable

from local.node import events
from local.node.controllers.loop import Controller, Key
from local.node.controllers.replicasets import MANAGER
from local.node.objects import (
    Object,
    age,
    annotations_of,
    condition,
    controller_of,
    drop_condition,
    is_deleting,
    name_of,
    namespace_of,
    owner_reference,
    section,
    set_condition,
    timestamp,
    uid_of,
)
from local.node.resources import Resources
from local.node.store import Change

HASH = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"


class Deployments(Controller):
    """Looks after Deployments."""

    kind = ("apps/v1", "Deployment")

    def __init__(self, resources: Resources) -> None:
        super().__init__(resources)
        self._sets = self.store.kind("apps/v1", "ReplicaSet")

    def concerned(self, change: Change) -> Iterable[Key]:
        """Also when a pod has gone: Recreate waits for that."""
        if change.ref.kind.kind == "Pod" and change.type == "DELETED":
            return [(change.ref.namespace, name_of(d)) for d in self.store.select(self.mine, change.ref.namespace)]
        return super().concerned(change)

    def reconcile(self, namespace: str, name: str) -> float | None:
        """One step of the rollout, and the report."""
        item = self.store.find(self.mine, namespace, name)
        if item is None or is_deleting(item):
            return None
        new = self._new_set(item)
        if not item["spec"].get("paused"):
            if item["spec"]["strategy"]["type"] == "Recreate":
                self._recreate(item, new)
            else:
                self._roll(item, new)
            self._forget_old(item, new)
        elif not any(s["spec"]["replicas"] for s in self._owned(item) if uid_of(s) != uid_of(new)):
            self._scale(item, new, item["spec"]["replicas"])
        return self._report(item, new)

    # ReplicaSets -----------------------------------------------------------------------------------------------------

    def _owned(self, item: Object) -> list[Object]:
        found: list[Object] = []
        for candidate in self.store.select(self._sets, namespace_of(item)):
            owner = controller_of(candidate)
            if owner is not None and owner["uid"] == uid_of(item) and not is_deleting(candidate):
                found.append(candidate)
        return found

    def _new_set(self, item: Object) -> Object:
        """The ReplicaSet of the present template, made when there is none; it has the highest revision."""
        digest = template_hash(item["spec"]["template"])
        owned = self._owned(item)
        newest = max((_revision(s) for s in owned), default=0)
        found = next((s for s in owned if s["metadata"]["labels"].get(HASH) == digest), None)
        if found is None:
            found = self._make_set(item, digest, newest + 1)
        elif _revision(found) < newest:
            found = self._changed(found, lambda s: s["metadata"]["annotations"].update({REVISION: str(newest + 1)}))
        if found["spec"].get("minReadySeconds", 0) != item["spec"].get("minReadySeconds", 0):
            seconds = item["spec"].get("minReadySeconds", 0)
            found = self._changed(found, lambda s: s["spec"].update({"minReadySeconds": seconds}))
        revision = str(_revision(found))
        if annotations_of(item).get(REVISION) != revision:
            self.store.change(
                self.mine,
                namespace_of(item),
                name_of(item),
                lambda d: d["metadata"].setdefault("annotations", {}).update({REVISION: revision}),
            )
        return found

    def _make_set(self, item: Object, digest: str, revision: int) -> Object:
        template: Object = copy.deepcopy(item["spec"]["template"])
        template.setdefault("metadata", {}).setdefault("labels", {})[HASH] = digest
        selector: Object = copy.deepcopy(item["spec"]["selector"])
        selector.setdefault("matchLabels", {})[HASH] = digest
        return self.resources.create(
            self._sets,
            namespace_of(item),
            {
                "metadata": {
                    "name": f"{name_of(item)}-{digest}",
                    "labels": template["metadata"]["labels"],
                    "annotations": {REVISION: str(revision)},
                    "ownerReferences": [owner_reference(item)],
                },
                "spec": {
                    "replicas": 0,
                    "minReadySeconds": item["spec"].get("minReadySeconds", 0),
                    "selector": selector,
                    "template": template,
                },
            },
            MANAGER,
        )

    def _changed(self, item: Object, mutate: Callable[[Object], None]) -> Object:
        return self.store.change(self._sets, namespace_of(item), name_of(item), mutate) or item

    def _scale(self, item: Object, replica_set: Object, replicas: int) -> None:
        before = replica_set["spec"]["replicas"]
        if replicas == before:
            return
        self._changed(replica_set, lambda s: s["spec"].update({"replicas": replicas}))
        way = "up" if replicas > before else "down"
        message = f"Scaled {way} replica set {name_of(replica_set)} from {before} to {replicas}"
        events.record(self.store, item, "ScalingReplicaSet", message)

    def _forget_old(self, item: Object, new: Object) -> None:
        """Keep as many empty old ReplicaSets as revisionHistoryLimit says."""
        old = [s for s in self._owned(item) if uid_of(s) != uid_of(new) and not s["spec"]["replicas"]]
        old = [s for s in old if not s.get("status", {}).get("replicas")]
        for replica_set in sorted(old, key=_revision)[: max(len(old) - item["spec"]["revisionHistoryLimit"], 0)]:
            self.resources.delete(self._sets, namespace_of(item), name_of(replica_set))

    # rollout ---------------------------------------------------------------------------------------------------------

    def _recreate(self, item: Object, new: Object) -> None:
        """All old pods go, with their processes, before the first new one comes."""
        old = [s for s in self._owned(item) if uid_of(s) != uid_of(new)]
        for replica_set in old:
            self._scale(item, replica_set, 0)
        pods = self.store.select(self.store.kind("v1", "Pod"), namespace_of(item))
        uids = {uid_of(s) for s in old}
        if not any((controller_of(p) or {}).get("uid") in uids for p in pods):
            self._scale(item, new, item["spec"]["replicas"])

    def _roll(self, item: Object, new: Object) -> None:
        wanted: int = item["spec"]["replicas"]
        surge, unavailable = limits(item)
        old = [s for s in self._owned(item) if uid_of(s) != uid_of(new)]
        asked = new["spec"]["replicas"] + sum(s["spec"]["replicas"] for s in old)
        if new["spec"]["replicas"] > wanted:
            self._scale(item, new, wanted)
        elif new["spec"]["replicas"] < wanted and asked < wanted + surge:
            self._scale(item, new, min(wanted, new["spec"]["replicas"] + wanted + surge - asked))
        new = self.store.get(self._sets, namespace_of(item), name_of(new))
        asked = new["spec"]["replicas"] + sum(s["spec"]["replicas"] for s in old)
        unready_new = new["spec"]["replicas"] - new.get("status", {}).get("availableReplicas", 0)
        spare = asked - (wanted - unavailable) - unready_new
        # Pods of old templates that do not serve anyway go first, then as many that do as the limits allow.
        for replica_set in sorted(old, key=lambda s: s["metadata"]["creationTimestamp"]):
            count = replica_set["spec"]["replicas"]
            unhealthy = count - replica_set.get("status", {}).get("availableReplicas", 0)
            drop = min(unhealthy, max(spare, 0))
            if drop > 0:
                self._scale(item, replica_set, count - drop)
                spare -= drop
        old = [s for s in self._owned(item) if uid_of(s) != uid_of(new)]
        available = sum(s.get("status", {}).get("availableReplicas", 0) for s in (*old, new))
        spare = available - (wanted - unavailable)
        for replica_set in sorted(old, key=lambda s: s["metadata"]["creationTimestamp"]):
            count = replica_set["spec"]["replicas"]
            drop = min(count, max(spare, 0))
            if drop > 0:
                self._scale(item, replica_set, count - drop)
                spare -= drop

    # report ----------------------------------------------------------------------------------------------------------

    def _report(self, item: Object, new: Object) -> float | None:
        sets = self._owned(item)
        new = next((s for s in sets if uid_of(s) == uid_of(new)), new)
        wanted: int = item["spec"]["replicas"]
        _, unavailable = limits(item)

        def total(field: str) -> int:
            return sum(s.get("status", {}).get(field, 0) for s in sets)

        def mutate(copied: Object) -> None:
            status = copied.setdefault("status", {})
            before = {k: status.get(k) for k in PROGRESS}
            status["observedGeneration"] = item["metadata"]["generation"]
            status["replicas"] = total("replicas")
            status["updatedReplicas"] = new.get("status", {}).get("replicas", 0)
            status["readyReplicas"] = total("readyReplicas")
            status["availableReplicas"] = total("availableReplicas")
            status["unavailableReplicas"] = max(wanted - status["availableReplicas"], 0)
            enough = status["availableReplicas"] >= wanted - unavailable
            if enough:
                set_condition(
                    status, "Available", True, "MinimumReplicasAvailable", "Deployment has minimum availability."
                )
            else:
                lacks = "Deployment does not have minimum availability."
                set_condition(status, "Available", False, "MinimumReplicasUnavailable", lacks)
            _report_failure(status, sets)
            moved = any(status[k] != v for k, v in before.items()) or _target_of(copied) != name_of(new)
            _report_progress(copied, new, moved=moved)

        changed = self.store.change(self.mine, namespace_of(item), name_of(item), mutate, report=True)
        return _next_look(changed) if changed else None


PROGRESS = ("updatedReplicas", "readyReplicas", "availableReplicas")


def template_hash(template: Object) -> str:
    """A short digest of a pod template: equal templates share a ReplicaSet."""
    canonical = json.dumps(template, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:10]


def limits(item: Object) -> tuple[int, int]:
    """maxSurge and maxUnavailable in pods: percentages rounded up and down, never both zero."""
    rolling: Object = section(item["spec"]["strategy"], "rollingUpdate")
    wanted: int = item["spec"]["replicas"]

    def pods(value: int | str, rounded: Callable[[float], int]) -> int:
        return rounded(wanted * int(value.rstrip("%")) / 100) if isinstance(value, str) else value

    surge = pods(rolling.get("maxSurge", "25%"), math.ceil)
    unavailable = pods(rolling.get("maxUnavailable", "25%"), math.floor)
    return (surge, unavailable) if surge or unavailable else (0, 1)


def is_complete(item: Object) -> bool:
    """Whether every pod is of the present template and available, and no other is left."""
    status, wanted = item.get("status", {}), item["spec"]["replicas"]
    counts = [status.get(k, 0) for k in ("replicas", "updatedReplicas", "availableReplicas")]
    return counts == [wanted] * 3 and status.get("observedGeneration", 0) >= item["metadata"]["generation"]


def _revision(replica_set: Object) -> int:
    return int(annotations_of(replica_set).get(REVISION, 0))


def _target_of(item: Object) -> str:
    return (condition(item, "Progressing") or {}).get("message", "").partition('"')[2].partition('"')[0]


def _report_failure(status: Object, sets: list[Object]) -> None:
    failed = next((c for s in sets if (c := condition(s, "ReplicaFailure"))), None)
    if failed is None:
        drop_condition(status, "ReplicaFailure")
    else:
        set_condition(status, "ReplicaFailure", True, failed["reason"], failed["message"])


def _report_progress(item: Object, new: Object, *, moved: bool) -> None:
    status, name = item["status"], name_of(new)
    before = condition(item, "Progressing") or {}
    if item["spec"].get("paused"):
        set_condition(status, "Progressing", True, "DeploymentPaused", "Deployment is paused")
        return
    if is_complete(item):
        good = ("NewReplicaSetAvailable", f'ReplicaSet "{name}" has successfully progressed.')
        set_condition(status, "Progressing", True, *good)
        return
    since = before.get("lastUpdateTime")
    stalled = since is not None and age(since) > item["spec"]["progressDeadlineSeconds"]
    if moved or since is None or before.get("reason") == "NewReplicaSetAvailable":
        set_condition(status, "Progressing", True, "ReplicaSetUpdated", f'ReplicaSet "{name}" is progressing.')
        since = timestamp()
    elif stalled:
        late = ("ProgressDeadlineExceeded", f'ReplicaSet "{name}" has timed out progressing.')
        set_condition(status, "Progressing", False, *late)
    found = condition(item, "Progressing")
    if found is not None:
        found["lastUpdateTime"] = since


def _next_look(item: Object) -> float | None:
    """When the progress deadline passes, for a rollout that goes on."""
    found = condition(item, "Progressing") or {}
    if found.get("reason") != "ReplicaSetUpdated" or "lastUpdateTime" not in found:
        return None
    return item["spec"]["progressDeadlineSeconds"] - age(found["lastUpdateTime"]) + 1
