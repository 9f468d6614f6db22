"""Ends pod processes that outlived their daemon, found by a variable that every container has."""

import os
from pathlib import Path

import psutil

from local.node.pods.environment import MARKER


def find(folder: Path) -> list[psutil.Process]:
    """Processes of pods of the node in this folder, children of containers included."""
    wanted, found = str(folder.resolve()), list[psutil.Process]()
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get(MARKER) == wanted:
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def end(folder: Path, grace: float = 0.0) -> int:
    """End them: SIGTERM and, after `grace` seconds, SIGKILL. Returns how many there were."""
    processes = find(folder)
    for process in processes:
        _signal(process, kill=grace <= 0)
    _, alive = psutil.wait_procs(processes, timeout=grace or 2)
    for process in alive:
        _signal(process, kill=True)
    psutil.wait_procs(alive, timeout=2)
    return len(processes)


def _signal(process: psutil.Process, *, kill: bool) -> None:
    try:
        process.kill() if kill else process.terminate()
    except psutil.Error:
        return
