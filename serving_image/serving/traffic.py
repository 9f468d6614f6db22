"""What the requests of a pod amount to: a line of CloudWatch metrics a minute, and how many come a second.

Both are read off the counters that answering keeps anyway.
"""

import itertools
from collections import deque
from collections.abc import Iterable, Mapping

from serving.emf import EVERY_SECONDS, Distribution, Metric, Publisher
from serving.metrics import Growth, Metrics
from serving.settings import Settings

COUNTED = "slipway_requests_total"
TIMED = "slipway_request_seconds"
DROPPED = "slipway_capture_dropped_total"

WINDOW_SECONDS = 15
"""Of the rate of requests; KEDA asks as often (`components.autoscaling`)."""

_GRPC_ERRORS = {"INTERNAL", "UNAVAILABLE", "DEADLINE_EXCEEDED"}


class Traffic:
    """Call `tick` once a second, and `publish` when the process ends."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._metrics = metrics
        self._publisher = Publisher(settings.environment, settings.service)
        self._counted = [number for labels, number in metrics.series(COUNTED) if _is_counted(labels)]
        self._rate = metrics.gauge(
            "slipway_requests_per_second", f"Requests a second that were answered in the last {WINDOW_SECONDS} s."
        )
        self._totals = deque([self._total()], WINDOW_SECONDS + 1)

    def tick(self) -> None:
        """Tell this worker's rate, and once a minute the metrics of all workers, whichever of them comes first."""
        self._totals.append(self._total())
        self._rate.set((self._totals[-1] - self._totals[0]) / (len(self._totals) - 1))
        self.publish(EVERY_SECONDS)

    def publish(self, every: float = 0.0) -> None:
        """Write what no worker has written yet, unless one did less than `every` seconds ago."""
        grown = self._metrics.take(every)
        if grown is not None:
            self._publisher.put(summary(grown))

    def _total(self) -> float:
        return sum(number.value for number in self._counted)


def summary(grown: Iterable[Growth]) -> dict[Metric, float | Distribution]:
    """The service's metrics in what was counted."""
    counts = dict.fromkeys((Metric.REQUESTS, Metric.ERRORS, Metric.REJECTED, Metric.CAPTURE_DROPPED), 0.0)
    milliseconds: dict[float, float] = {}
    for growth in grown:
        if growth.name == COUNTED and _is_counted(growth.labels):
            counts[Metric.REQUESTS] += growth.numbers[0]
            if _is_rejected(growth.labels):
                counts[Metric.REJECTED] += growth.numbers[0]
            elif _is_error(growth.labels):
                counts[Metric.ERRORS] += growth.numbers[0]
        elif growth.name == DROPPED and growth.labels["spool"] == "capture":
            counts[Metric.CAPTURE_DROPPED] += growth.numbers[0]
        elif growth.name == TIMED:
            for value, count in zip(_middles(growth.bounds), growth.numbers, strict=True):
                milliseconds[value] = milliseconds.get(value, 0.0) + count
    return {**counts, Metric.LATENCY: milliseconds}


def _is_counted(labels: Mapping[str, str]) -> bool:
    """Whether it is a request of a user: probes, scrapes and pages would hide the share that fails."""
    return labels["route"] != "health" and not (labels["route"] == "other" and labels["code"] == "200")


def _is_rejected(labels: Mapping[str, str]) -> bool:
    """Whether there was too much to do; outside a model's routes 503 says that there are too many connections."""
    code = labels["code"]
    return code in {"429", "RESOURCE_EXHAUSTED"} or (code == "503" and labels["route"] == "other")


def _is_error(labels: Mapping[str, str]) -> bool:
    code = labels["code"]
    return code in _GRPC_ERRORS if labels["protocol"] == "grpc" else code.startswith("5")


def _middles(bounds: Iterable[float]) -> list[float]:
    """For each bucket a value in its middle, in milliseconds of two or three digits: what was counted was near it."""
    edges = list(bounds)
    below = [edges[0] / 2, *((low * high) ** 0.5 for low, high in itertools.pairwise(edges)), edges[-1]]
    return [float(f"{1000 * middle:.3g}") for middle in below]
