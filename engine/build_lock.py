"""One build at a time across the processes of a user; the others wait and say for whom."""

import fcntl
import json
import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO

from engine.progress import Meter, say, showing

POLL_SECONDS = 0.5


@contextmanager
def build_lock(path: Path) -> Generator[None]:
    """Holds the lock; waits while another process has it, naming that process.

    The kernel takes the lock back when its holder ends, however it ends, so there is none to clean up by hand; what
    the file says about a holder counts only while the lock is held.
    """
    with path.open("a+") as file:
        if not _take(file):
            holder = _holder(file)
            say(f"{holder} is building the engine; waiting for it")
            with showing(Meter(f"waiting for {holder}")):
                while not _take(file):
                    time.sleep(POLL_SECONDS)
        file.truncate(0)
        json.dump({"pid": os.getpid(), "since": datetime.now().astimezone().isoformat(timespec="seconds")}, file)
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


def _take(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(file: IO[str]) -> str:
    """`process 4711 (since 12:03:11)`. Between its taking the lock and its writing this, a holder has no name."""
    file.seek(0)
    try:
        named = json.load(file)
        since = datetime.fromisoformat(named["since"])
        return f"process {named['pid']} (since {since:%H:%M:%S})"
    except (ValueError, KeyError, TypeError):
        return "another process"
