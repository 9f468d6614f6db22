"""Columns of rows as a model's input tensors: what `serving.rows` does for requests, for thousands of rows at once.

Nothing here is done row by row, except to say what is wrong with a bad one. A value is missing where it is null, or
NaN, which is how data frames write it; the manifest's rule says what becomes of it.
"""

from typing import Any, NamedTuple, cast

import numpy as np
import pyarrow as pa
from pyarrow import compute

from serving.exits import CommandError, Exit
from serving.manifest import FLOATS, Feature, Manifest, Tensor
from serving.tensors import DTYPES, Array, Feeds

Arrow = Any
"""An array of pyarrow's; its stubs leave open what is in one, and what comes of it would be unknown everywhere."""
pc = cast("Any", compute)
Batch = Any
"""A RecordBatch of columns of any type, for which the stubs have no word."""
Mask = Array
"""One bool a row."""


class Numbers(NamedTuple):
    """A feature's numbers, and in which rows there is one (None: in all)."""

    name: str
    values: Array
    present: Mask | None


class Words(NamedTuple):
    """A feature's strings: which of `words` each row has, and in which rows there is one (None: in all)."""

    name: str
    indices: Array
    words: Arrow
    present: Mask | None


class Checked(NamedTuple):
    """What some rows say: the model's tensors, and the features by name as they were given."""

    feeds: Feeds
    numbers: list[Numbers]
    words: list[Words]


class _Column(NamedTuple):
    values: Array
    """As the tensor wants them."""
    given: Numbers | Words
    missing: Mask | None
    bad: Mask | None
    """Rows whose value the tensor cannot hold."""


class Columns:
    """Reads columns by feature name for one model."""

    def __init__(self, manifest: Manifest) -> None:
        self.features = manifest.features
        self.names = [feature.name for feature in manifest.features]
        self._tensors = {tensor.name: tensor for tensor in manifest.inputs}

    def datatype(self, feature: Feature) -> str:
        """The datatype of the input that a feature feeds."""
        return self._tensors[feature.input].datatype

    @property
    def words(self) -> list[str]:
        """The names of the features that are strings."""
        return [feature.name for feature in self.features if self.datatype(feature) == "BYTES"]

    def check_schema(self, schema: pa.Schema, where: str) -> None:
        """Refuse columns that no row of which could be read.

        Raises:
            CommandError: naming `where`, the column, what was expected and what is there.
        """
        for feature in self.features:
            datatype = self.datatype(feature)
            if feature.name not in schema.names:
                there = ", ".join(schema.names[:20]) or "none"
                raise CommandError(
                    Exit.CONFIG,
                    f"{where}: column {feature.name!r}: expected {_WANTED[datatype]}, found no such column; "
                    f"there are: {there}",
                )
            kind: pa.DataType = cast("Any", schema.field(feature.name)).type
            if not _fits(kind, datatype):
                raise CommandError(
                    Exit.CONFIG, f"{where}: column {feature.name!r}: expected {_WANTED[datatype]}, found {kind}"
                )

    def check(self, batch: Batch) -> tuple[Checked, dict[int, str]]:
        """The tensors of some rows, and what is wrong with which (by its place in the batch).

        Where any is wrong the tensors are of no use: take the wrong ones out and check the others.
        """
        columns: dict[str, _Column] = {}
        wrong: dict[int, str] = {}
        for feature in self.features:
            given: Arrow = batch.column(feature.name)
            column = self._column(feature, given)
            columns[feature.name] = column
            if column.bad is not None:
                for row in np.flatnonzero(column.bad).tolist():
                    value = given[row].as_py()
                    reason = f"{feature.name}: expected {_WANTED[self.datatype(feature)]}, got {value}"
                    wrong.setdefault(row, reason)
            if column.missing is not None and feature.missing.rule == "reject":
                for row in np.flatnonzero(column.missing).tolist():
                    wrong.setdefault(row, f"{feature.name}: missing")
        feeds = {name: self._tensor(tensor, columns) for name, tensor in self._tensors.items()}
        numbers = [column.given for column in columns.values() if isinstance(column.given, Numbers)]
        words = [column.given for column in columns.values() if isinstance(column.given, Words)]
        return Checked(feeds, numbers, words), wrong

    def _tensor(self, tensor: Tensor, columns: dict[str, _Column]) -> Array:
        mine = sorted((feature.column, feature.name) for feature in self.features if feature.input == tensor.name)
        arrays = [columns[name].values for _, name in mine]
        if len(tensor.shape) == 1:
            return arrays[0]
        return arrays[0].reshape(-1, 1) if len(arrays) == 1 else np.column_stack(arrays)

    def _column(self, feature: Feature, column: Arrow) -> _Column:
        datatype = self.datatype(feature)
        fill = feature.missing.value if feature.missing.rule == "fill" else None
        if datatype == "BYTES":
            return _words(feature.name, column, cast("str | None", fill))
        values, missing = _read(column, datatype)
        present = None if missing is None else ~missing
        with np.errstate(invalid="ignore"):  # NaN, where the value is missing
            given = Numbers(feature.name, values.astype(np.float64, copy=False), present)
        bad = _out_of_range(values, missing, datatype)
        if missing is not None and (fill is not None or datatype not in FLOATS):
            values = np.where(missing, np.asarray(fill or 0), values)
        if bad is not None:
            values = np.where(bad, 0, values)
        with np.errstate(over="ignore"):
            return _Column(values.astype(DTYPES[datatype], copy=False), given, missing, bad)


def _read(column: Arrow, datatype: str) -> tuple[Array, Mask | None]:
    """Numbers as numpy has them, whole ones exactly, and where there is none."""
    if pa.types.is_null(column.type) or pa.types.is_decimal(column.type):
        column = column.cast(pa.float64())
    if pa.types.is_floating(column.type):
        values: Array = column.to_numpy(zero_copy_only=False)
        missing = np.isnan(values)
        return values, missing if missing.any() else None
    missing = None
    if column.null_count:
        missing = cast("Array", column.is_null().to_numpy(zero_copy_only=False))
        column = column.fill_null(False if pa.types.is_boolean(column.type) else 0)
    values = column.to_numpy(zero_copy_only=False)
    return values.astype(np.float64) if datatype in FLOATS else values, missing


def _out_of_range(values: Array, missing: Mask | None, datatype: str) -> Mask | None:
    """Which numbers a whole-number tensor cannot hold."""
    if datatype in FLOATS or datatype == "BOOL" or values.dtype == DTYPES[datatype]:
        return None
    limits = np.iinfo(DTYPES[datatype])
    with np.errstate(invalid="ignore"):
        bad = (values < limits.min) | (values > limits.max)
        if values.dtype.kind == "f":
            # 2**63 is a float64 and no int64: the largest limits are not floats themselves.
            bad |= (values != np.floor(values)) | (values >= float(limits.max) + 1)
    if missing is not None:
        bad &= ~missing
    return bad if bad.any() else None


def _words(name: str, column: Arrow, fill: str | None) -> _Column:
    encoded = _encoded(column)
    words: Arrow = encoded.dictionary
    missing = cast("Array", encoded.is_null().to_numpy(zero_copy_only=False)) if encoded.null_count else None
    places = encoded.indices.fill_null(0) if encoded.null_count else encoded.indices
    indices: Array = places.to_numpy(zero_copy_only=False)
    objects: Array = np.empty(len(words) + 1, object)
    objects[:-1] = words.to_pylist()
    objects[-1] = fill or ""
    present = None if missing is None else ~missing
    filled = indices if missing is None else np.where(missing, len(words), indices)
    return _Column(objects.take(filled), Words(name, indices, words, present), missing, None)


def _encoded(column: Arrow) -> Arrow:
    if pa.types.is_dictionary(column.type):
        if not column.dictionary.null_count and column.dictionary.type == pa.string():
            return column
        column = column.dictionary_decode()
    return pc.dictionary_encode(column.cast(pa.string()))


def value_type(kind: pa.DataType) -> pa.DataType:
    """The type of a column's values, whether or not they are in a dictionary."""
    return cast("pa.DataType", cast("Any", kind).value_type) if pa.types.is_dictionary(kind) else kind


_TEXT = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
_WANTED = dict.fromkeys(DTYPES, "a whole number") | {
    "FP16": "a number",
    "FP32": "a number",
    "FP64": "a number",
    "BOOL": "true or false",
    "BYTES": "a string",
}


def _fits(kind: pa.DataType, datatype: str) -> bool:
    """Whether a column of this type can hold values of the datatype; a number's range is seen row by row."""
    if pa.types.is_null(kind):
        return True
    if datatype == "BYTES":
        return any(is_text(value_type(kind)) for is_text in _TEXT)
    if datatype == "BOOL":
        return pa.types.is_boolean(kind)
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
