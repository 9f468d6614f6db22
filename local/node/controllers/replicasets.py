"""ReplicaSets: as many pods of one template as they ask for."""

import json
from collections.abc import Iterable

from local.node import events
from local.node.controllers.loop import Controller
from local.node.errors import ApiError
from local.node.objects import (
    Object,
    age,
    condition,
    controller_of,
    drop_condition,
    is_deleting,
    is_true,
    name_of,
    namespace_of,
    owner_reference,
    section,
    set_condition,
    uid_of,
)
from local.node.resources import random_suffix
from local.node.store import Store

MANAGER = "slipway-local"
ENDED = {"Succeeded", "Failed"}


class ReplicaSets(Controller):
    """Looks after ReplicaSets."""

    kind = ("apps/v1", "ReplicaSet")

    def reconcile(self, namespace: str, name: str) -> float | None:
        """Make the pods that lack, delete the ones too many, report."""
        item = self.store.find(self.mine, namespace, name)
        if item is None:
            return None
        pods = active_pods(self.store, item)
        problem: ApiError | None = None
        if not is_deleting(item):
            wanted = item["spec"]["replicas"]
            try:
                for _ in range(wanted - len(pods)):
                    create_pod(self, item, item["spec"]["template"])
            except ApiError as error:
                problem = error
            for pod in sorted(pods, key=_keep_last)[: max(len(pods) - wanted, 0)]:
                self.resources.delete(self.store.kind("v1", "Pod"), namespace, name_of(pod))
        return self._report(item, problem)

    def _report(self, item: Object, problem: ApiError | None) -> float | None:
        pods = active_pods(self.store, item)
        seconds = item["spec"].get("minReadySeconds", 0)
        ready = [p for p in pods if is_true(p, "Ready")]
        waits = [seconds - ready_for(p) for p in ready]

        def mutate(copied: Object) -> None:
            status = copied.setdefault("status", {})
            status["observedGeneration"] = item["metadata"]["generation"]
            status["replicas"] = len(pods)
            status["readyReplicas"] = len(ready)
            status["availableReplicas"] = sum(w <= 0 for w in waits)
            if problem is not None:
                set_condition(status, "ReplicaFailure", True, "FailedCreate", problem.message)
            else:
                drop_condition(status, "ReplicaFailure")

        changed = self.store.change(self.mine, namespace_of(item), name_of(item), mutate, report=True)
        if problem is not None:
            if changed is not None:
                events.record(self.store, changed, "FailedCreate", f"Error creating: {problem.message}", warning=True)
            return 1.0
        left = [w for w in waits if w > 0]
        return min(left) if left else None


def owned_pods(store: Store, owner: Object) -> Iterable[Object]:
    """The pods that this object controls."""
    for pod in store.select(store.kind("v1", "Pod"), namespace_of(owner)):
        reference = controller_of(pod)
        if reference is not None and reference["uid"] == uid_of(owner):
            yield pod


def active_pods(store: Store, owner: Object) -> list[Object]:
    """The pods that this object controls and that have neither ended nor been told to."""
    owned = owned_pods(store, owner)
    return [p for p in owned if not is_deleting(p) and p.get("status", {}).get("phase") not in ENDED]


def create_pod(
    controller: Controller, owner: Object, template: Object, name: str = "", extra: Object | None = None
) -> None:
    """Create a pod of a template, controlled by its owner; `extra`: more labels and annotations. Raises ApiError."""
    pod: Object = json.loads(json.dumps({"metadata": section(template, "metadata"), "spec": template["spec"]}))
    meta = pod["metadata"]
    meta["name"] = name or f"{name_of(owner)}-{random_suffix()}"
    meta["ownerReferences"] = [owner_reference(owner)]
    for field in ("labels", "annotations"):
        meta[field] = {**(meta.get(field) or {}), **((extra or {}).get(field) or {})}
    controller.resources.create(controller.store.kind("v1", "Pod"), namespace_of(owner), pod, MANAGER)


def ready_for(pod: Object) -> float:
    """Seconds that a ready pod has been ready."""
    ready = condition(pod, "Ready")
    return age(ready["lastTransitionTime"]) if ready else 0.0


def _keep_last(pod: Object) -> tuple[int, float]:
    """Order in which pods go: not ready first, then the newest."""
    return int(is_true(pod, "Ready")), age(pod["metadata"]["creationTimestamp"])
