"""CSV and JSON lines: text becomes columns of the model's kinds; a row that does not is set aside with its reason."""

from collections.abc import Iterator
from itertools import islice
from typing import Any, BinaryIO, Literal, cast

import msgspec
import numpy as np
import pyarrow as pa
from pyarrow import csv

from serving.batch.input import BLOCK_ROWS, Block, Rejected, add_constants
from serving.batch.rows import Arrow, Batch, Columns, pc
from serving.errors import InvalidInputError
from serving.exits import CommandError, Exit
from serving.manifest import FLOATS, Feature
from serving.tensors import Array

_CSV_BLOCK_BYTES = 1 << 20
_LONGEST_LINE = 8 * 1024 * 1024
_NOTHING = ["", "NA", "null", "NULL", "None", "nan", "NaN"]
"""What stands for a missing value in CSV."""
_NUMBER = r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$"
_TRUTH = r"^(?i:true|false|0|1)$"


def csv_header(stream: BinaryIO, key: str, where: str) -> list[str]:
    """The names of the columns."""
    try:
        read, parse = csv.ReadOptions(block_size=_CSV_BLOCK_BYTES), csv.ParseOptions(invalid_row_handler=_skip)
        with csv.open_csv(_plain(stream, key), read, parse) as reader:
            return reader.schema.names
    except pa.ArrowInvalid as error:
        raise CommandError(Exit.CONFIG, f"{where}: not CSV: {str(error).splitlines()[0]}") from None


def csv_blocks(
    stream: BinaryIO, key: str, names: list[str], file: int, columns: Columns, constant: dict[str, str], where: str
) -> Iterator[Block]:
    """The rows of a CSV file with a header; a row's number counts the rows that have all their columns, from 0."""
    torn: list[Rejected] = []

    def torn_row(row: Any) -> Literal["skip"]:
        reason = f"expected {row.expected_columns} columns, found {row.actual_columns}"
        torn.append(Rejected(file, row.number or 0, reason, row.text))
        return "skip"

    # Every column is read as text first: a value that is no number spoils its row, not the file.
    convert = csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()), null_values=_NOTHING, strings_can_be_null=True
    )
    done = 0
    try:
        reader = csv.open_csv(
            _plain(stream, key),
            csv.ReadOptions(block_size=_CSV_BLOCK_BYTES, use_threads=False),
            csv.ParseOptions(invalid_row_handler=torn_row),
            convert,
        )
        for batch in reader:
            for start in range(0, batch.num_rows, BLOCK_ROWS):
                piece = batch.slice(start, BLOCK_ROWS)
                numbers: Array = np.arange(done, done + piece.num_rows)
                done += piece.num_rows
                yield _typed(file, numbers, add_constants(piece, constant, columns), columns, [*torn], _reached(stream))
                torn.clear()
    except pa.ArrowInvalid as error:
        raise CommandError(Exit.CONFIG, f"{where}: not CSV: {str(error).splitlines()[0]}") from None
    if torn:
        empty = pa.record_batch({name: pa.array([], pa.string()) for name in names})
        yield _typed(file, np.arange(0), add_constants(empty, constant, columns), columns, torn, _reached(stream))


def jsonl_blocks(
    stream: BinaryIO, key: str, file: int, columns: Columns, constant: dict[str, str], where: str
) -> Iterator[Block]:
    """The rows of a file with one JSON object a line; a row's number is its line's, from 1."""
    lines = _lines(_plain(stream, key), where)
    while chunk := list(islice(lines, BLOCK_ROWS)):
        rejected: list[Rejected] = []
        rows: list[dict[str, Any]] = []
        numbers: list[int] = []
        for number, line in chunk:
            row: dict[str, Any] = {}
            try:
                row = msgspec.json.decode(line, type=dict[str, Any])
                _check(row, columns, constant)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                rejected.append(Rejected(file, number, f"not a JSON object: {error}", line.decode(errors="replace")))
            except InvalidInputError as error:
                rejected.append(Rejected(file, number, str(error), row))
            else:
                rows.append(row)
                numbers.append(number)
        batch = add_constants(_table(rows, columns, constant), constant, columns)
        yield Block(file, np.array(numbers, np.int64), batch, rejected, stream.tell())


def _check(row: dict[str, Any], columns: Columns, constant: dict[str, str]) -> None:
    """Refuse a value that is not of its feature's kind; whether one is missing is seen with the others."""
    for feature in columns.features:
        value = row.get(feature.name)
        if value is None or feature.name in constant:
            continue
        datatype = columns.datatype(feature)
        wanted = str if datatype == "BYTES" else bool if datatype == "BOOL" else (int, float)
        if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
            said = msgspec.json.encode(value).decode()
            expected = {str: "a string", bool: "true or false"}.get(cast("type", wanted), "a number")
            raise InvalidInputError(f"{feature.name}: expected {expected}, got {said}")


def _table(rows: list[dict[str, Any]], columns: Columns, constant: dict[str, str]) -> Batch:
    found: dict[str, Arrow] = {}
    for feature in columns.features:
        if feature.name not in constant:
            found[feature.name] = _column([row.get(feature.name) for row in rows], _kind(columns, feature))
    others = dict.fromkeys(name for row in rows for name in row if name not in found and name not in constant)
    for name in others:
        found[name] = pa.array([_text(row.get(name)) for row in rows], pa.string())
    return pa.record_batch(found)


def _column(values: list[Any], kind: pa.DataType) -> Arrow:
    try:
        return pa.array(values, kind)
    except (pa.ArrowInvalid, OverflowError):  # a fraction, or more than 64 bits: seen and named with the others
        return pa.array([None if value is None else float(value) for value in values], pa.float64())


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode()


def _typed(file: int, numbers: Array, batch: Batch, columns: Columns, rejected: list[Rejected], done: int) -> Block:
    """Columns of text as those of the model's kinds; rows where that fails are taken out."""
    count: int = batch.num_rows
    good: Array = np.ones(count, np.bool_)
    for feature in columns.features:
        column: Arrow = batch.column(feature.name)
        if column.type != pa.string() or columns.datatype(feature) == "BYTES":
            continue
        pattern = _TRUTH if columns.datatype(feature) == "BOOL" else _NUMBER
        sound: Array = pc.match_substring_regex(column, pattern).fill_null(True).to_numpy(zero_copy_only=False)
        for row in np.flatnonzero(~sound & good).tolist():
            expected = "true or false" if columns.datatype(feature) == "BOOL" else "a number"
            reason = f"{feature.name}: expected {expected}, got {column[row].as_py()!r}"
            rejected.append(Rejected(file, int(numbers[row]), reason, batch.slice(row, 1).to_pylist()[0]))
        good &= sound
    if not good.all():
        batch, numbers = batch.filter(pa.array(good)), numbers[good]
    for feature in columns.features:
        at = batch.schema.get_field_index(feature.name)
        column: Arrow = batch.column(at)
        if column.type == pa.string() and columns.datatype(feature) != "BYTES":
            kind = _kind(columns, feature)
            batch = batch.set_column(at, feature.name, _numbers(column, kind))
    return Block(file, numbers, batch, rejected, done)


def _numbers(column: Arrow, kind: pa.DataType) -> Arrow:
    stripped = pc.utf8_trim_whitespace(column)
    if pa.types.is_boolean(kind):
        return pc.cast(stripped, kind)
    # Arrow knows no plus sign.
    stripped = pc.replace_substring_regex(stripped, r"^\+", "")
    try:
        return pc.cast(stripped, kind)
    except pa.ArrowInvalid:  # a fraction, or out of range: seen and named with the others
        return pc.cast(stripped, pa.float64())


def _kind(columns: Columns, feature: Feature) -> pa.DataType:
    datatype = columns.datatype(feature)
    if datatype == "BYTES":
        return pa.string()
    if datatype == "BOOL":
        return pa.bool_()
    if datatype in FLOATS:
        return pa.float64()
    return pa.uint64() if datatype == "UINT64" else pa.int64()


def _lines(stream: Any, where: str) -> Iterator[tuple[int, bytes]]:
    """Lines with their number, from 1; blank ones are passed over."""
    number, rest = 0, b""
    while True:
        chunk = stream.read(1 << 20)
        *lines, rest = (rest + chunk).split(b"\n") if chunk else ([rest] if rest else []) + [b""]
        if len(rest) > _LONGEST_LINE:
            raise CommandError(
                Exit.CONFIG, f"{where}: line {number + len(lines) + 1}: longer than {_LONGEST_LINE} bytes"
            )
        for line in lines:
            number += 1
            if line.strip():
                yield number, line
        if not chunk:
            return


def _reached(stream: BinaryIO) -> int:
    """How far a file was read; Arrow closes it at its end."""
    return 0 if stream.closed else stream.tell()


def _skip(_: csv.InvalidRow) -> Literal["skip"]:
    return "skip"


def _plain(stream: BinaryIO, key: str) -> Any:
    return pa.CompressedInputStream(cast("Any", stream), "gzip") if key.endswith(".gz") else stream
