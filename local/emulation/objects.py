"""S3 objects that survive a restart.

`durable/s3/<bucket>/bucket.json` and one file per key, named by the key's hash: a line of JSON (name, metadata, tags),
then the bytes. The newest version of each key is kept, a deleted one is not. After a restart the buckets are there with
their objects; their settings (versioning, encryption, policy) come back with the engine's next update, like all other
infrastructure.
"""

# moto has no public way to a key's bytes.
# ruff: noqa: SLF001

import contextlib
import hashlib
import io
import json
import logging
import shutil
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.s3 import models as moto_models
from moto.s3.utils import _VersionedKeyStore  # pyright: ignore[reportPrivateUsage] - what moto keeps a bucket's keys in

from local.emulation.durable import Journal, decode, encode, replace_file

log = logging.getLogger(__name__)
models: Any = moto_models
"""Without moto's types, which leave out half of what its objects hold and forbid to replace a method."""

CHUNK = 1 << 20
PARTITION = "aws"
_PLAIN_FIELDS = (
    "last_modified",
    "_storage_class",
    "encryption",
    "kms_key_id",
    "bucket_key_enabled",
    "website_redirect_location",
    "checksum_algorithm",
    "checksum_value",
    "checksum_type",
    "checksum_parts",
)


class FileBuffer:
    """The bytes of a stored object, read from its file when somebody asks. Stands in for moto's in-memory buffer."""

    def __init__(self, path: Path, offset: int) -> None:
        self.path = path
        self._offset = offset
        self._position = 0

    def seek(self, position: int) -> None:
        """Sets where the next read begins."""
        self._position = position

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes, or all that is left."""
        with self.path.open("rb") as file:
            file.seek(self._offset + self._position)
            data = file.read(size)
        self._position += len(data)
        return data

    def close(self) -> None:
        """Nothing is open between reads."""


class ObjectStore:
    """The folder of all buckets."""

    def __init__(self, folder: Path, region: str, journal: Journal) -> None:
        self._folder = folder
        self._region = region
        self._journal = journal
        self._locks = [threading.Lock() for _ in range(32)]

    def install(self) -> None:
        """Makes every bucket of this process a durable one."""
        store = self
        original = models.FakeBucket
        delete_bucket = models.S3Backend.delete_bucket
        put_tags, delete_tags = models.S3Backend.put_object_tagging, models.S3Backend.delete_object_tagging

        class DurableBucket(original):
            def __init__(self, *args: Any, **kwargs: Any) -> None:
                super().__init__(*args, **kwargs)
                self.keys = Keys(self, store)

        def delete_bucket_and_files(backend: Any, bucket_name: str) -> Any | None:
            deleted = delete_bucket(backend, bucket_name)
            if deleted is not None:
                store.note_bucket(bucket_name)
            return deleted

        def put_and_note_tags(backend: Any, key: Any, tags: Any) -> Any:
            store.note(backend.get_bucket(key.bucket_name), key.name)
            return put_tags(backend, key, tags)

        def delete_and_note_tags(backend: Any, bucket_name: str, key_name: str, *args: Any, **kw: Any) -> None:
            store.note(backend.get_bucket(bucket_name), key_name)
            delete_tags(backend, bucket_name, key_name, *args, **kw)

        models.FakeBucket = DurableBucket
        models.S3Backend.delete_bucket = delete_bucket_and_files
        models.S3Backend.put_object_tagging = put_and_note_tags
        models.S3Backend.delete_object_tagging = delete_and_note_tags

    def restore(self) -> int:
        """Brings back every bucket and object; returns how many objects. A file that cannot be read is left out."""
        backend = models.s3_backends[DEFAULT_ACCOUNT_ID][PARTITION]
        count = 0
        for description in sorted(self._folder.glob("*/bucket.json")):
            about = json.loads(description.read_text())
            bucket = backend.create_bucket(about["name"], about["region"])
            for file in description.parent.glob("*/*.object"):
                try:
                    self._restore_object(backend, bucket, file)
                    count += 1
                except (OSError, ValueError, KeyError) as error:
                    log.warning("%s is not a stored object and is left out: %s", file, error)
        return count

    def note(self, bucket: Any, key_name: str) -> None:
        """The request of this thread has changed a key."""
        self._journal.touch(("s3", bucket.name, key_name), lambda: self._write(bucket, key_name))

    def note_bucket(self, bucket_name: str) -> None:
        """The request of this thread has removed a bucket."""
        self._journal.touch(("s3", bucket_name), lambda: self._remove_bucket(bucket_name))

    def _path(self, bucket_name: str, key_name: str) -> Path:
        digest = hashlib.sha256(key_name.encode()).hexdigest()
        return self._folder / bucket_name / digest[:2] / f"{digest}.object"

    def _write(self, bucket: Any, key_name: str) -> None:
        path = self._path(bucket.name, key_name)
        with self._locks[hash(path) % len(self._locks)]:
            self._write_newest(bucket, key_name, path)

    def _write_newest(self, bucket: Any, key_name: str, path: Path) -> None:
        """Works from what is there now, not from the request: of two at once, the last one decides."""
        versions: list[Any] = bucket.keys.getlist(key_name, [])
        newest = versions[-1] if versions and isinstance(versions[-1], models.FakeKey) else None
        for version in versions:
            if version is not newest:
                _load(version, path)
        if newest is None:
            path.unlink(missing_ok=True)
            return
        description = self._folder / bucket.name / "bucket.json"
        if not description.exists():
            replace_file(description, [encode({"name": bucket.name, "region": bucket.region_name})])
        header = encode(_describe(newest)) + b"\n"
        with newest.lock:
            replace_file(path, _contents(header, newest._value_buffer))
            newest._value_buffer.close()
            # What is on disk need not be in memory too.
            newest._value_buffer = FileBuffer(path, len(header))
        if newest.multipart is not None:
            newest.multipart.dispose()
            newest.multipart = None

    def _remove_bucket(self, bucket_name: str) -> None:
        folder = self._folder / bucket_name
        if folder.exists():
            # Renamed first: a half removed bucket must not come back.
            gone = self._folder / f".{uuid.uuid4()}"
            folder.rename(gone)
            shutil.rmtree(gone, ignore_errors=True)

    def _restore_object(self, backend: Any, bucket: Any, file: Path) -> None:
        with file.open("rb") as stream:
            header = stream.readline()
        about = decode(header)
        key = models.FakeKey(
            name=about["name"],
            value=b"",
            account_id=backend.account_id,
            region_name=bucket.region_name,
            etag=about["etag"],
            version_id="null",
            bucket_name=bucket.name,
        )
        for field in _PLAIN_FIELDS:
            setattr(key, field, about[field])
        key.set_metadata(about["metadata"])
        key.contentsize = file.stat().st_size - len(header)
        key._value_buffer = FileBuffer(file, len(header))
        bucket.keys.setlist(key.name, [key])
        if about["tags"]:
            backend.tagger.tag_resource(key.arn, backend.tagger.convert_dict_to_tags_input(about["tags"]))


class Keys(_VersionedKeyStore):
    """A bucket's keys, which tell the store what changes."""

    def __init__(self, bucket: Any, store: ObjectStore) -> None:
        super().__init__()
        self._bucket = bucket
        self._store = store

    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key, value)
        self._store.note(self._bucket, key)

    def setlist(self, key: Any, list_: Any) -> None:
        """Sets all versions of a key."""
        super().setlist(key, list_)
        self._store.note(self._bucket, key)

    def pop(self, key: str) -> None:  # pyright: ignore[reportIncompatibleMethodOverride] - as moto narrows it
        """Removes a key with all versions."""
        super().pop(key)
        self._store.note(self._bucket, key)


def _describe(key: Any) -> dict[str, Any]:
    tagger = models.s3_backends[key.account_id][key.partition].tagger
    about = {field: getattr(key, field) for field in _PLAIN_FIELDS}
    about |= {"name": key.name, "etag": key.etag.strip('"'), "metadata": dict(key.metadata)}
    return about | {"tags": tagger.get_tag_dict_for_resource(key.arn)}


def _contents(header: bytes, buffer: Any) -> Iterator[bytes]:
    yield header
    buffer.seek(0)
    while chunk := buffer.read(CHUNK):
        yield chunk


def _reads(version: Any, path: Path) -> bool:
    buffer = getattr(version, "_value_buffer", None)
    return isinstance(buffer, FileBuffer) and buffer.path == path


def _load(version: Any, path: Path) -> None:
    """Takes an older version into memory before its file is overwritten or removed."""
    if _reads(version, path):
        with version.lock, contextlib.suppress(FileNotFoundError):
            version._value_buffer.seek(0)
            version._value_buffer = io.BytesIO(version._value_buffer.read())
