"""Stream events a second: a worker on an emulated SQS queue, against a consumer that only receives and deletes.

The emulation is one process on the same cores and by far the slowest part (it looks at every message for each that it
hands out), so the rates say how little the worker adds, not how fast SQS is. Both consumers use the same source
(`serving.stream.sqs`); each turn measures one after the other, each on a queue of its own. What scoring and writing
cost by themselves is measured besides, without any queue.
"""

import argparse
import asyncio
import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import botocore.session
from botocore.exceptions import BotoCoreError
from serving.event_store import parquet
from serving.logs import Log
from serving.metrics import Metrics
from serving.model import load
from serving.package import verify_directory
from serving.plane import Plane
from serving.settings import Settings
from serving.stream.aws import Aws
from serving.stream.score import Scorer
from serving.stream.source import Message
from serving.stream.sqs import SqsSource

from bench import measure

_EVENTS = 200
_WINDOW = 1000
_BUCKET = "captured"


def run(options: argparse.Namespace) -> None:
    """Measure both and write stream.md."""
    rates: dict[str, list[float]] = {"slipway": [], "acknowledges only": []}
    with tempfile.TemporaryDirectory() as scratch, _emulation():
        package = measure.package(Path(scratch))
        body = json.dumps({"rows": [dict(verify_directory(package).golden.rows[0])]})
        client = _client("sqs")
        _client("s3").create_bucket(Bucket=_BUCKET)
        for turn in range(options.repeats):
            rates["slipway"].append(_EVENTS / _slipway(client, package, _filled(client, f"scored-{turn}", body)))
            taken = _filled(client, f"taken-{turn}", body)
            rates["acknowledges only"].append(_EVENTS / asyncio.run(_acknowledge(taken)))
            sys.stderr.write(f"turn {turn + 1} of {options.repeats} done\n")
        text = _report(rates, _own_seconds(package, body))
    measure.write_report(Path(options.out) / "stream.md", text)


@contextmanager
def _emulation() -> Generator[None]:
    """An AWS emulation of its own, and the variables that lead there."""
    port = measure.free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    values = {"ENDPOINT_URL": f"http://127.0.0.1:{port}", "DEFAULT_REGION": "us-east-1"}
    values |= dict.fromkeys(("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"), "any")
    os.environ.update({f"AWS_{name}": value for name, value in values.items()})
    try:
        _wait_for(lambda: _client("s3").list_buckets() is not None)
        yield
    finally:
        process.terminate()
        process.wait()


def _client(service: str) -> Any:
    return botocore.session.get_session().create_client(service)


def _filled(client: Any, name: str, body: str) -> str:
    """URL of a new queue with the events on it."""
    url: str = client.create_queue(QueueName=name)["QueueUrl"]
    for _ in range(_EVENTS // 10):
        entries = [{"Id": str(number), "MessageBody": body} for number in range(10)]
        client.send_message_batch(QueueUrl=url, Entries=entries)
    return url


def _slipway(client: Any, package: Path, url: str) -> float:
    """Seconds from a worker's first sight of the queue to its last acknowledgement."""
    settings = {
        "MODEL_DIR": package, "BIND": "127.0.0.1", "REST_PORT": measure.free_port(), "DRAIN_SECONDS": 10,
        "STREAM_SOURCE": "sqs", "STREAM_QUEUE_URL": url, "STREAM_DEAD_LETTERS_URL": url,
        "CAPTURE_URI": f"s3://{_BUCKET}/bench/",
    }  # fmt: skip
    environment = os.environ | {f"SLIPWAY_{key}": str(value) for key, value in settings.items()}
    process = subprocess.Popen([sys.executable, "-m", "serving", "stream"], env=environment, stderr=subprocess.DEVNULL)
    try:
        _wait_for(lambda: _left(client, url)[1] > 0)
        began = time.perf_counter()
        _wait_for(lambda: sum(_left(client, url)) == 0)
        return time.perf_counter() - began
    finally:
        process.terminate()
        process.wait()


async def _acknowledge(url: str) -> float:
    aws = Aws()
    source = SqsSource(aws, Settings(stream_queue_url=url))
    await source.open()
    began, seen = time.perf_counter(), 0
    while seen < _EVENTS:
        messages = await source.fetch(_WINDOW)
        await source.acknowledge(messages)
        seen += len(messages)
    seconds = time.perf_counter() - began
    await source.close()
    aws.close()
    return seconds


def _own_seconds(package: Path, body: str) -> tuple[float, float]:
    """Seconds that an event of a full window takes to decode, check and predict, and to become Parquet: best of 5."""
    model = load(verify_directory(package))
    plane = Plane([model], Metrics(), max_queue=1, deadline_seconds=1)
    scorer = Scorer(plane, Log("error"), max_rows=1, attempts=1)
    window = [Message(f"m{number}", "", body.encode(), time.time(), None) for number in range(_WINDOW)]
    scoring, writing = float("inf"), float("inf")
    for _ in range(5):
        began = time.perf_counter()
        rows = [row for scored in scorer.score(window) for row in scored.captured]
        between = time.perf_counter()
        parquet(rows, "stream")
        scoring, writing = min(scoring, between - began), min(writing, time.perf_counter() - between)
    return scoring / _WINDOW, writing / _WINDOW


def _left(client: Any, url: str) -> tuple[int, int]:
    """Messages that wait, and those in some consumer's hands."""
    found = client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    return int(found["ApproximateNumberOfMessages"]), int(found["ApproximateNumberOfMessagesNotVisible"])


def _wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while time.monotonic() < end:
        with contextlib.suppress(BotoCoreError):
            if condition():
                return
        time.sleep(0.05)
    raise SystemExit("the emulation or the worker does not get on")


def _report(rates: dict[str, list[float]], own: tuple[float, float]) -> str:
    ratios = sorted(mine / other for mine, other in zip(rates["slipway"], rates["acknowledges only"], strict=True))
    about = (
        f"{_EVENTS} events of one row on an emulated SQS queue (one process, on the same {os.cpu_count()} cores), "
        f"Python {platform.python_version()}, {len(ratios)} turns. The worker starts, predicts, writes Parquet to the "
        "emulated S3, then deletes; the other receives and deletes. The emulation bounds both rates. "
        "`python -m bench stream`."
    )
    lines = ["# Streams, against a consumer that only acknowledges", "", about, ""]
    lines += ["| consumer | events/s, median | least | most |", "|---|---|---|---|"]
    for name, taken in rates.items():
        lines.append(f"| {name} | {statistics.median(taken):,.0f} | {min(taken):,.0f} | {max(taken):,.0f} |")
    scoring, writing = (1e6 * seconds for seconds in own)
    alone = (
        f"Without a queue, an event of a window of {_WINDOW} takes {scoring:.0f} µs to decode, check and predict, and "
        f"{writing:.0f} µs to become Parquet: {1e6 / (scoring + writing):,.0f} events a second of one core."
    )
    within = f"Ratio within a turn: {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})."
    lines += ["", within, "", alone]
    return "\n".join(lines) + "\n"
