"""CronJobs: a Job at each time of a schedule."""

import datetime as dt
import zoneinfo
from collections.abc import Iterable

from cronsim import CronSim

from local.node import events
from local.node.controllers.jobs import is_finished, job_from
from local.node.controllers.loop import Controller
from local.node.controllers.replicasets import MANAGER
from local.node.errors import ApiError
from local.node.objects import (
    Object,
    controller_of,
    is_deleting,
    is_true,
    name_of,
    namespace_of,
    now,
    owner_reference,
    parse_timestamp,
    timestamp,
    uid_of,
)
from local.node.validation import schedule

MISSED_LIMIT = 100


class CronJobs(Controller):
    """Looks after CronJobs."""

    kind = ("batch/v1", "CronJob")

    def reconcile(self, namespace: str, name: str) -> float | None:
        """Start the Job that is due, forget old ones; seconds until the next is."""
        item = self.store.find(self.mine, namespace, name)
        if item is None or is_deleting(item):
            return None
        jobs = list(self._jobs(item))
        self._forget(item, jobs)
        if not item["spec"]["suspend"]:
            due = last_due(item, now())
            if due is not None:
                self._start(item, due, [j for j in jobs if not is_finished(j)])
        self._report(item)
        if item["spec"]["suspend"]:
            return None
        return max((next_time(item, now()) - now()).total_seconds(), 0.05)

    def _jobs(self, item: Object) -> Iterable[Object]:
        for job in self.store.select(self.store.kind("batch/v1", "Job"), namespace_of(item)):
            owner = controller_of(job)
            if owner is not None and owner["uid"] == uid_of(item) and not is_deleting(job):
                yield job

    def _start(self, item: Object, due: dt.datetime, active: list[Object]) -> None:
        deadline = item["spec"].get("startingDeadlineSeconds")
        late = (now() - due).total_seconds()
        if deadline is not None and late > deadline:
            message = f"Missed scheduled time to start a job: {timestamp(due)}"
            events.record(self.store, item, "MissSchedule", message, warning=True)
            self._scheduled(item, due)
            return
        policy = item["spec"]["concurrencyPolicy"]
        if active and policy == "Forbid":
            message = "Not starting job because prior execution is running and concurrency policy is Forbid"
            events.record(self.store, item, "JobAlreadyActive", message)
            self._scheduled(item, due)
            return
        kind = self.store.kind("batch/v1", "Job")
        if policy == "Replace":
            for job in active:
                self.resources.delete(kind, namespace_of(job), name_of(job))
        name = f"{name_of(item)}-{int(due.timestamp()) // 60}"
        job = job_from(item["spec"]["jobTemplate"], name, [owner_reference(item)])
        job["metadata"].setdefault("annotations", {})["batch.kubernetes.io/cronjob-scheduled-timestamp"] = timestamp(
            due
        )
        try:
            self.resources.create(kind, namespace_of(item), job, MANAGER)
            events.record(self.store, item, "SuccessfulCreate", f"Created job {name}")
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
        self._scheduled(item, due)

    def _scheduled(self, item: Object, due: dt.datetime) -> None:
        self.store.change(
            self.mine,
            namespace_of(item),
            name_of(item),
            lambda c: c.setdefault("status", {}).update({"lastScheduleTime": timestamp(due)}),
        )

    def _forget(self, item: Object, jobs: list[Object]) -> None:
        """Keep as many finished Jobs as the history limits say."""
        for outcome, limit in (("Complete", "successfulJobsHistoryLimit"), ("Failed", "failedJobsHistoryLimit")):
            ended = sorted((j for j in jobs if is_true(j, outcome)), key=lambda j: j["status"].get("startTime", ""))
            for job in ended[: max(len(ended) - item["spec"][limit], 0)]:
                self.resources.delete(self.store.kind("batch/v1", "Job"), namespace_of(job), name_of(job))

    def _report(self, item: Object) -> None:
        jobs = list(self._jobs(item))
        done = [j["status"]["completionTime"] for j in jobs if is_true(j, "Complete")]

        def mutate(copied: Object) -> None:
            status = copied.setdefault("status", {})
            status["active"] = [
                {
                    "apiVersion": "batch/v1",
                    "kind": "Job",
                    "name": name_of(j),
                    "namespace": namespace_of(j),
                    "uid": uid_of(j),
                }
                for j in jobs
                if not is_finished(j)
            ]
            if done:
                status["lastSuccessfulTime"] = max([*done, status.get("lastSuccessfulTime", "")])

        self.store.change(self.mine, namespace_of(item), name_of(item), mutate, report=True)


def next_time(item: Object, after: dt.datetime) -> dt.datetime:
    """The schedule's next time, in the CronJob's time zone (UTC unless set)."""
    zone = zoneinfo.ZoneInfo(item["spec"].get("timeZone") or "UTC")
    return next(CronSim(schedule(item["spec"]["schedule"]), after.astimezone(zone)))


def last_due(item: Object, at: dt.datetime) -> dt.datetime | None:
    """The newest time of the schedule that has come and was not handled; older ones are skipped, as in a cluster."""
    since = parse_timestamp(item.get("status", {}).get("lastScheduleTime") or item["metadata"]["creationTimestamp"])
    deadline = item["spec"].get("startingDeadlineSeconds")
    if deadline is not None:
        since = max(since, at - dt.timedelta(seconds=deadline))
    else:
        # After a long sleep the newest missed time counts, not each of the thousands before it.
        since = max(since, at - dt.timedelta(days=1)) if (at - since).days > MISSED_LIMIT else since
    due: dt.datetime | None = None
    found = next_time(item, since)
    while found <= at:
        due, found = found, next_time(item, found)
    return due
