import io
import json
import logging
import os
import signal
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pyarrow.parquet as pq
import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http
from moto.server import ThreadedMotoServer
from serving import spool
from serving.capture import read_outcomes
from serving.errors import InvalidInputError
from serving.event_store import CAPTURE, OUTCOMES
from serving.logs import Log
from serving.manifest import encode
from serving.metrics import Metrics
from serving.model import Model
from serving.settings import Settings
from serving.shipping import Shipper
from serving.spool import WHOLE, Kind, Record, Spool
from serving_packages import score
from serving_process import Server, serving_test_model
from waiting import until

QUIET = Log("error")


def record(number: int, at: int = 0) -> Record:
    request = {"rows": [{"carrier": "UA", "temp": number}]}
    response = {"predictions": [{"prediction_id": f"p{number}-0", "probability": 0.5, "label": "late"}]}
    return Record(Kind.PREDICT, at, 7, json.dumps(request).encode(), WHOLE, json.dumps(response).encode(), WHOLE)


def spool_in(directory: Path, model: Model, metrics: Metrics | None = None, **options: Any) -> Spool:
    given: dict[str, Any] = {"flush_seconds": 0.02, "segment_seconds": 60, "max_bytes": 10**9, **options}
    return Spool(directory, "capture", encode(model.manifest), QUIET, metrics or Metrics(), **given)


class Bucket:
    """An S3 client in miniature, which may fail."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.error: Exception | None = None

    def put_object(self, Bucket: str, Key: str, Body: bytes) -> None:  # noqa: N803 - boto3's names
        if self.error is not None:
            raise self.error
        self.objects[f"{Bucket}/{Key}"] = Body

    def rows(self, name: str = "") -> list[dict[str, Any]]:
        found = [pq.read_table(io.BytesIO(body)).to_pylist() for key, body in self.objects.items() if name in key]
        return [row for rows in found for row in rows]


@pytest.fixture
def bucket() -> Bucket:
    return Bucket()


@pytest.fixture
def shipper(tmp_path: Path, bucket: Bucket) -> Shipper:
    settings = Settings(spool_dir=tmp_path, capture_uri="s3://captured/delays/", outcomes_uri="s3://out/delays/")
    return Shipper(settings, QUIET, bucket)  # type: ignore[arg-type]


def test_records_become_rows_of_the_table_by_hour(
    tmp_path: Path, model: Model, bucket: Bucket, shipper: Shipper
) -> None:
    hour = 3_600_000_000
    writer = spool_in(tmp_path, model)
    for number in range(5):
        writer.add(record(number, at=1_800_000_000_000_000 // hour * hour + (number // 3) * hour))
    writer.close()
    shipper.convert()
    shipper.upload()
    at = datetime.fromtimestamp(1_800_000_000 // 3600 * 3600, UTC)
    folders = [key.rpartition("/")[0] for key in sorted(bucket.objects)]
    assert folders == [f"captured/delays/date={at:%Y-%m-%d}/hour={at.hour + i:02}" for i in (0, 1)]
    rows = sorted(bucket.rows(), key=lambda row: row["prediction_id"])
    assert rows[3] == {
        "prediction_id": "p3-0",
        "at": datetime.fromtimestamp(at.timestamp() + 3600, UTC).replace(tzinfo=None),
        "model_version": "1",
        "pattern": "rest",
        "numeric": [("temp", 3.0)],
        "categorical": [("carrier", "UA")],
        "outputs": [("probability", 0.5), ("label", 1.0)],
        "latency_us": 7,
    }
    assert not list(spool.finished(tmp_path))


def test_the_schemas_are_those_of_the_registered_tables() -> None:
    from components import tables

    kinds = {"timestamp[us]": "timestamp", "int64": "bigint", "double": "double", "string": "string"}
    maps = {"map<string, double>": "map<string,double>", "map<string, string>": "map<string,string>"}
    for schema, table in ((CAPTURE, tables.CAPTURE), (OUTCOMES, tables.OUTCOMES)):
        found = {name: (kinds | maps)[str(kind)] for name, kind in zip(schema.names, schema.types, strict=True)}
        assert found == table.columns


def test_a_killed_writer_loses_no_more_than_was_not_flushed(
    tmp_path: Path, model: Model, bucket: Bucket, shipper: Shipper
) -> None:
    """A process that is killed amid writing: what it had flushed is shipped by whoever comes next."""
    child = os.fork()
    if child == 0:
        writer = spool_in(tmp_path, model, flush_seconds=0.01)
        for number in range(1000):
            writer.add(record(number))
        time.sleep(60)
    until(lambda: any(file.stat().st_size > 100_000 for file in tmp_path.rglob("*.open")), 90)
    shipper.convert()
    assert not list(spool.finished(tmp_path)), "a living writer's segment is not touched"
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    (segment,) = tmp_path.rglob("*.open")
    segment.write_bytes(segment.read_bytes() + spool.RECORD.pack(1, 2, 3, 4, 5, 6, 7) + b"cut")
    shipper.convert()
    shipper.upload()
    assert sorted(int(row["prediction_id"][1:-2]) for row in bucket.rows()) == list(range(1000))


def test_s3_failing_loses_nothing_and_a_second_try_gives_the_same_objects(
    tmp_path: Path, model: Model, bucket: Bucket, shipper: Shipper
) -> None:
    from botocore.exceptions import EndpointConnectionError

    writer = spool_in(tmp_path, model)
    for number in range(10):
        writer.add(record(number))
    writer.close()
    bucket.error = EndpointConnectionError(endpoint_url="http://s3")
    segment = next(spool.finished(tmp_path))
    content = segment.read_bytes()
    shipper.convert()
    shipper.upload()
    assert not bucket.objects
    assert [spool.records_of(file) for file in spool.finished(tmp_path)] == [10]
    bucket.error = None
    shipper.upload()
    before = dict(bucket.objects)
    segment.write_bytes(content)  # as if it had been killed before it could delete the segment
    shipper.convert()
    shipper.upload()
    assert bucket.objects.keys() == before.keys()
    assert len(bucket.rows()) == 10


def test_beyond_its_bound_the_oldest_are_dropped_and_counted(tmp_path: Path, model: Model) -> None:
    metrics = Metrics()
    writer = spool_in(tmp_path, model, metrics, segment_seconds=0.05, max_bytes=200_000)
    for number in range(3000):
        writer.add(record(number))
        if number % 100 == 0:
            time.sleep(0.06)
    writer.close()
    kept = [record for file in sorted(spool.finished(tmp_path)) for record in spool.read(file.read_bytes())[1]]
    assert sum(file.stat().st_size for file in spool.finished(tmp_path)) <= 200_000
    numbers = [json.loads(each.request)["rows"][0]["temp"] for each in kept]
    assert numbers == list(range(3000 - len(numbers), 3000))
    counted = [line for line in metrics.render().splitlines() if line.startswith("slipway_capture_dropped_total{")]
    assert counted == [f'slipway_capture_dropped_total{{spool="capture"}} {3000 - len(numbers)}']


def test_a_spool_that_cannot_be_written_costs_no_prediction(tmp_path: Path, model: Model) -> None:
    (tmp_path / "capture").write_text("a file where the folder should be")
    metrics = Metrics()
    writer = spool_in(tmp_path, model, metrics)
    writer.add(record(1))
    writer.close()
    assert 'slipway_capture_dropped_total{spool="capture"} 1\n' in metrics.render()


def test_what_is_no_segment_is_left_out(tmp_path: Path, bucket: Bucket, shipper: Shipper) -> None:
    (tmp_path / "capture").mkdir()
    (tmp_path / "capture" / "1-a-1.ready").write_bytes(b"nonsense")
    (tmp_path / "capture" / "2-b-1.ready").write_bytes(spool.MAGIC + b"\x02\0\0\0{}")
    shipper.convert()
    shipper.upload()
    assert not bucket.objects
    assert not list(spool.finished(tmp_path))


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"{}", "prediction_id: missing"),
        (b'{"prediction_id": "a"}', r"outcomes\[0\]: expected a label, a value, or both"),
        (b'{"prediction_id": "a", "value": "x"}', "value: expected a number or null, got a string"),
        (b'{"outcomes": []}', "outcomes: expected a list of length >= 1"),
        (b'{"outcomes": [{"prediction_id": "a", "lable": 1}]}', r"outcomes\[0\]\.lable: unknown"),
    ],
)
def test_a_wrong_outcome_is_refused_with_its_field(body: bytes, why: str) -> None:
    with pytest.raises(InvalidInputError, match=why):
        read_outcomes(body, 10)


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An emulated S3 that other processes reach: a client of it."""
    emulation = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    emulation.start()
    host, port = emulation.get_host_and_port()
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    urllib.request.urlopen(urllib.request.Request(f"http://{host}:{port}/moto-api/reset", method="POST")).close()
    keys = {"ACCESS_KEY_ID": "any", "SECRET_ACCESS_KEY": "any", "DEFAULT_REGION": "us-east-1"}
    for name, value in (keys | {"ENDPOINT_URL": f"http://{host}:{port}"}).items():
        monkeypatch.setenv(f"AWS_{name}", value)
    client = boto3.client("s3")
    for bucket in ("captured", "outcomes"):
        client.create_bucket(Bucket=bucket)
    yield client
    emulation.stop()


def rows_in(s3: Any, bucket: str) -> list[dict[str, Any]]:
    keys = [found["Key"] for found in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]
    bodies = [s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys]
    return [row for body in bodies for row in pq.read_table(io.BytesIO(body)).to_pylist()]


def ask_over_triton(server: Server) -> None:
    for library, port in ((triton_http, server.port), (triton_grpc, server.grpc_port)):
        carrier = library.InferInput("carrier", [2, 1], "BYTES")
        carrier.set_data_from_numpy(np.array([["AA"], ["DL"]], object))
        weather = library.InferInput("weather", [2, 2], "FP32")
        weather.set_data_from_numpy(np.array([[1, 2], [np.nan, 3]], np.float32))
        with library.InferenceServerClient(f"127.0.0.1:{port}") as client:
            client.infer("delay", [carrier, weather])


@pytest.mark.integration
@pytest.mark.parametrize("workers", [1, 2])
def test_a_server_captures_every_transport_and_outcomes(tmp_path: Path, s3: Any, workers: int) -> None:
    settings: dict[str, Any] = {
        "capture_uri": "s3://captured/delays/",
        "outcomes_uri": "s3://outcomes/delays/",
        "spool_dir": tmp_path / "spool",
        "capture_flush_seconds": 0.1,
        "capture_segment_seconds": 0.3,
    }
    with serving_test_model(tmp_path, workers=workers, drain_seconds=0.5, **settings) as server:
        answer = server.post("/predict", {"rows": [{"carrier": "UA", "temp": 2, "wind": 4}, {"carrier": "UA"}]}).json
        prediction_id = answer["predictions"][0]["prediction_id"]
        ask_over_triton(server)
        given = {"outcomes": [{"prediction_id": prediction_id, "label": "late"}, {"prediction_id": "x", "value": 3}]}
        assert server.post("/outcomes", given).json == {"accepted": 2}
        assert server.post("/outcomes", {"prediction_id": "y", "label": True}).status == 200
        assert server.post("/outcomes", {"prediction_id": "y"}).status == 400
        rows = until(lambda: len(found := rows_in(s3, "captured")) == 6 and found, 90)
        server.post("/predict", {"rows": [{"carrier": "ZZ"}]})
        assert server.stop() == 0
    mine = next(row for row in rows if row["prediction_id"] == prediction_id)
    assert dict(mine["numeric"]) == {"temp": 2.0, "wind": 4.0}
    assert dict(mine["outputs"]) == {"probability": pytest.approx(score("UA", 2, 4), abs=1e-6), "label": 1.0}
    tensors = [row for row in rows if dict(row["categorical"]) == {"carrier": "AA"}]
    assert [dict(row["numeric"]) for row in tensors] == [{"temp": 1.0, "wind": 2.0}] * 2
    assert [dict(row["outputs"])["probability"] for row in tensors] == pytest.approx([score("AA", 1, 2)] * 2, abs=1e-6)
    assert [dict(row["numeric"]) for row in rows if dict(row["categorical"]) == {"carrier": "DL"}] == [
        {"wind": 3.0}
    ] * 2
    assert any(dict(row["categorical"]) == {"carrier": "ZZ"} for row in rows_in(s3, "captured")), "shipped at the end"
    outcomes = {row["prediction_id"]: (row["label"], row["value"]) for row in rows_in(s3, "outcomes")}
    assert outcomes == {prediction_id: ("late", None), "x": (None, 3.0), "y": ("true", None)}


@pytest.mark.integration
def test_without_a_place_for_them_outcomes_are_refused(server: Server) -> None:
    reply = server.post("/outcomes", {"prediction_id": "y", "label": "x"})
    assert (reply.status, reply.json) == (
        404,
        {"error": "this service keeps no outcomes: SLIPWAY_OUTCOMES_URI is not set"},
    )
