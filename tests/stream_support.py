"""What the tests of stream workers share: emulated AWS, workers that are cheap to start and kill, what they wrote."""

import io
import json
import logging
import os
import subprocess
import sys
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pyarrow.parquet as pq
from moto.server import ThreadedMotoServer
from serving_process import environment

CAPTURED = "captured"


@contextmanager
def emulated_aws() -> Generator[dict[str, str]]:
    """AWS on loopback, empty, with a bucket for captured predictions: the variables that lead there."""
    emulation = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    emulation.start()
    host, port = emulation.get_host_and_port()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    urllib.request.urlopen(urllib.request.Request(f"http://{host}:{port}/moto-api/reset", method="POST")).close()
    keys = {"ACCESS_KEY_ID": "any", "SECRET_ACCESS_KEY": "any", "DEFAULT_REGION": "us-east-1"}
    variables = {f"AWS_{name}": value for name, value in (keys | {"ENDPOINT_URL": f"http://{host}:{port}"}).items()}
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        boto3.client("s3").create_bucket(Bucket=CAPTURED)
        yield variables
    finally:
        os.environ.clear()
        os.environ.update(before)
        emulation.stop()


class Queue:
    """An SQS queue."""

    def __init__(self, name: str) -> None:
        self.client: Any = boto3.client("sqs")
        self.url: str = self.client.create_queue(QueueName=name)["QueueUrl"]

    def put(self, bodies: list[str]) -> list[str]:
        """Message ids."""
        ids: list[str] = []
        for start in range(0, len(bodies), 10):
            entries = [{"Id": str(i), "MessageBody": body} for i, body in enumerate(bodies[start : start + 10])]
            answer = self.client.send_message_batch(QueueUrl=self.url, Entries=entries)
            ids += [each["MessageId"] for each in sorted(answer["Successful"], key=lambda each: int(each["Id"]))]
        return ids

    def left(self) -> int:
        """Messages that are not deleted."""
        found = self.client.get_queue_attributes(QueueUrl=self.url, AttributeNames=["All"])["Attributes"]
        return int(found["ApproximateNumberOfMessages"]) + int(found["ApproximateNumberOfMessagesNotVisible"])

    def take(self) -> list[dict[str, Any]]:
        """Up to ten messages, with their attributes as plain strings, deleted."""
        answer = self.client.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10, MessageAttributeNames=["All"])
        found: list[dict[str, Any]] = []
        for message in answer.get("Messages", []):
            about = {name: value["StringValue"] for name, value in message.get("MessageAttributes", {}).items()}
            found.append({"body": message["Body"], **about})
            self.client.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
        return found


def captured() -> list[dict[str, Any]]:
    """Every row in the event store."""
    client: Any = boto3.client("s3")
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=CAPTURED)
    keys = [found["Key"] for page in pages for found in page.get("Contents", [])]
    bodies = [client.get_object(Bucket=CAPTURED, Key=key)["Body"].read() for key in keys]
    return [row for body in bodies for row in pq.read_table(io.BytesIO(body)).to_pylist()]


def rows(first: int, count: int) -> list[str]:
    """Messages of one row each, whose `temp` tells them apart."""
    return [json.dumps({"rows": [{"carrier": "UA", "temp": float(i)}]}) for i in range(first, first + count)]


class Lives:
    """Starts the same stream worker again and again, in a few milliseconds each: forks of one that has imported all."""

    def __init__(self, **settings: Any) -> None:
        self._nursery = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("stream_nursery.py"))],
            env=environment(**settings),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def start(self) -> int:
        """The pid of a new worker."""
        return int(self._tell("start"))

    def end(self, pid: int, how: str) -> None:
        """End a worker: `kill` (at once) or `term` (it drains). Returns when it is gone."""
        self._tell(f"{how} {pid}")

    def close(self) -> None:
        """End what still runs."""
        assert self._nursery.stdin is not None
        assert self._nursery.stdout is not None
        self._nursery.stdin.close()
        self._nursery.wait(30)
        self._nursery.stdout.close()

    def _tell(self, command: str) -> str:
        assert self._nursery.stdin is not None
        assert self._nursery.stdout is not None
        self._nursery.stdin.write(command + "\n")
        self._nursery.stdin.flush()
        answer = self._nursery.stdout.readline()
        assert answer, f"the nursery ended at {command!r}"
        return answer.strip()
