"""Parquet files joined by their footers, read back by Arrow."""

import io
from itertools import accumulate

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from serving.batch.parquet_join import MAGIC, TAIL_BYTES, footer_length, joined_footer


def file_of(table: pa.Table, **options: object) -> bytes:
    file = io.BytesIO()
    pq.write_table(table, file, **options)  # type: ignore[arg-type]
    return file.getvalue()


def joined(files: list[bytes]) -> bytes:
    lengths = [footer_length(file[-TAIL_BYTES:]) + TAIL_BYTES for file in files]
    bodies = [file[len(MAGIC) : -length] for file, length in zip(files, lengths, strict=True)]
    shifts = [0, *accumulate(map(len, bodies))]
    footers = [file[-length:-TAIL_BYTES] for file, length in zip(files, lengths, strict=True)]
    return MAGIC + b"".join(bodies) + joined_footer(list(zip(footers, shifts, strict=False)))


def table(rows: int) -> pa.Table:
    maps = pa.array([[("a", i / 2)] if i % 3 else None for i in range(rows)], pa.map_(pa.string(), pa.float64()))
    return pa.table({"number": range(rows), "word": [f"w{i % 7}" for i in range(rows)], "map": maps})


@pytest.mark.parametrize("options", [{}, {"write_page_index": True}, {"compression": "zstd", "store_schema": False}])
def test_what_was_in_the_files_is_in_the_one(options: dict[str, object]) -> None:
    tables = [table(1000), table(1), table(3000)]
    one = joined([file_of(each, row_group_size=450, **options) for each in tables])
    read = pq.ParquetFile(io.BytesIO(one))
    assert read.read().equals(pa.concat_tables(tables))
    assert read.metadata.num_row_groups == 3 + 1 + 7
    for group in range(11):
        assert read.read_row_group(group).num_rows == read.metadata.row_group(group).num_rows


def test_a_footer_alone_stays_as_it_is() -> None:
    file = file_of(table(100), row_group_size=30)
    assert joined([file]) == file


def test_other_schemas_and_other_files_are_refused() -> None:
    with pytest.raises(ValueError, match="different schemas"):
        joined([file_of(table(1)), file_of(table(1).drop(["word"]))])
    with pytest.raises(ValueError, match="not the end of a Parquet file"):
        footer_length(b"nonsense")
    with pytest.raises(ValueError, match="ends early"):
        joined_footer([(file_of(table(5))[-200:-150], 0)])
    with pytest.raises(ValueError, match="no file"):
        joined_footer([])
