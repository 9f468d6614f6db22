"""The CloudWatch metrics of a service: names that the runtime publishes and alarms read.

The runtime writes them to its log in the embedded metric format
(https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html),
so that a pod needs no permission to publish and nothing stands between. Each carries the dimensions `Environment` and
`Service`, business metrics also `Metric`.
"""

from enum import StrEnum

from components.naming import Limit, fit

NAMESPACE = "Slipway"


class Metric(StrEnum):
    """Metric names; the unit stands beside each."""

    REQUESTS = "Requests"
    """Requests answered, of any status. Count."""
    ERRORS = "Errors"
    """Requests answered 5xx, 503 for overload apart. Count."""
    REJECTED = "Rejected"
    """Requests refused because the pod had enough to do (429, 503). Count."""
    LATENCY = "Latency"
    """Time from a request's arrival to its answer. Milliseconds."""
    CAPTURE_DROPPED = "CaptureDropped"
    """Predictions that could not be captured. Count."""
    RUNS_SUCCEEDED = "RunsSucceeded"
    """Batch runs whose partition was committed. Count."""
    RUNS_FAILED = "RunsFailed"
    """Batch runs that ended without. Count."""
    LAG = "LagSeconds"
    """Age of the oldest event that waits. Seconds."""
    DRIFT = "DriftPsi"
    """Largest population stability index of a feature in the last comparison. No unit."""
    QUALITY_LOSS = "QualityLossPercent"
    """Loss of the quality metric against the manifest in the last comparison. Percent."""
    BUSINESS = "BusinessMetric"
    """Average of a business metric over its window. Its own unit."""


UNITS = dict.fromkeys(Metric, "Count") | {
    Metric.LATENCY: "Milliseconds",
    Metric.LAG: "Seconds",
    Metric.DRIFT: "None",
    Metric.QUALITY_LOSS: "Percent",
    Metric.BUSINESS: "None",
}
"""CloudWatch's unit of each; `serving.emf` writes the same."""


def dimensions(environment: str, service: str) -> dict[str, str]:
    """Dimensions of a service's metrics."""
    return {"Environment": environment, "Service": service}


def log_group(environment: str, service: str) -> str:
    """Log group of all pods of a service, and so of its metrics in the embedded format."""
    return fit(f"/slipway/{environment}/{service}", Limit.LOG_GROUP)
