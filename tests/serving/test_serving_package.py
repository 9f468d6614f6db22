import gzip
import hashlib
import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from serving.package import (
    DigestMismatchError,
    PackageError,
    digest_of,
    file_entries,
    inspect,
    pack,
    unpack,
    verify_directory,
)
from serving_packages import rewrite_manifest, write_archive, write_package

Entry = tuple[tarfile.TarInfo, bytes]


def entries_of(archive: Path) -> list[Entry]:
    with tarfile.open(archive) as tar:
        found = tar.getmembers()
        return [(entry, file.read() if (file := tar.extractfile(entry)) else b"") for entry in found]


def archive_of(entries: list[Entry], file: Path) -> Path:
    with tarfile.open(file, "w:gz") as tar:
        for entry, content in entries:
            tar.addfile(entry, io.BytesIO(content))
    return file


def entry(name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = "") -> Entry:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = kind, len(content), link
    return info, content


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return write_archive(tmp_path)[0]


def test_packing_is_deterministic_and_unpacking_gives_the_package_back(tmp_path: Path) -> None:
    first, digest = write_archive(tmp_path / "a")
    second, again = write_archive(tmp_path / "b")
    os.utime(tmp_path / "b" / "package" / "model.onnx", (1, 1))
    (tmp_path / "b" / "package" / "model.onnx").chmod(0o600)
    assert first.name == "delay-1.tar.gz"
    assert digest == again == pack(tmp_path / "b" / "package")[1] == digest_of(second)
    assert digest == "sha256:" + hashlib.sha256(first.read_bytes()).hexdigest()
    package = unpack(first, tmp_path / "out" / "deep", digest)
    assert package == verify_directory(tmp_path / "a" / "package")._replace(directory=tmp_path / "out" / "deep")
    assert inspect(first, digest) == package._replace(directory=first)


def test_unpacking_replaces_what_was_there(tmp_path: Path, archive: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").touch()
    unpack(archive, tmp_path / "out")
    assert not (tmp_path / "out" / "old").exists()


def short_sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]


def broken_archives() -> dict[str, tuple[Callable[[list[Entry]], list[Entry]], str]]:
    def without(name: str) -> Callable[[list[Entry]], list[Entry]]:
        return lambda entries: [each for each in entries if each[0].name != name]

    def plus(*more: Entry) -> Callable[[list[Entry]], list[Entry]]:
        return lambda entries: [*entries, *more]

    def replaced(name: str, new: Entry) -> Callable[[list[Entry]], list[Entry]]:
        return lambda entries: [new if each[0].name == name else each for each in entries]

    lock, other = b"onnx==1\n", b"onnx==2\n"
    return {
        "missing file": (without("golden.json"), "golden.json: listed in the manifest but missing"),
        "extra file": (plus(entry("extra", b"x")), "extra: not listed in the manifest"),
        "file twice": (plus(entry("environment.lock", lock)), "environment.lock: there twice"),
        "no manifest": (without("manifest.json"), "bad.tar.gz: expected manifest.json as the first entry"),
        "nothing": (lambda _: [], "bad.tar.gz: expected manifest.json as the first entry"),
        "path up": (
            plus(entry("../evil", b"x")),
            "'../evil': a path that leaves the package; expected a plain file name",
        ),
        "absolute": (plus(entry("/evil", b"x")), "'/evil': a path that leaves the package; expected a plain file name"),
        "symlink": (
            replaced("environment.lock", entry("environment.lock", kind=tarfile.SYMTYPE, link="/etc/passwd")),
            "environment.lock: expected a regular file, not a link, directory or device",
        ),
        "hard link": (
            replaced("environment.lock", entry("environment.lock", kind=tarfile.LNKTYPE, link="model.onnx")),
            "environment.lock: expected a regular file, not a link, directory or device",
        ),
        "device": (
            plus(entry("dev", kind=tarfile.CHRTYPE)),
            "dev: expected a regular file, not a link, directory or device",
        ),
        "pipe": (
            plus(entry("fifo", kind=tarfile.FIFOTYPE)),
            "fifo: expected a regular file, not a link, directory or device",
        ),
        "other size": (
            replaced("environment.lock", entry("environment.lock", b"longer than stated\n")),
            "environment.lock: size: the manifest states 8 bytes, got 19",
        ),
        "other content": (
            replaced("environment.lock", entry("environment.lock", other)),
            f"environment.lock: sha256: the manifest states {short_sha256(lock)}…, got {short_sha256(other)}…",
        ),
        "manifest too large": (
            replaced("manifest.json", entry("manifest.json", b" " * 5_000_000)),
            "bad.tar.gz: unpacks past the size that its manifest states",
        ),
    }


@pytest.mark.parametrize("case", broken_archives().keys())
def test_a_broken_archive_is_refused_in_one_line_and_leaves_nothing(tmp_path: Path, archive: Path, case: str) -> None:
    change, message = broken_archives()[case]
    bad = archive_of(change(entries_of(archive)), tmp_path / "bad.tar.gz")
    with pytest.raises(PackageError) as caught:
        unpack(bad, tmp_path / "out" / "here")
    assert str(caught.value) == message
    assert list((tmp_path / "out").iterdir()) == []


def test_an_archive_that_unpacks_past_its_stated_size_is_stopped_early(tmp_path: Path, archive: Path) -> None:
    padding = gzip.compress(bytes(200_000_000), 1)
    bomb = tmp_path / "bomb.tar.gz"
    bomb.write_bytes(gzip.compress(gzip.decompress(archive.read_bytes()), 9) + padding)
    with pytest.raises(PackageError, match="unpacks past the size that its manifest states"):
        unpack(bomb, tmp_path / "out")


def test_another_digest_is_refused_before_anything_is_read(tmp_path: Path, archive: Path) -> None:
    with pytest.raises(DigestMismatchError, match=r"^delay-1\.tar\.gz: digest: expected sha256:0{64}, got sha256:"):
        unpack(archive, tmp_path / "out", "sha256:" + "0" * 64)
    with pytest.raises(PackageError, match="no such package archive"):
        unpack(tmp_path / "nothing.tar.gz", tmp_path / "out")


@pytest.mark.parametrize("kept", [0, 1, 10, 100, 0.5, -1, -8])
def test_a_truncated_archive_is_refused(tmp_path: Path, archive: Path, kept: float) -> None:
    content = archive.read_bytes()
    cut = tmp_path / "cut.tar.gz"
    cut.write_bytes(content[: int(kept * len(content)) if kept == 0.5 else int(kept)])
    with pytest.raises(PackageError, match=r"^cut\.tar\.gz: "):
        unpack(cut, tmp_path / "out")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.integers(0, 2000), value=st.binary(min_size=1, max_size=4), inside=st.booleans())
def test_no_changed_byte_gets_through(archive: Path, position: int, value: bytes, inside: bool) -> None:
    """Bytes changed in the gzip file or in the tar within it: refused in one line, or without effect on the package."""
    content = archive.read_bytes()
    plain = gzip.decompress(content) if inside else content
    at = position * len(plain) // 2001
    mutated = plain[:at] + value + plain[at + len(value) :]
    bad = archive.with_name("bad.tar.gz")
    bad.write_bytes(gzip.compress(mutated, 1) if inside else mutated)
    try:
        found = inspect(bad)
    except PackageError as error:
        lines = str(error).splitlines()
    else:
        lines = [""]
        assert found._replace(directory=archive) == inspect(archive)
    assert len(lines) == 1


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=2000), compressed=st.booleans())
def test_any_bytes_are_refused(tmp_path: Path, content: bytes, compressed: bool) -> None:
    bad = tmp_path / "bad.tar.gz"
    bad.write_bytes(gzip.compress(content, 1) if compressed else content)
    with pytest.raises(PackageError):
        inspect(bad)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda at: (at / "extra").write_text("x"), "extra: not listed in the manifest"),
        (lambda at: (at / "golden.json").unlink(), "golden.json: listed in the manifest but missing"),
        (lambda at: (at / "manifest.json").unlink(), "manifest.json: missing in {at}"),
        (lambda at: (at / "folder").mkdir(), "folder: expected a regular file, got a directory"),
        (lambda at: (at / "link").symlink_to("model.onnx"), "link: expected a regular file, got a symbolic link"),
        (lambda at: os.mkfifo(at / "pipe"), "pipe: expected a regular file, got a device or pipe"),
        (lambda at: (at / "golden.json").write_text(""), "golden.json: size: the manifest states 245 bytes, got 0"),
        (lambda at: (at / "manifest.json").write_bytes(b" " * 5_000_000), "manifest.json: larger than 4194304 bytes"),
        (
            lambda at: rewrite_manifest(at, format_version=7),
            "manifest.json: format_version: expected 1, got 7; this Slipway cannot read it",
        ),
    ],
)
def test_a_broken_directory_is_refused_in_one_line(
    tmp_path: Path, change: Callable[[Path], object], message: str
) -> None:
    directory = write_package(tmp_path / "package")
    change(directory)
    with pytest.raises(PackageError) as caught:
        verify_directory(directory)
    assert str(caught.value) == message.format(at=directory)
    with pytest.raises(PackageError):
        pack(directory)
    assert not (tmp_path / "delay-1.tar.gz").exists()


def test_a_changed_document_is_found_even_with_its_right_digest(tmp_path: Path) -> None:
    directory = write_package(tmp_path / "package")
    (directory / "baseline.json").write_text('{"format_version": 1, "rows": 1, "features": {}, "outputs": {}}')
    entries = {name: {"sha256": each.sha256, "size": each.size} for name, each in file_entries(directory).items()}
    rewrite_manifest(directory, files=entries)
    with pytest.raises(PackageError, match="the manifest's feature 'carrier' is missing here"):
        verify_directory(directory)
