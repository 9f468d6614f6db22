"""Batch runs on folders: what comes out, what is refused, what is set aside."""

import gzip
import json
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from batch_support import (
    LOG,
    PARTITION,
    RUN,
    contents,
    expected,
    rejected,
    results,
    run_all,
    settings,
    weather,
    write_input,
)
from serving.batch import input as batch_input
from serving.batch.output import PREDICTIONS
from serving.batch.worker import run
from serving.exits import CommandError, Exit
from serving_packages import write_identity_package, write_package

AT = datetime.fromisoformat("2025-11-14T03:00")


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_package(tmp_path_factory.mktemp("batch") / "package")


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_input, "BLOCK_ROWS", 64)


def refused(found: Any) -> str:
    with pytest.raises(CommandError) as caught:
        run_all(found)
    assert caught.value.code == Exit.CONFIG
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_every_row_gets_its_prediction_with_its_keys(package: Path, tmp_path: Path) -> None:
    table = weather(350)
    source = write_input(tmp_path / "in", table.slice(0, 250), table.slice(250))
    run_all(settings(package, source, tmp_path / "out", batch_parts=3, threads=2))
    found = results(tmp_path / "out")
    assert [row["keys"] for row in found] == [{"flight": str(i)} for i in range(350)]
    for row, given in zip(found, table.to_pylist(), strict=True):
        assert row["outputs"]["probability"] == pytest.approx(expected(given), abs=1e-6)
        assert row["outputs"]["label"] == float(row["outputs"]["probability"] >= 0.5)
        assert row["numeric"] == {"temp": given["temp"], "wind": given["wind"]}
        assert row["categorical"] == {"carrier": given["carrier"]}
        assert (row["at"], row["model_version"], row["pattern"]) == (AT, "1", "batch")
    assert len({row["prediction_id"] for row in found}) == 350
    assert all(len(row["prediction_id"]) == 32 for row in found)
    told = json.loads((tmp_path / "out" / "_runs" / f"{RUN}.json").read_text())
    assert (told["rows"], told["rejected"], told["version"]) == (350, 0, "1")
    assert set(contents(tmp_path / "out")) == {f"_runs/{RUN}.json", f"{PARTITION}/{RUN}.parquet"}


def test_the_file_has_the_columns_of_the_table(package: Path, tmp_path: Path) -> None:
    run_all(settings(package, write_input(tmp_path / "in", weather(5)), tmp_path / "out"))
    schema = pq.read_schema(tmp_path / "out" / PARTITION / f"{RUN}.parquet")
    assert schema.names == PREDICTIONS.names
    assert [field.type for field in schema][:4] == [field.type for field in PREDICTIONS][:4]


def test_the_same_run_gives_the_same_bytes_whatever_the_order_and_threads(package: Path, tmp_path: Path) -> None:
    source = write_input(tmp_path / "in", weather(350), weather(30, seed=2))
    run_all(settings(package, source, tmp_path / "one", batch_parts=3))
    run_all(settings(package, source, tmp_path / "other", batch_parts=3, threads=3), [2, 0, 1])
    assert (
        contents(tmp_path / "one")[f"{PARTITION}/{RUN}.parquet"]
        == contents(tmp_path / "other")[f"{PARTITION}/{RUN}.parquet"]
    )
    before = contents(tmp_path / "one")
    run_all(settings(package, source, tmp_path / "one", batch_parts=3))
    assert contents(tmp_path / "one") == before


def test_nothing_can_be_read_before_the_last_part_is_there(package: Path, tmp_path: Path) -> None:
    source = write_input(tmp_path / "in", weather(300))
    found = settings(package, source, tmp_path / "out", batch_parts=3)
    run_all(found, [0, 2])
    assert not list((tmp_path / "out").glob("date=*"))
    run_all(found, [1])
    assert len(results(tmp_path / "out")) == 300


def test_bad_rows_are_set_aside_with_their_reason(package: Path, tmp_path: Path) -> None:
    table = weather(100).set_column(1, "carrier", pa.array([None if i % 40 == 3 else "UA" for i in range(100)]))
    source = write_input(tmp_path / "in", table)
    run_all(settings(package, source, tmp_path / "out", batch_max_bad_rows_percent=5))
    found = rejected(tmp_path / "out")
    assert [(row["row"], row["reason"]) for row in found] == [(i, "carrier: missing") for i in (3, 43, 83)]
    assert found[0]["file"].endswith("/in/rows-0.parquet")
    assert found[0]["values"]["flight"] == 3
    assert [int(row["keys"]["flight"]) for row in results(tmp_path / "out")] == [i for i in range(100) if i % 40 != 3]


def test_too_many_bad_rows_fail_the_run_in_one_line(package: Path, tmp_path: Path, capfd: Any) -> None:
    table = weather(100).set_column(1, "carrier", pa.array([None if i < 2 else "UA" for i in range(100)]))
    source = write_input(tmp_path / "in", table)
    message = refused(settings(package, source, tmp_path / "out", batch_max_bad_rows_percent=1))
    assert message.startswith("2 of 100 rows are bad, more than 1 % (SLIPWAY_BATCH_MAX_BAD_ROWS_PERCENT); the first: ")
    assert "rows-0.parquet row 0: carrier: missing; all: " in message
    assert not list((tmp_path / "out").glob("date=*"))
    assert len(rejected(tmp_path / "out")) == 2
    (line,) = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert line["RunsFailed"] == 1


def test_a_run_that_went_well_is_counted(package: Path, tmp_path: Path, capfd: Any) -> None:
    run_all(settings(package, write_input(tmp_path / "in", weather(5)), tmp_path / "out"))
    (line,) = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert (line["RunsSucceeded"], line["Service"], line["Environment"]) == (1, "delay", "test")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(["temp"]), "column 'temp': expected a number, found no such column; there are: flight, "),
        (lambda t: t.set_column(2, "temp", pa.array(["1"] * 10)), "column 'temp': expected a number, found string"),
        (lambda t: t.set_column(1, "carrier", pa.array([1] * 10)), "column 'carrier': expected a string, found int64"),
    ],
)
def test_another_schema_fails_before_any_work(package: Path, tmp_path: Path, change: Any, message: str) -> None:
    source = write_input(tmp_path / "in", weather(10), change(weather(10)))
    assert f"rows-1.parquet: {message}" in refused(settings(package, source, tmp_path / "out"))
    assert contents(tmp_path / "out") == {}


def test_missing_values_follow_the_manifest(package: Path, tmp_path: Path) -> None:
    table = pa.table(
        {"carrier": ["UA", "UA"], "temp": [None, 2.0], "wind": pa.array([None, float("nan")], pa.float64())}
    )
    run_all(settings(package, write_input(tmp_path / "in", table), tmp_path / "out"))
    first, second = results(tmp_path / "out")
    assert first["numeric"] == {}
    assert "probability" not in first["outputs"]
    assert second["numeric"] == {"temp": 2.0}
    probability = expected({"carrier": "UA", "temp": 2.0, "wind": 7})
    assert second["outputs"]["probability"] == pytest.approx(probability, abs=1e-6)
    assert second["keys"] == {}


def test_dictionary_columns_and_columns_of_the_path(package: Path, tmp_path: Path) -> None:
    table = pa.table({"carrier": pa.array(["UA", None, "AA"]).dictionary_encode(), "temp": [1, 2, 3]})
    write_input(tmp_path / "in" / "day=2026-01-31" / "wind=4", table)
    run_all(settings(package, tmp_path / "in", tmp_path / "out", batch_max_bad_rows_percent=50))
    found = results(tmp_path / "out")
    assert [row["keys"] for row in found] == [{"day": "2026-01-31"}] * 2
    assert [row["numeric"] for row in found] == [{"temp": 1.0, "wind": 4.0}, {"temp": 3.0, "wind": 4.0}]


def test_csv_with_torn_and_wrong_rows(package: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    lines = ["flight,carrier,temp,wind", "1,UA,2.5,4", "2,UA,warm,4", "3,UA,1", "4,,1,1", '5,"ZZ",,', " 6 ,UA,+1e1,2"]
    (tmp_path / "in" / "rows.csv.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    run_all(settings(package, tmp_path / "in", tmp_path / "out", batch_format="csv", batch_max_bad_rows_percent=60))
    found = results(tmp_path / "out")
    assert [(row["keys"]["flight"].strip(), row["numeric"]) for row in found] == [
        ("1", {"temp": 2.5, "wind": 4.0}),
        ("5", {}),
        ("6", {"temp": 10.0, "wind": 2.0}),
    ]
    assert {row["reason"] for row in rejected(tmp_path / "out")} == {
        "temp: expected a number, got 'warm'",
        "expected 4 columns, found 3",
        "carrier: missing",
    }


def test_json_lines_with_wrong_rows(package: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    lines = ['{"carrier": "UA", "temp": 1, "id": {"a": 1}}', "nonsense", '{"carrier": 7}', "", '{"temp": 1}', "[]"]
    (tmp_path / "in" / "rows.jsonl").write_text("\n".join(lines))
    run_all(settings(package, tmp_path / "in", tmp_path / "out", batch_format="jsonl", batch_max_bad_rows_percent=90))
    (found,) = results(tmp_path / "out")
    assert (found["keys"], found["numeric"]) == ({"id": '{"a":1}'}, {"temp": 1.0})
    told = [(row["row"], row["reason"]) for row in rejected(tmp_path / "out")]
    assert [number for number, _ in told] == [2, 3, 5, 6]
    assert told[0][1].startswith("not a JSON object: ")
    assert told[1][1] == "carrier: expected a string, got 7"
    assert told[2][1] == "carrier: missing"


def test_a_csv_without_a_column_fails_before_any_work(package: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "rows.csv").write_text("carrier,temp\nUA,1\n")
    message = refused(settings(package, tmp_path / "in", tmp_path / "out", batch_format="csv"))
    assert "rows.csv: column 'wind': expected a number, found no such column" in message


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"batch_run": None}, "SLIPWAY_BATCH_RUN: not set"),
        ({"batch_input": None}, "SLIPWAY_BATCH_INPUT: not set"),
        ({"batch_output": None}, "SLIPWAY_BATCH_OUTPUT: not set"),
        ({"batch_input": "ftp://x/y"}, "SLIPWAY_BATCH_INPUT: expected s3://bucket/prefix/, file:///folder/ or a path"),
        (
            {"batch_format": "csv"},
            "expected files *.csv or *.csv.gz (SLIPWAY_BATCH_FORMAT), none; there is rows",
        ),
    ],
)
def test_what_is_not_there_is_said(package: Path, tmp_path: Path, more: dict[str, Any], message: str) -> None:
    source = write_input(tmp_path / "in", weather(3))
    assert message in refused(settings(package, source, tmp_path / "out", **more))


def test_an_empty_place_and_a_broken_file_are_said(package: Path, tmp_path: Path) -> None:
    assert "in/: expected files *.parquet" in refused(settings(package, tmp_path / "in", tmp_path / "out"))
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.parquet").write_bytes(b"PAR1 nonsense")
    assert "a.parquet: not a Parquet file: " in refused(settings(package, tmp_path / "in", tmp_path / "out"))


def test_a_model_without_features_is_refused(tmp_path: Path) -> None:
    found = settings(write_identity_package(tmp_path / "package"), tmp_path / "in", tmp_path / "out")
    assert refused(found) == "model identity 1 has no features by name; batch scores rows by them"


def test_an_input_that_changes_meanwhile_is_noticed(package: Path, tmp_path: Path) -> None:
    source = write_input(tmp_path / "in", weather(200))
    found = settings(package, source, tmp_path / "out", batch_parts=2)
    run_all(found, [0])
    write_input(tmp_path / "in", weather(210))
    with pytest.raises(CommandError, match=r"rows-0.parquet: changed or removed since the run began") as caught:
        run(found, LOG, {"JOB_COMPLETION_INDEX": "1"})
    assert caught.value.code == Exit.CONFIG


def test_the_day_in_the_input_is_that_of_the_run(package: Path, tmp_path: Path) -> None:
    write_input(tmp_path / "in" / "2025-11-14", weather(7))
    write_input(tmp_path / "in" / "2025-11-15", weather(9))
    run_all(settings(package, f"{tmp_path}/in/{{date}}", tmp_path / "out"))
    assert len(results(tmp_path / "out")) == 7


def test_a_wrong_index_is_refused(package: Path, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="JOB_COMPLETION_INDEX: expected 0 to 0"):
        run(settings(package, tmp_path, tmp_path), LOG, {"JOB_COMPLETION_INDEX": "1"})


def test_the_online_path_imports_nothing_of_this() -> None:
    heavy = ("pyarrow", "serving.batch", "botocore")
    code = f"import sys, serving.worker, serving.rest; print([m for m in sys.modules if m.startswith({heavy})])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
