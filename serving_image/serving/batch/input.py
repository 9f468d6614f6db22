"""The rows of a split, read in blocks of bounded size, whatever the size of the file."""

from collections.abc import Iterator
from typing import Any, NamedTuple, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from serving.batch.plan import Format, Split
from serving.batch.rows import Batch, Columns
from serving.batch.store import Object, Store
from serving.exits import CommandError, Exit
from serving.tensors import Array

BLOCK_ROWS = 16_384
"""Rows that are read, scored and made results of at a time: enough that the fixed cost of each step does not count,
few enough that what a step leaves is still in the processor's cache for the next."""


class Rejected(NamedTuple):
    """A row that is set aside: its file, its number in it (from 0; of a line of text from 1), why, and what it says."""

    file: int
    number: int
    reason: str
    row: Any


class Block(NamedTuple):
    """Some rows of a file: their numbers in it, their columns, what could not even be read, and how far they reach in
    the weight of what is read (rows; of text, bytes)."""

    file: int
    numbers: Array
    batch: Batch
    rejected: list[Rejected]
    done: int


class Reader:
    """Reads files of one format for one model."""

    def __init__(self, form: Format, source: Store, columns: Columns) -> None:
        self._format, self._source, self._columns = form, source, columns

    def look(self, found: Object) -> list[int]:
        """The rows of each row group of a file (of text: its bytes), its schema being one that the model can take.

        Raises:
            CommandError: it is not of the format; a column is missing, or of another kind than the model wants.
        """
        where, constant = self.uri(found), partition_values(found.key)
        counts = [found.size]
        with self._source.open(found) as stream:
            if self._format == "parquet":
                try:
                    meta = pq.read_metadata(stream)
                except pa.ArrowInvalid as error:
                    raise CommandError(Exit.CONFIG, f"{where}: not a Parquet file: {one_line(error)}") from None
                self._columns.check_schema(_with(meta.schema.to_arrow_schema(), constant), where)
                counts = [meta.row_group(i).num_rows for i in range(meta.num_row_groups)]
            elif self._format == "csv":
                from serving.batch.text import csv_header

                names = csv_header(stream, found.key, where)
                self._columns.check_schema(_with(pa.schema([(name, pa.null()) for name in names]), constant), where)
        return counts

    def blocks(self, found: Object, split: Split) -> Iterator[Block]:
        """The rows of a split of a file, in their order."""
        constant = partition_values(found.key)
        if self._format == "parquet":
            yield from self._row_group(found, split, constant)
            return
        from serving.batch.text import csv_blocks, csv_header, jsonl_blocks

        key, where = found.key, self.uri(found)
        if self._format == "csv":
            with self._source.open(found) as stream:
                names = csv_header(stream, key, where)
            with self._source.open(found) as stream:
                yield from csv_blocks(stream, key, names, split.file, self._columns, constant, where)
            return
        with self._source.open(found) as stream:
            yield from jsonl_blocks(stream, key, split.file, self._columns, constant, where)

    def uri(self, found: Object) -> str:
        """A file's address."""
        return f"{self._source.root}{found.key}"

    def _row_group(self, found: Object, split: Split, constant: dict[str, str]) -> Iterator[Block]:
        with self._source.open(found) as stream:
            done = split.first
            try:
                file = pq.ParquetFile(stream, read_dictionary=self._columns.words, pre_buffer=True)
                # A group at a time: what is buffered ahead is what was asked for, and that must not be the file.
                for batch in file.iter_batches(BLOCK_ROWS, row_groups=[split.group], use_threads=False):
                    numbers: Array = np.arange(done, done + batch.num_rows)
                    done += batch.num_rows
                    yield Block(
                        split.file, numbers, add_constants(batch, constant, self._columns), [], done - split.first
                    )
            except (pa.ArrowInvalid, OSError) as error:
                raise CommandError(Exit.CONFIG, f"{self.uri(found)}: cannot be read: {one_line(error)}") from None


def one_line(error: Exception) -> str:
    """What Arrow says first."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def partition_values(key: str) -> dict[str, str]:
    """The columns that stand in a file's path, as `date=2026-01-31/`."""
    pairs = (part.split("=", 1) for part in key.split("/")[:-1] if "=" in part)
    return {name: value for name, value in pairs if name}


def add_constants(batch: Batch, constant: dict[str, str], columns: Columns) -> Batch:
    """The batch with the columns of its path; what the file itself says goes first."""
    for name, value in constant.items():
        if name not in batch.schema.names:
            kind = pa.string() if name in columns.words or name not in columns.names else pa.float64()
            repeated = cast("Any", pa).array([value] * batch.num_rows, pa.string()).cast(kind)
            batch = batch.append_column(name, repeated)
    return batch


def _with(schema: pa.Schema, constant: dict[str, str]) -> pa.Schema:
    for name in constant:
        if name not in schema.names:
            schema = schema.append(pa.field(name, pa.null()))
    return schema
