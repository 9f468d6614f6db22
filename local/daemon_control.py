"""Start, stop and ask after the daemon of a checkout."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil

from local import daemon_state
from local.daemon_state import is_alive, locked, running
from local.errors import LocalError
from local.layout import RELEASE_LOCK, Layout, read, unwritable

START_SECONDS = 60.0
STOP_SECONDS = 90.0
NOTE_SECONDS = 10.0
LOG_LIMIT = 4 * 1024 * 1024


def start(root: Path) -> dict[str, Any]:
    """The running daemon of this checkout, started when there is none. Raises LocalError."""
    layout = Layout(root)
    layout.prepare()
    try:
        with locked(layout.command_lock, wait=True):
            state = running(layout) or _starting(layout)
            if state is not None and state.get("code_digest") != daemon_state.code_digest():
                print("the local platform runs other code than this: starting it again", file=sys.stderr)
                _end(layout, state)
                state = None
            found = state is not None
            state = state or _spawn(layout)
            daemon_state.write_plugins(layout)
    except OSError as error:
        raise unwritable(layout.home, error) from error
    return {**_described(layout, state), "already_running": found}


def stop(root: Path, *, forget: bool) -> dict[str, Any]:
    """End the daemon, its pods and the emulation; with `forget`, also all that they keep. Raises LocalError."""
    layout = Layout(root)
    if not layout.home.is_dir():
        return {"stopped": False, "forgotten": False}
    try:
        with locked(layout.command_lock, wait=True):
            state = read(layout.daemon_file) if not forget else _read_leniently(layout.daemon_file)
            stopped = _end(layout, state)
            layout.daemon_file.unlink(missing_ok=True)
            layout.kubeconfig.unlink(missing_ok=True)
            if forget:
                _forget(layout)
    except OSError as error:
        raise unwritable(layout.home, error) from error
    return {"stopped": stopped, "forgotten": forget}


def status(root: Path) -> dict[str, Any]:
    """Whether the daemon runs, and what a start answers when it does. Raises LocalError."""
    layout = Layout(root)
    layout.check_version()
    state = running(layout)
    return {"running": False} if state is None else {"running": True, **_described(layout, state)}


def _described(layout: Layout, state: dict[str, Any]) -> dict[str, Any]:
    return {**state, "bin": str(layout.bin), "env": daemon_state.environment(layout, state)}


def _starting(layout: Layout) -> dict[str, Any] | None:
    """The daemon of a start that was interrupted while it came up: waited for, not started twice."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with locked(layout.daemon_lock, wait=False) as free:
            if free:
                return None
        state = running(layout)
        if state is not None:
            return state
        time.sleep(0.05)
    message = f"a daemon holds {layout.daemon_lock} and has not come up in {START_SECONDS:g} s"
    raise LocalError("daemon_stuck", message, "run `python -m local stop`, then start again")


def _spawn(layout: Layout) -> dict[str, Any]:
    """Start the daemon in a session of its own and wait for its first word, on a pipe."""
    log = layout.logs / "daemon.log"
    if log.exists() and log.stat().st_size > LOG_LIMIT:
        log.replace(log.with_suffix(".log.1"))
    reader, writer = os.pipe()
    with log.open("ab") as output:
        command = [sys.executable, "-m", "local.daemon", "--root", str(layout.root), "--report", str(writer)]
        process = subprocess.Popen(
            command,
            cwd=layout.root,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=[writer],
            start_new_session=True,
        )
    os.close(writer)
    process.returncode = 0  # it is to outlive us: nothing to wait for, nothing to warn about
    answer = _first_word(reader)
    if answer is None:
        last = log.read_text(errors="replace").strip().splitlines()[-1:]
        message = f"the local daemon ended at its start: {last[0] if last else 'it wrote nothing'}"
        raise LocalError("daemon_failed", message, f"its log is {log}")
    if "code" in answer:
        raise LocalError(answer["code"], answer["message"], answer["hint"])
    return answer


def _first_word(reader: int) -> dict[str, Any] | None:
    import select

    with os.fdopen(reader, "rb") as pipe:
        if not select.select([pipe], [], [], START_SECONDS)[0]:
            raise LocalError("daemon_slow", f"the local daemon did not come up in {START_SECONDS:g} s")
        line = pipe.readline()
    return json.loads(line) if line.endswith(b"\n") else None


def _end(layout: Layout, state: dict[str, Any] | None) -> bool:
    from local.node import leftovers

    alive = state is not None and is_alive(state["pid"], state["started"])
    if state is not None and alive:
        _terminate(state["pid"])
    if state is not None:
        for child in state.get("children", []):
            if is_alive(child["pid"], child["started"]):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child["pid"], signal.SIGKILL)
    left = leftovers.end(layout.node)
    return alive or left > 0


def _terminate(pid: int) -> None:
    """SIGTERM, then patience (pods finish what they are answering), then SIGKILL."""
    begun = noted = time.monotonic()
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    while psutil.pid_exists(pid) and daemon_state.started_at(pid) is not None:
        waited = time.monotonic() - begun
        if waited > STOP_SECONDS:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() - noted > NOTE_SECONDS:
            noted = time.monotonic()
            print(f"waiting for the local daemon (pid {pid}) to end, {waited:.0f} s so far", file=sys.stderr)
        time.sleep(0.02)


def _read_leniently(path: Path) -> dict[str, Any] | None:
    """daemon.json for a stop that forgets: one that cannot be read is forgotten with the rest."""
    try:
        state = read(path)
        return state if state is not None and {"pid", "started"} <= state.keys() else None
    except LocalError:
        return None


def _forget(layout: Layout) -> None:
    kept = {RELEASE_LOCK, layout.command_lock.name}
    for path in layout.home.iterdir():
        if path.name in kept:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
