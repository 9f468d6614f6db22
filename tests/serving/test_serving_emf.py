"""The metrics that the runtime writes: what alarms read, from all workers, once."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from serving.emf import NAMESPACE, UNITS, Metric, Publisher
from serving.metrics import LATENCY, SECONDS, Metrics, new_shared
from serving.settings import Settings
from serving.traffic import WINDOW_SECONDS, Traffic, summary
from serving_packages import write_package
from serving_process import Server, environment

from components import autoscaling, metrics


def said(lines: list[bytes]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines]


def test_names_units_and_dimensions_are_those_that_alarms_read() -> None:
    assert {metric.name: metric.value for metric in Metric} == {each.name: each.value for each in metrics.Metric}
    assert {metric.value: unit for metric, unit in UNITS.items()} == {
        metric.value: unit for metric, unit in metrics.UNITS.items()
    }
    assert metrics.NAMESPACE == NAMESPACE
    lines: list[bytes] = []
    Publisher("prod", "flight-delay", lines.append).put({Metric.LAG: 2.5})
    (line,) = said(lines)
    (about,) = line["_aws"]["CloudWatchMetrics"]
    assert about == {
        "Namespace": "Slipway",
        "Dimensions": [["Environment", "Service"]],
        "Metrics": [{"Name": "LagSeconds", "Unit": "Seconds"}],
    }
    assert {name: line[name] for name in about["Dimensions"][0]} == metrics.dimensions("prod", "flight-delay")
    assert line["LagSeconds"] == 2.5


def test_a_business_metric_has_its_dimension_too() -> None:
    lines: list[bytes] = []
    Publisher("prod", "flight-delay", lines.append).put({Metric.BUSINESS: 0.4}, Metric="refunds")
    (line,) = said(lines)
    assert line["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["Environment", "Service", "Metric"]]
    assert line["Metric"] == "refunds"


def test_a_service_without_names_writes_nothing() -> None:
    lines: list[bytes] = []
    for environment_name, service in ((None, "flight-delay"), ("prod", None), (None, None)):
        Publisher(environment_name, service, lines.append).put({Metric.REQUESTS: 1})
    assert lines == []


def test_a_distribution_of_many_values_becomes_lines_that_cloudwatch_takes() -> None:
    lines: list[bytes] = []
    seen = {float(value): 2.0 for value in range(1, 231)} | {0.5: 0.0}
    Publisher("prod", "flight-delay", lines.append).put({Metric.LATENCY: seen, Metric.REQUESTS: 460})
    first, *rest = said(lines)
    assert first["Requests"] == 460
    assert all("Requests" not in line for line in rest)
    parts = [line["Latency"] for line in (first, *rest)]
    assert [len(part["Values"]) for part in parts] == [100, 100, 30]
    assert sum(part["Count"] for part in parts) == 460
    assert sum(part["Sum"] for part in parts) == sum(value * count for value, count in seen.items())
    assert [value for part in parts for value in part["Values"]] == list(range(1, 231))
    assert all(max(part["Values"]) == part["Max"] and min(part["Values"]) == part["Min"] for part in parts)


def test_an_empty_distribution_is_left_out() -> None:
    lines: list[bytes] = []
    publisher = Publisher("prod", "flight-delay", lines.append)
    publisher.put({Metric.LATENCY: {1.0: 0.0}})
    publisher.put({Metric.LATENCY: {}, Metric.ERRORS: 0})
    (line,) = said(lines)
    assert "Latency" not in line
    assert line["Errors"] == 0


def declared(metrics: Metrics, route: str, code: str, protocol: str = "rest") -> Any:
    return metrics.counter("slipway_requests_total", "", {"protocol": protocol, "route": route, "code": code})


def test_requests_are_told_apart() -> None:
    numbers = Metrics()
    for amount, route, code, protocol in (
        (1000, "health", "200", "rest"),
        (2000, "health", "503", "rest"),
        (4000, "other", "200", "rest"),
        (1, "predict", "200", "rest"),
        (2, "infer", "400", "rest"),
        (4, "predict", "429", "rest"),
        (8, "other", "503", "rest"),
        (16, "predict", "503", "rest"),
        (32, "other", "500", "rest"),
        (64, "infer", "504", "rest"),
        (128, "infer", "RESOURCE_EXHAUSTED", "grpc"),
        (256, "infer", "INTERNAL", "grpc"),
        (512, "infer", "OK", "grpc"),
    ):
        declared(numbers, route, code, protocol).add(amount)
    for spool, amount in (("capture", 3), ("outcomes", 5)):
        numbers.counter("slipway_capture_dropped_total", "", {"spool": spool}).add(amount)
    found = summary(numbers.take() or [])
    assert found[Metric.REQUESTS] == 1023
    assert found[Metric.REJECTED] == 4 + 8 + 128
    assert found[Metric.ERRORS] == 16 + 32 + 64 + 256
    assert found[Metric.CAPTURE_DROPPED] == 3


@pytest.mark.parametrize("seconds", [0.00011, 0.00031, 0.004, 0.0999, 0.1, 0.25, 1.7, 29.0])
def test_latency_is_known_to_a_few_percent(seconds: float) -> None:
    numbers = Metrics()
    labels = {"protocol": "rest", "route": "predict"}
    numbers.histogram("slipway_request_seconds", "", labels, LATENCY, SECONDS).observe(seconds)
    latency = summary(numbers.take() or [])[Metric.LATENCY]
    assert isinstance(latency, dict)
    (value,) = [value for value, count in latency.items() if count]
    assert value == pytest.approx(1000 * seconds, rel=0.2 if seconds > 10 else 0.08)


def test_a_scrape_shows_the_usual_bounds_and_misses_nothing() -> None:
    numbers = Metrics()
    assert set(SECONDS) <= set(LATENCY)
    histogram = numbers.histogram("t", "", None, LATENCY, SECONDS)
    for value in (0.00011, 0.0012, 0.003, 0.3, 99.0):
        histogram.observe(value)
    buckets = dict(line.rsplit(" ", 1) for line in numbers.render().splitlines() if line.startswith("t_bucket"))
    assert len(buckets) == len(SECONDS) + 1
    counts = [buckets[f't_bucket{{le="{bound}"}}'] for bound in ("0.0005", "0.002", "0.005", "0.5", "10", "+Inf")]
    assert counts == ["1", "2", "3", "4", "4", "5"]


def test_what_all_workers_counted_is_taken_once() -> None:
    shared = new_shared(2)
    workers = [Metrics(index, 2, shared) for index in range(2)]
    counters = [worker.counter("asked_total", "") for worker in workers]
    for worker in workers:
        worker.gauge("up", "").set(1)
    assert workers[0].take(60) is None  # the minute begins
    for counter in counters:
        counter.add(3)
    assert workers[1].take(60) is None
    (growth,) = workers[1].take() or []
    assert (growth.name, growth.numbers) == ("asked_total", [6.0])
    counters[0].add(1)
    successor = Metrics(0, 2, shared)  # of a worker that was killed
    successor.counter("asked_total", "")
    assert [growth.numbers for growth in successor.take() or []] == [[1.0]]
    assert [growth.numbers for growth in workers[1].take() or []] == [[0.0]]
    os.close(shared)


def test_the_rate_is_that_of_the_last_seconds() -> None:
    assert autoscaling.REQUESTS_METRIC == "slipway_requests_per_second"
    numbers = Metrics()
    predicted, probed = declared(numbers, "predict", "200"), declared(numbers, "health", "200")
    traffic = Traffic(Settings(), numbers)

    def rate() -> float:
        (value,) = [
            line.split()[1] for line in numbers.render().splitlines() if line.startswith("slipway_requests_per")
        ]
        return float(value)

    for expected in (10.0, 10.0):
        predicted.add(10)
        probed.add(99)
        traffic.tick()
        assert rate() == expected
    for _ in range(WINDOW_SECONDS - 2):
        traffic.tick()
    assert rate() == pytest.approx(20 / WINDOW_SECONDS)
    traffic.tick()
    traffic.tick()
    assert rate() == 0


def test_a_pod_of_two_workers_tells_everything_by_its_end(tmp_path: Path) -> None:
    asked = 40
    output = tmp_path / "stdout"
    with output.open("wb") as stdout:
        server = Server(
            subprocess.Popen(
                [sys.executable, "-m", "serving", "rest"],
                env=environment(
                    model_dir=write_package(tmp_path / "package"), workers=2, environment="prod", service="flight-delay"
                ),
                stdout=stdout,
                stderr=subprocess.PIPE,
            )
        )
    try:
        server.wait_ready()
        for _ in range(asked):
            assert server.post("/predict", {"rows": [{"carrier": "AA", "temp": 1.0, "wind": 2.0}]}).status == 200
        assert server.post("/predict", {"rows": []}).status == 400
        assert server.get("/v2/health/ready").status == 200
    finally:
        assert server.stop() == 0
    lines = [json.loads(line) for line in output.read_text().splitlines()]
    assert sum(line["Requests"] for line in lines) == asked + 1
    assert sum(line["Latency"]["Count"] for line in lines if "Latency" in line) == asked
    assert sum(line["Errors"] for line in lines) == 0
