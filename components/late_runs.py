"""Noticing that a batch run is late, however rarely it runs.

CloudWatch looks back seven days. Within that, "no success for as long as the schedule pauses" is one alarm. A schedule
that pauses longer says itself when a run is due: EventBridge Scheduler puts a metric at each of its times, and a run is
late when that was `allowed_hours` ago and no success has come since.
"""

import json
from dataclasses import dataclass
from math import ceil

import pulumi
import pulumi_aws as aws

from components import iam
from components.alarms import LONGEST_WINDOW_SECONDS, Alarm, Alarms, Missing, Urgency
from components.cron import eventbridge_crons, longest_pause, shortest_pause
from components.metrics import NAMESPACE, Metric, dimensions
from components.naming import Limit, named
from components.place import Place

RUNS_EXPECTED = "RunsExpected"
"""Runs that the schedule has asked for; put by EventBridge Scheduler, not by the runtime. Count."""
START_WITHIN_SECONDS = 3600
"""A run that could not start within an hour (the cluster was down) is left out, and the alarm tells."""
MAX_DEADLINE_MINUTES = 82 * 60
"""Longest deadline with which a late run is noticed on any schedule: half of what CloudWatch looks back, less the hours
that are cut."""
_LOOK_BACK_HOURS = LONGEST_WINDOW_SECONDS // 3600
_LEAST_ALARM_HOURS = 24


@dataclass(frozen=True)
class Lateness:
    """When a run counts as late, in hours."""

    allowed_hours: int
    """From a scheduled time to the end of its run: the start, the deadline, and the edge of an hour."""
    pause_hours: int
    """Longest pause of the schedule."""
    window_hours: int
    """How long a scheduled time and a success are remembered, where the pause is too long to look back on."""

    @property
    def silent_hours(self) -> int:
        """Hours without a success after which a run is late, whatever has been scheduled."""
        return self.pause_hours + self.allowed_hours

    @property
    def in_sight(self) -> bool:
        """Whether CloudWatch can look back so far."""
        return self.silent_hours <= _LOOK_BACK_HOURS


def lateness(schedule: str, deadline_minutes: int) -> Lateness:
    """When runs of a schedule are late.

    Raises:
        ValueError: the deadline is so long that CloudWatch could not tell.
    """
    if not 1 <= deadline_minutes <= MAX_DEADLINE_MINUTES:
        raise ValueError(f"deadline_minutes: expected 1 to {MAX_DEADLINE_MINUTES}, got {deadline_minutes}")
    allowed = ceil((deadline_minutes * 60 + START_WITHIN_SECONDS) / 3600) + 1
    shortest = int(shortest_pause(schedule).total_seconds() // 3600)
    return Lateness(
        allowed_hours=allowed,
        pause_hours=ceil(longest_pause(schedule).total_seconds() / 3600),
        # No longer than the shortest pause where that will do: then the success of one run never hides the next.
        window_hours=min(_LOOK_BACK_HOURS, max(shortest, allowed + _LEAST_ALARM_HOURS)),
    )


def late_alarm(alarms: Alarms, schedule: str, deadline_minutes: int, place: Place) -> None:
    """Makes the alarm of late runs, with what it needs."""
    late = lateness(schedule, deadline_minutes)
    if late.in_sight:
        alarms.make([_no_success(late.silent_hours)])
        return
    _tell_schedule(alarms, schedule, place)
    parts = {
        "expected": _within("expected", RUNS_EXPECTED, late.window_hours),
        "running": _within("running", RUNS_EXPECTED, late.allowed_hours),
        "succeeded": _within("succeeded", Metric.RUNS_SUCCEEDED, late.window_hours),
    }
    made = dict(zip(parts, alarms.make(list(parts.values())), strict=True))
    actions = alarms.actions(Urgency.TICKET)
    aws.cloudwatch.CompositeAlarm(
        f"{alarms.prefix}-batch-late-alarm",
        alarm_name=alarms.name("batch-late"),
        alarm_description=f"No batch run has succeeded within {late.allowed_hours} hours of its time. {_LOOK}",
        alarm_rule=pulumi.Output.concat(
            *('ALARM("', made["expected"].name, '") AND NOT ALARM("', made["running"].name),
            *('") AND NOT ALARM("', made["succeeded"].name, '")'),
        ),
        alarm_actions=actions,
        ok_actions=actions,
        tags=alarms.tags,
        opts=pulumi.ResourceOptions(parent=alarms.parent, depends_on=list(made.values())),
    )


_LOOK = "Look whether the CronJob is suspended, whether its pods find room, and at the log of the last run."


def _no_success(hours: int) -> Alarm:
    return Alarm(
        name="batch-late",
        description=f"No batch run has succeeded for {hours} hours. {_LOOK}",
        metric=Metric.RUNS_SUCCEEDED,
        statistic="Sum",
        comparison="LessThanThreshold",
        threshold=1,
        period_seconds=3600,
        periods=hours,
        missing=Missing.BAD,
    )


def _within(what: str, metric: str, hours: int) -> Alarm:
    """In alarm while one of the last `hours` has the metric; it tells nobody."""
    return Alarm(
        name=f"batch-{what}",
        description="Part of batch-late, which tells.",
        metric=metric,
        statistic="Sum",
        comparison="GreaterThanThreshold",
        threshold=0,
        period_seconds=3600,
        periods=hours,
        any_period=True,
        tells=False,
    )


def _tell_schedule(alarms: Alarms, schedule: str, place: Place) -> None:
    """Has EventBridge Scheduler put `RunsExpected` at each time of the schedule."""
    name = f"{alarms.prefix}-expected"
    mine = pulumi.ResourceOptions(parent=alarms.parent)
    role = aws.iam.Role(
        f"{name}-role",
        name=named(alarms.environment, alarms.service, "batch-expected", limit=Limit.IAM_ROLE),
        description=f"Notes when batch runs of {alarms.service} are due.",
        assume_role_policy=iam.trust_service("scheduler.amazonaws.com", place.account),
        tags=alarms.tags,
        opts=mine,
    )
    allowed = aws.iam.RolePolicy(
        f"{name}-policy",
        role=role.name,
        # PutMetricData supports no resource ARNs: the namespace narrows it.
        policy=iam.document(
            [iam.allow(["cloudwatch:PutMetricData"], ["*"], {"StringEquals": {"cloudwatch:namespace": NAMESPACE}})]
        ),
        opts=mine,
    )
    own = dimensions(alarms.environment, alarms.service)
    datum = {
        "MetricName": RUNS_EXPECTED,
        "Dimensions": [{"Name": key, "Value": value} for key, value in own.items()],
        "Value": 1,
        "Unit": "Count",
    }
    for number, expression in enumerate(eventbridge_crons(schedule), start=1):
        aws.scheduler.Schedule(
            f"{name}-{number}",
            name=named(alarms.environment, alarms.service, f"expected-{number}", limit=Limit.SCHEDULER),
            description=f"Notes when batch runs of {alarms.service} are due.",
            schedule_expression=expression,
            schedule_expression_timezone="UTC",
            flexible_time_window={"mode": "OFF"},
            target={
                "arn": pulumi.Output.concat("arn:", place.partition, ":scheduler:::aws-sdk:cloudwatch:putMetricData"),
                "role_arn": role.arn,
                "input": json.dumps({"Namespace": NAMESPACE, "MetricData": [datum]}),
            },
            opts=pulumi.ResourceOptions(parent=alarms.parent, depends_on=[allowed]),
        )
