"""Who is changing an environment: one at a time, whatever happens to them.

The kernel holds the lock (flock), so it goes with the process that held it, however that ended. The file's content
names the owner, and the engine process that the owner started: a run that was killed may leave its engine behind, and
whoever takes over ends it first.
"""

import fcntl
import json
import os
import socket
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace

from release.environment import Environment
from release.errors import SlipwayError


@dataclass(frozen=True)
class ProcessId:
    """A process of this machine: its number, and its start time so that a reused number is not taken for it."""

    pid: int
    started: float

    def running(self) -> bool:
        """Whether that very process lives (a zombie does not)."""
        import psutil

        try:
            process = psutil.Process(self.pid)
            return abs(process.create_time() - self.started) < 1.0 and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False

    @classmethod
    def of(cls, pid: int) -> "ProcessId":
        """The identity of a process that runs now."""
        import psutil

        return cls(pid, psutil.Process(pid).create_time())


@dataclass(frozen=True)
class Owner:
    """Who holds, or last held, the lock."""

    process: ProcessId
    host: str
    command: str
    since: float
    engine: ProcessId | None = None

    def describe(self) -> str:
        """One phrase for a person: what runs, where, since when."""
        age = max(0, int(time.time() - self.since))
        return f"`{self.command}` (pid {self.process.pid} on {self.host}, for {age} s)"


class EnvironmentLock:
    """A held lock. `engine_started` notes the engine's process, for whoever may have to take over."""

    def __init__(self, descriptor: int, owner: Owner, left_behind: Owner | None) -> None:
        self._descriptor = descriptor
        self._owner = owner
        self.left_behind = left_behind
        """The owner that died without letting go, if any."""

    def engine_started(self, pid: int) -> None:
        """Write down which engine process now works for the owner."""
        _write(self._descriptor, replace(self._owner, engine=ProcessId.of(pid)))

    def engine_ended(self) -> None:
        """The engine process is gone."""
        _write(self._descriptor, self._owner)


@contextmanager
def changing(environment: Environment, command: str) -> Generator[EnvironmentLock]:
    """Hold the environment's lock for a block; refuse, naming the owner, when another live process holds it."""
    environment.directory.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(environment.lock_file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not _acquired(descriptor):
            owner = _read(descriptor)
            who = owner.describe() if owner else "another process"
            raise SlipwayError(
                "environment-busy",
                f"{environment.name} is being changed by {who}",
                "wait for it, or stop it and run this again",
            )
        left_behind = _read(descriptor)
        owner = Owner(ProcessId.of(os.getpid()), socket.gethostname(), command, time.time())
        _write(descriptor, owner)
        try:
            yield EnvironmentLock(descriptor, owner, left_behind)
        finally:
            # Emptied, not removed: a second process may already have the file open and wait to be told.
            os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _acquired(descriptor: int, patience_seconds: float = 0.5) -> bool:
    """Take the lock. The patience is for `current_owner`, which holds it for an instant to see whether anyone does."""
    give_up = time.monotonic() + patience_seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > give_up:
                return False
            time.sleep(0.02)
        else:
            return True


def current_owner(environment: Environment) -> Owner | None:
    """Who is changing the environment at this moment; None when nobody is."""
    try:
        descriptor = os.open(environment.lock_file, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read(descriptor)
    finally:
        os.close(descriptor)
    return None


def end_engine_left_behind(owner: Owner, patience_seconds: float = 20.0) -> bool:
    """End the engine of an owner that was killed, with everything it started; True when there was one.

    It is asked first (SIGINT lets the engine finish the operation in hand and write its state), then made to.
    """
    if owner.engine is None or owner.host != socket.gethostname() or not owner.engine.running():
        return False
    import psutil

    engine = psutil.Process(owner.engine.pid)
    family = [engine, *engine.children(recursive=True)]
    engine.send_signal(2)
    _, alive = psutil.wait_procs([engine], timeout=patience_seconds)
    for process in [*alive, *family[1:]]:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(family, timeout=5)
    return True


def _read(descriptor: int) -> Owner | None:
    content = os.pread(descriptor, 64 * 1024, 0)
    try:
        fields = json.loads(content)
        engine = fields["engine"]
        return Owner(
            process=ProcessId(**fields["process"]),
            host=fields["host"],
            command=fields["command"],
            since=fields["since"],
            engine=ProcessId(**engine) if engine else None,
        )
    except (ValueError, KeyError, TypeError):
        return None  # empty, or cut short by a kill in the middle of the write: the kernel's lock decides anyway


def _write(descriptor: int, owner: Owner) -> None:
    content = json.dumps(asdict(owner)).encode()
    os.pwrite(descriptor, content, 0)
    os.ftruncate(descriptor, len(content))
