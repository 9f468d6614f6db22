"""The spool: what was predicted, appended to local files without ever delaying a prediction.

A request puts its raw bytes into a list; a thread writes the list to the current segment every flush interval. Nothing
is decoded here: that, Parquet and S3 are the work of another process (`serving.shipping`). A segment is

    b"SLIPWAY1", length of the header, header (the manifest, as JSON), then records of `RECORD`, request, response

and is called `<name>.open`, locked, while it is written and `<name>-<records>.ready` afterwards. One without a lock
was left by a process that died; a record that is cut off at its end was being written then.
"""

import contextlib
import fcntl
import os
import struct
import threading
import time
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple

from serving.logs import Log
from serving.metrics import Metrics

MAGIC = b"SLIPWAY1"
RECORD = struct.Struct("<BqIIIII")
"""Kind, time (µs since 1970), latency (µs), and lengths: request, its JSON, response, its JSON."""
WHOLE = 0xFFFFFFFF
"""Stands for the length of the JSON where the body is nothing else."""

SEGMENT_BYTES = 8 * 1024 * 1024
_MEMORY_BYTES = 32 * 1024 * 1024
_HEADER = struct.Struct("<I")


class Kind(IntEnum):
    """Which request a record holds."""

    PREDICT = 1
    INFER = 2
    GRPC = 3
    OUTCOME = 4


class Record(NamedTuple):
    """One request as it came and its response as it went."""

    kind: int
    at_us: int
    latency_us: int
    request: bytes
    request_json: int
    response: bytes
    response_json: int


class Spool:
    """Writes one kind of records (`capture`, `outcomes`) below `directory`; every file there counts to `max_bytes`."""

    def __init__(
        self, directory: Path, name: str, header: bytes, log: Log, metrics: Metrics, *,
        flush_seconds: float, segment_seconds: float, max_bytes: int,
    ) -> None:  # fmt: skip
        self._root, self._name, self._header, self._log = directory, name, header, log
        self._flush_seconds, self._segment_seconds, self._max_bytes = flush_seconds, segment_seconds, max_bytes
        labels = {"spool": name}
        self._kept = metrics.counter("slipway_capture_records_total", "Records written to the spool.", labels)
        self._dropped = metrics.counter("slipway_capture_dropped_total", "Records that were lost: spool full.", labels)
        self._pending: list[Record] = []
        self._pending_bytes = 0
        self._segment: _Segment | None = None
        self._overflow = 0
        self._failing = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"spool-{name}", daemon=True)
        self._thread.start()

    def add(self, record: Record) -> None:
        """Keep a record; from any thread, without waiting."""
        if self._pending_bytes > _MEMORY_BYTES:  # the disk does not take them as fast as they come
            self._overflow += 1
            return
        self._pending.append(record)  # one bytecode: no lock is needed against the thread that takes the list
        self._pending_bytes += len(record.request) + len(record.response)

    def close(self) -> None:
        """Write what is pending and hand the segment on."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        checked = 0.0
        while not self._stop.wait(self._flush_seconds):
            self._flush()
            if time.monotonic() - checked > 1:
                checked = time.monotonic()
                self._bound()
        self._flush()
        self._rotate()
        self._bound()

    def _flush(self) -> None:
        taken, self._pending = self._pending, []
        self._pending_bytes = 0
        overflow, self._overflow = self._overflow, 0
        if overflow:
            self._lose(overflow, "the disk does not take them as fast as they come")
        try:
            if taken:
                self._segment = self._segment or _Segment(self._root / self._name, self._header)
                self._segment.write(taken)
                self._kept.add(len(taken))
            if self._segment is not None and self._segment.is_due(self._segment_seconds):
                self._rotate()
            self._failing = ""
        except OSError as error:
            self._lose(len(taken), str(error))
            self._segment = None

    def _rotate(self) -> None:
        if self._segment is not None:
            segment, self._segment = self._segment, None
            segment.close()

    def _bound(self) -> None:
        """Delete the oldest files while all of them together take more than they may."""
        found: list[tuple[float, int, Path]] = []
        for file in finished(self._root):
            with contextlib.suppress(OSError):  # shipped meanwhile
                state = file.stat()
                found.append((state.st_mtime, state.st_size, file))
        total = sum(size for _, size, _ in found)
        for _, size, file in sorted(found):
            if total <= self._max_bytes:
                return
            total -= size
            with contextlib.suppress(OSError):
                file.unlink()
                self._lose(records_of(file), f"the spool has more than {self._max_bytes} bytes")

    def _lose(self, records: int, why: str) -> None:
        self._dropped.add(records)
        if why != self._failing:
            self._failing = why
            self._log.warning(f"captured records are being lost: {why}", spool=self._name)


class _Segment:
    def __init__(self, directory: Path, header: bytes) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._path = directory / f"{time.time_ns():020d}-{os.urandom(4).hex()}.open"
        self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        self._size = self._records = 0
        self._began = time.monotonic()
        self._append(MAGIC + _HEADER.pack(len(header)) + header)

    def write(self, records: list[Record]) -> None:
        parts: list[bytes] = []
        for record in records:
            kind, at, latency, request, request_json, response, response_json = record
            lengths = (len(request), request_json, len(response), response_json)
            parts += (RECORD.pack(kind, at, min(latency, WHOLE), *lengths), request, response)
        self._append(b"".join(parts))
        self._records += len(records)

    def is_due(self, seconds: float) -> bool:
        return self._size > SEGMENT_BYTES or time.monotonic() - self._began > seconds

    def close(self) -> None:
        self._path.rename(self._path.with_name(f"{self._path.stem}-{self._records}.ready"))
        os.close(self._file)

    def _append(self, content: bytes) -> None:
        left = memoryview(content)
        while left:
            left = left[os.write(self._file, left) :]
        self._size += len(content)


def finished(root: Path) -> Iterator[Path]:
    """The files of a spool that nobody writes to any more: segments and what became of them."""
    yield from (file for file in root.rglob("*") if file.suffix in {".ready", ".parquet"})


def records_of(file: Path) -> int:
    """The number of records that a finished file's name states."""
    stated = file.stem.rpartition("-")[2]
    return int(stated) if stated.isdigit() else 0


def read(content: bytes) -> tuple[bytes, list[Record]]:
    """Header and records of a segment; what is cut off at its end is left out.

    Raises:
        ValueError: it is no segment.
    """
    start = len(MAGIC) + _HEADER.size
    if not content.startswith(MAGIC) or len(content) < start:
        raise ValueError("not a segment")
    (size,) = _HEADER.unpack_from(content, len(MAGIC))
    position = start + size
    header, records = content[start:position], list[Record]()
    while position + RECORD.size <= len(content):
        kind, at, latency, request, request_json, response, response_json = RECORD.unpack_from(content, position)
        middle = position + RECORD.size + request
        position += RECORD.size + request + response
        if position > len(content):
            break
        asked, answered = content[middle - request : middle], content[middle:position]
        records.append(Record(kind, at, latency, asked, request_json, answered, response_json))
    return header, records
