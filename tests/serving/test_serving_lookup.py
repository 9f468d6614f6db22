"""Rows that name an entity: looked up in DynamoDB, remembered, merged, and never answered wrongly."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pyarrow.parquet as pq
import pytest
from botocore.exceptions import EndpointConnectionError
from moto.server import ThreadedMotoServer
from serving.errors import InvalidInputError, OverloadedError, ServingError, UnavailableError
from serving.keyed_rows import KeyedRows, open_keyed_rows
from serving.logs import Log
from serving.lookup import Entity, FeatureTable, Lookup, feature_tables
from serving.metrics import Metrics
from serving.model import Model
from serving.plane import Plane
from serving.settings import Settings, SettingsError
from serving.stream.core import Limits, Stream
from serving.stream.score import Scored, Scorer
from serving.stream.source import Message
from serving_packages import score
from serving_process import serving_test_model

TABLES = {
    "airports": FeatureTable("slipway-test-airports", "airport", "string"),
    "carriers": FeatureTable("slipway-test-carriers", "carrier_id", "bigint"),
}
SETTING = json.dumps({group: {"table": t.table, "key": t.key, "key_type": t.key_type} for group, t in TABLES.items()})
QUIET = Log("error")


class Dynamo:
    """DynamoDB's BatchGetItem over some items, which may leave keys unprocessed, fail, or wait."""

    def __init__(self, items: dict[tuple[str, str], dict[str, Any]]) -> None:
        self.items = items
        self.calls: list[set[tuple[str, str]]] = []
        self.unprocessed = 0
        self.stuck = self.failing = False
        self.gate = threading.Event()
        self.gate.set()

    def batch_get_item(self, **asked_for: Any) -> Any:
        requested: dict[str, Any] = asked_for["RequestItems"]
        asked = {
            (table, value) for table, keys in requested.items() for key in keys["Keys"] for (value,) in
            [list(next(iter(key.values())).values())]
        }  # fmt: skip
        self.calls.append(asked)
        assert len(asked) == sum(len(keys["Keys"]) for keys in requested.values()) <= 100
        self.gate.wait(10)
        if self.failing:
            raise EndpointConnectionError(endpoint_url="https://dynamodb")
        left: set[tuple[str, str]] = asked if self.stuck else set()
        if self.unprocessed:
            self.unprocessed -= 1
            left = set(sorted(asked)[1:])
        responses: dict[str, list[Any]] = {table: [] for table in requested}
        for table, key in asked - left:
            if (table, key) in self.items:
                responses[table].append(self.items[table, key])
        pending: dict[str, Any] = {}
        for table, keys in requested.items():
            kept = [key for key in keys["Keys"] if (table, next(iter(next(iter(key.values())).values()))) in left]
            if kept:
                pending[table] = {"Keys": kept}
        return {"Responses": responses, "UnprocessedKeys": pending}


def airport(code: str, **values: Any) -> tuple[tuple[str, str], dict[str, Any]]:
    return ("slipway-test-airports", code), {"airport": {"S": code}, **values}


ITEMS = dict(
    [
        airport("JFK", temp={"N": "3.5"}, wind={"N": "7"}, event_time={"N": "1"}, ignored={"S": "x"}),
        airport("LGA", temp={"N": "1"}, wind={"N": "2"}, expires_at={"N": "1"}),
        airport("EWR", temp={"N": "-0.1"}, expires_at={"N": str(int(time.time()) + 3600)}),
        airport("BAD", temp={"S": "warm"}, wind={"N": "2"}),
        (("slipway-test-carriers", "7"), {"carrier_id": {"N": "7"}, "carrier": {"S": "UA"}, "temp": {"N": "99"}}),
    ]
)


@pytest.fixture
def dynamo() -> Dynamo:
    return Dynamo(dict(ITEMS))


def keyed(model: Model, dynamo: Any, **settings: Any) -> KeyedRows:
    lookup = Lookup(TABLES, Settings(**settings), QUIET, Metrics(), dynamo)
    return KeyedRows(model, TABLES, lookup, max_rows=200)


def ask(rows: KeyedRows, *given: dict[str, Any]) -> Any:
    """The completed rows as dictionaries, or the error."""
    found = rows.complete(rows.decode(json.dumps({"rows": given}).encode()))
    result = found if isinstance(found, list | ServingError) else found.result(10)
    if isinstance(result, ServingError):
        return result
    return [{name: getattr(row, f"f{i}") for i, name in enumerate(rows.features)} for row in result]


def test_a_key_stands_for_the_features_of_its_group(model: Model, dynamo: Dynamo) -> None:
    rows = keyed(model, dynamo)
    assert rows.features == ["carrier", "temp", "wind"]
    assert rows.keys == {"airport": "string", "carrier_id": "bigint"}
    assert ask(rows, {"carrier": "UA", "airport": "JFK"}) == [{"carrier": "UA", "temp": 3.5, "wind": 7.0}]
    assert ask(rows, {"airport": "JFK", "carrier_id": 7}) == [{"carrier": "UA", "temp": 3.5, "wind": 7.0}]
    assert dynamo.calls == [
        {("slipway-test-airports", "JFK")},
        {("slipway-test-carriers", "7")},  # JFK was remembered
    ]


def test_one_call_asks_for_the_keys_of_all_groups_and_rows(model: Model, dynamo: Dynamo) -> None:
    found = ask(keyed(model, dynamo), *[{"airport": "JFK", "carrier_id": 7}] * 3, {"airport": "EWR", "carrier_id": 7})
    assert found[3] == {"carrier": "UA", "temp": -0.1, "wind": None}
    assert [len(call) for call in dynamo.calls] == [3]


def test_what_a_row_gives_wins_and_null_is_not_given(model: Model, dynamo: Dynamo) -> None:
    rows = keyed(model, dynamo)
    assert ask(rows, {"carrier": "AA", "airport": "JFK", "temp": -5, "wind": None}) == [
        {"carrier": "AA", "temp": -5.0, "wind": 7.0}
    ]
    # The first group that has a value gives it.
    assert ask(rows, {"carrier_id": 7, "wind": 1})[0]["temp"] == 99


def test_a_row_with_every_feature_asks_for_nothing(model: Model, dynamo: Dynamo) -> None:
    rows = keyed(model, dynamo)
    assert ask(rows, {"carrier": "AA", "temp": 1, "wind": 2, "airport": "JFK"}) == [
        {"carrier": "AA", "temp": 1.0, "wind": 2.0}
    ]
    assert dynamo.calls == []


@pytest.mark.parametrize("code", ["LGA", "nowhere"])
def test_what_has_expired_or_is_not_there_is_missing_by_the_manifests_rule(
    model: Model, dynamo: Dynamo, code: str
) -> None:
    rows = keyed(model, dynamo)
    (row,) = ask(rows, {"carrier": "UA", "airport": code})
    assert (row["temp"], row["wind"]) == (None, None)
    error = ask(rows, {"airport": "JFK", "carrier_id": 7}, {"airport": code, "carrier_id": 8})
    assert isinstance(error, InvalidInputError)
    assert (
        str(error)
        == f"rows[1].carrier: missing, and so it is in airports of airport '{code}', carriers of carrier_id 8"
    )


def test_an_item_that_expires_while_it_is_remembered_is_missing(
    model: Model, dynamo: Dynamo, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = keyed(model, dynamo)
    assert ask(rows, {"carrier": "UA", "airport": "EWR"})[0]["temp"] == -0.1
    monkeypatch.setattr(time, "time", lambda: 4e9)
    assert ask(rows, {"carrier": "UA", "airport": "EWR"})[0]["temp"] is None
    assert len(dynamo.calls) == 1


def test_a_value_that_does_not_fit_the_model_is_not_the_callers_fault(model: Model, dynamo: Dynamo) -> None:
    error = ask(keyed(model, dynamo), {"carrier": "UA", "airport": "BAD"})
    assert isinstance(error, UnavailableError)
    assert "rows[0]: a feature table has a value that does not fit the model: temp: expected a number" in str(error)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"airport": ""}, "airport: expected a key of 1 to 2048 bytes"),
        ({"airport": "é" * 1025}, "airport: expected a key of 1 to 2048 bytes"),
        ({"carrier_id": 2**63}, "carrier_id: expected a whole number of 64 bits, which is the key"),
        ({"airport": 3}, "rows[0].airport: expected a string or null, got a whole number"),
        ({"aeroport": "JFK"}, "rows[0].aeroport: unknown"),
        ({"airport": "JFK", "temp": "warm"}, "rows[0].temp: expected a number or null, got a string"),
    ],
)
def test_a_wrong_key_or_feature_is_refused_before_anything_is_asked(
    model: Model, dynamo: Dynamo, row: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidInputError) as error:
        ask(keyed(model, dynamo), row)
    assert str(error.value) == message
    assert dynamo.calls == []


def test_unprocessed_keys_are_asked_for_again(model: Model, dynamo: Dynamo) -> None:
    dynamo.unprocessed = 2
    found = ask(keyed(model, dynamo), {"airport": "JFK", "carrier_id": 7}, {"airport": "EWR", "carrier": "AA"})
    assert found == [{"carrier": "UA", "temp": 3.5, "wind": 7.0}, {"carrier": "AA", "temp": -0.1, "wind": None}]
    assert [len(call) for call in dynamo.calls] == [3, 2, 1]


def test_keys_that_stay_unprocessed_are_an_error_not_missing(model: Model, dynamo: Dynamo) -> None:
    dynamo.stuck = True
    error = ask(keyed(model, dynamo), {"airport": "JFK", "carrier_id": 7})
    assert isinstance(error, UnavailableError)


def test_tables_that_do_not_answer_are_an_error_that_is_not_remembered(model: Model, dynamo: Dynamo) -> None:
    rows = keyed(model, dynamo)
    dynamo.failing = True
    error = ask(rows, {"carrier": "UA", "airport": "JFK"})
    assert isinstance(error, UnavailableError)
    assert (str(error), error.retry_after) == ("the feature tables do not answer; try again later", 1)
    dynamo.failing = False
    assert ask(rows, {"carrier": "UA", "airport": "JFK"})[0]["temp"] == 3.5


def test_more_keys_than_a_call_takes_become_several(model: Model, dynamo: Dynamo) -> None:
    found = ask(keyed(model, dynamo), *({"carrier": "UA", "airport": f"A{i}"} for i in range(150)))
    assert len(found) == 150
    assert sorted(len(call) for call in dynamo.calls) == [50, 100]


def test_requests_that_come_while_all_threads_wait_share_a_call(model: Model, dynamo: Dynamo) -> None:
    rows = keyed(model, dynamo)
    dynamo.gate.clear()
    with ThreadPoolExecutor(24) as clients:
        busy: list[Any] = []
        until = time.monotonic() + 5
        for index in range(4):
            busy.append(clients.submit(ask, rows, {"carrier": "UA", "airport": f"A{index}"}))
            while len(dynamo.calls) <= index:
                assert time.monotonic() < until
                time.sleep(0.001)
        more = [clients.submit(ask, rows, {"carrier": "UA", "airport": f"B{i % 10}"}) for i in range(20)]
        while rows._lookup._waiting < 24:  # pyright: ignore[reportPrivateUsage] - to know that all have come
            assert time.monotonic() < until
            time.sleep(0.001)
        dynamo.gate.set()
        assert all(each.result(10)[0]["carrier"] == "UA" for each in busy + more)
    assert [len(call) for call in dynamo.calls[:4]] == [1] * 4
    assert dynamo.calls[4:] == [{("slipway-test-airports", f"B{i}") for i in range(10)}]


def test_more_that_wait_than_may_are_refused(model: Model, dynamo: Dynamo) -> None:
    rows = keyed(model, dynamo, max_queue=1)
    dynamo.gate.clear()
    first = rows.complete([{"carrier": "UA", "airport": "JFK"}])
    with pytest.raises(OverloadedError):
        rows.complete([{"carrier": "UA", "airport": "EWR"}])
    dynamo.gate.set()
    assert not isinstance(first, list | ServingError)
    assert isinstance(first.result(10), list)


def test_the_cache_has_a_time_and_a_size(model: Model, dynamo: Dynamo, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = keyed(model, dynamo, feature_cache_seconds=10, feature_cache_entries=2)
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    for code in ("JFK", "EWR", "JFK", "LGA"):
        ask(rows, {"carrier": "UA", "airport": code})
    assert len(dynamo.calls) == 3
    ask(rows, {"carrier": "UA", "airport": "JFK"})  # asked for later than EWR, so it is still known
    assert len(dynamo.calls) == 3
    ask(rows, {"carrier": "UA", "airport": "EWR"})
    assert len(dynamo.calls) == 4
    now += 10
    ask(rows, {"carrier": "UA", "airport": "EWR"})
    assert len(dynamo.calls) == 5


def test_messages_of_a_stream_are_looked_up_together(model: Model, dynamo: Dynamo) -> None:
    rows = keyed(model, dynamo)
    messages = [
        [rows.decode_one(b'{"carrier": "UA", "airport": "JFK"}')],
        rows.decode(b'{"rows": [{"carrier": "UA", "airport": "EWR"}]}'),
        [rows.decode_one(b'{"airport": "nowhere"}')],
    ]
    first, second, third = rows.wait(messages)
    assert isinstance(first, list)
    assert isinstance(second, list)
    assert isinstance(third, InvalidInputError)
    assert [len(call) for call in dynamo.calls] == [3]
    dynamo.failing = True
    with pytest.raises(UnavailableError):
        rows.wait([[{"airport": "new"}]])


def message(number: int, body: bytes) -> Message:
    return Message(f"m{number}", f"place/{number}", body, 0.0, None)


def test_a_window_of_a_stream_is_looked_up_in_one_call_and_waits_for_the_tables(model: Model, dynamo: Dynamo) -> None:
    plane = Plane([model], Metrics(), max_queue=10, deadline_seconds=30)
    scorer = Scorer(plane, QUIET, max_rows=10, attempts=1, keyed=keyed(model, dynamo))
    window = [
        message(0, b'{"carrier": "UA", "airport": "JFK"}'),
        message(1, b'{"carrier": "UA", "airport": ""}'),
        message(2, b'{"rows": [{"airport": "EWR", "carrier_id": 7}, {"carrier": "AA", "temp": 1, "wind": 2}]}'),
        message(3, b'{"airport": "nowhere"}'),
        message(4, b'{"carrier": "UA", "airport": "BAD"}'),
    ]
    dynamo.failing = True
    with pytest.raises(UnavailableError):
        scorer.score(window)
    dynamo.failing = False
    dynamo.calls.clear()
    scored = scorer.score(window)
    assert len(dynamo.calls) == 1
    answers = [answer["probability"] for each in scored for answer in each.answers]
    expected = [score("UA", 3.5, 7), score("UA", -0.1, 7), score("AA", 1, 2)]
    assert answers == pytest.approx(expected, abs=1e-6)
    misfit = "a feature table has a value that does not fit the model: temp: expected a number or null, got a string"
    assert [each.refused for each in scored] == [
        "",
        "airport: expected a key of 1 to 2048 bytes",
        "",
        "rows[0].carrier: missing, and so it is in airports of airport 'nowhere'",
        f"rows[0]: {misfit}",
    ]
    assert scored[0].captured[0].numeric == {"temp": 3.5, "wind": 7.0}


def test_a_stream_waits_while_features_cannot_be_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    class Unlucky:
        calls = 0

        def score(self, window: list[Message]) -> list[Scored]:
            self.calls += 1
            if self.calls < 4:
                raise UnavailableError("the feature tables do not answer; try again later")
            return [Scored(each) for each in window]

    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    unlucky: Any = Unlucky()
    nothing: Any = None
    monkeypatch.setattr(asyncio, "sleep", sleep)

    async def run() -> list[Scored]:
        limits = Limits(window_seconds=1, window_messages=10, drain_seconds=1)
        stream: Any = Stream(nothing, unlucky, nothing, limits, Metrics(), QUIET)
        stream._window = [message(0, b"{}")]
        return await stream._insist(stream._score)

    assert [each.message.id for each in asyncio.run(run())] == ["m0"]
    assert len(waited) == 3
    assert waited == sorted(waited)


@pytest.mark.parametrize(
    ("setting", "line"),
    [
        ("[]", "SLIPWAY_FEATURE_TABLES: expected an object, got a list"),
        ("{", "SLIPWAY_FEATURE_TABLES: not JSON"),
        ('{"a": {"table": "t", "key": "k"}}', "SLIPWAY_FEATURE_TABLES: [...].key_type: missing"),
        (
            '{"a": {"table": "t", "key": "temp", "key_type": "string"}}',
            "the model has a feature of that name and another",
        ),
    ],
)
def test_a_wrong_setting_is_one_line(model: Model, setting: str, line: str) -> None:
    with pytest.raises(SettingsError) as error:
        open_keyed_rows(model, Settings(feature_tables=setting), QUIET, Metrics())
    assert line in str(error.value)
    assert "\n" not in str(error.value)


def test_without_feature_groups_there_is_nothing(model: Model) -> None:
    assert feature_tables(Settings()) == {}
    assert open_keyed_rows(model, Settings(), QUIET, Metrics()) is None


def test_an_unprocessed_entity_of_two_groups_is_told_apart(dynamo: Dynamo) -> None:
    client: Any = dynamo
    lookup = Lookup(TABLES, Settings(), QUIET, Metrics(), client)
    found = lookup.fetch(frozenset({Entity("airports", "7"), Entity("carriers", "7")})).result(10)
    assert found[Entity("airports", "7")] is None
    assert (found[Entity("carriers", "7")] or {})["carrier"] == "UA"


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """An emulated AWS with the tables and a capture bucket: the variables that reach it."""
    emulation = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    emulation.start()
    host, port = emulation.get_host_and_port()
    reach: dict[str, Any] = {"endpoint_url": f"http://{host}:{port}", "region_name": "eu-west-1"}
    credentials: dict[str, Any] = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    boto3.client("s3", **reach, **credentials).create_bucket(
        Bucket="capture", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    tables = boto3.client("dynamodb", **reach, **credentials)
    for table in TABLES.values():
        tables.create_table(
            TableName=table.table,
            KeySchema=[{"AttributeName": table.key, "KeyType": "HASH"}],
            AttributeDefinitions=[
                {"AttributeName": table.key, "AttributeType": "S" if table.key_type == "string" else "N"}
            ],
            BillingMode="PAY_PER_REQUEST",
        )
    for (name, _), item in ITEMS.items():
        tables.put_item(TableName=name, Item=item)
    yield {"AWS_ENDPOINT_URL": reach["endpoint_url"], "AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-1",
           "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}  # fmt: skip
    emulation.stop()


def test_a_server_answers_by_key_and_captures_what_the_model_was_asked(
    aws: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in aws.items():
        monkeypatch.setenv(name, value)
    spool = tmp_path / "spool"
    capture: dict[str, Any] = {
        "capture_uri": "s3://capture/flight/",
        "spool_dir": spool,
        "capture_segment_seconds": 0.2,
    }
    with serving_test_model(tmp_path, feature_tables=SETTING, feature_cache_seconds=0, **capture) as server:
        asked = {"rows": [{"carrier_id": 7, "airport": "JFK"}, {"carrier": "AA", "temp": 1, "wind": 2}]}
        reply = server.post("/predict", asked)
        assert reply.status == 200
        found = [prediction["probability"] for prediction in reply.json["predictions"]]
        assert found == pytest.approx([score("UA", 3.5, 7), score("AA", 1, 2)], abs=1e-6)
        missing = server.post("/predict", {"rows": [{"carrier_id": 8}]})
        assert missing.status == 400
        assert "rows[0].carrier: missing, and so it is in carriers of carrier_id 8" in missing.json["error"]
        row = server.get("/openapi.json").json["components"]["schemas"]["PredictRequest"]["properties"]["rows"]["items"]
        assert row["properties"]["airport"] == {"type": "string"}
        assert row["required"] == []
        tables = boto3.client("dynamodb", endpoint_url=aws["AWS_ENDPOINT_URL"], region_name="eu-west-1")
        tables.delete_table(TableName="slipway-test-carriers")
        broken = server.post("/predict", asked)
        assert (broken.status, broken.headers["retry-after"]) == (503, "1")
        assert server.post("/predict", {"rows": [{"carrier": "AA", "airport": "JFK"}]}).status == 200
    s3: Any = boto3.client("s3", endpoint_url=aws["AWS_ENDPOINT_URL"], region_name="eu-west-1")
    captured: dict[str, dict[str, float]] = {}
    for each in s3.list_objects_v2(Bucket="capture")["Contents"]:
        file = tmp_path / "captured.parquet"
        file.write_bytes(s3.get_object(Bucket="capture", Key=each["Key"])["Body"].read())
        for record in pq.read_table(file, partitioning=None).to_pylist():
            captured[record["prediction_id"]] = dict(record["numeric"])
    assert captured[reply.json["predictions"][0]["prediction_id"]] == {"temp": 3.5, "wind": 7.0}
