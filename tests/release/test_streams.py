"""`slipway send` on an emulated queue, and what `slipway status` says of it."""

import io
import json
import os
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast
from unittest.mock import Mock

import boto3
import pytest
from release_support import deployed, make_checkout
from stream_support import Queue, emulated_aws

from release import streams
from release.cli.main import run
from release.cli.rows import read_rows
from release.cluster import Pod, Workload
from release.environment import DeployedService, DeployedStream, Environment, read_deployed
from release.errors import SlipwayError
from release.releases import Release
from release.verify import what_is_missing

SERVICE = "flight-delay"


@pytest.fixture
def stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DeployedStream]:
    """The stream of the example service, on an emulated queue that this checkout's `local` is deployed with."""
    root = make_checkout(tmp_path / "checkout")
    monkeypatch.setenv("SLIPWAY_ROOT", str(root))
    with emulated_aws():
        monkeypatch.setattr(streams, "sqs", Mock(return_value=cast("Any", boto3).client("sqs")))
        made = DeployedStream("sqs", Queue("events").url, Queue("failed").url)
        deploy(Environment("local", root), made)
        yield made


def deploy(environment: Environment, stream: DeployedStream | None) -> None:
    about = {"source": stream.source, "url": stream.url, "dead_letters": stream.dead_letters} if stream else None
    service = {"namespace": "n", "model": "m", "patterns": ["rest", "stream"], "stream": about}
    deployed(environment, services={SERVICE: service}, capture_bucket="captured")


def test_rows_are_put_in_batches_and_the_wait_ends_with_the_last(
    stream: DeployedStream, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps({"carrier": "UA", "temp": i}) + "\n" for i in range(23)))
    taken: list[str] = []

    def work() -> None:
        queue, failed = Queue("events"), Queue("failed")
        end = time.monotonic() + 30
        while len(taken) < 23 and time.monotonic() < end:
            taken.extend(message["body"] for message in queue.take())
        failed.put(["one of them"])

    worker = threading.Thread(target=work)
    worker.start()
    try:
        assert run(["send", SERVICE, str(file), "--wait", "--json"]) == 0
    finally:
        worker.join()
    result = json.loads(capsys.readouterr().out)
    assert (result["sent"], result["event_store"]) == (23, f"s3://captured/{SERVICE}/")
    assert sorted(json.loads(body)["rows"][0]["temp"] for body in taken) == list(range(23))
    assert streams.depth(Environment("local", tmp_path), stream.dead_letters) == 1


def test_a_person_is_told_how_many_and_where_the_predictions_go(
    stream: DeployedStream, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO('{"rows": [{"carrier": "UA"}, {"carrier": "AA"}]}'))
    assert run(["send", SERVICE, "-"]) == 0
    said = capsys.readouterr().out
    assert "2 messages put on events" in said
    assert f"s3://captured/{SERVICE}/date=" in said
    assert Queue("events").left() == 2


def test_what_takes_no_rows_says_so(stream: DeployedStream, tmp_path: Path) -> None:
    (file := tmp_path / "rows.json").write_text('[{"carrier": "UA"}]')
    environment = Environment("local", tmp_path / "checkout")
    for other, says in (
        (None, f"{SERVICE} has no stream"),
        (DeployedStream("kafka", "broker:9092", "x"), "events go into a Kafka topic (broker:9092)"),
        (DeployedStream("kinesis", "events", "x"), "events go into a Kinesis stream (events)"),
    ):
        deploy(environment, other)
        with pytest.raises(SlipwayError, match=re.escape(says)) as caught:
            run(["send", SERVICE, str(file)])
        assert caught.value.exit_code == 2


def test_a_wait_has_an_end(stream: DeployedStream, tmp_path: Path) -> None:
    Queue("events").put(["nobody takes this"])
    with pytest.raises(SlipwayError, match="1 messages are still in the queue"):
        streams.wait_until_answered(Environment("local", tmp_path), stream, 0.1)


def test_the_depth_on_one_machine_is_asked_without_loading_an_aws_library(
    stream: DeployedStream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """botocore takes half a second to load, which `slipway status` does not have."""
    daemon = {"layout": 1, "pid": 1, "started": 1.0, "kubernetes_endpoint": "", "kubeconfig": "", "account": ""}
    daemon |= {"aws_endpoint": os.environ["AWS_ENDPOINT_URL"], "region": os.environ["AWS_DEFAULT_REGION"]}
    environment = Environment("local", tmp_path)
    environment.directory.mkdir(parents=True)
    (environment.directory / "daemon.json").write_text(json.dumps(daemon))
    monkeypatch.setattr(streams, "sqs", Mock(side_effect=AssertionError))
    Queue("events").put(["one", "two"])
    assert streams.depth(environment, stream.url) == 2
    assert streams.depth(environment, f"{stream.url}-gone") is None


def test_the_depth_of_what_does_not_answer_is_unknown(stream: DeployedStream, tmp_path: Path) -> None:
    assert streams.depth(Environment("local", tmp_path), stream.url + "-gone") is None


def test_a_service_with_a_stream_has_a_worker_beside_its_server(stream: DeployedStream, tmp_path: Path) -> None:
    service = read_deployed(Environment("local", tmp_path / "checkout")).services[SERVICE]
    assert service.stream == stream
    assert [(each.deployment, each.component) for each in service.workloads] == [
        ("flight-delay-rest", "rest"),
        ("flight-delay-stream", "stream"),
    ]


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("a.csv", 'a,hour,temp\nUA,5,\n"A,A",6,3.5\n', [{"a": "UA", "hour": 5}, {"a": "A,A", "hour": 6, "temp": 3.5}]),
        ("a.json", '{"rows": [{"a": 1}]}', [{"a": 1}]),
        ("a.json", '{"a": 1}', [{"a": 1}]),
        ("a.jsonl", '{"a": 1}\n\n{"a": 2}\n', [{"a": 1}, {"a": 2}]),
        ("a.csv", "a,b\n1\n", "line 2: not as many fields as names"),
        ("a.csv", "a,b\n", "expected rows"),
        ("a.json", "nope", "not JSON, and not JSON lines"),
        ("a.json", "[1]", "expected rows, each one an object"),
    ],
)  # fmt: skip
def test_rows_are_read_from_every_usual_form(tmp_path: Path, name: str, text: str, found: Any) -> None:
    (tmp_path / name).write_text(text)
    if isinstance(found, str):
        with pytest.raises(SlipwayError, match=found):
            read_rows(str(tmp_path / name))
    else:
        assert read_rows(str(tmp_path / name)) == found


class Rollout:
    """A cluster where each pattern has one pod, which serves what `versions` says."""

    def __init__(self, **versions: str) -> None:
        self.versions = versions

    def workload(self, service: DeployedService) -> Workload:
        return Workload(1, 1, 1, settled=True)

    def pods(self, service: DeployedService) -> list[Pod]:
        version = self.versions[service.component]
        return [Pod(service.deployment, "n", version, None, "Running", True, 0, "", False, "", None)]

    def ask_pod(self, pod: Pod, path: str) -> tuple[int, Any]:
        return 200, {"versions": [pod.version]}

    def ask_service(self, service: DeployedService, path: str) -> tuple[int, Any]:
        return 200, {"versions": [self.versions["rest"]]}


@pytest.mark.parametrize(
    ("versions", "missing"),
    [
        ({"rest": "2", "stream": "2"}, None),
        ({"rest": "2", "stream": "1"}, "pod flight-delay-stream serves 1, not m 2"),
        ({"rest": "1", "stream": "2"}, "pod flight-delay-rest serves 1, not m 2"),
    ],
)
def test_a_release_is_live_when_the_stream_worker_has_it_too(
    stream: DeployedStream, tmp_path: Path, versions: dict[str, str], missing: str | None
) -> None:
    service = read_deployed(Environment("local", tmp_path / "checkout")).services[SERVICE]
    cluster: Any = Rollout(**versions)
    assert what_is_missing(cluster, service, Release("m", "2", "sha256:0")) == missing
