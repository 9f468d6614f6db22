"""Rows for a feature group: read from a file, each one checked against the group's schema before any is written."""

import math
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from release.errors import SlipwayError
from release.feature_groups import FeatureGroup, offline_schema
from release.sample import Sample

_MOST_SHOWN = 20
_BIGINT = 2**63
_LARGEST, _SMALLEST = 9.9e125, 1e-130
"""What DynamoDB keeps of a number."""
_MOST_KEY_BYTES = 2048
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read_rows(file: Path, group: FeatureGroup) -> pa.Table:
    """The rows of a .parquet, .csv or .jsonl file, in the group's schema; equal ones once.

    Times are ISO 8601 or timestamps, in UTC where they have no zone.

    Raises:
        SlipwayError: with every mistake in the file, a line each, the first twenty of them in full.
    """
    sample = Sample(file)
    table = sample.rows(text=[name for name in group.columns if name in sample.columns])
    mistakes = list(_wrong_columns(table.column_names, group))
    columns: dict[str, list[Any]] = {}
    if not mistakes:
        for name, kind in group.columns.items():
            required = name in {group.key, group.event_time}
            columns[name] = _checked(_values(table[name]), name, kind, required, name == group.key, mistakes)
    if not mistakes:
        rows = dict.fromkeys(zip(*columns.values(), strict=True))
        mistakes += _contradictions(list(rows), list(group.columns), group)
        columns = dict(zip(columns, map(list, zip(*rows, strict=True)), strict=True))
    if mistakes:
        shown = [f"  {mistake}" for mistake in mistakes[:_MOST_SHOWN]]
        if len(mistakes) > _MOST_SHOWN:
            shown.append(f"  and {len(mistakes) - _MOST_SHOWN} more")
        count = f"{len(mistakes)} mistakes" if len(mistakes) > 1 else "one mistake"
        message = "\n".join([f"{file.name}: {count}, nothing was written", *shown])
        raise SlipwayError("bad-feature-rows", message, f"mend the rows; feature group {group.name} says what they are")
    return pa.table(columns, schema=offline_schema(group))


def _wrong_columns(names: list[str], group: FeatureGroup) -> Iterator[str]:
    from difflib import get_close_matches

    for name in group.columns:
        if name not in names:
            yield f"{name}: there is no such column"
    for name in names:
        if name not in group.columns:
            near = get_close_matches(name, group.columns, n=1)
            yield f"{name}: the group has no such column" + (f"; did you mean {near[0]}?" if near else "")


def _values(column: Any) -> list[Any]:
    if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
        # What is cut off here was known less than a microsecond later than the table will say.
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
    return column.to_pylist()


def _checked(values: list[Any], name: str, kind: str, required: bool, is_key: bool, mistakes: list[str]) -> list[Any]:
    """The values as the group's type; what is wrong with them is added to `mistakes`."""
    convert = _CONVERT[kind]
    checked: list[Any] = []
    for number, value in enumerate(values, 1):
        if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
            if required:
                mistakes.append(f"row {number}: {name}: missing")
            checked.append(None)
            continue
        try:
            checked.append(convert(value))
        except (ValueError, OverflowError):
            mistakes.append(f"row {number}: {name}: expected {_WORDS[kind]}, got {value!r:.60}")
            checked.append(None)
            continue
        if is_key and isinstance(value, str) and len(value.encode()) > _MOST_KEY_BYTES:
            mistakes.append(f"row {number}: {name}: expected at most {_MOST_KEY_BYTES} bytes")
    return checked


def _contradictions(rows: list[tuple[Any, ...]], names: list[str], group: FeatureGroup) -> list[str]:
    """Rows that say different things about the same entity at the same time."""
    key, time = names.index(group.key), names.index(group.event_time)
    seen: set[tuple[Any, Any]] = set()
    mistakes: list[str] = []
    for row in rows:
        at = row[key], row[time]
        if at in seen:
            mistakes.append(f"{group.key} {row[key]!r} at {row[time].isoformat()}Z: there twice, with different values")
        seen.add(at)
    return mistakes


def _string(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise ValueError


def _bigint(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError
    number = int(value)
    if number != (float(value) if isinstance(value, float) else int(value)) or not -_BIGINT <= number < _BIGINT:
        raise ValueError
    return number


def _double(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError
    number = float(value)
    if not math.isfinite(number) or abs(number) > _LARGEST or 0 < abs(number) < _SMALLEST:
        raise ValueError
    return number


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if value in {"true", "false"}:
        return value == "true"
    raise ValueError


def _timestamp(value: Any) -> datetime:
    """A moment in UTC, without a zone as the tables have it."""
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    if not isinstance(moment, datetime):
        raise ValueError
    return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)


_CONVERT: dict[str, Callable[[Any], Any]] = {
    "string": _string, "bigint": _bigint, "double": _double, "boolean": _boolean, "timestamp": _timestamp,
}  # fmt: skip
_WORDS = {
    "string": "a string",
    "bigint": "a whole number of 64 bits",
    "double": "a number",
    "boolean": "true or false",
    "timestamp": "a time such as 2026-01-31T12:00:00Z",
}
