"""Several workers on one port: starts them, replaces one that dies, passes on the request to stop.

Each worker has a listening socket of its own, kept open here: connections that wait on the socket of a worker that died
are taken by its successor. The supervisor itself imports nothing of the model.
"""

import os
import signal
import socket
import subprocess
import sys
import time

from serving.companion import Companion, is_wanted
from serving.exits import CommandError, Exit
from serving.logs import Log
from serving.metrics import new_shared
from serving.settings import Settings

_STEADY_SECONDS = 10.0
"""A worker that lived this long died for a reason of its own, and is replaced at once."""
_MAX_DELAY_SECONDS = 5.0


class Supervisor:
    """Runs `settings.workers` processes that serve on `sockets`, one each, and share the port that `grpc` reserves."""

    def __init__(self, settings: Settings, sockets: list[socket.socket], grpc: socket.socket) -> None:
        self._settings, self._sockets, self._grpc = settings, sockets, grpc
        self._log = Log(settings.log_level, service=settings.service, environment=settings.environment)
        self._metrics = new_shared(settings.workers)
        self._held, self._parent = os.pipe()
        os.set_inheritable(self._held, True)
        self._workers: dict[int, _Slot] = {}
        self._stopping = False

    def run(self) -> Exit:
        """Supervise until told to stop. A worker that cannot start at all ends everything, with its exit code."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        companion = Companion(self._log) if is_wanted(self._settings) else None
        self._workers = {index: _Slot() for index in range(self._settings.workers)}
        try:
            while not self._stopping:
                for index, slot in self._workers.items():
                    if (code := self._look_after(index, slot)) is not None:
                        return code
                if companion is not None:
                    companion.look_after()
                time.sleep(0.1)
            return Exit.OK
        finally:
            self._end()
            if companion is not None:
                companion.end()

    def _look_after(self, index: int, slot: "_Slot") -> Exit | None:
        now = time.monotonic()
        if slot.process is None:
            if now >= slot.start_at:
                slot.process, slot.started = self._start(index), now
            return None
        code = slot.process.poll()
        if code is None:
            return None
        lived = now - slot.started
        slot.process = None
        if code > 0 and code in set(Exit) and code != Exit.INTERNAL:  # it said itself that it cannot serve
            return Exit(code)
        slot.delay = 0.0 if lived > _STEADY_SECONDS else min(_MAX_DELAY_SECONDS, max(0.1, 2 * slot.delay))
        slot.start_at = now + slot.delay
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        self._log.error(
            f"worker {index} died ({how}); starting it again", lived_seconds=round(lived, 1), wait=slot.delay
        )
        return None

    def _start(self, index: int) -> "subprocess.Popen[bytes]":
        sock = self._sockets[index].fileno()
        given = {
            "index": index, "rest": sock, "grpc": self._grpc.getsockname()[1],
            "metrics": self._metrics, "parent": self._held,
        }  # fmt: skip
        arguments = [f"--{key}={value}" for key, value in given.items()]
        return subprocess.Popen(
            [sys.executable, "-m", "serving", "rest-worker", *arguments],
            pass_fds=(sock, self._metrics, self._held),
            stdin=subprocess.DEVNULL,
        )

    def _on_signal(self, number: int, frame: object) -> None:  # noqa: ARG002 - the signal module's signature
        if self._stopping and number == signal.SIGINT:
            for slot in self._workers.values():
                if slot.process is not None:
                    slot.process.kill()
        self._stopping = True

    def _end(self) -> None:
        processes = [slot.process for slot in self._workers.values() if slot.process is not None]
        for process in processes:
            process.terminate()
        until = time.monotonic() + self._settings.drain_seconds + 2
        for process in processes:
            try:
                process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


class _Slot:
    """The place of one worker and how its last starts went."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self.started = self.start_at = self.delay = 0.0


def worker_arguments(arguments: list[str]) -> dict[str, int]:
    """What `rest-worker` was started with.

    Raises:
        CommandError: it was started by hand.
    """
    try:
        found = {key.removeprefix("--"): int(value) for key, _, value in (each.partition("=") for each in arguments)}
        return {key: found[key] for key in ("index", "rest", "grpc", "metrics", "parent")}
    except (ValueError, KeyError):
        raise CommandError(Exit.USAGE, "rest-worker is started by `python -m serving rest`, not by hand") from None
