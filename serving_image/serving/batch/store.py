"""Where a batch run reads and writes: `s3://bucket/prefix/`, or a folder for trying things out, behind one interface.

Every write is of a whole object or none: S3 shows an object when it is complete, a folder by rename.
"""

import os
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol
from urllib.parse import unquote, urlsplit

from serving.exits import CommandError, Exit


class Object(NamedTuple):
    """An object: its key below the store's root, its size in bytes, and a tag that changes with its content."""

    key: str
    size: int
    tag: str


class Piece(NamedTuple):
    """Bytes `start` to `end` of an object."""

    key: str
    start: int
    end: int


class Store(Protocol):
    """Objects below a root. Keys are relative to it. Everything raises CommandError when it cannot be done."""

    root: str
    """The root as a person writes it, ending in `/`."""

    def list(self, prefix: str = "") -> list[Object]:
        """The objects whose key starts with `prefix`, sorted by key."""
        ...

    def open(self, found: Object) -> BinaryIO:
        """A seekable stream of an object that was listed, refused when it has changed since."""
        ...

    def get(self, key: str) -> bytes | None:
        """An object's content; None when there is none."""
        ...

    def put(self, key: str, content: bytes) -> None:
        """Write an object, or replace it."""
        ...

    def put_new(self, key: str, content: bytes) -> bool:
        """Write an object unless there is one already; whether it was written. Of several who try, one succeeds."""
        ...

    def put_file(self, key: str, file: Path) -> None:
        """Write an object from a file."""
        ...

    def join(self, key: str, pieces: Sequence[Piece], tail: bytes) -> None:
        """Write an object made of pieces of others and some last bytes; FileNotFoundError when a piece is gone."""
        ...

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects; those that are not there any more are passed over."""
        ...


def open_store(variable: str, place: str | None) -> Store:
    """The store at `s3://bucket/prefix/`, `file:///folder/` or a folder, as the setting `variable` names it.

    Raises:
        CommandError: it is not set, or names something else.
    """
    if not place:
        raise CommandError(Exit.CONFIG, f"{variable}: not set; batch needs it")
    parts = urlsplit(place)
    if parts.scheme == "s3" and parts.netloc:
        from serving.batch.s3 import S3Store

        return S3Store(parts.netloc, parts.path.lstrip("/"))
    if parts.scheme == "file" or not parts.scheme:
        return FolderStore(Path(unquote(parts.path) if parts.scheme else place))
    raise CommandError(
        Exit.CONFIG, f"{variable}: expected s3://bucket/prefix/, file:///folder/ or a path, got {place!r}"
    )


class FolderStore:
    """A folder of this machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()
        self.root = str(self._folder) if self._folder.is_file() else f"{self._folder}/"

    def list(self, prefix: str = "") -> list[Object]:
        """The files below it; those that are still being written have a name that starts with a dot."""
        if self._folder.is_file():
            return [Object("", *_size_and_tag(self._folder))]
        files = (file for file in self._folder.rglob("*") if file.is_file() and not file.name.startswith("."))
        named = ((str(file.relative_to(self._folder)), file) for file in files)
        return sorted(Object(key, *_size_and_tag(file)) for key, file in named if key.startswith(prefix))

    def open(self, found: Object) -> BinaryIO:
        """The file, if it is the one that was listed."""
        file = self._folder / found.key
        if not file.is_file() or _size_and_tag(file) != (found.size, found.tag):
            raise CommandError(Exit.CONFIG, changed(f"{self.root}{found.key}"))
        return file.open("rb")

    def get(self, key: str) -> bytes | None:
        """A file's content."""
        try:
            return (self._folder / key).read_bytes()
        except FileNotFoundError:
            return None

    def put(self, key: str, content: bytes) -> None:
        """Write beside, then rename."""
        self._renamed(key, content).replace(self._folder / key)

    def put_new(self, key: str, content: bytes) -> bool:
        """Write beside, then link: which fails where there is such a file."""
        written = self._renamed(key, content)
        try:
            (self._folder / key).hardlink_to(written)
        except FileExistsError:
            return False
        finally:
            written.unlink()
        return True

    def put_file(self, key: str, file: Path) -> None:
        """Copy beside, then rename."""
        beside = self._renamed(key, b"")
        shutil.copyfile(file, beside)
        beside.replace(self._folder / key)

    def join(self, key: str, pieces: Sequence[Piece], tail: bytes) -> None:
        """Written beside piece by piece, then renamed."""
        beside = self._renamed(key, b"")
        try:
            with beside.open("wb") as joined:
                for piece in pieces:
                    with (self._folder / piece.key).open("rb") as source:
                        _copy(source, joined, piece)
                joined.write(tail)
            beside.replace(self._folder / key)
        finally:
            beside.unlink(missing_ok=True)

    def delete(self, keys: Iterable[str]) -> None:
        """Remove files, and the folders that are empty then."""
        for key in keys:
            file = self._folder / key
            file.unlink(missing_ok=True)
            for folder in file.parents:
                if folder == self._folder or not folder.is_dir() or any(folder.iterdir()):
                    break
                try:
                    folder.rmdir()
                except OSError:  # another one was quicker, or wrote into it
                    break

    def _renamed(self, key: str, content: bytes) -> Path:
        """A new file in the folder of `key`, to be renamed."""
        folder = (self._folder / key).parent
        folder.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=".", dir=folder)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        return Path(name)


def changed(uri: str) -> str:
    """What is said of an input that is not the one that was planned."""
    return f"{uri}: changed or removed since the run began; start another run"


def _size_and_tag(file: Path) -> tuple[int, str]:
    seen = file.stat()
    return seen.st_size, str(seen.st_mtime_ns)


def _copy(source: BinaryIO, target: BinaryIO, piece: Piece) -> None:
    source.seek(piece.start)
    left = piece.end - piece.start
    while left and (chunk := source.read(min(left, 1 << 20))):
        target.write(chunk)
        left -= len(chunk)
