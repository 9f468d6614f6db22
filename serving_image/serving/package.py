"""Model packages on disk: pack a directory deterministically, unpack and verify an archive, verify a directory.

An archive is a gzipped tar whose first entry is `manifest.json` and whose other entries are exactly the files that the
manifest lists, flat, in order of name. Nothing of an archive is trusted: entry kinds, names, sizes and digests are
checked while it is read, and no more is unpacked than the manifest states.
"""

import gzip
import hashlib
import io
import os
import shutil
import stat
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

from serving.manifest import (
    MANIFEST_FILE,
    Baseline,
    FileEntry,
    Golden,
    Manifest,
    PackageError,
    decode_baseline,
    decode_golden,
    decode_manifest,
)

INCOMING = ".incoming-"
"""How the directory is called in which an archive is unpacked before it takes its place."""
MAX_MANIFEST_BYTES = 4 * 1024 * 1024
_CHUNK = 1024 * 1024
_TAR_OVERHEAD = 64 * 1024
"""Room for tar's end-of-archive padding and block rounding, beyond header and rounding of each file."""

Sink = Callable[[str], BinaryIO]


class DigestMismatchError(PackageError):
    """An archive's bytes are not those of the digest that was asked for."""


class Package(NamedTuple):
    """A verified package directory."""

    directory: Path
    manifest: Manifest
    baseline: Baseline
    golden: Golden


def digest_of(file: Path) -> str:
    """`sha256:<hex>` of a file's bytes: the package digest when the file is an archive."""
    with file.open("rb") as stream:
        return "sha256:" + hashlib.file_digest(stream, "sha256").hexdigest()


def file_entries(directory: Path) -> dict[str, FileEntry]:
    """What a manifest's `files` must say about `directory`: every file but the manifest itself, in order of name."""
    return {name: _entry(directory / name) for name in _regular_files(directory) if name != MANIFEST_FILE}


def verify_directory(directory: Path) -> Package:
    """Read a package directory, checking its manifest, its documents and every file's size and sha256.

    Raises:
        PackageError: one line that names the file and the field.
    """
    present = _regular_files(directory)
    if MANIFEST_FILE not in present:
        raise PackageError(f"{MANIFEST_FILE}: missing in {directory}")
    if (directory / MANIFEST_FILE).stat().st_size > MAX_MANIFEST_BYTES:
        raise PackageError(f"{MANIFEST_FILE}: larger than {MAX_MANIFEST_BYTES} bytes")
    manifest = decode_manifest((directory / MANIFEST_FILE).read_bytes())
    _check_complete(set(present) - {MANIFEST_FILE}, manifest)
    for name, stated in manifest.files.items():
        _check_entry(name, stated, _entry(directory / name))
    baseline = decode_baseline((directory / manifest.baseline).read_bytes(), manifest, manifest.baseline)
    golden = decode_golden((directory / manifest.golden).read_bytes(), manifest, manifest.golden)
    return Package(directory, manifest, baseline, golden)


def pack(directory: Path, destination: Path | None = None) -> tuple[Path, str]:
    """Verify `directory` and pack it; the same content gives the same bytes, wherever and whenever it is packed.

    `destination` is the archive to write, `<name>-<version>.tar.gz` beside the directory unless given. It appears
    whole or not at all. Returns its path and its digest, `sha256:<hex>`. (The bytes also depend on zlib's version.)

    Raises:
        PackageError: when the directory is not a valid package.
    """
    manifest = verify_directory(directory).manifest
    target = destination or directory.resolve().parent / f"{manifest.name}-{manifest.version}.tar.gz"
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as raw:
        try:
            with (
                gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=raw, mtime=0) as compressed,
                tarfile.open(fileobj=compressed, mode="w", format=tarfile.USTAR_FORMAT) as archive,
            ):
                for name in (MANIFEST_FILE, *sorted(manifest.files)):
                    entry = tarfile.TarInfo(name)
                    entry.size, entry.mode = (directory / name).stat().st_size, 0o644
                    with (directory / name).open("rb") as content:
                        archive.addfile(entry, content)
            raw.flush()
            os.fchmod(raw.fileno(), 0o644)
            Path(raw.name).replace(target)
        except BaseException:
            Path(raw.name).unlink(missing_ok=True)
            raise
    return target, digest_of(target)


def inspect(archive: Path, digest: str | None = None) -> Package:
    """Verify an archive without keeping its files: the package it holds, whose `directory` is the archive's path.

    Raises:
        PackageError: one line that names the file and the field.
    """
    with tempfile.TemporaryDirectory() as scratch:
        return unpack(archive, Path(scratch) / "package", digest)._replace(directory=archive)


def unpack(archive: Path, destination: Path, digest: str | None = None) -> Package:
    """Verify `archive` (against `digest` too, when given) and unpack it as `destination`.

    The directory appears whole or not at all; one that is there already is replaced.

    Raises:
        PackageError: one line that names the file and the field (DigestMismatchError when it is the archive's digest).
        OSError: the disk is full or not writable.
    """
    _check_digest(archive, digest)
    destination.parent.mkdir(parents=True, exist_ok=True)
    incoming = Path(tempfile.mkdtemp(dir=destination.parent, prefix=INCOMING))
    try:
        incoming.chmod(0o755)
        _read(archive, lambda name: (incoming / name).open("xb"))
        package = verify_directory(incoming)
        if destination.exists():
            shutil.rmtree(destination)
        incoming.rename(destination)
    finally:
        shutil.rmtree(incoming, ignore_errors=True)
    return package._replace(directory=destination)


def _read(archive: Path, sink: Sink) -> Manifest:
    """Stream an archive through `sink` (called with a checked name, gives where to write) and verify every file."""
    with _readable(archive) as bounded, tarfile.open(fileobj=bounded, mode="r|") as tar:
        entries = iter(tar)
        first = next(entries, None)
        if first is None or first.name != MANIFEST_FILE:
            raise PackageError(f"{archive.name}: expected {MANIFEST_FILE} as the first entry")
        _check_kind(first)
        content = b"".join(_content(tar, first))
        manifest = decode_manifest(content)
        bounded.allow(sum(entry.size + 1536 for entry in manifest.files.values()) + _TAR_OVERHEAD)
        with sink(MANIFEST_FILE) as written:
            written.write(content)
        seen: set[str] = set()
        for entry in entries:
            _check_kind(entry)
            stated = manifest.files.get(entry.name)
            if stated is None or entry.name in seen:
                raise PackageError(f"{entry.name}: {'there twice' if stated else 'not listed in the manifest'}")
            if entry.size != stated.size:
                raise PackageError(f"{entry.name}: size: the manifest states {stated.size} bytes, got {entry.size}")
            seen.add(entry.name)
            _check_entry(entry.name, stated, _copy(tar, entry, sink))
        _check_complete(seen, manifest)
        while bounded.read(_CHUNK):  # to the end, so that the checksum of the gzip stream is verified
            pass
    return manifest


def _copy(tar: tarfile.TarFile, entry: tarfile.TarInfo, sink: Sink) -> FileEntry:
    seen, size = hashlib.sha256(), 0
    with sink(entry.name) as written:
        for chunk in _content(tar, entry):
            seen.update(chunk)
            written.write(chunk)
            size += len(chunk)
    return FileEntry(seen.hexdigest(), size)


def _content(tar: tarfile.TarFile, entry: tarfile.TarInfo) -> Iterator[bytes]:
    stream = tar.extractfile(entry)
    while stream is not None and (chunk := stream.read(_CHUNK)):
        yield chunk


class _Bounded(io.RawIOBase):
    """A stream that refuses to give more bytes than it was allowed to."""

    def __init__(self, stream: gzip.GzipFile, archive: str) -> None:
        self._stream, self._archive = stream, archive
        self._left = MAX_MANIFEST_BYTES + _TAR_OVERHEAD

    def allow(self, more: int) -> None:
        self._left += more

    def read(self, size: int = -1, /) -> bytes:
        chunk = self._stream.read(min(size, _CHUNK) if size >= 0 else _CHUNK)
        self._left -= len(chunk)
        if self._left < 0:
            raise PackageError(f"{self._archive}: unpacks past the size that its manifest states")
        return chunk


@contextmanager
def _readable(archive: Path) -> Generator[_Bounded]:
    try:
        with gzip.open(archive, "rb") as stream:
            yield _Bounded(stream, archive.name)
    except EOFError:
        raise PackageError(f"{archive.name}: truncated: the gzip stream ends early") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise PackageError(f"{archive.name}: not a sound gzip file: {error}") from None
    except PackageError:
        raise
    except (tarfile.TarError, ValueError, OverflowError) as error:
        raise PackageError(f"{archive.name}: not a sound tar archive: {error}") from None


def _regular_files(directory: Path) -> list[str]:
    if not directory.is_dir():
        raise PackageError(f"{directory}: expected a package directory")
    names: list[str] = []
    for entry in sorted(os.scandir(directory), key=lambda found: found.name):
        if not stat.S_ISREG(entry.stat(follow_symlinks=False).st_mode):
            raise PackageError(f"{entry.name}: expected a regular file, got {_kind(entry)}")
        names.append(entry.name)
    return names


def _kind(entry: os.DirEntry[str]) -> str:
    if entry.is_symlink():
        return "a symbolic link"
    return "a directory" if entry.is_dir() else "a device or pipe"


def _entry(file: Path) -> FileEntry:
    return FileEntry(digest_of(file).removeprefix("sha256:"), file.stat().st_size)


def _check_kind(entry: tarfile.TarInfo) -> None:
    if "/" in entry.name or "\\" in entry.name or entry.name in {"", ".", ".."}:
        raise PackageError(f"{entry.name!r}: a path that leaves the package; expected a plain file name")
    if not entry.isreg() or entry.issparse():
        raise PackageError(f"{entry.name}: expected a regular file, not a link, directory or device")


def _check_entry(name: str, stated: FileEntry, found: FileEntry) -> None:
    if found.size != stated.size:
        raise PackageError(f"{name}: size: the manifest states {stated.size} bytes, got {found.size}")
    if found.sha256 != stated.sha256:
        raise PackageError(f"{name}: sha256: the manifest states {stated.sha256[:12]}…, got {found.sha256[:12]}…")


def _check_complete(found: set[str], manifest: Manifest) -> None:
    for name in sorted(found - manifest.files.keys()):
        raise PackageError(f"{name}: not listed in the manifest")
    for name in sorted(manifest.files.keys() - found):
        raise PackageError(f"{name}: listed in the manifest but missing")


def _check_digest(archive: Path, digest: str | None) -> None:
    if not archive.is_file():
        raise PackageError(f"{archive}: no such package archive")
    if digest is not None and (found := digest_of(archive)) != digest:
        raise DigestMismatchError(f"{archive.name}: digest: expected {digest}, got {found}")
