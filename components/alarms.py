"""Alarms: each says in its description what to do, and each has somebody to tell."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypedDict

import pulumi
import pulumi_aws as aws

from components.metrics import NAMESPACE, Metric, dimensions
from components.naming import Limit, named

LONGEST_WINDOW_SECONDS = 7 * 86_400
"""CloudWatch looks back seven days at most, in periods of an hour or more (PutMetricAlarm, EvaluationPeriods)."""


class NotifyArgs(TypedDict):
    """Who is told of alarms: SNS topics by urgency."""

    page: list[pulumi.Input[str]]
    """Topics for what must be looked at now; at least one."""
    ticket: list[pulumi.Input[str]]
    """Topics for what must be looked at on the next working day; at least one."""


class Urgency(StrEnum):
    """How soon somebody must look."""

    PAGE = "page"
    TICKET = "ticket"


class Missing(StrEnum):
    """What a period without data means."""

    GOOD = "notBreaching"
    BAD = "breaching"
    SAME = "ignore"


@dataclass(frozen=True)
class Alarm:
    """One alarm on one metric, before it is registered."""

    name: str
    """Last part of the alarm's name: what is wrong."""
    description: str
    """What it means and what to do."""
    metric: str
    statistic: str
    """`Sum`, `Maximum`, `Average`, `Minimum` or a percentile such as `p95`."""
    comparison: str
    """`GreaterThanThreshold`, `LessThanThreshold` …"""
    threshold: float
    period_seconds: int
    periods: int = 1
    """Periods that are looked at, and must all be wrong unless `any_period`."""
    any_period: bool = False
    """One of the periods is enough."""
    tells: bool = True
    """Whether somebody is told; False for a part of a composite alarm, which tells."""
    urgency: Urgency = Urgency.TICKET
    missing: Missing = Missing.GOOD
    namespace: str = NAMESPACE
    dimensions: dict[str, pulumi.Input[str]] = field(default_factory=dict[str, pulumi.Input[str]])
    """Dimensions of a metric that is not the service's own; empty for those of the service."""


@dataclass(frozen=True)
class Alarms:
    """Registers the alarms of one service under one parent."""

    environment: str
    service: str
    notify: NotifyArgs
    tags: dict[str, pulumi.Input[str]] | None
    parent: pulumi.Resource
    prefix: str
    """First part of the resources' names."""

    def actions(self, urgency: Urgency) -> list[pulumi.Input[str]]:
        """Topics for this urgency; a ValueError when there is none."""
        topics = self.notify[urgency.value]
        if not topics:
            raise ValueError(f"service {self.service}: notify.{urgency}: expected at least one SNS topic, got none")
        return topics

    def name(self, what: str) -> str:
        """Full name of the alarm `what`."""
        return named(self.environment, self.service, what, limit=Limit.CLOUDWATCH_ALARM)

    def make(self, alarms: Sequence[Alarm]) -> list[aws.cloudwatch.MetricAlarm]:
        """Registers `alarms`, each with its action for trouble and for its end."""
        return [self._make(alarm) for alarm in alarms]

    def _make(self, alarm: Alarm) -> aws.cloudwatch.MetricAlarm:
        percentile = alarm.statistic.startswith("p")
        actions = self.actions(alarm.urgency) if alarm.tells else None
        own: dict[str, pulumi.Input[str]] = {**dimensions(self.environment, self.service)}
        return aws.cloudwatch.MetricAlarm(
            f"{self.prefix}-{alarm.name}-alarm",
            name=self.name(alarm.name),
            alarm_description=alarm.description,
            namespace=alarm.namespace,
            metric_name=alarm.metric,
            dimensions=alarm.dimensions or own,
            statistic=None if percentile else alarm.statistic,
            extended_statistic=alarm.statistic if percentile else None,
            comparison_operator=alarm.comparison,
            threshold=alarm.threshold,
            period=alarm.period_seconds,
            evaluation_periods=alarm.periods,
            datapoints_to_alarm=1 if alarm.any_period else alarm.periods,
            treat_missing_data=alarm.missing.value,
            alarm_actions=actions,
            ok_actions=actions,
            tags=self.tags,
            opts=pulumi.ResourceOptions(parent=self.parent),
        )


def failed_run_alarm() -> Alarm:
    """A batch run that ended without a result."""
    return Alarm(
        name="batch-failed",
        description="A batch run ended without a result; the next one starts from nothing. "
        "Read its log; `slipway run SERVICE batch` repeats it.",
        metric=Metric.RUNS_FAILED,
        statistic="Sum",
        comparison="GreaterThanThreshold",
        threshold=0,
        period_seconds=300,
    )


def dead_letter_alarm(name: str, queue: pulumi.Input[str], what: str) -> Alarm:
    """A dead-letter queue that is not empty."""
    return Alarm(
        name=name,
        description=f"{what} could not be processed and lie in the dead-letter queue, kept for 14 days. "
        "Read one for the reason, mend it, then redrive the queue.",
        namespace="AWS/SQS",
        metric="ApproximateNumberOfMessagesVisible",
        dimensions={"QueueName": queue},
        statistic="Maximum",
        comparison="GreaterThanThreshold",
        threshold=0,
        period_seconds=300,
    )


def queue_alarms(queue: pulumi.Input[str], max_lag_seconds: int, max_backlog: int) -> list[Alarm]:
    """A queue whose oldest message waits too long, and one that is fuller than all workers together can handle."""
    return [
        Alarm(
            name="stream-lag",
            description=f"The oldest event has waited more than {max_lag_seconds} s for three minutes. Look whether "
            "workers are at their maximum, and at what they log.",
            namespace="AWS/SQS",
            metric="ApproximateAgeOfOldestMessage",
            dimensions={"QueueName": queue},
            statistic="Maximum",
            comparison="GreaterThanThreshold",
            threshold=max_lag_seconds,
            period_seconds=60,
            periods=3,
            urgency=Urgency.PAGE,
        ),
        Alarm(
            name="stream-backlog",
            description=f"More than {max_backlog} events wait, which is what all workers together are sized for. "
            "Raise stream.replicas.max, or find out who sends so much.",
            namespace="AWS/SQS",
            metric="ApproximateNumberOfMessagesVisible",
            dimensions={"QueueName": queue},
            statistic="Maximum",
            comparison="GreaterThanThreshold",
            threshold=max_backlog,
            period_seconds=300,
            periods=3,
        ),
    ]


def kinesis_alarm(stream: pulumi.Input[str], max_lag_seconds: int) -> Alarm:
    """A Kinesis consumer that falls behind."""
    return Alarm(
        name="stream-lag",
        description=f"The consumer has been more than {max_lag_seconds} s behind the stream for three minutes. Look "
        "whether workers are at their maximum, and at what they log.",
        namespace="AWS/Kinesis",
        metric="GetRecords.IteratorAgeMilliseconds",
        dimensions={"StreamName": stream},
        statistic="Maximum",
        comparison="GreaterThanThreshold",
        threshold=max_lag_seconds * 1000,
        period_seconds=60,
        periods=3,
        urgency=Urgency.PAGE,
    )


def lag_alarm(max_lag_seconds: int) -> Alarm:
    """A consumer that falls behind, by its own measure: Kafka brokers outside MSK tell CloudWatch nothing."""
    return Alarm(
        name="stream-lag",
        description=f"The oldest event has waited more than {max_lag_seconds} s for three minutes. Look whether "
        "workers are at their maximum, and at what they log.",
        metric=Metric.LAG,
        statistic="Maximum",
        comparison="GreaterThanThreshold",
        threshold=max_lag_seconds,
        period_seconds=60,
        periods=3,
        urgency=Urgency.PAGE,
    )
