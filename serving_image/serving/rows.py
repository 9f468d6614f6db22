"""Rows by feature name, the friendly form of a question, and the tensors that they become."""

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Annotated, Any, cast

import msgspec
import numpy as np
from msgspec import Meta, Struct

from serving.errors import InvalidInputError, TooLargeError, explain
from serving.manifest import FLOATS, Feature, Manifest, Tensor
from serving.tensors import DTYPES, Array

Row = Struct


class RowReader:
    """Reads `{"rows": [{column: value}]}`, and a row alone, into structs whose fields `f0`, `f1`… are the columns.

    `columns`: name -> type, with a default after it where the row may leave it out, as msgspec has them.
    """

    def __init__(self, columns: Mapping[str, tuple[Any, ...]], max_rows: int) -> None:
        self._max_rows = max_rows
        # A struct's fields must be identifiers and a column's name need not be one: fields are numbered, then renamed.
        renamed = {f"f{i}": name for i, name in enumerate(columns)}
        row = msgspec.defstruct(
            "Row",
            [(field, *kind) for field, kind in zip(renamed, columns.values(), strict=True)],
            rename=renamed,
            forbid_unknown_fields=True,
            frozen=True,
            gc=False,
            kw_only=True,
        )
        request = msgspec.defstruct("PredictRequest", [("rows", list[row])], forbid_unknown_fields=True)
        self._request = msgspec.json.Decoder(request)
        self._row = msgspec.json.Decoder(row)
        self._row_type = row

    def decode(self, body: bytes) -> list[Row]:
        """The rows of a `/predict` body, validated.

        Raises:
            InvalidInputError: naming the row and the column.
            TooLargeError: more rows than one request may have.
        """
        try:
            rows = cast("list[Row]", getattr(self._request.decode(body), "rows"))  # noqa: B009 - the struct is made at run time
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidInputError(explain(error)) from None
        if not rows:
            raise InvalidInputError("rows: expected at least one row")
        if len(rows) > self._max_rows:
            raise TooLargeError(f"rows: at most {self._max_rows} in one request, got {len(rows)}")
        return rows

    def decode_one(self, body: bytes) -> Row:
        """One row, `{column: value}`, validated as in `decode`."""
        try:
            return self._row.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidInputError(explain(error)) from None


class Rows(RowReader):
    """Reads rows of features for one model and turns them into its input tensors."""

    def __init__(self, manifest: Manifest, max_rows: int) -> None:
        self.features = manifest.features
        tensors = {tensor.name: tensor for tensor in manifest.inputs}
        super().__init__(
            {feature.name: _field(feature, tensors[feature.input].datatype) for feature in self.features}, max_rows
        )
        self._columns = [_columns(tensor, self.features) for tensor in manifest.inputs]

    def convert(self, values: dict[str, Any]) -> Row:
        """A row from Python values, validated as in `decode`."""
        try:
            return msgspec.convert(values, self._row_type)
        except msgspec.ValidationError as error:
            raise InvalidInputError(explain(error)) from None

    def tensors(self, rows: Sequence[Row]) -> dict[str, Array]:
        """The model's input tensors of some rows, in one array each.

        Raises:
            InvalidInputError: a number does not fit the input's datatype.
        """
        return {name: columns(rows) for name, columns in self._columns}


def _field(feature: Feature, datatype: str) -> tuple[Any, Any]:
    """Type and default of a feature's value; null stands for absent where something else can."""
    kind = value_type(datatype)
    if feature.missing.rule == "reject":
        return kind, msgspec.NODEFAULT
    return kind | None, None


def value_type(datatype: str) -> Any:
    """What a value must be that feeds an input of a datatype, as msgspec checks it."""
    if datatype == "BYTES":
        return str
    if datatype in FLOATS:
        return float
    if datatype == "BOOL":
        return bool
    limits = np.iinfo(DTYPES[datatype])
    if datatype == "UINT64":  # msgspec's bounds are signed; numpy refuses what is larger
        return Annotated[int, Meta(ge=0)]
    return Annotated[int, Meta(ge=int(limits.min), le=int(limits.max))]


def _columns(tensor: Tensor, features: tuple[Feature, ...]) -> tuple[str, Callable[[Sequence[Row]], Array]]:
    """How rows become the input `tensor`: its name and a function."""
    mine = sorted((feature.column, i, feature) for i, feature in enumerate(features) if feature.input == tensor.name)
    dtype = DTYPES[tensor.datatype]
    shape = (-1, len(mine)) if len(tensor.shape) == 2 else (-1,)
    # With one name attrgetter gives the value, with several a tuple: either way the array has the right order.
    values = attrgetter(*(f"f{i}" for _, i, _ in mine)) if mine else None
    fills = [feature.missing.value if feature.missing.rule == "fill" else None for _, _, feature in mine]
    needs_fill = any(fill is not None for fill in fills)

    def columns(rows: Sequence[Row]) -> Array:
        if values is None:
            raise InvalidInputError("this model has no features: ask it through /v2 with tensors")
        found = [values(row) for row in rows]
        if needs_fill:
            found = [_filled(row if len(fills) > 1 else (row,), fills) for row in found]
        try:
            return np.array(found, dtype).reshape(shape)
        except (OverflowError, ValueError) as error:
            raise InvalidInputError(f"{tensor.name}: not {tensor.datatype}: {error}") from None

    return tensor.name, columns


def _filled(values: tuple[Any, ...], fills: list[Any]) -> list[Any]:
    return [fill if value is None else value for value, fill in zip(values, fills, strict=True)]
