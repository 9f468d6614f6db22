"""Dashboards: one a service, one an environment, as CloudWatch's JSON.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from components.metrics import NAMESPACE, Metric, dimensions
from components.slo import SloArgs

_COLUMNS = 24
"""Width of a dashboard in its own units."""
_WIDGET_LIMIT = 500
"""Widgets of one dashboard (CloudWatch quotas)."""


@dataclass(frozen=True)
class Plot:
    """One graph: metrics with their statistic, and a line at what is promised."""

    title: str
    metrics: Sequence[tuple[Metric, str]]
    limit: float | None = None
    service: str = ""
    extra: Mapping[str, str] = field(default_factory=dict[str, str])
    """Dimensions besides environment and service."""


def service_plots(
    patterns: Sequence[str], slo: SloArgs | None, psi: float | None, business: Sequence[str]
) -> list[Plot]:
    """What is shown of a service, by the patterns that it has."""
    plots: list[Plot] = []
    if "rest" in patterns:
        plots += [
            Plot("Requests and errors", [(Metric.REQUESTS, "Sum"), (Metric.ERRORS, "Sum"), (Metric.REJECTED, "Sum")]),
            Plot(
                "Latency (ms)",
                [(Metric.LATENCY, "p50"), (Metric.LATENCY, "p95"), (Metric.LATENCY, "p99")],
                slo["p95_ms"] if slo else None,
            ),
        ]
    if "batch" in patterns:
        plots.append(Plot("Batch runs", [(Metric.RUNS_SUCCEEDED, "Sum"), (Metric.RUNS_FAILED, "Sum")]))
    if "stream" in patterns:
        plots.append(Plot("Stream lag (s)", [(Metric.LAG, "Maximum")]))
    plots.append(Plot("Capture dropped", [(Metric.CAPTURE_DROPPED, "Sum")]))
    if psi is not None:
        plots.append(Plot("Drift (PSI)", [(Metric.DRIFT, "Maximum")], psi))
        plots.append(Plot("Quality loss (%)", [(Metric.QUALITY_LOSS, "Maximum")]))
    plots += [Plot(name, [(Metric.BUSINESS, "Average")], extra={"Metric": name}) for name in business]
    return plots


def environment_plots(services: Sequence[str]) -> list[Plot]:
    """What is shown of an environment: two graphs a service, until the dashboard is full."""
    plots: list[Plot] = []
    for service in services[: _WIDGET_LIMIT // 2 - 1]:
        plots += [
            Plot(
                f"{service}: requests and errors", [(Metric.REQUESTS, "Sum"), (Metric.ERRORS, "Sum")], service=service
            ),
            Plot(f"{service}: p95 (ms), lag (s)", [(Metric.LATENCY, "p95"), (Metric.LAG, "Maximum")], service=service),
        ]
    return plots


def dashboard(environment: str, service: str, region: str, plots: Sequence[Plot], alarm_arns: Sequence[str]) -> str:
    """The dashboard's body (JSON): the state of its alarms on top, then the graphs in two columns."""
    widgets: list[dict[str, Any]] = []
    top = 0
    if alarm_arns:
        # CloudWatch shows at most 100 alarms in one widget.
        shown = list(alarm_arns[:100])
        height = 2 + len(shown) // 6
        widgets.append(
            {
                "type": "alarm",
                "x": 0,
                "y": 0,
                "width": _COLUMNS,
                "height": height,
                "properties": {"title": "Alarms", "alarms": shown},
            }
        )
        top = height
    for index, plot in enumerate(plots):
        widgets.append(_graph(environment, plot.service or service, region, plot, index, top))
    return json.dumps({"widgets": widgets})


def _graph(environment: str, service: str, region: str, plot: Plot, index: int, top: int) -> dict[str, Any]:
    width, height = _COLUMNS // 2, 6
    own = [part for item in {**dimensions(environment, service), **plot.extra}.items() for part in item]
    properties: dict[str, Any] = {
        "title": plot.title,
        "region": region,
        "view": "timeSeries",
        "period": 300,
        "metrics": [
            [NAMESPACE, metric, *own, {"stat": stat, "label": f"{metric} {stat}"}] for metric, stat in plot.metrics
        ],
    }
    if plot.limit is not None:
        properties["annotations"] = {"horizontal": [{"label": "limit", "value": plot.limit}]}
    return {
        "type": "metric",
        "x": index % 2 * width,
        "y": top + index // 2 * height,
        "width": width,
        "height": height,
        "properties": properties,
    }
