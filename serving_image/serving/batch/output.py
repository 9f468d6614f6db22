"""The results of a batch run: Parquet of the table `predictions` (components/tables.py), the same bytes every time."""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from serving.batch.rows import Arrow, Batch, Checked, Mask, Numbers, Words, pc, value_type
from serving.manifest import Manifest
from serving.tensors import Array

PREDICTIONS = pa.schema(
    [
        ("prediction_id", pa.string()),
        ("at", pa.timestamp("us")),
        ("model_version", pa.string()),
        ("pattern", pa.string()),
        ("numeric", pa.map_(pa.string(), pa.float64())),
        ("categorical", pa.map_(pa.string(), pa.string())),
        ("outputs", pa.map_(pa.string(), pa.float64())),
        ("keys", pa.map_(pa.string(), pa.string())),
    ]
)
"""The table `predictions`."""

_arrow = cast("Any", pa)
"""pyarrow where its stubs know fewer ways than it has to make an array."""
_WORD = pa.dictionary(pa.int32(), pa.string())
_WRITTEN = pa.schema(
    [
        ("prediction_id", pa.string()),
        ("at", pa.timestamp("us")),
        ("model_version", _WORD),
        ("pattern", _WORD),
        ("numeric", pa.map_(_WORD, pa.float64())),
        ("categorical", pa.map_(_WORD, _WORD)),
        ("outputs", pa.map_(_WORD, pa.float64())),
        ("keys", pa.map_(_WORD, pa.string())),
    ]
)
"""The same in the file, made of dictionaries in memory: the few names of each row need not be looked up again."""

ROW_GROUP = 131_072
"""Rows of a row group, at least: what a query engine reads at a time, and what is in memory until it is written."""

_HEX = np.frombuffer(b"".join(b"%02x" % byte for byte in range(256)), np.uint16)
_ID_BYTES = 32
# Of a map, the names are few and the same in every row; an id never comes twice.
_DICTIONARIES: Any = [
    "at",
    "model_version",
    "pattern",
    *(f"{name}.key_value.{part}" for name in ("numeric", "categorical", "keys") for part in ("key", "value")),
    "outputs.key_value.key",
]


_STATISTICS: Any = ["prediction_id", "at", "model_version"]


class Results:
    """Makes rows of the table out of what a model was given and what it said."""

    def __init__(self, manifest: Manifest, at: datetime) -> None:
        self._version = manifest.version
        self._at = int(at.timestamp() * 1_000_000)
        self._classes = pa.array(manifest.classes, pa.string())

    def table(self, ids: Arrow, checked: Checked, outputs: dict[str, Array], keys: dict[str, Arrow]) -> pa.Table:
        """The table of some rows."""
        count = len(ids)
        given = [each for name, array in outputs.items() for each in self._numbers(name, array)]
        columns = {
            "prediction_id": ids,
            "at": pa.array(np.full(count, self._at), pa.timestamp("us")),
            "model_version": _constant(pa.array([self._version]), count),
            "pattern": _constant(pa.array(["batch"]), count),
            "numeric": _number_map(checked.numbers, count),
            "categorical": _word_map(checked.words, count),
            "outputs": _number_map(given, count),
            "keys": _text_map(keys, count),
        }
        return pa.table(columns, schema=_WRITTEN)

    def _numbers(self, name: str, array: Array) -> list[Numbers]:
        """An output as numbers: a class as its index in the manifest, each of several values as `name[i]`."""
        if array.ndim > 1:
            flat = array.reshape(len(array), -1)
            return [each for i in range(flat.shape[1]) for each in self._numbers(f"{name}[{i}]", flat[:, i])]
        if array.dtype == object:
            found = pc.index_in(pa.array(array, pa.string()), value_set=self._classes)
            present = cast("Array", found.is_valid().to_numpy(zero_copy_only=False))
            return [Numbers(name, found.fill_null(0).to_numpy(zero_copy_only=False).astype(np.float64), present)]
        values = array.astype(np.float64)
        nan = np.isnan(values)
        return [Numbers(name, values, ~nan if nan.any() else None)]


class PartFile:
    """A file of the table that grows by batches; the same batches give the same bytes."""

    def __init__(self, file: Path) -> None:
        self._writer = pq.ParquetWriter(
            file,
            _WRITTEN,
            compression="zstd",
            use_dictionary=_DICTIONARIES,
            # The least and the most of a map's values over all its names say nothing, and take a third of the time.
            write_statistics=_STATISTICS,
            # What Arrow would note about itself says nothing to a reader of the table.
            store_schema=False,
        )
        self._waiting: list[pa.Table] = []
        self._rows = 0

    def add(self, table: pa.Table) -> None:
        """Add rows."""
        self._waiting.append(table)
        self._rows += table.num_rows
        if self._rows >= ROW_GROUP:
            self._flush()

    def close(self) -> None:
        """Write what is left, and the footer."""
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._rows:
            together = pa.concat_tables(self._waiting).unify_dictionaries()
            self._writer.write_table(together, row_group_size=self._rows)
        self._waiting, self._rows = [], 0


class Ids(NamedTuple):
    """Prediction ids of one run: 16 hex digits of the run, 4 of the file's number, 12 of the row's in the file."""

    run: str

    def of(self, file: int, numbers: Array) -> Arrow:
        """The ids of rows by their number in a file."""
        places = (np.uint64(file) << np.uint64(48)) | numbers.astype(np.uint64)
        digits = _HEX[places.astype(">u8").view(np.uint8)].reshape(len(numbers), 8)
        text = np.empty((len(numbers), _ID_BYTES // 2), np.uint16)
        text[:, :8] = np.frombuffer(self.run.encode(), np.uint16)
        text[:, 8:] = digits
        offsets = np.arange(0, (len(numbers) + 1) * _ID_BYTES, _ID_BYTES, dtype=np.int32)
        return _arrow.StringArray.from_buffers(len(numbers), _arrow.py_buffer(offsets), _arrow.py_buffer(text))


def texts(batch: Batch, features: Sequence[str]) -> dict[str, Arrow]:
    """The columns that are no features, as text; lists, structures and raw bytes have none and are left out."""
    found: dict[str, Arrow] = {}
    for field, column in zip(batch.schema, batch.columns, strict=True):
        kind = value_type(field.type)
        if field.name not in features and not (pa.types.is_nested(kind) or _is_bytes(kind)):
            found[field.name] = column.cast(pa.string())
    return found


def _is_bytes(kind: pa.DataType) -> bool:
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind)


def _constant(value: Arrow, count: int) -> Arrow:
    return _arrow.DictionaryArray.from_arrays(_arrow.array(np.zeros(count, np.int32)), value)


def _number_map(columns: Sequence[Numbers], count: int) -> Arrow:
    values: Array = np.column_stack([column.values for column in columns]) if columns else np.empty((count, 0))
    return _map(
        [c.name for c in columns], [c.present for c in columns], count, lambda keep: _arrow.array(_kept(values, keep))
    )


def _word_map(columns: Sequence[Words], count: int) -> Arrow:
    if not columns:
        return _map(
            [],
            [],
            count,
            lambda _: _arrow.DictionaryArray.from_arrays(_arrow.array([], pa.int32()), _arrow.array([], pa.string())),
        )
    words = pc.unique(_arrow.concat_arrays([column.words for column in columns]))
    # A column without any word has indices that mean nothing; none of them is present.
    mapped = [
        pc.index_in(column.words, value_set=words).to_numpy(zero_copy_only=False)[column.indices]
        if len(column.words)
        else column.indices
        for column in columns
    ]
    indices = np.column_stack(mapped).astype(np.int32)
    return _map(
        [column.name for column in columns],
        [column.present for column in columns],
        count,
        lambda keep: _arrow.DictionaryArray.from_arrays(_arrow.array(_kept(indices, keep)), words),
    )


def _text_map(columns: dict[str, Arrow], count: int) -> Arrow:
    if not columns:
        return _map([], [], count, lambda _: _arrow.array([], pa.string()))
    together = _arrow.concat_arrays(list(columns.values()))
    order = np.arange(len(columns) * count).reshape(len(columns), count).T
    present = [
        cast("Array", column.is_valid().to_numpy(zero_copy_only=False)) if column.null_count else None
        for column in columns.values()
    ]
    return _map(list(columns), present, count, lambda keep: together.take(_arrow.array(_kept(order, keep))))


def _map(names: list[str], present: list[Mask | None], count: int, items: Callable[[Mask | None], Arrow]) -> Arrow:
    """A map of each row: `items(keep)` gives the values that are there, row by row."""
    width = len(names)
    numbers: Array = np.tile(np.arange(width, dtype=np.int32), count)
    keep: Mask | None = None
    offsets = np.arange(0, count * width + 1, width, dtype=np.int32) if width else np.zeros(count + 1, np.int32)
    if any(mask is not None for mask in present):
        every = np.ones(count, np.bool_)
        keep = np.column_stack([every if mask is None else mask for mask in present])
        offsets[1:] = np.cumsum(keep.sum(axis=1))
        numbers = numbers[keep.ravel()]
    keys = _arrow.DictionaryArray.from_arrays(_arrow.array(numbers), _arrow.array(names, pa.string()))
    return _arrow.MapArray.from_arrays(_arrow.array(offsets), keys, items(keep))


def _kept(values: Array, keep: Mask | None) -> Array:
    return values.ravel() if keep is None else values[keep]
