"""The event store's files: Parquet of predictions and outcomes, by service, date and hour (components/tables.py)."""

import io
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import SplitResult

import pyarrow as pa
import pyarrow.parquet as pq

from serving.captured import Outcome, Prediction

_AT = pa.timestamp("us")
CAPTURE = pa.schema(
    [
        ("prediction_id", pa.string()),
        ("at", _AT),
        ("model_version", pa.string()),
        ("pattern", pa.string()),
        ("numeric", pa.map_(pa.string(), pa.float64())),
        ("categorical", pa.map_(pa.string(), pa.string())),
        ("outputs", pa.map_(pa.string(), pa.float64())),
        ("latency_us", pa.int64()),
    ]
)
"""The table `capture` (components/tables.py)."""
OUTCOMES = pa.schema([("prediction_id", pa.string()), ("at", _AT), ("label", pa.string()), ("value", pa.float64())])
"""The table `outcomes`."""


def by_hour(rows: Sequence[Prediction | Outcome]) -> list[tuple[str, list[Prediction | Outcome]]]:
    """Rows by their partition, as `date=2026-01-31/hour=07`."""
    groups: dict[int, list[Prediction | Outcome]] = {}
    for row in rows:
        groups.setdefault(row.at_us // 3_600_000_000, []).append(row)
    return [
        (datetime.fromtimestamp(hour * 3600, UTC).strftime("date=%Y-%m-%d/hour=%H"), group)
        for hour, group in groups.items()
    ]


def parquet(rows: Sequence[Prediction | Outcome], pattern: str) -> bytes:
    """A file of one table; `pattern` is the serving pattern that the predictions come from."""
    schema = CAPTURE if isinstance(rows[0], Prediction) else OUTCOMES
    columns: dict[str, list[Any]] = {"at": [row.at_us for row in rows], "pattern": [pattern] * len(rows)}
    for field in schema.names:
        if field not in columns:
            columns[field] = [getattr(row, field) for row in rows]
    table = pa.table({name: [*map(_plain, columns[name])] for name in schema.names}, schema=schema)
    file = io.BytesIO()
    pq.write_table(table, file, compression="zstd")
    return file.getvalue()


def key_below(place: SplitResult, *parts: str) -> str:
    """The key of an object below `s3://bucket/prefix/`."""
    return "/".join([*filter(None, place.path.strip("/").split("/")), *parts])


def _plain(value: Any) -> Any:
    return list(cast("dict[str, Any]", value).items()) if isinstance(value, dict) else value
