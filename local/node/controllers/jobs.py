"""Jobs: pods that run to completion, by count or one for each index."""

import json
from collections.abc import Iterator
from typing import NamedTuple

from local.node import events
from local.node.controllers.loop import Controller
from local.node.controllers.replicasets import MANAGER, create_pod, owned_pods
from local.node.objects import (
    Object,
    age,
    annotations_of,
    drop_condition,
    is_deleting,
    is_true,
    name_of,
    namespace_of,
    parse_timestamp,
    set_condition,
    timestamp,
    uid_of,
)
from local.node.resources import random_suffix

INDEX = "batch.kubernetes.io/job-completion-index"
INDEX_FAILURES = "batch.kubernetes.io/job-index-failure-count"
BACKOFF_FIRST, BACKOFF_MAX = 1.0, 60.0
"""Seconds before a failed pod is replaced, doubling; a real cluster starts at 10 and ends at 600."""


class Tally(NamedTuple):
    """What has become of a Job's pods."""

    active: list[Object]
    succeeded: list[Object]
    failed: list[Object]
    """Without those that the node's own stop ended: they are made again and count for nothing."""


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
        verdict = _verdict(item, tally)
        again: float | None = None
        if verdict is not None or item["spec"].get("suspend"):
            self._end(tally.active)
        else:
            again = self._fill(item, tally)
        self._report(item, verdict)
        return _sooner(again, _deadline(item)) if verdict is None else 0.05

    def _prepare(self, item: Object) -> None:
        """Give a new Job its selector, and its start time once it may run."""
        uid = uid_of(item)

        def mutate(job: Object) -> None:
            labels = {"batch.kubernetes.io/controller-uid": uid, "batch.kubernetes.io/job-name": name_of(job)}
            job["spec"].setdefault("selector", {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}})
            meta = job["spec"]["template"].setdefault("metadata", {})
            meta["labels"] = {**(meta.get("labels") or {}), **labels, "job-name": name_of(job)}
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
            if phase == "Failed" and (is_true(pod, "DisruptionTarget") or _ignored(item, pod)):
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
        wait = _backoff(tally.failed)
        if room > 0 and wait > 0:
            return wait
        for _ in range(max(room, 0)):
            create_pod(self, item, item["spec"]["template"])
        return None

    def _fill_indexes(self, item: Object, tally: Tally, room: int) -> float | None:
        busy = {_index(p) for p in (*tally.active, *tally.succeeded)} | set(_failed_indexes(item, tally))
        again: float | None = None
        per_index = "backoffLimitPerIndex" in item["spec"]
        for index in range(item["spec"]["completions"]):
            if room <= 0:
                break
            if index in busy:
                continue
            failures = [p for p in tally.failed if _index(p) == index]
            wait = _backoff(failures if per_index else tally.failed)
            if failures and wait > 0:
                again = _sooner(again, wait)
                continue
            self._create_index(item, index, len(failures))
            room -= 1
        return again

    def _create_index(self, item: Object, index: int, failures: int) -> None:
        template: Object = json.loads(json.dumps(item["spec"]["template"]))
        for group in ("initContainers", "containers"):
            for container in template["spec"].get(group) or []:
                container["env"] = [
                    *(e for e in container.get("env") or [] if e["name"] != "JOB_COMPLETION_INDEX"),
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
                done = {_index(p) for p in tally.succeeded}
                status["succeeded"] = len(done)
                status["completedIndexes"] = ranges(done)
                if "backoffLimitPerIndex" in item["spec"]:
                    status["failedIndexes"] = ranges(set(_failed_indexes(item, tally)))
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
        left = seconds - age(_finished_at(item))
        if left > 0:
            return left
        self.resources.delete(self.mine, namespace_of(item), name_of(item))
        return None


def is_finished(item: Object) -> bool:
    """Whether a Job is over, well or not."""
    return is_true(item, "Complete") or is_true(item, "Failed")


def ranges(indexes: set[int]) -> str:
    """Indexes as a Job's status writes them: `1,3-5`."""
    parts: list[list[int]] = []
    for index in sorted(indexes):
        if parts and parts[-1][-1] == index - 1:
            parts[-1] = [parts[-1][0], index]
        else:
            parts.append([index])
    return ",".join("-".join(str(n) for n in part) for part in parts)


def _finished_at(item: Object) -> str:
    over = next(
        c for c in item["status"]["conditions"] if c["type"] in {"Complete", "Failed"} and c["status"] == "True"
    )
    return over["lastTransitionTime"]


def _index(pod: Object) -> int:
    return int(annotations_of(pod).get(INDEX, -1))


def _failed_indexes(item: Object, tally: Tally) -> Iterator[int]:
    """Indexes that have failed more often than backoffLimitPerIndex allows, or that a rule gave up."""
    limit = item["spec"].get("backoffLimitPerIndex")
    if limit is None:
        return
    for index in {_index(p) for p in tally.failed}:
        failures = [p for p in tally.failed if _index(p) == index]
        if len(failures) > limit or any(_action(item, p) == "FailIndex" for p in failures):
            yield index


def _verdict(item: Object, tally: Tally) -> tuple[str, str, str] | None:
    """How the Job ends, when it does: condition, reason, message."""
    spec = item["spec"]
    started = item.get("status", {}).get("startTime")
    if started and spec.get("activeDeadlineSeconds") and age(started) >= spec["activeDeadlineSeconds"]:
        return "Failed", "DeadlineExceeded", "Job was active longer than specified deadline"
    for pod in tally.failed:
        if _action(item, pod) == "FailJob":
            message = f"Container exit of pod {namespace_of(pod)}/{name_of(pod)} matched a FailJob rule: {_exits(pod)}"
            return "Failed", "PodFailurePolicy", message
    retries = len(tally.failed) + sum(_restarts(p) for p in (*tally.active, *tally.failed))
    if retries > spec["backoffLimit"]:
        return "Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit"
    if spec["completionMode"] == "Indexed":
        return _indexed_verdict(item, tally)
    completions = spec.get("completions")
    if completions is None:
        over = bool(tally.succeeded) and not tally.active
    else:
        over = len(tally.succeeded) >= completions
    return ("Complete", "CompletionsReached", "Reached expected number of succeeded pods") if over else None


def _indexed_verdict(item: Object, tally: Tally) -> tuple[str, str, str] | None:
    spec = item["spec"]
    done = {_index(p) for p in tally.succeeded}
    failed = set(_failed_indexes(item, tally)) - done
    limit = spec.get("maxFailedIndexes")
    if limit is not None and len(failed) > limit:
        return "Failed", "MaxFailedIndexesExceeded", f"Job has more than {limit} failed indexes"
    if len(done | failed) < spec["completions"]:
        return None
    if failed:
        return "Failed", "FailedIndexes", f"Job has failed indexes: {ranges(failed)}"
    return "Complete", "CompletionsReached", "Reached expected number of succeeded pods"


def _exits(pod: Object) -> dict[str, int]:
    """Exit code of each container that ended."""
    status = pod.get("status", {})
    states = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
    return {s["name"]: s["state"]["terminated"]["exitCode"] for s in states if "terminated" in s["state"]}


def _restarts(pod: Object) -> int:
    return sum(s["restartCount"] for s in pod.get("status", {}).get("containerStatuses") or [])


def _action(item: Object, pod: Object) -> str:
    """The action of the first podFailurePolicy rule that a failed pod matches; `Count` when none does."""
    for rule in (item["spec"].get("podFailurePolicy") or {}).get("rules") or []:
        codes: Object | None = rule.get("onExitCodes")
        if codes is not None:
            exits = {n: c for n, c in _exits(pod).items() if c and codes.get("containerName", n) == n}
            inside = codes.get("operator", "In") == "In"
            if any((code in codes["values"]) == inside for code in exits.values()):
                return rule["action"]
        elif any(is_true(pod, pattern["type"]) for pattern in rule.get("onPodConditions") or []):
            return rule["action"]
    return "Count"


def _ignored(item: Object, pod: Object) -> bool:
    return _action(item, pod) == "Ignore"


def _backoff(failed: list[Object]) -> float:
    """Seconds until another pod may follow these failed ones."""
    if not failed:
        return 0.0
    ends = [
        s["state"]["terminated"]["finishedAt"]
        for p in failed
        for s in p["status"].get("containerStatuses") or []
        if "terminated" in s["state"]
    ]
    last = max(ends, key=parse_timestamp, default=max(p["metadata"]["creationTimestamp"] for p in failed))
    return min(BACKOFF_FIRST * 2 ** (len(failed) - 1), BACKOFF_MAX) - age(last)


def _deadline(item: Object) -> float | None:
    limit, started = item["spec"].get("activeDeadlineSeconds"), item.get("status", {}).get("startTime")
    return limit - age(started) if limit and started else None


def _sooner(one: float | None, other: float | None) -> float | None:
    return min((v for v in (one, other) if v is not None), default=None)


def job_from(template: Object, name: str, owner: list[Object]) -> Object:
    """A Job of a CronJob's jobTemplate."""
    made: Object = json.loads(json.dumps(template))
    meta = made.setdefault("metadata", {})
    meta |= {"name": name, "ownerReferences": owner}
    return made


__all__ = ["MANAGER", "Jobs", "is_finished", "job_from", "ranges"]
