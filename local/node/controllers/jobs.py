"""Jobs: pods that run to completion, by count or one for each index."""

import json

from local.node import events
from local.node.controllers import job_policy
from local.node.controllers.job_policy import INDEX, Tally, is_finished
from local.node.controllers.loop import Controller
from local.node.controllers.replicasets import create_pod, owned_pods
from local.node.objects import (
    Object,
    age,
    drop_condition,
    is_deleting,
    is_true,
    items_of,
    name_of,
    namespace_of,
    section,
    set_condition,
    timestamp,
    uid_of,
)
from local.node.resources import random_suffix

INDEX_FAILURES = "batch.kubernetes.io/job-index-failure-count"


class Jobs(Controller):
    """Looks after Jobs."""

    kind = ("batch/v1", "Job")

    def reconcile(self, namespace: str, name: str) -> float | None:
        """Make the pods that are due, end what is over, report."""
        item = self.store.find(self.mine, namespace, name)
        if item is None or is_deleting(item):
            return None
        if is_finished(item):
            return self._expire(item)
        self._prepare(item)
        item = self.store.get(self.mine, namespace, name)
        tally = self._tally(item)
        verdict = job_policy.verdict(item, tally)
        again: float | None = None
        if verdict is not None or item["spec"].get("suspend"):
            self._end(tally.active)
        else:
            again = self._fill(item, tally)
        self._report(item, verdict)
        return job_policy.sooner(again, job_policy.deadline(item)) if verdict is None else 0.05

    def _prepare(self, item: Object) -> None:
        """Give a new Job its selector, and its start time once it may run."""
        uid = uid_of(item)

        def mutate(job: Object) -> None:
            labels = {"batch.kubernetes.io/controller-uid": uid, "batch.kubernetes.io/job-name": name_of(job)}
            job["spec"].setdefault("selector", {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}})
            meta = job["spec"]["template"].setdefault("metadata", {})
            meta["labels"] = {**section(meta, "labels"), **labels, "job-name": name_of(job)}
            status = job.setdefault("status", {})
            if job["spec"].get("suspend"):
                status.pop("startTime", None)
                set_condition(status, "Suspended", True, "JobSuspended", "Job suspended")
            else:
                status.setdefault("startTime", timestamp())
                if is_true(job, "Suspended"):
                    set_condition(status, "Suspended", False, "JobResumed", "Job resumed")

        self.store.change(self.mine, namespace_of(item), name_of(item), mutate)

    def _tally(self, item: Object) -> Tally:
        pods = list(owned_pods(self.store, item))
        phases = {"Succeeded": list[Object](), "Failed": list[Object](), "": list[Object]()}
        for pod in pods:
            phase = pod.get("status", {}).get("phase", "")
            if phase == "Failed" and (is_true(pod, "DisruptionTarget") or job_policy.is_ignored(item, pod)):
                continue
            if phase not in phases and is_deleting(pod):
                continue
            phases[phase if phase in phases else ""].append(pod)
        return Tally(phases[""], phases["Succeeded"], phases["Failed"])

    def _end(self, pods: list[Object]) -> None:
        for pod in pods:
            self.resources.delete(self.store.kind("v1", "Pod"), namespace_of(pod), name_of(pod))

    # making pods -----------------------------------------------------------------------------------------------------

    def _fill(self, item: Object, tally: Tally) -> float | None:
        """Create pods up to the parallelism; seconds until a failed one may be replaced."""
        room = item["spec"]["parallelism"] - len(tally.active)
        if room < 0:
            self._end(tally.active[room:])
        if item["spec"]["completionMode"] == "Indexed":
            return self._fill_indexes(item, tally, room)
        completions = item["spec"].get("completions")
        if completions is not None:
            room = min(room, completions - len(tally.succeeded) - len(tally.active))
        elif tally.succeeded:  # a work queue: its pods know when it is empty
            room = 0
        wait = job_policy.backoff(tally.failed)
        if room > 0 and wait > 0:
            return wait
        for _ in range(max(room, 0)):
            create_pod(self, item, item["spec"]["template"])
        return None

    def _fill_indexes(self, item: Object, tally: Tally, room: int) -> float | None:
        busy = {job_policy.index_of(p) for p in (*tally.active, *tally.succeeded)} | set(
            job_policy.failed_indexes(item, tally)
        )
        again: float | None = None
        per_index = "backoffLimitPerIndex" in item["spec"]
        for index in range(item["spec"]["completions"]):
            if room <= 0:
                break
            if index in busy:
                continue
            failures = [p for p in tally.failed if job_policy.index_of(p) == index]
            wait = job_policy.backoff(failures if per_index else tally.failed)
            if failures and wait > 0:
                again = job_policy.sooner(again, wait)
                continue
            self._create_index(item, index, len(failures))
            room -= 1
        return again

    def _create_index(self, item: Object, index: int, failures: int) -> None:
        template: Object = json.loads(json.dumps(item["spec"]["template"]))
        for group in ("initContainers", "containers"):
            for container in items_of(template["spec"], group):
                container["env"] = [
                    *(e for e in items_of(container, "env") if e["name"] != "JOB_COMPLETION_INDEX"),
                    {"name": "JOB_COMPLETION_INDEX", "value": str(index)},
                ]
        extra: Object = {
            "labels": {INDEX: str(index)},
            "annotations": {INDEX: str(index), INDEX_FAILURES: str(failures)},
        }
        create_pod(self, item, template, f"{name_of(item)}-{index}-{random_suffix()}", extra)

    # report ----------------------------------------------------------------------------------------------------------

    def _report(self, item: Object, verdict: tuple[str, str, str] | None) -> None:
        tally = self._tally(item)

        def mutate(job: Object) -> None:
            status = job.setdefault("status", {})
            status["active"] = len(tally.active)
            status["ready"] = sum(is_true(p, "Ready") for p in tally.active)
            status["failed"] = len(tally.failed)
            if item["spec"]["completionMode"] == "Indexed":
                done = {job_policy.index_of(p) for p in tally.succeeded}
                status["succeeded"] = len(done)
                status["completedIndexes"] = job_policy.ranges(done)
                if "backoffLimitPerIndex" in item["spec"]:
                    status["failedIndexes"] = job_policy.ranges(set(job_policy.failed_indexes(item, tally)))
            else:
                status["succeeded"] = len(tally.succeeded)
            if verdict is not None and not tally.active:
                kind, reason, message = verdict
                drop_condition(status, "Suspended")
                set_condition(status, kind, True, reason, message)
                if kind == "Complete":
                    status["completionTime"] = timestamp()

        changed = self.store.change(self.mine, namespace_of(item), name_of(item), mutate, report=True)
        if changed is not None and is_finished(changed) and verdict is not None:
            reason = "Completed" if verdict[0] == "Complete" else verdict[1]
            events.record(self.store, changed, reason, verdict[2], warning=verdict[0] == "Failed")

    def _expire(self, item: Object) -> float | None:
        """Delete a finished Job when its ttlSecondsAfterFinished has passed."""
        seconds = item["spec"].get("ttlSecondsAfterFinished")
        if seconds is None:
            return None
        left = seconds - age(job_policy.finished_at(item))
        if left > 0:
            return left
        self.resources.delete(self.mine, namespace_of(item), name_of(item))
        return None


def job_from(template: Object, name: str, owner: list[Object]) -> Object:
    """A Job of a CronJob's jobTemplate."""
    made: Object = json.loads(json.dumps(template))
    meta = made.setdefault("metadata", {})
    meta |= {"name": name, "ownerReferences": owner}
    return made
