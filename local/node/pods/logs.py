"""Container logs: plain files, one for the running container and one for the run before it.

A container writes straight into its file (no byte passes through the daemon). A file that grows past `LIMIT` is copied
to `<name>.log.1` and emptied; the container appends, so it goes on at the start.
"""

import asyncio
import os
import shutil
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from local.node.errors import bad_request
from local.node.objects import Object, items_of, name_of, namespace_of

LIMIT = 16 * 1024 * 1024
KEPT_PODS = 20
"""Folders of ended pods that stay in a namespace's log folder, the newest ones."""
FOLLOW_SECONDS = 0.2


@dataclass(frozen=True)
class LogQuery:
    """What a request for a log asks."""

    namespace: str
    pod: str
    container: str
    previous: bool = False
    follow: bool = False
    tail: int | None = None

    @classmethod
    def parse(cls, pod: Object, parameters: dict[str, str]) -> "LogQuery":
        """From the query string of `pods/<name>/log`. Raises ApiError 400."""
        names: list[str] = [
            c["name"] for group in ("containers", "initContainers") for c in items_of(pod["spec"], group)
        ]
        container = parameters.get("container") or names[0]
        if container not in names:
            raise bad_request(f"container {container} is not valid for pod {name_of(pod)}: choose one of {names}")
        tail = parameters.get("tailLines")
        if tail is not None and not tail.isdigit():
            raise bad_request(f"tailLines must be a whole number, got {tail!r}")
        return cls(
            namespace_of(pod),
            name_of(pod),
            container,
            previous=parameters.get("previous") in {"true", "1"},
            follow=parameters.get("follow") in {"true", "1"},
            tail=None if tail is None else int(tail),
        )


class LogFiles:
    """The log folder: `<namespace>/<pod>/<container>.log`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, namespace: str, pod: str, container: str, *, previous: bool = False) -> Path:
        """Where a container's log is."""
        return self._folder / namespace / pod / f"{container}{'.previous' if previous else ''}.log"

    def start(self, namespace: str, pod: str, container: str) -> int:
        """Keep the last run's log as the previous one and open a new one to append to (a file descriptor)."""
        path = self.path(namespace, pod, container)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if path.exists():
            path.replace(self.path(namespace, pod, container, previous=True))
        path.with_name(f"{path.name}.1").unlink(missing_ok=True)
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def tail(self, namespace: str, pod: str, container: str, lines: int, *, previous: bool = False) -> str:
        """The last lines, of the running container or of the run before it."""
        path = self.path(namespace, pod, container, previous=previous)
        try:
            with path.open(encoding="utf-8", errors="replace") as file:
                file.seek(max(0, path.stat().st_size - lines * 4096))
                return "".join(deque(file, maxlen=lines))
        except OSError:
            return ""

    def read(self, query: LogQuery) -> str:
        """A log, or its last lines. Raises ApiError 400 when there is none."""
        path = self.path(query.namespace, query.pod, query.container, previous=query.previous)
        if not path.exists():
            what = "previous terminated container" if query.previous else "container"
            raise bad_request(f'{what} "{query.container}" in pod "{query.pod}" has no log (it has not started)')
        if query.tail is not None:
            return self.tail(query.namespace, query.pod, query.container, query.tail, previous=query.previous)
        rotated = path.with_name(f"{path.name}.1")
        parts = [p.read_text(encoding="utf-8", errors="replace") for p in (rotated, path) if p.exists()]
        return "".join(parts)

    async def follow(self, query: LogQuery, running: Callable[[], bool]) -> AsyncIterator[bytes]:
        """A log from its asked-for last lines on, until the pod is gone; over restarts of the container too."""
        path = self.path(query.namespace, query.pod, query.container)
        position, file_id = 0, 0
        if path.exists():
            file_id, size = path.stat().st_ino, path.stat().st_size
            shown = self.read(query).encode()
            position = size
            yield shown
        while True:
            alive = running()
            if path.exists():
                state = path.stat()
                if state.st_ino != file_id or state.st_size < position:
                    file_id, position = state.st_ino, 0
                if state.st_size > position:
                    with path.open("rb") as file:
                        file.seek(position)
                        chunk = file.read(1024 * 1024)
                    position += len(chunk)
                    yield chunk
                    continue
            if not alive:
                return
            await asyncio.sleep(FOLLOW_SECONDS)

    def rotate(self) -> None:
        """Copy what has grown past the limit aside and empty it."""
        for path in self._folder.glob("*/*/*.log"):
            if path.stat().st_size > LIMIT:
                shutil.copyfile(path, path.with_name(f"{path.name}.1"))
                os.truncate(path, 0)

    def prune(self, namespace: str, living: set[str]) -> None:
        """Remove the logs of all but the newest ended pods of a namespace."""
        folder = self._folder / namespace
        if not folder.is_dir():
            return
        ended = sorted((p for p in folder.iterdir() if p.name not in living), key=lambda p: p.stat().st_mtime)
        for path in ended[:-KEPT_PODS]:
            shutil.rmtree(path, ignore_errors=True)
