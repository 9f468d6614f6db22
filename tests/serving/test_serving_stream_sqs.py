"""A stream worker on an emulated SQS queue."""

import base64
import json
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from serving.stream.source import message_id
from serving_packages import score, write_package
from serving_process import Server, start
from stream_support import CAPTURED, Lives, Queue, captured, emulated_aws, rows
from waiting import until

INFER = {
    "inputs": [
        {"name": "carrier", "datatype": "BYTES", "shape": [2, 1], "data": ["UA", "DL"]},
        {"name": "weather", "datatype": "FP32", "shape": [2, 2], "data": [1, 2, 3, 4]},
    ]
}


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Those of a worker on an empty queue, with its dead letters."""
    with emulated_aws():
        yield {
            "model_dir": write_package(tmp_path / "package"),
            "stream_source": "sqs",
            "stream_queue_url": Queue("events").url,
            "stream_dead_letters_url": Queue("failed").url,
            "stream_window_seconds": 0.05,
            "capture_uri": f"s3://{CAPTURED}/delay/",
        }


def running(settings: dict[str, Any]) -> Server:
    server = start("stream", **settings)
    server.wait_ready()
    return server


def test_messages_of_every_form_reach_the_event_store_and_bad_ones_the_dead_letters(settings: dict[str, Any]) -> None:
    queue, failed = Queue("events"), Queue("failed")
    good = [json.dumps({"rows": [{"carrier": "UA", "temp": 1}, {"carrier": "AA", "temp": 2.5, "wind": 1}]})]
    good += [json.dumps({"carrier": "DL", "temp": None}), json.dumps(INFER)]
    bad = {
        "not json": "not JSON: JSON is malformed: invalid character (byte 4)",
        '{"rows": []}': "rows: expected at least one row",
        '{"carrier": "UA", "tmp": 1}': "tmp: unknown",
        '{"inputs": []}': "inputs: 'carrier' is missing; the model takes carrier, weather",
    }
    ids = queue.put(good + list(bad))
    worker = running(settings)
    try:
        until(lambda: queue.left() == 0, 60)
        found = {row["prediction_id"]: row for row in captured()}
        first, single, tensors, *_ = (message_id(f"sqs:{each}") for each in ids)
        assert set(found) == {f"{first}-0", f"{first}-1", f"{single}-0", f"{tensors}-0", f"{tensors}-1"}
        row = found[f"{first}-1"]
        assert (row["pattern"], row["model_version"]) == ("stream", "1")
        assert dict(row["numeric"]) == {"temp": 2.5, "wind": 1.0}
        assert dict(row["categorical"]) == {"carrier": "AA"}
        assert dict(row["outputs"])["probability"] == pytest.approx(score("AA", 2.5, 1))
        assert dict(found[f"{tensors}-1"]["outputs"])["probability"] == pytest.approx(score("DL", 3, 4))
        assert 0 <= row["latency_us"] < 60e6
        letters = {letter["body"]: letter for letter in failed.take()}
        assert {body: letter["reason"] for body, letter in letters.items()} == bad
        assert letters["not json"]["place"] == ids[3]
        assert letters["not json"]["idempotency_key"] == message_id(f"sqs:{ids[3]}")
        metrics = worker.get("/metrics").body.decode()
        assert 'slipway_stream_messages_total{result="predicted"} 3' in metrics
        assert 'slipway_stream_messages_total{result="dead_letter"} 4' in metrics
        assert "slipway_stream_lag_seconds 0" in metrics
        assert worker.get("/v2/models/delay").json["versions"] == ["1"]
        assert worker.post("/predict", {}).status == 404
    finally:
        assert worker.stop() == 0
    assert [line["message"] for line in worker.lines if line["level"] == "error"] == []


def test_a_dead_letter_that_is_moved_back_keeps_its_key_and_its_bytes(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = Queue("events")
    # Pods are told their region by this variable alone.
    monkeypatch.setenv("AWS_REGION", os.environ["AWS_DEFAULT_REGION"])
    body = json.dumps({"rows": [{"carrier": "UA", "temp": 1}]}).encode()
    attributes = {"idempotency_key": "its-own-key", "encoding": "base64"}
    queue.client.send_message(
        QueueUrl=queue.url,
        MessageBody=base64.b64encode(body).decode(),
        MessageAttributes={k: {"DataType": "String", "StringValue": v} for k, v in attributes.items()},
    )
    with monkeypatch.context() as pod:
        pod.delenv("AWS_DEFAULT_REGION")
        worker = running(settings)
    try:
        until(lambda: queue.left() == 0, 60)
        assert [row["prediction_id"] for row in captured()] == ["its-own-key-0"]
    finally:
        worker.stop()


def test_nothing_is_acknowledged_before_it_is_in_the_event_store(settings: dict[str, Any]) -> None:
    """The bucket is missing for a while, longer than a message is hidden: it is prolonged, and nothing is lost."""
    queue, s3 = Queue("events"), boto3.client("s3")
    s3.delete_bucket(Bucket=CAPTURED)
    queue.put(rows(0, 5))
    worker = running(settings | {"stream_hidden_seconds": 1})
    try:
        warned = until(lambda: [line for line in worker.lines if line["level"] == "warning"], 60)
        assert "NoSuchBucket" in warned[0]["message"]
        time.sleep(1.2)  # without prolonging they would be visible by now
        seen = queue.client.get_queue_attributes(QueueUrl=queue.url, AttributeNames=["All"])["Attributes"]
        assert (seen["ApproximateNumberOfMessages"], seen["ApproximateNumberOfMessagesNotVisible"]) == ("0", "5")
        s3.create_bucket(Bucket=CAPTURED)
        until(lambda: queue.left() == 0, 60)
        assert sorted(dict(row["numeric"])["temp"] for row in captured()) == [0, 1, 2, 3, 4]
    finally:
        assert worker.stop() == 0


def test_what_cannot_be_finished_in_time_is_given_back_at_once(settings: dict[str, Any]) -> None:
    queue = Queue("events")
    boto3.client("s3").delete_bucket(Bucket=CAPTURED)
    queue.put(rows(0, 3))
    worker = running(settings | {"drain_seconds": 0.1})
    until(lambda: [line for line in worker.lines if line["level"] == "warning"], 60)
    assert worker.stop() == 0
    assert "3 messages could not be finished in time and go back" in [line["message"] for line in worker.lines]
    seen = queue.client.get_queue_attributes(QueueUrl=queue.url, AttributeNames=["All"])["Attributes"]
    assert seen["ApproximateNumberOfMessages"] == "3"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"stream_queue_url": ""}, "SLIPWAY_STREAM_QUEUE_URL: must be set for `python -m serving stream`"),
        ({"stream_queue_url": "{}-not-there"}, "SLIPWAY_STREAM_QUEUE_URL: "),
    ],
)
def test_a_worker_that_cannot_work_says_why_and_ends(
    settings: dict[str, Any], change: dict[str, str], says: str
) -> None:
    change = {name: value.format(settings[name]) for name, value in change.items()}
    worker = start("stream", **settings | change)
    assert worker.wait() in {66, 78}
    assert [line["message"] for line in worker.lines][-1].startswith(says)


def survive(settings: dict[str, Any], kills: int, events: int, seed: int) -> None:
    """Kill a worker again and again at random points while events come: none is lost, each keeps its id."""
    chance, queue = random.Random(seed), Queue("events")
    lives = Lives(**settings | {"stream_hidden_seconds": 1, "stream_window_messages": 10, "stream_attempts": 1000})
    sent: dict[str, float] = {}
    try:
        for life in range(kills):
            first, last = events * life // kills, events * (life + 1) // kills
            ids = queue.put(rows(first, last - first))
            sent |= {f"{message_id(f'sqs:{each}')}-0": float(first + i) for i, each in enumerate(ids)}
            worker = lives.start()
            time.sleep(chance.uniform(0.02, 0.25))
            lives.end(worker, "kill")
        worker = lives.start()
        until(lambda: queue.left() == 0, 60)
        lives.end(worker, "kill")
    finally:
        lives.close()
    found: dict[str, set[float]] = {}
    for row in captured():
        found.setdefault(row["prediction_id"], set()).add(dict(row["numeric"])["temp"])
    assert found == {key: {value} for key, value in sent.items()}


def test_twenty_kills_lose_no_event(settings: dict[str, Any]) -> None:
    survive(settings, kills=20, events=60, seed=7)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_a_thousand_kills_lose_no_event(settings: dict[str, Any]) -> None:
    survive(settings, kills=1000, events=5_000, seed=8)
