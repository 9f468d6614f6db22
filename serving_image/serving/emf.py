"""CloudWatch metrics as log lines: the embedded metric format, one JSON object a line on stdout.

CloudWatch takes the metrics out of a container's log as it arrives, so a pod needs no permission to publish and nothing
can be waited for. The format is that of
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html;
a distribution is written as OpenTelemetry's awsemf exporter writes it: `Values` with `Counts`, from which CloudWatch
works out any percentile. Names, units and dimensions are those of `components.metrics`, which a test compares.
"""

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from itertools import islice
from typing import Any

NAMESPACE = "Slipway"
EVERY_SECONDS = 60.0
"""How often a process writes; CloudWatch keeps a number a minute."""
_MOST_VALUES = 100
"""Values of one metric in one line; CloudWatch drops a line with more."""


class Metric(StrEnum):
    """The metrics of a service; `components.metrics.Metric` says what each is."""

    REQUESTS = "Requests"
    ERRORS = "Errors"
    REJECTED = "Rejected"
    LATENCY = "Latency"
    CAPTURE_DROPPED = "CaptureDropped"
    RUNS_SUCCEEDED = "RunsSucceeded"
    RUNS_FAILED = "RunsFailed"
    LAG = "LagSeconds"
    DRIFT = "DriftPsi"
    QUALITY_LOSS = "QualityLossPercent"
    BUSINESS = "BusinessMetric"


UNITS = dict.fromkeys(Metric, "Count") | {
    Metric.LATENCY: "Milliseconds",
    Metric.LAG: "Seconds",
    Metric.DRIFT: "None",
    Metric.QUALITY_LOSS: "Percent",
    Metric.BUSINESS: "None",
}
"""CloudWatch's unit of each."""

Distribution = Mapping[float, float]
"""Value -> how often it was seen."""


class Publisher:
    """Writes the metrics of one service. Where the environment or the service has no name it writes nothing."""

    def __init__(
        self, environment: str | None, service: str | None, write: Callable[[bytes], object] | None = None
    ) -> None:
        self._who = {"Environment": environment, "Service": service} if environment and service else None
        self._write = write or _to_stdout

    def put(self, values: Mapping[Metric, float | Distribution], **dimensions: str) -> None:
        """Write metrics now: a number each, or a distribution (an empty one is left out).

        `dimensions` are further ones, as `Metric` of a business metric. Call it once for what was counted since the
        last call, not once for each event: a line costs as much as a thousand requests.
        """
        if self._who is None:
            return
        for part in _lines(values):
            self._write(_line({**self._who, **dimensions}, part))


def _lines(values: Mapping[Metric, float | Distribution]) -> Iterator[dict[Metric, Any]]:
    """What each line says: all in one, unless a distribution has more values than a line may."""
    first: dict[Metric, Any] = {}
    more: list[dict[Metric, Any]] = []
    for metric, value in values.items():
        if not isinstance(value, Mapping):
            first[metric] = value
            continue
        parts = [{metric: _histogram(dict(part))} for part in _parts(value)]
        if parts:
            first |= parts[0]
            more += parts[1:]
    if first:
        yield first
    yield from more


def _parts(values: Distribution) -> Iterator[list[tuple[float, float]]]:
    seen = iter(sorted((value, count) for value, count in values.items() if count))
    while part := list(islice(seen, _MOST_VALUES)):
        yield part


def _histogram(seen: dict[float, float]) -> dict[str, Any]:
    return {
        "Values": list(seen),
        "Counts": list(seen.values()),
        "Max": max(seen),
        "Min": min(seen),
        "Count": sum(seen.values()),
        "Sum": sum(value * count for value, count in seen.items()),
    }


def _line(dimensions: Mapping[str, str | None], values: Mapping[Metric, Any]) -> bytes:
    about = {
        "Namespace": NAMESPACE,
        "Dimensions": [list(dimensions)],
        "Metrics": [{"Name": metric, "Unit": UNITS[metric]} for metric in values],
    }
    head = {"_aws": {"Timestamp": time.time_ns() // 1_000_000, "CloudWatchMetrics": [about]}}
    return json.dumps({**head, **dimensions, **values}, separators=(",", ":")).encode() + b"\n"


def _to_stdout(line: bytes) -> None:
    try:
        os.write(1, line)  # one write a line: several processes share this stream
    except OSError:  # nobody reads it: no reason for the service to end
        return
