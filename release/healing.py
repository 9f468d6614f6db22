"""What a run that was killed leaves behind, put right before the next one: nobody has to know how.

A killed `slipway` may leave the engine running; a killed engine leaves its own lock file, and operations that it had
begun and not recorded. The engine's state of `local` lies in files here, so all of it can be seen and mended.
"""

import socket
import time
from collections.abc import Callable
from pathlib import Path

from release.documents import parts, read_object
from release.engine import Engine, run
from release.environment import PROJECT, Environment
from release.errors import SlipwayError
from release.lock import EnvironmentLock, end_engine_left_behind


def heal(engine: Engine, lock: EnvironmentLock, say: Callable[[str], None]) -> None:
    """End an engine left behind, drop its stale lock, and settle what it had begun."""
    if lock.left_behind and end_engine_left_behind(lock.left_behind):
        say("an earlier run was killed: its engine was still at work and has been ended")
    if not engine.environment.is_local:
        return
    _drop_stale_locks(engine, say)
    pending = pending_operations(engine.environment)
    if pending:
        say(f"an earlier run was cut off: settling {len(pending)} unfinished operation(s)")
        run(engine, "refresh", lock, arguments=("--clear-pending-creates",)).raise_if_failed()


def pending_operations(environment: Environment) -> list[str]:
    """The URNs of operations that were begun and not recorded as done."""
    checkpoint = read_object(environment.checkpoint_file)
    pending = parts(checkpoint, "checkpoint", "latest", "pending_operations")
    return [str(operation["resource"]["urn"]) for operation in pending]


def engine_locks(environment: Environment) -> list[Path]:
    """The engine's own lock files on this environment (file backend)."""
    folder = environment.state_directory / "locks" / "organization" / PROJECT / environment.name
    return sorted(folder.glob("*.json"))


def _drop_stale_locks(engine: Engine, say: Callable[[str], None], patience_seconds: float = 60) -> None:
    give_up = time.monotonic() + patience_seconds
    told = False
    while locks := engine_locks(engine.environment):
        holders = [holder for lock in locks if (holder := _living_holder(lock))]
        if not holders:
            engine.call("cancel", "--stack", engine.environment.name, "--yes")
            return
        if not told:
            say(f"waiting for another engine on {engine.environment.name}: {', '.join(holders)}")
            told = True
        if time.monotonic() > give_up:
            raise SlipwayError(
                "environment-busy",
                f"another `pulumi` is changing {engine.environment.name}: {', '.join(holders)}",
                "wait for it to end, or end it, then run this again",
            )
        time.sleep(0.5)


def _living_holder(lock: Path) -> str | None:
    """Who holds one of the engine's locks: a phrase, or None when that process is gone."""
    content = read_object(lock)
    if content is None:
        return None
    pid, host = int(content.get("pid", 0)), str(content.get("hostname", ""))
    if host != socket.gethostname():
        return f"pid {pid} on {host}"
    import psutil

    try:
        process = psutil.Process(pid)
        is_engine = "pulumi" in process.name() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return None
    return f"pid {pid}" if is_engine else None
