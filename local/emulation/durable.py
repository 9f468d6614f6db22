"""Writing through to disk before a client hears that its request is done.

Parts of the emulation note what a request has touched; when the request has been handled, and before its answer goes
out, all that was noted is written. A request therefore costs what it changes, however much is stored; and who got a
success can kill the process and finds it again.
"""

import json
import os
import threading
from collections.abc import Callable, Hashable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, cast

StartResponse = Callable[..., Any]
WsgiApp = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]


class Journal(threading.local):
    """What the request of this thread has touched. Outside of a request nothing is noted (while restoring)."""

    _writes: dict[Hashable, Callable[[], None]] | None = None

    def begin(self) -> None:
        """A request starts."""
        self._writes = {}

    def touch(self, item: Hashable, write: Callable[[], None]) -> None:
        """`write` brings what is stored of `item` up to date; it is called once, at the end of the request."""
        if self._writes is not None:
            self._writes[item] = write

    def finish(self) -> None:
        """The request has been handled: writes what it touched. Raises OSError when that fails."""
        writes, self._writes = self._writes or {}, None
        for write in writes.values():
            write()


class WriteThrough:
    """WSGI middleware that finishes the journal of each request before its answer goes out."""

    def __init__(self, app: WsgiApp, journal: Journal) -> None:
        self._app = app
        self._journal = journal

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:  # noqa: D102
        answer: list[tuple[Any, ...]] = []
        self._journal.begin()
        try:
            body = self._app(environ, lambda *started: answer.append(started))
        finally:
            try:
                self._journal.finish()
            except OSError as error:
                raise NotStoredError(f"not stored: {error.strerror}") from error
        start_response(*answer[-1])
        return body


class NotStoredError(Exception):
    """A request was carried out in memory, but could not be written to disk."""


def replace_file(path: Path, chunks: Iterable[bytes]) -> None:
    """Puts a file in place, whole or not at all; it is on disk when this returns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{threading.get_ident()}.partial")
    try:
        with partial.open("wb") as file:
            for chunk in chunks:
                file.write(chunk)
            file.flush()
            os.fdatasync(file.fileno())
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


def encode(fields: dict[str, Any]) -> bytes:
    """One line of JSON; times are kept with their type."""
    return json.dumps(fields, default=_encode_time).encode()


def decode(line: bytes) -> dict[str, Any]:
    """What `encode` was given."""
    return cast("dict[str, Any]", json.loads(line, object_hook=_decode_time))


def _encode_time(value: object) -> dict[str, str]:
    if isinstance(value, datetime):
        return {"$time": value.isoformat()}
    raise TypeError(f"{type(value).__name__} cannot be stored")


def _decode_time(fields: dict[str, Any]) -> object:
    return datetime.fromisoformat(fields["$time"]) if fields.keys() == {"$time"} else fields
