"""S3 as the store of a batch run: ranges read, whole objects written, several joined by S3 itself."""

import io
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from serving.batch.store import Object, Piece, changed
from serving.exits import CommandError, Exit

_SMALLEST_PART = 5 * 1024 * 1024
"""S3 takes no smaller part of a multipart upload, but for the last one."""
_LARGEST_PART = 512 * 1024 * 1024
_ABSENT = {"NoSuchKey", "404", "NoSuchUpload"}
_TAKEN = {"PreconditionFailed", "ConditionalRequestConflict", "412", "409"}


class S3Store:
    """A prefix of a bucket."""

    def __init__(self, bucket: str, prefix: str) -> None:
        self._bucket, self._prefix = bucket, prefix
        self.root = f"s3://{bucket}/{prefix}"
        retries: Any = {"mode": "standard", "total_max_attempts": 5}
        config = Config(connect_timeout=5, read_timeout=60, retries=retries, max_pool_connections=32)
        self._client: Any = botocore.session.get_session().create_client("s3", config=config)

    def list(self, prefix: str = "") -> list[Object]:
        """The objects below the prefix; S3 gives them in the order of their keys."""
        found: list[Object] = []
        with self._told(prefix, "s3:ListBucket"):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._prefix + prefix
            )
            for page in pages:
                found += [
                    Object(item["Key"].removeprefix(self._prefix), item["Size"], item["ETag"])
                    for item in page.get("Contents", [])
                ]
        return found

    def open(self, found: Object) -> BinaryIO:
        """A stream that asks for ranges of the object as it was listed."""
        return cast("BinaryIO", io.BufferedReader(_Ranges(self, found), 1 << 20))

    def get(self, key: str) -> bytes | None:
        """An object's content."""
        with self._told(key, "s3:GetObject"):
            try:
                return self._client.get_object(Bucket=self._bucket, Key=self._prefix + key)["Body"].read()
            except ClientError as error:
                if _code(error) in _ABSENT:
                    return None
                raise

    def range(self, found: Object, start: int, end: int) -> bytes:
        """Bytes `start` to `end` of an object, of the very content that was listed."""
        with self._told(found.key, "s3:GetObject"):
            try:
                answer = self._client.get_object(
                    Bucket=self._bucket,
                    Key=self._prefix + found.key,
                    Range=f"bytes={start}-{end - 1}",
                    IfMatch=found.tag,
                )
            except ClientError as error:
                if _code(error) in _ABSENT | _TAKEN:
                    raise CommandError(Exit.CONFIG, changed(f"{self.root}{found.key}")) from None
                raise
            return answer["Body"].read()

    def put(self, key: str, content: bytes) -> None:
        """Write an object."""
        with self._told(key, "s3:PutObject"):
            self._client.put_object(Bucket=self._bucket, Key=self._prefix + key, Body=content)

    def put_new(self, key: str, content: bytes) -> bool:
        """Write with `If-None-Match: *`: S3 refuses where there is an object."""
        with self._told(key, "s3:PutObject"):
            try:
                self._client.put_object(Bucket=self._bucket, Key=self._prefix + key, Body=content, IfNoneMatch="*")
            except ClientError as error:
                if _code(error) in _TAKEN:
                    return False
                raise
            return True

    def put_file(self, key: str, file: Path) -> None:
        """Write an object from a file, in parts where it is large."""
        if file.stat().st_size <= _SMALLEST_PART:
            self.put(key, file.read_bytes())
            return
        with self._told(key, "s3:PutObject"), file.open("rb") as source, self._upload(key) as upload:
            while chunk := source.read(8 * _SMALLEST_PART):
                upload.add(chunk)

    def join(self, key: str, pieces: Sequence[Piece], tail: bytes) -> None:
        """S3 copies the pieces, small ones apart, into the parts of one upload; its completion is what readers see."""
        with self._told(key, "s3:PutObject"):
            if sum(piece.end - piece.start for piece in pieces) + len(tail) <= _SMALLEST_PART:
                content = b"".join(self._piece(piece) for piece in pieces)
                self._client.put_object(Bucket=self._bucket, Key=self._prefix + key, Body=content + tail)
                return
            with self._upload(key) as upload:
                gathered = b""
                for piece in pieces:
                    wanted = 0 if not gathered and piece.end - piece.start >= _SMALLEST_PART else _SMALLEST_PART
                    cut = min(piece.start + max(0, wanted - len(gathered)), piece.end)
                    if piece.end - cut < _SMALLEST_PART:  # what is left would be too small a part of its own
                        cut = piece.end
                    gathered += self._piece(piece._replace(end=cut))
                    if len(gathered) >= _SMALLEST_PART:
                        upload.add(gathered)
                        gathered = b""
                    for part in _even(piece._replace(start=cut)):
                        self._copy(upload, part)
                upload.add(gathered + tail)

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects, one by one: a run has few."""
        for key in keys:
            with self._told(key, "s3:DeleteObject"):
                self._client.delete_object(Bucket=self._bucket, Key=self._prefix + key)

    def _piece(self, piece: Piece) -> bytes:
        if piece.start == piece.end:
            return b""
        span = f"bytes={piece.start}-{piece.end - 1}"
        try:
            return self._client.get_object(Bucket=self._bucket, Key=self._prefix + piece.key, Range=span)["Body"].read()
        except ClientError as error:
            raise _gone(error, piece.key) from None

    def _copy(self, upload: "_Upload", piece: Piece) -> None:
        try:
            upload.copy({"Bucket": self._bucket, "Key": self._prefix + piece.key}, piece)
        except ClientError as error:
            raise _gone(error, piece.key) from None

    @contextmanager
    def _upload(self, key: str) -> Generator["_Upload"]:
        upload = _Upload(self._client, {"Bucket": self._bucket, "Key": self._prefix + key})
        try:
            yield upload
            upload.complete()
        except BaseException:
            upload.abort()
            raise

    @contextmanager
    def _told(self, key: str, right: str) -> Generator[None]:
        """Errors in the words of a person."""
        uri = f"{self.root}{key}"
        try:
            yield
        except ClientError as error:
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            why = f"{uri}: S3 answered {status} {_code(error)}: {error.response.get('Error', {}).get('Message', '')}"
            if _code(error) == "NoSuchBucket":
                raise CommandError(Exit.CONFIG, f"{uri}: there is no bucket {self._bucket}") from None
            if status in {401, 403}:
                raise CommandError(Exit.DENIED, f"{why}; the pod's role needs {right} (and the bucket's key)") from None
            raise CommandError(Exit.UNAVAILABLE, why) from None
        except BotoCoreError as error:
            raise CommandError(Exit.UNAVAILABLE, f"{uri}: {error}") from None


class _Upload:
    """One multipart upload."""

    def __init__(self, client: Any, where: dict[str, str]) -> None:
        self._client = client
        self._where: dict[str, Any] = where
        self._where |= {"UploadId": client.create_multipart_upload(**where)["UploadId"]}
        self._parts: list[dict[str, Any]] = []

    def add(self, content: bytes) -> None:
        answer = self._client.upload_part(**self._where, PartNumber=len(self._parts) + 1, Body=content)
        self._parts.append({"ETag": answer["ETag"], "PartNumber": len(self._parts) + 1})

    def copy(self, source: dict[str, str], piece: Piece) -> None:
        answer = self._client.upload_part_copy(
            **self._where,
            PartNumber=len(self._parts) + 1,
            CopySource=source,
            CopySourceRange=f"bytes={piece.start}-{piece.end - 1}",
        )
        self._parts.append({"ETag": answer["CopyPartResult"]["ETag"], "PartNumber": len(self._parts) + 1})

    def complete(self) -> None:
        self._client.complete_multipart_upload(**self._where, MultipartUpload={"Parts": self._parts})

    def abort(self) -> None:
        try:
            self._client.abort_multipart_upload(**self._where)
        except (ClientError, BotoCoreError):  # the bucket's lifecycle removes what is left of it
            return


class _Ranges(io.RawIOBase):
    """A seekable stream over ranged requests."""

    def __init__(self, store: S3Store, found: Object) -> None:
        self._store, self._object, self._position = store, found, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._object.size}[whence]
        self._position = base + offset
        return self._position

    def readinto(self, buffer: Any, /) -> int:
        end = min(self._position + len(buffer), self._object.size)
        if end <= self._position:
            return 0
        content = self._store.range(self._object, self._position, end)
        buffer[: len(content)] = content
        self._position += len(content)
        return len(content)


def _even(piece: Piece) -> list[Piece]:
    """A piece in parts of equal size, none larger than one upload may have."""
    size = piece.end - piece.start
    count = -(-size // _LARGEST_PART)
    cuts = [piece.start + size * i // count for i in range(count)] if count else []
    return (
        [Piece(piece.key, start, end) for start, end in zip(cuts, [*cuts[1:], piece.end], strict=True)] if cuts else []
    )


def _code(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Code", "")


def _gone(error: ClientError, key: str) -> Exception:
    return FileNotFoundError(key) if _code(error) in _ABSENT else error
