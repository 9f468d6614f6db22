"""Stream events a second: a worker on an emulated SQS queue, against a consumer that only receives and deletes.

The emulation is one process on the same cores and by far the slowest part, so this says how little the worker adds, not
how fast SQS is. Both consumers use the same source (`serving.stream_sqs`); each turn measures one after the other.
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
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import botocore.session
from botocore.exceptions import BotoCoreError
from serving.aws import Aws
from serving.package import verify_directory
from serving.settings import Settings
from serving.stream_sqs import SqsSource

from bench import measure

_EVENTS = 300
_BUCKET = "captured"


def run(options: argparse.Namespace) -> None:
    """Measure both and write stream.md."""
    rates: dict[str, list[float]] = {"slipway": [], "acknowledges only": []}
    with tempfile.TemporaryDirectory() as scratch, _emulation():
        package = measure.package(Path(scratch))
        client = _client("sqs")
        urls = {name: client.create_queue(QueueName=name)["QueueUrl"] for name in ("events", "failed")}
        _client("s3").create_bucket(Bucket=_BUCKET)
        body = _message(package)
        for turn in range(options.repeats):
            _fill(client, urls["events"], body)
            rates["slipway"].append(_EVENTS / _slipway(client, package, urls))
            _fill(client, urls["events"], body)
            rates["acknowledges only"].append(_EVENTS / asyncio.run(_acknowledge(urls["events"])))
            sys.stderr.write(f"turn {turn + 1} of {options.repeats} done\n")
    text = _report(rates)
    Path(options.out).mkdir(parents=True, exist_ok=True)
    (Path(options.out) / "stream.md").write_text(text)
    sys.stdout.write(text)


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


def _message(package: Path) -> str:
    return json.dumps({"rows": [dict(verify_directory(package).golden.rows[0])]})


def _fill(client: Any, url: str, body: str) -> None:
    for _ in range(_EVENTS // 10):
        entries = [{"Id": str(number), "MessageBody": body} for number in range(10)]
        client.send_message_batch(QueueUrl=url, Entries=entries)


def _slipway(client: Any, package: Path, urls: dict[str, str]) -> float:
    """Seconds from a ready worker's first sight of the queue to its last acknowledgement."""
    settings = {
        "MODEL_DIR": package, "BIND": "127.0.0.1", "REST_PORT": measure.free_port(), "DRAIN_SECONDS": 0,
        "STREAM_SOURCE": "sqs", "STREAM_QUEUE_URL": urls["events"], "STREAM_DEAD_LETTERS_URL": urls["failed"],
        "CAPTURE_URI": f"s3://{_BUCKET}/bench/",
    }  # fmt: skip
    environment = os.environ | {f"SLIPWAY_{key}": str(value) for key, value in settings.items()}
    process = subprocess.Popen([sys.executable, "-m", "serving", "stream"], env=environment, stderr=subprocess.DEVNULL)
    try:
        _wait_for(lambda: _left(client, urls["events"])[1] > 0)
        began = time.perf_counter()
        _wait_for(lambda: sum(_left(client, urls["events"])) == 0)
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
        messages = await source.fetch(1000)
        await source.acknowledge(messages)
        seen += len(messages)
    seconds = time.perf_counter() - began
    await source.close()
    aws.close()
    return seconds


def _left(client: Any, url: str) -> tuple[int, int]:
    """Messages that wait, and those in some consumer's hands."""
    found = client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    return int(found["ApproximateNumberOfMessages"]), int(found["ApproximateNumberOfMessagesNotVisible"])


def _wait_for(condition: Any) -> None:
    end = time.monotonic() + 120
    while time.monotonic() < end:
        with contextlib.suppress(BotoCoreError):
            if condition():
                return
        time.sleep(0.05)
    raise SystemExit("the emulation or the worker does not get on")


def _report(rates: dict[str, list[float]]) -> str:
    ratios = sorted(mine / other for mine, other in zip(rates["slipway"], rates["acknowledges only"], strict=True))
    about = (
        f"{_EVENTS} events of one row on an emulated SQS queue (one process, on the same {os.cpu_count()} cores), "
        f"Python {platform.python_version()}, {len(ratios)} turns. The worker predicts, writes Parquet to the emulated "
        "S3, then deletes; the other receives and deletes. `python -m bench stream`."
    )
    lines = ["# Streams, against a consumer that only acknowledges", "", about, ""]
    lines += [
        "| consumer | events/s, median | least | most |",
        "|---|---|---|---|",
    ]
    for name, taken in rates.items():
        lines.append(f"| {name} | {statistics.median(taken):,.0f} | {min(taken):,.0f} | {max(taken):,.0f} |")
    middle = statistics.median(ratios)
    lines += ["", f"Ratio within a turn: {middle:.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})."]
    return "\n".join(lines) + "\n"
