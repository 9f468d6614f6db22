"""What becomes of a Job: pure decisions on it and its pods."""

from collections.abc import Iterator
from typing import NamedTuple

from local.node.objects import (
    Object,
    age,
    annotations_of,
    is_true,
    items_of,
    name_of,
    namespace_of,
    parse_timestamp,
    section,
)

INDEX = "batch.kubernetes.io/job-completion-index"
BACKOFF_FIRST, BACKOFF_MAX = 1.0, 60.0
"""Seconds before a failed pod is replaced, doubling; a real cluster starts at 10 and ends at 600."""


class Tally(NamedTuple):
    """What has become of a Job's pods."""

    active: list[Object]
    succeeded: list[Object]
    failed: list[Object]
    """Without those that the node's own stop ended: they are made again and count for nothing."""


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


def finished_at(item: Object) -> str:
    """When a finished Job was over."""
    over = next(
        c for c in item["status"]["conditions"] if c["type"] in {"Complete", "Failed"} and c["status"] == "True"
    )
    return over["lastTransitionTime"]


def index_of(pod: Object) -> int:
    """The completion index of an Indexed Job's pod."""
    return int(annotations_of(pod).get(INDEX, -1))


def failed_indexes(item: Object, tally: Tally) -> Iterator[int]:
    """Indexes that have failed more often than backoffLimitPerIndex allows, or that a rule gave up."""
    limit = item["spec"].get("backoffLimitPerIndex")
    if limit is None:
        return
    for index in {index_of(p) for p in tally.failed}:
        failures = [p for p in tally.failed if index_of(p) == index]
        if len(failures) > limit or any(_action(item, p) == "FailIndex" for p in failures):
            yield index


def verdict(item: Object, tally: Tally) -> tuple[str, str, str] | None:
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
    if completions is None:  # a work queue: one that has found it empty is enough, once the others are done
        over = bool(tally.succeeded and not tally.active)
        return ("Complete", "CompletionsReached", "Its pods found nothing left to do") if over else None
    over = len(tally.succeeded) >= completions
    return ("Complete", "CompletionsReached", "Reached expected number of succeeded pods") if over else None


def _indexed_verdict(item: Object, tally: Tally) -> tuple[str, str, str] | None:
    spec = item["spec"]
    done = {index_of(p) for p in tally.succeeded}
    failed = set(failed_indexes(item, tally)) - done
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
    states = [*items_of(status, "initContainerStatuses"), *items_of(status, "containerStatuses")]
    return {s["name"]: s["state"]["terminated"]["exitCode"] for s in states if "terminated" in s["state"]}


def _restarts(pod: Object) -> int:
    return sum(s["restartCount"] for s in items_of(pod.get("status", {}), "containerStatuses"))


def _action(item: Object, pod: Object) -> str:
    """The action of the first podFailurePolicy rule that a failed pod matches; `Count` when none does."""
    for rule in items_of(section(item["spec"], "podFailurePolicy"), "rules"):
        codes: Object | None = rule.get("onExitCodes")
        if codes is not None:
            exits = {n: c for n, c in _exits(pod).items() if c and codes.get("containerName", n) == n}
            inside = codes.get("operator", "In") == "In"
            if any((code in codes["values"]) == inside for code in exits.values()):
                return rule["action"]
        elif any(is_true(pod, pattern["type"]) for pattern in items_of(rule, "onPodConditions")):
            return rule["action"]
    return "Count"


def is_ignored(item: Object, pod: Object) -> bool:
    """Whether a rule says that this failure counts for nothing."""
    return _action(item, pod) == "Ignore"


def backoff(failed: list[Object]) -> float:
    """Seconds until another pod may follow these failed ones."""
    if not failed:
        return 0.0
    ends = [
        s["state"]["terminated"]["finishedAt"]
        for p in failed
        for s in items_of(p["status"], "containerStatuses")
        if "terminated" in s["state"]
    ]
    last = max(ends, key=parse_timestamp, default=max(p["metadata"]["creationTimestamp"] for p in failed))
    return min(BACKOFF_FIRST * 2 ** (len(failed) - 1), BACKOFF_MAX) - age(last)


def deadline(item: Object) -> float | None:
    """Seconds until activeDeadlineSeconds has passed, None when there is none."""
    limit, started = item["spec"].get("activeDeadlineSeconds"), item.get("status", {}).get("startTime")
    return limit - age(started) if limit and started else None


def sooner(one: float | None, other: float | None) -> float | None:
    """The smaller of the two that are given."""
    return min((v for v in (one, other) if v is not None), default=None)
