"""Runs of `serving.batch` on small data, for tests."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from serving.batch.worker import run
from serving.logs import Log
from serving.settings import Settings
from serving_packages import score

RUN = "delay-batch-29384820"
"""Scheduled on 2025-11-14 at 03:00 UTC."""
PARTITION = "date=2025-11-14"
LOG = Log("error")


def weather(rows: int, seed: int = 1) -> pa.Table:
    """Rows for the test model, with a key column."""
    chance = np.random.default_rng(seed)
    return pa.table(
        {
            "flight": pa.array(range(rows), pa.int32()),
            "carrier": chance.choice(["AA", "DL", "UA", "ZZ"], rows),
            "temp": chance.normal(0, 3, rows).round(2),
            "wind": chance.integers(0, 20, rows),
        }
    )


def write_input(folder: Path, *tables: pa.Table, row_group_size: int = 100) -> Path:
    """The tables as Parquet files of a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, table in enumerate(tables):
        pq.write_table(table, folder / f"rows-{number}.parquet", row_group_size=row_group_size)
    return folder


def settings(package: Path, source: Path | str, output: Path | str, **more: Any) -> Settings:
    """The settings of a run."""
    given: dict[str, Any] = {
        "environment": "test",
        "service": "delay",
        "model_dir": package,
        "batch_input": str(source),
        "batch_output": str(output),
        "batch_run": RUN,
    }
    return Settings(**(given | more))


def run_all(found: Settings, order: list[int] | None = None) -> None:
    """Every worker of a run, one after the other."""
    for part in range(found.batch_parts) if order is None else order:
        run(found, LOG, {"JOB_COMPLETION_INDEX": str(part)})


def results(output: Path, run_name: str = RUN) -> list[dict[str, Any]]:
    """The rows of a run, maps as dicts."""
    table = pq.read_table(output / PARTITION / f"{run_name}.parquet", partitioning=None)
    maps = ("numeric", "categorical", "outputs", "keys")
    return [row | {name: dict(row[name]) for name in maps} for row in table.to_pylist()]


def rejected(output: Path) -> list[dict[str, Any]]:
    """The rows that were set aside."""
    files = sorted(output.glob("_rejected/*/*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def contents(output: Path) -> dict[str, bytes]:
    """Every file of an output; what a killed worker had not finished has a name that starts with a dot."""
    files = (file for file in output.rglob("*") if file.is_file() and not file.name.startswith("."))
    return {str(file.relative_to(output)): file.read_bytes() for file in files}


def expected(row: dict[str, Any]) -> float:
    """What the test model says of a row."""
    return score(row["carrier"], row["temp"], row["wind"])
