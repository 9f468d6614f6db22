"""The alarms of one service: its objective, saturation, drift, quality and business metrics."""

from typing import NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from components.alarms import Alarm, Alarms, Missing, Urgency
from components.metrics import NAMESPACE, Metric, dimensions
from components.slo import BurnRate, SloArgs, burn_rates, threshold


class DriftArgs(TypedDict):
    """When the inputs have moved away from what the model was trained on."""

    psi: float
    """Population stability index of a feature above which it counts as drift."""
    window_hours: int
    """Hours of predictions that are compared with the baseline."""
    min_samples: int
    """Fewest predictions that are compared."""
    schedule: str
    """When to compare: five cron fields, in UTC."""


class QualityArgs(TypedDict):
    """When predictions, compared with the labels that arrive later, have become worse."""

    max_loss_percent: float
    """Loss against the manifest's value that counts, in percent."""
    window_hours: int
    """Hours of predictions that are compared."""
    min_labels: int
    """Fewest labels that are compared."""
    metric: NotRequired[str]
    """What is measured. Default: AUC for classification, RMSE for regression."""


class BusinessMetricArgs(TypedDict):
    """A result that arrives as an outcome's value; one bound or both."""

    min: NotRequired[float]
    """Average below which an alarm goes off."""
    max: NotRequired[float]
    """Average above which an alarm goes off."""
    window_hours: NotRequired[int]
    """Hours of outcomes that are averaged. Default 24."""


def objective_alarms(alarms: Alarms, slo: SloArgs) -> list[aws.cloudwatch.CompositeAlarm]:
    """Registers an alarm a burn rate; each is two windows that must both be above, so its parts tell nobody."""
    return [
        _burn_alarm(alarms, index, burn, slo["availability_percent"])
        for index, burn in enumerate(burn_rates(slo["availability_percent"]), start=1)
    ]


def latency_alarm(slo: SloArgs) -> Alarm:
    """The objective's latency, missed for a quarter of an hour."""
    return Alarm(
        name="latency",
        description=f"p95 has been above {slo['p95_ms']:g} ms for 15 minutes. Compare it with the last release and "
        "with the load; `slipway rollback` brings the version before back.",
        metric=Metric.LATENCY,
        statistic="p95",
        comparison="GreaterThanThreshold",
        threshold=slo["p95_ms"],
        period_seconds=300,
        periods=3,
        urgency=Urgency.PAGE,
    )


def saturation_alarms(service: str, cluster_name: pulumi.Input[str] | None) -> list[Alarm]:
    """Pods that have to refuse work; and, in a cluster with Container Insights, pods near their limits."""
    alarms = [
        Alarm(
            name="rejected",
            description="Pods have refused requests for ten minutes because they had enough to do. Look whether the "
            "autoscaler is at its maximum (rest.replicas.max) and whether new pods find nodes.",
            metric=Metric.REJECTED,
            statistic="Sum",
            comparison="GreaterThanThreshold",
            threshold=0,
            period_seconds=300,
            periods=2,
            urgency=Urgency.PAGE,
        ),
        Alarm(
            name="capture-dropped",
            description="Predictions could not be captured: drift and quality are measured on less than all of them. "
            "Look at the pods' log for what S3 answered.",
            metric=Metric.CAPTURE_DROPPED,
            statistic="Sum",
            comparison="GreaterThanThreshold",
            threshold=0,
            period_seconds=300,
        ),
    ]
    if cluster_name is None:
        return alarms
    of_service: dict[str, pulumi.Input[str]] = {
        "ClusterName": cluster_name,
        "Namespace": f"slipway-{service}",
        "Service": f"{service}-rest",
    }
    return alarms + [
        Alarm(
            name=f"{resource}-saturated",
            description=f"Pods have used more than 90 % of their {resource} limit for 15 minutes. Raise "
            f"rest.replicas.max, or rest.resources.{resource}.",
            namespace="ContainerInsights",
            metric=f"pod_{resource}_utilization_over_pod_limit",
            dimensions=of_service,
            statistic="Average",
            comparison="GreaterThanThreshold",
            threshold=90,
            period_seconds=300,
            periods=3,
        )
        for resource in ("cpu", "memory")
    ]


def drift_alarm(drift: DriftArgs) -> Alarm:
    """A feature that has drifted; it holds until a comparison says otherwise."""
    return Alarm(
        name="drift",
        description=f"A feature's PSI is above {drift['psi']:g} over {drift['window_hours']} hours. See the service's "
        "dashboard for which; where retraining is on, a candidate is on its way.",
        metric=Metric.DRIFT,
        statistic="Maximum",
        comparison="GreaterThanThreshold",
        threshold=drift["psi"],
        period_seconds=3600,
        missing=Missing.SAME,
    )


def quality_alarm(quality: QualityArgs) -> Alarm:
    """Predictions that have become worse; it holds until a comparison says otherwise."""
    return Alarm(
        name="quality",
        description=f"Quality is more than {quality['max_loss_percent']:g} % worse than the model's manifest says, "
        f"over {quality['window_hours']} hours of labels. Look at drift first, then at how labels are made.",
        metric=Metric.QUALITY_LOSS,
        statistic="Maximum",
        comparison="GreaterThanThreshold",
        threshold=quality["max_loss_percent"],
        period_seconds=3600,
        missing=Missing.SAME,
    )


def business_alarms(environment: str, service: str, name: str, spec: BusinessMetricArgs) -> list[Alarm]:
    """One alarm a bound of a business metric; a ValueError when there is no bound."""
    if "min" not in spec and "max" not in spec:
        raise ValueError(f"service {service}: business metric {name}: expected min, max or both, got neither")
    own: dict[str, pulumi.Input[str]] = {**dimensions(environment, service), "Metric": name}
    bounds: list[tuple[str, str, float]] = []
    if "min" in spec:
        bounds.append(("below", "LessThanThreshold", spec["min"]))
    if "max" in spec:
        bounds.append(("above", "GreaterThanThreshold", spec["max"]))
    return [
        Alarm(
            name=f"business-{name.replace('_', '-')}-{side}",
            description=f"The average of {name} over {spec.get('window_hours', 24)} hours is {side} {bound:g}. Look at "
            "quality and at what has been released, then at the business itself.",
            metric=Metric.BUSINESS,
            dimensions=own,
            statistic="Average",
            comparison=comparison,
            threshold=bound,
            period_seconds=3600,
            missing=Missing.SAME,
        )
        for side, comparison, bound in bounds
    ]


def _burn_alarm(alarms: Alarms, index: int, burn: BurnRate, availability: float) -> aws.cloudwatch.CompositeAlarm:
    limit = threshold(burn, availability)
    windows = {"long": burn.long_seconds, "short": burn.short_seconds}
    parts = {
        window: aws.cloudwatch.MetricAlarm(
            f"{alarms.prefix}-burn-{index}-{window}",
            name=alarms.name(f"burn-{index}-{window}"),
            alarm_description=f"Part of {alarms.name(f'burn-{index}')}, which tells.",
            comparison_operator="GreaterThanThreshold",
            evaluation_periods=1,
            threshold=limit,
            metric_queries=_error_ratio(alarms.environment, alarms.service, seconds),
            treat_missing_data=Missing.GOOD.value,
            tags=alarms.tags,
            opts=pulumi.ResourceOptions(parent=alarms.parent),
        )
        for window, seconds in windows.items()
    }
    actions = alarms.actions(burn.urgency)
    return aws.cloudwatch.CompositeAlarm(
        f"{alarms.prefix}-burn-{index}-alarm",
        alarm_name=alarms.name(f"burn-{index}"),
        alarm_description=f"Errors spend the budget of {availability:g} % availability {burn.rate:.3g} times too fast: "
        f"{burn.budget_percent:g} % of 30 days within {burn.long_hours:g} h. Compare with the last release; "
        "`slipway rollback` brings the version before back.",
        alarm_rule=pulumi.Output.concat('ALARM("', parts["long"].name, '") AND ALARM("', parts["short"].name, '")'),
        alarm_actions=actions,
        ok_actions=actions,
        tags=alarms.tags,
        opts=pulumi.ResourceOptions(parent=alarms.parent, depends_on=list(parts.values())),
    )


def _error_ratio(environment: str, service: str, seconds: int) -> list[aws.cloudwatch.MetricAlarmMetricQueryArgsDict]:
    """Failed requests over all, in one window; a single failure of a quiet hour is not a ratio."""

    def total(name: str, metric: Metric) -> aws.cloudwatch.MetricAlarmMetricQueryArgsDict:
        return {
            "id": name,
            "metric": {
                "namespace": NAMESPACE,
                "metric_name": metric,
                "dimensions": {**dimensions(environment, service)},
                "period": seconds,
                "stat": "Sum",
            },
        }

    return [
        total("errors", Metric.ERRORS),
        total("requests", Metric.REQUESTS),
        {
            "id": "ratio",
            "expression": "IF(errors > 1, errors / requests, 0)",
            "label": "Error ratio",
            "return_data": True,
        },
    ]
