"""Sample rows of a model: where its features, its baseline and its golden question come from."""

import csv
import zipfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import csv as arrow_csv
from pyarrow import json as arrow_json
from pyarrow import parquet
from serving.manifest import FLOATS, Feature, Missing, Tensor
from serving.tensors import DTYPES

from release.baseline import numbers
from release.errors import SlipwayError

_MISSING_TEXT = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None")


class Sample:
    """Rows by feature name: a table, or a .csv, .parquet or .jsonl file with one.

    Raises:
        SlipwayError: there is no such file, or it cannot be read.
    """

    def __init__(self, source: Path | pa.Table) -> None:
        self._source = source
        self.name = source.name if isinstance(source, Path) else "the sample"
        self.columns: list[str] = self._columns()
        if not self.columns:
            raise SlipwayError("bad-sample", f"{self.name}: it is empty", "give a sample of at least one row")

    def rows(self, text: Collection[str]) -> pa.Table:
        """All rows; the columns of a .csv named in `text` are read verbatim (`007` stays `007`), empty ones as null."""
        table = self._read(text)
        if table.num_rows == 0:
            raise SlipwayError("bad-sample", f"{self.name}: it has no rows", "give a sample of at least one row")
        return table

    def _columns(self) -> list[str]:
        if not (isinstance(self._source, Path) and self._source.suffix == ".csv"):
            return list(self._read(()).column_names)
        try:
            with self._source.open(encoding="utf-8-sig", newline="") as file:
                return next(iter(csv.reader(file)), list[str]())
        except (OSError, UnicodeDecodeError) as error:
            raise self._unreadable(error) from None

    def _read(self, text: Collection[str]) -> pa.Table:
        if isinstance(self._source, pa.Table):
            return self._source
        try:
            match self._source.suffix:
                case ".csv":
                    options = arrow_csv.ConvertOptions(
                        column_types=dict.fromkeys(text, pa.string()), null_values=list(_MISSING_TEXT)
                    )
                    return _empty_as_null(arrow_csv.read_csv(self._source, convert_options=options), text)
                case ".parquet":
                    return parquet.read_table(self._source)
                case ".jsonl" | ".ndjson":
                    return arrow_json.read_json(self._source)
                case other:
                    raise SlipwayError(
                        "bad-sample",
                        f"{self.name}: expected a .csv, .parquet or .jsonl file, got {other or 'no suffix'!r}",
                        "save the rows in one of these formats",
                    )
        except (OSError, pa.ArrowException) as error:
            raise self._unreadable(error) from None

    def _unreadable(self, error: Exception) -> SlipwayError:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else " ".join(str(error).split())
        return SlipwayError("bad-sample", f"{self.name}: cannot be read: {reason}", "check the path and the file")


def map_features(
    inputs: Sequence[Tensor], sample: Sample, chosen: Sequence[str], categorical: Collection[str]
) -> tuple[Feature, ...]:
    """Which column of the sample feeds which column of which input.

    An input of one column is fed by the column of its name. Where not every input is, `chosen` (all columns, unless
    given) are taken in their order and feed the inputs in theirs.

    Raises:
        SlipwayError: the columns do not fit the inputs.
    """
    for column in (*chosen, *categorical):
        if column not in sample.columns:
            raise SlipwayError(
                "bad-sample",
                f"{sample.name}: there is no column {column!r}; it has {', '.join(sample.columns)}",
                "name columns as the sample does",
            )
    places = [(tensor, column) for tensor in inputs for column in range(_width(tensor))]
    names = list(chosen) or sample.columns
    if not chosen and all(_width(tensor) == 1 for tensor in inputs):
        names = [tensor.name for tensor in inputs]
        for name in names:
            if name not in sample.columns:
                raise SlipwayError(
                    "bad-sample",
                    f"{sample.name}: the model's input {name!r} has no column; it has {', '.join(sample.columns)}",
                    "rename the column, or name the columns in the order of the inputs with --features",
                )
    for name in names:
        if names.count(name) > 1:
            raise SlipwayError("bad-sample", f"{sample.name}: column {name!r} is named twice", "name each column once")
    if len(names) != len(places):
        raise SlipwayError(
            "bad-sample",
            f"{sample.name}: the model takes {len(places)} columns, got {len(names)}: {', '.join(names)}",
            "name the columns that feed the model, in its order, with --features a,b,c",
        )
    return tuple(
        Feature(
            name=name,
            kind="categorical" if tensor.datatype == "BYTES" or name in categorical else "numeric",
            input=tensor.name,
            column=column,
            missing=Missing("reject"),
        )
        for name, (tensor, column) in zip(names, places, strict=True)
    )


def missing_rules(
    features: Sequence[Feature], inputs: Sequence[Tensor], rows: pa.Table, stated: Mapping[str, Missing]
) -> dict[str, Missing]:
    """What stands for an absent value of each feature: what was stated, else NaN where the sample has gaps in a
    floating-point input, else an error.

    Raises:
        SlipwayError: the sample has gaps that no rule fills.
    """
    datatypes = {tensor.name: tensor.datatype for tensor in inputs}
    for name in stated.keys() - {feature.name for feature in features}:
        raise SlipwayError("bad-option", f"--missing {name}: the model has no such feature", "check the name")
    rules: dict[str, Missing] = {}
    for feature in features:
        gaps = int(pc.is_null(rows[feature.name], nan_is_null=True).to_numpy().sum())
        takes_nan = feature.kind == "numeric" and datatypes[feature.input] in FLOATS
        rule = stated.get(feature.name) or Missing("nan" if gaps and takes_nan else "reject")
        if gaps and rule.rule == "reject":
            raise SlipwayError(
                "bad-sample",
                f"{feature.name}: {gaps} of the sample's {rows.num_rows} rows have no value, "
                f"and its {datatypes[feature.input]} input cannot hold a missing one",
                f"say what stands for it: --missing {feature.name}=fill:VALUE; or leave these rows out",
            )
        rules[feature.name] = rule
    return rules


def tensors(features: Sequence[Feature], inputs: Sequence[Tensor], rows: pa.Table) -> dict[str, NDArray[Any]]:
    """The model's inputs for these rows, missing values replaced as each feature's rule says.

    Raises:
        SlipwayError: a value does not fit its input.
    """
    made: dict[str, NDArray[Any]] = {}
    for tensor in inputs:
        feeding = sorted((f for f in features if f.input == tensor.name), key=lambda feature: feature.column)
        columns = [_values(feature, tensor, rows[feature.name]) for feature in feeding]
        made[tensor.name] = columns[0] if len(tensor.shape) == 1 else np.stack(columns, axis=1)
    return made


def read_tensors(path: Path, inputs: Sequence[Tensor]) -> dict[str, NDArray[Any]]:
    """The arrays of an .npz file, one for each of the model's inputs, with the same number of rows.

    Raises:
        SlipwayError: an array is missing, or does not fit its input.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise SlipwayError("bad-sample", f"{path.name}: cannot be read: {error}", "save it with numpy.savez") from None
    names = [tensor.name for tensor in inputs]
    if sorted(arrays) != sorted(names):
        raise SlipwayError(
            "bad-sample",
            f"{path.name}: expected the arrays {', '.join(names)}, got {', '.join(arrays) or 'none'}",
            "save one array for each of the model's inputs, by its name",
        )
    rows = {len(array) if array.ndim else 0 for array in arrays.values()}
    if len(rows) != 1 or rows == {0}:
        raise SlipwayError(
            "bad-sample", f"{path.name}: expected the same number of rows, at least one, in every array", ""
        )
    found: dict[str, NDArray[Any]] = {}
    for tensor in inputs:
        array = arrays[tensor.name]
        if len(array.shape) != len(tensor.shape) or any(
            size not in (-1, got) for size, got in zip(tensor.shape, array.shape, strict=True)
        ):
            raise SlipwayError(
                "bad-sample",
                f"{path.name}: {tensor.name}: expected shape {list(tensor.shape)}, got {list(array.shape)}",
                "save the arrays as the model takes them",
            )
        found[tensor.name] = array.astype(DTYPES[tensor.datatype])
    return found


def _empty_as_null(table: pa.Table, names: Collection[str]) -> pa.Table:
    for name in names:
        column: Any = table[name]
        filled: Any = cast("Any", pc).if_else(cast("Any", pc).equal(column, ""), pa.scalar(None, pa.string()), column)
        table = table.set_column(table.column_names.index(name), name, filled)
    return table


def _values(feature: Feature, tensor: Tensor, column: Any) -> NDArray[Any]:
    dtype = DTYPES[tensor.datatype]
    try:
        if feature.missing.rule == "fill":
            column = column.fill_null(cast("Any", feature.missing.value))
        if tensor.datatype == "BYTES":
            return column.cast(pa.string()).to_numpy().astype(object)
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            column = column.cast(pa.float64())
        values = numbers(column)
    except (ValueError, pa.ArrowException) as error:
        raise SlipwayError(
            "bad-sample",
            f"{feature.name}: expected {tensor.datatype} values: {' '.join(str(error).split())}",
            "mend the column; the model's inputs say what it takes",
        ) from None
    with np.errstate(over="ignore", invalid="ignore"):  # what does not fit is seen by comparing
        cast_values = values.astype(dtype)
    if not np.issubdtype(dtype, np.floating) and not np.array_equal(values, cast_values.astype(np.float64)):
        raise SlipwayError(
            "bad-sample", f"{feature.name}: expected whole numbers that fit {tensor.datatype}", "mend the column"
        )
    return cast_values


def _width(tensor: Tensor) -> int:
    """How many features feed an input of shape [-1] or [-1, k]."""
    if len(tensor.shape) == 1:
        return 1
    if len(tensor.shape) == 2 and tensor.shape[1] > 0:
        return tensor.shape[1]
    raise SlipwayError(
        "unsupported-signature",
        f"input {tensor.name!r} has shape {list(tensor.shape)}; expected [-1] or [-1, k] with a fixed k",
        "give a sample of tensors (.npz, one array an input) for a model whose inputs are not columns",
    )
