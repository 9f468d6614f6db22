"""`slipway features push` against the AWS emulation: checked rows, both tables, and again."""

import io
import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from emulated_aws import EmulatedAws
from pyarrow import parquet
from release_support import make_checkout
from serving.logs import Log
from serving.lookup import Entity, FeatureTable, Lookup
from serving.metrics import Metrics
from serving.settings import Settings

from release.cli.main import run
from release.environment import Deployed, Environment
from release.errors import SlipwayError
from release.feature_groups import FeatureGroup, feature_group, offline_rows
from release.feature_push import online_item
from release.feature_rows import read_rows

NOW = datetime.now(UTC).replace(tzinfo=None, microsecond=250)
AIRPORTS: dict[str, Any] = {
    "table": "slipway-local-features-airports", "key": "airport", "key_type": "string", "event_time": "at",
    "columns": {"airport": "string", "at": "timestamp", "temp": "double", "flights": "bigint", "open": "boolean"},
    "ttl_hours": 48, "prefix": "features/airports/", "schema": "0123456789ab",
}  # fmt: skip
LOCAL = Environment("local", Path())


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatedAws]:
    emulated = EmulatedAws(tmp_path_factory.mktemp("aws"))
    emulated.client("s3").create_bucket(
        Bucket="warehouse", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    yield emulated
    emulated.stop()


@pytest.fixture
def group(aws: EmulatedAws) -> Iterator[FeatureGroup]:
    """The group's table, empty, and an empty history."""
    aws.client("dynamodb").create_table(
        TableName=AIRPORTS["table"],
        KeySchema=[{"AttributeName": "airport", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "airport", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        Tags=[{"Key": "slipway:schema", "Value": AIRPORTS["schema"]}],
    )
    yield feature_group(Deployed({"feature_groups": {"airports": AIRPORTS}}), LOCAL, "airports")
    aws.client("dynamodb").delete_table(TableName=AIRPORTS["table"])
    for key in history(aws):
        aws.client("s3").delete_object(Bucket="warehouse", Key=key)


@pytest.fixture
def push(
    aws: EmulatedAws, group: FeatureGroup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., dict[str, Any]]:  # fmt: skip
    """Writes rows to a file and pushes it as a user does; gives the answer in JSON."""
    root = make_checkout(tmp_path / "checkout")
    monkeypatch.setenv("SLIPWAY_ROOT", str(root))
    local = root / ".slipway" / "local"
    outputs = {"warehouse_bucket": "warehouse", "feature_groups": {"airports": AIRPORTS}}
    stack = {"type": "pulumi:pulumi:Stack", "outputs": outputs}
    checkpoint = local / "state" / ".pulumi" / "stacks" / "slipway" / "local.json"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_text(json.dumps({"checkpoint": {"latest": {"resources": [stack]}}}))
    daemon = {
        "layout": 1, "pid": 1, "started": 1.0, "aws_endpoint": aws.endpoint, "kubernetes_endpoint": "",
        "kubeconfig": "", "region": "eu-west-1", "account": "123456789012",
    }  # fmt: skip
    (local / "daemon.json").write_text(json.dumps(daemon))

    def pushed(rows: list[dict[str, Any]]) -> dict[str, Any]:
        file = tmp_path / "rows.jsonl"
        file.write_text("\n".join(json.dumps(row, default=lambda at: f"{at.isoformat()}Z") for row in rows))
        assert run(["features", "push", "airports", str(file), "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return pushed


def row(airport: str, at: datetime, temp: float | None = 1.5, flights: int = 3) -> dict[str, Any]:
    return {"airport": airport, "at": at, "temp": temp, "flights": flights, "open": True}


def online(aws: EmulatedAws) -> dict[str, dict[str, Any]]:
    items = aws.client("dynamodb").scan(TableName=AIRPORTS["table"])["Items"]
    return {item["airport"]["S"]: item for item in items}


def history(aws: EmulatedAws) -> list[str]:
    return [each["Key"] for each in aws.client("s3").list_objects_v2(Bucket="warehouse").get("Contents", [])]


def test_rows_go_to_both_tables_and_can_be_read_by_each_reader(
    aws: EmulatedAws, group: FeatureGroup, push: Callable[..., dict[str, Any]]
) -> None:
    yesterday = NOW - timedelta(days=1)
    answer = push(
        [row("JFK", NOW), row("JFK", yesterday, 9), row("LGA", NOW, None), row("OLD", NOW - timedelta(days=3))]
    )
    assert answer == {
        "environment": "local", "group": "airports", "rows": 4, "files": 3, "files_there": 0, "online": 2, "older": 0,
        "expired": 1,
    }  # fmt: skip
    assert set(online(aws)) == {"JFK", "LGA"}
    assert "temp" not in online(aws)["LGA"]
    assert int(online(aws)["JFK"]["expires_at"]["N"]) == int(NOW.replace(tzinfo=UTC).timestamp()) + 48 * 3600
    tables = {"airports": FeatureTable(group.table, group.key, "string")}
    lookup = Lookup(tables, Settings(), Log("error"), Metrics(), aws.client("dynamodb"))
    found = lookup.fetch(frozenset({Entity("airports", "JFK")})).result(10)[Entity("airports", "JFK")]
    assert found is not None
    assert (found["temp"], found["flights"], found["open"]) == (1.5, 3, True)
    days = [f"features/airports/date={(NOW - timedelta(days=days)).date().isoformat()}/" for days in (3, 1, 0)]
    assert [key.rsplit("/", 1)[0] + "/" for key in history(aws)] == days
    rows = offline_rows("airports")
    assert rows.column_names == list(group.columns)
    assert rows["at"].to_pylist() == [NOW - timedelta(days=3), yesterday, NOW, NOW]
    assert rows["temp"].to_pylist() == [1.5, 9.0, 1.5, None]
    assert offline_rows("airports", first=date.max).num_rows == 0
    assert offline_rows("airports", last=yesterday.date()).num_rows == 2


def test_the_same_rows_again_change_nothing(aws: EmulatedAws, push: Callable[..., dict[str, Any]]) -> None:
    rows = [row("JFK", NOW), row("LGA", NOW)]
    push(rows)
    before = online(aws), history(aws)
    answer = push([rows[1], rows[0], rows[1]])
    assert (answer["rows"], answer["files"], answer["files_there"]) == (2, 0, 1)
    assert (online(aws), history(aws)) == before
    push([*rows, row("EWR", NOW)])
    assert offline_rows("airports").num_rows == 3


def test_older_rows_do_not_replace_newer_ones_online(aws: EmulatedAws, push: Callable[..., dict[str, Any]]) -> None:
    push([row("JFK", NOW, 5)])
    answer = push([row("JFK", NOW - timedelta(microseconds=1), 4), row("LGA", NOW)])
    assert (answer["online"], answer["older"]) == (1, 1)
    assert float(online(aws)["JFK"]["temp"]["N"]) == 5
    push([row("JFK", NOW, 6)])  # a correction
    assert float(online(aws)["JFK"]["temp"]["N"]) == 6


def test_tables_of_another_schema_are_not_written_to(
    aws: EmulatedAws, push: Callable[..., dict[str, Any]], group: FeatureGroup
) -> None:
    client = aws.client("dynamodb")
    arn = client.describe_table(TableName=group.table)["Table"]["TableArn"]
    client.tag_resource(ResourceArn=arn, Tags=[{"Key": "slipway:schema", "Value": "other"}])
    with pytest.raises(SlipwayError, match="has schema other, feature group airports was deployed with 0123456789ab"):
        push([row("JFK", NOW)])
    assert (online(aws), history(aws)) == ({}, [])


def test_an_unknown_group_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(SlipwayError, match="there is no feature group 'airprots' in local: it has airports") as error:
        feature_group(Deployed({"feature_groups": {"airports": AIRPORTS}}), LOCAL, "airprots")
    assert error.value.hint == "did you mean 'airports'?"


def test_every_mistake_is_told_at_once(tmp_path: Path, group: FeatureGroup) -> None:
    file = tmp_path / "rows.csv"
    file.write_text(
        "airport,at,temp,flights,open\n"
        "JFK,2026-01-31T12:00:00Z,1.5,3,true\n"
        ",2026-01-31T12:00:00Z,warm,3.5,yes\n"
        "LGA,noon,1e400,99999999999999999999,false\n"
    )
    with pytest.raises(SlipwayError) as error:
        read_rows(file, group)
    assert error.value.message.splitlines() == [
        "rows.csv: 7 mistakes, nothing was written",
        "  row 2: airport: missing",
        "  row 3: at: expected a time such as 2026-01-31T12:00:00Z, got 'noon'",
        "  row 2: temp: expected a number, got 'warm'",
        "  row 3: temp: expected a number, got '1e400'",
        "  row 2: flights: expected a whole number of 64 bits, got '3.5'",
        "  row 3: flights: expected a whole number of 64 bits, got '99999999999999999999'",
        "  row 2: open: expected true or false, got 'yes'",
    ]


def test_columns_that_differ_and_rows_that_contradict_are_told(tmp_path: Path, group: FeatureGroup) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("airport,at,temp,flihts\nJFK,2026-01-31,1,1\n")
    with pytest.raises(SlipwayError) as error:
        read_rows(file, group)
    assert error.value.message.splitlines()[1:] == [
        "  flights: there is no such column",
        "  open: there is no such column",
        "  flihts: the group has no such column; did you mean flights?",
    ]
    both = tmp_path / "rows.jsonl"
    both.write_text(
        "\n".join(json.dumps({**row("JFK", NOW, temp), "at": "2026-01-31T12:00:00+02:00"}) for temp in (1, 2))
    )
    with pytest.raises(SlipwayError, match="airport 'JFK' at 2026-01-31T10:00:00Z: there twice, with different values"):
        read_rows(both, group)


def test_many_mistakes_are_counted(tmp_path: Path, group: FeatureGroup) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("airport,at,temp,flights,open\n" + ",2026-01-31,1,1,true\n" * 50)
    with pytest.raises(SlipwayError) as error:
        read_rows(file, group)
    assert len(error.value.message.splitlines()) == 22
    assert error.value.message.endswith("and 30 more")


def test_parquet_of_other_types_is_read_where_nothing_is_lost(tmp_path: Path, group: FeatureGroup) -> None:
    sink = io.BytesIO()
    at = pa.array([1_769_860_800_000_000_123, 1_769_860_800_000_000_000], pa.timestamp("ns", "Europe/Berlin"))
    table = pa.table({"airport": ["JFK", "LGA"], "at": at, "temp": pa.array([1, 2], pa.int32()),
                      "flights": [3.0, float("nan")], "open": [True, None]})  # fmt: skip
    parquet.write_table(table, sink)
    file = tmp_path / "rows.parquet"
    file.write_bytes(sink.getvalue())
    rows = read_rows(file, group)
    assert rows["at"].to_pylist() == [datetime(2026, 1, 31, 12)] * 2  # noqa: DTZ001 - UTC, as the tables have it
    assert rows["temp"].to_pylist() == [1.0, 2.0]
    assert rows["flights"].to_pylist() == [3, None]


def test_an_online_row_expires_by_its_event_time(group: FeatureGroup, monkeypatch: pytest.MonkeyPatch) -> None:
    item = online_item(group, row("JFK", NOW))
    assert item is not None
    assert item["at"] == {"N": str(int(NOW.replace(tzinfo=UTC, microsecond=0).timestamp()) * 1_000_000 + 250)}
    monkeypatch.setattr(time, "time", lambda: int(item["expires_at"]["N"]))
    assert online_item(group, row("JFK", NOW)) is None
