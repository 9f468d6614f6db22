"""Batch runs on an emulated S3."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pyarrow.parquet as pq
import pytest
from batch_support import PARTITION, RUN, run_all, settings, weather, write_input
from moto import mock_aws
from serving.batch import s3 as batch_s3
from serving.batch.s3 import S3Store
from serving.batch.store import FolderStore, Piece, Store
from serving.exits import CommandError, Exit
from serving_packages import write_package


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name, value in {"ACCESS_KEY_ID": "any", "SECRET_ACCESS_KEY": "any", "DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket="lake")
        yield client


def keys(client: Any) -> list[str]:
    return [item["Key"] for item in client.list_objects_v2(Bucket="lake").get("Contents", [])]


def test_a_run_from_bucket_to_bucket(s3: Any, tmp_path: Path) -> None:
    package = write_package(tmp_path / "package")
    source = write_input(tmp_path / "in", weather(250), weather(50, seed=2))
    for file in source.iterdir():
        s3.upload_file(str(file), "lake", f"flights/date=2025-11-14/{file.name}")
    s3.put_object(Bucket="lake", Key="flights/date=2025-11-14/_SUCCESS", Body=b"x")
    place = "s3://lake/predictions/delay/"
    run_all(settings(package, "s3://lake/flights/", place, batch_parts=3))
    result = f"predictions/delay/{PARTITION}/{RUN}.parquet"
    assert [key for key in keys(s3) if key.startswith("predictions/")] == [
        f"predictions/delay/_runs/{RUN}.json",
        result,
    ]
    content = s3.get_object(Bucket="lake", Key=result)["Body"].read()
    table = pq.read_table(io.BytesIO(content))
    assert table.num_rows == 300
    assert dict(table["keys"][0].as_py()) == {"flight": "0", "date": "2025-11-14"}
    # The same from a folder, but for the date in the path, is the same but for that.
    run_all(settings(package, source, tmp_path / "out", batch_parts=3))
    other = pq.read_table(tmp_path / "out" / PARTITION / f"{RUN}.parquet", partitioning=None)
    assert table.drop(["keys"]).equals(other.drop(["keys"]))


@pytest.mark.parametrize("sizes", [[3], [4, 4], [30], [2, 30, 2], [30, 1, 1, 30], [11, 9, 50], []])
def test_pieces_of_any_size_are_joined(s3: Any, monkeypatch: pytest.MonkeyPatch, sizes: list[int]) -> None:
    monkeypatch.setattr(batch_s3, "_SMALLEST_PART", 10)
    monkeypatch.setattr(batch_s3, "_LARGEST_PART", 16)
    # The emulation has the limit too.
    monkeypatch.setattr("moto.s3.models.S3_UPLOAD_PART_MIN_SIZE", 10)
    store = S3Store("lake", "x/")
    wanted, pieces = b"", list[Piece]()
    for number, size in enumerate(sizes):
        content = bytes(range(number, number + size + 5))
        store.put(str(number), content)
        pieces.append(Piece(str(number), 2, 2 + size))
        wanted += content[2 : 2 + size]
    store.join("joined", pieces, b"end")
    assert store.get("joined") == wanted + b"end"


@pytest.mark.parametrize("kind", ["s3", "folder"])
def test_both_stores_do_the_same(s3: Any, tmp_path: Path, kind: str) -> None:
    store: Store = S3Store("lake", "x/") if kind == "s3" else FolderStore(tmp_path)
    assert store.get("a/b") is None
    assert store.put_new("a/b", b"first") is True
    assert store.put_new("a/b", b"second") is False
    store.put("c", b"0123456789")
    (tmp_path.parent / "file").write_bytes(b"of a file")
    store.put_file("a/d", tmp_path.parent / "file")
    found = {each.key: each for each in store.list()}
    assert sorted(found) == ["a/b", "a/d", "c"]
    assert [each.key for each in store.list("a/")] == ["a/b", "a/d"]
    with store.open(found["c"]) as stream:
        stream.seek(-3, 2)
        assert stream.read() == b"789"
    store.put("c", b"changed!!!")
    with pytest.raises(CommandError, match="c: changed or removed") as caught, store.open(found["c"]) as stream:
        stream.read()
    assert caught.value.code == Exit.CONFIG
    store.join("e", [Piece("a/b", 0, 5), Piece("c", 7, 10)], b".")
    assert store.get("e") == b"first!!!."
    store.delete(["a/b", "a/d", "a/b"])
    assert [each.key for each in store.list()] == ["c", "e"]
    with pytest.raises(FileNotFoundError):
        store.join("f", [Piece("a/b", 0, 5)], b"")


def test_a_missing_bucket_fails_at_once_and_a_closed_one_names_the_right(s3: Any, monkeypatch: Any) -> None:
    with pytest.raises(CommandError, match="s3://none/x/: there is no bucket none") as caught:
        S3Store("none", "x/").list()
    assert caught.value.code == Exit.CONFIG
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setattr(batch_s3, "Config", lambda **_: None)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(CommandError, match="s3://lake/x/") as caught:
        S3Store("lake", "x/").list()
    assert caught.value.code == Exit.UNAVAILABLE
