"""What this machine has and lacks, each finding with the command that mends it."""

import os
import platform
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from release.documents import read_object
from release.environment import DAEMON_LAYOUT, Environment, read_daemon, read_deployed
from release.errors import SlipwayError
from release.healing import engine_locks, pending_operations
from release.lock import current_owner
from release.releases import read_releases
from release.rooms import ask_room

OLDEST_PYTHON = (3, 11)
_DISK_NEEDED = 2 * 1024**3
"""Bytes that a first `up` may take: the engine's build most of them."""


@dataclass(frozen=True)
class Finding:
    """One thing looked at."""

    subject: str
    state: Literal["ok", "note", "bad"]
    found: str
    remedy: str = ""


def examine(environment: Environment) -> list[Finding]:
    """Look at everything; a part that cannot be looked at is a finding of its own."""
    parts: tuple[Callable[[Environment], Iterator[Finding]], ...] = (
        _python,
        _engine,
        _go,
        _disk,
        _folder,
        _ports,
        _config,
        _state,
        _daemon,
        _locks,
    )
    findings: list[Finding] = []
    for part in parts:
        try:
            findings += part(environment)
        except SlipwayError as error:
            findings.append(Finding(part.__name__.strip("_"), "bad", error.message, error.hint))
        except OSError as error:
            findings.append(Finding(part.__name__.strip("_"), "bad", str(error), "see the message"))
    return findings


def _python(_: Environment) -> Iterator[Finding]:
    version = platform.python_version()
    enough = sys.version_info[:2] >= OLDEST_PYTHON
    yield Finding(
        "python",
        "ok" if enough else "bad",
        f"{version} at {sys.executable}",
        "" if enough else "install Python 3.11 or newer, then: make PYTHON=python3.11 up",
    )


def _engine(environment: Environment) -> Iterator[Finding]:
    answer = ask_room(["engine", "find", "--root", str(environment.root)], environment.root, _log(environment))
    if answer.get("pulumi"):
        origin = "installed on this machine" if answer.get("origin") == "path" else "built here"
        yield Finding("engine", "ok", f"Pulumi {answer['version']} at {answer['pulumi']}, {origin}")
        host = answer.get("language_host")
        yield Finding("language host", "ok", str(host) if host else "ours; written by the next `slipway up`")
    else:
        yield Finding(
            "engine",
            "bad",
            str(answer.get("note") or "no Pulumi CLI yet"),
            str(answer.get("remedy") or "run: slipway up"),
        )


def _go(_: Environment) -> Iterator[Finding]:
    found = shutil.which("go")
    yield Finding(
        "go",
        "ok" if found else "note",
        found or "not on PATH (only needed to build an engine; one is fetched from PyPI then)",
    )


def _disk(environment: Environment) -> Iterator[Finding]:
    for name, folder in (("disk", environment.root), ("disk for temporary files", Path(tempfile.gettempdir()))):
        free = shutil.disk_usage(folder).free
        enough = free > _DISK_NEEDED
        yield Finding(
            name,
            "ok" if enough else "bad",
            f"{free / 1024**3:.1f} GiB free at {folder}",
            "" if enough else f"free {_DISK_NEEDED // 1024**3} GiB there",
        )


def _folder(environment: Environment) -> Iterator[Finding]:
    folder = environment.root / ".slipway"
    try:
        folder.mkdir(exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        yield Finding(
            ".slipway", "bad", f"{folder} cannot be written: {error.strerror}", f"make it yours: chmod u+rwX {folder}"
        )
    else:
        yield Finding(".slipway", "ok", f"{folder} can be written")


def _ports(_: Environment) -> Iterator[Finding]:
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            number = server.getsockname()[1]
    except OSError as error:
        yield Finding(
            "ports", "bad", f"no loopback port is to be had: {error.strerror}", "end what holds them (ss -ltnp)"
        )
    else:
        yield Finding("ports", "ok", f"loopback ports are free (such as {number})")


def _config(environment: Environment) -> Iterator[Finding]:
    from release.config import check_config

    shown = environment.config_file.relative_to(environment.root)
    services = check_config(environment)
    yield Finding("config", "ok", f"{shown} is valid: {', '.join(services) or 'no services'}")


def _state(environment: Environment) -> Iterator[Finding]:
    mend = f"run: slipway down{environment.flag()}" if environment.is_local else "see the file"
    for subject, read in (
        ("engine state", lambda: f"{len(read_deployed(environment).services)} services deployed"),
        ("releases", lambda: f"{len(read_releases(environment))} services recorded"),
    ):
        try:
            yield Finding(subject, "ok", read())
        except SlipwayError as error:
            yield Finding(subject, "bad", error.message, mend)
    if environment.is_local and (pending := pending_operations(environment)):
        yield Finding(
            "unfinished operations",
            "note",
            f"{len(pending)}, of a run that was cut off",
            "run: slipway up, which settles them",
        )


def _daemon(environment: Environment) -> Iterator[Finding]:
    if not environment.is_local:
        return
    recorded = read_object(environment.directory / "daemon.json")
    if recorded is None:
        yield Finding("local platform", "note", "not running", "run: slipway up")
        return
    if recorded.get("layout") != DAEMON_LAYOUT:
        yield Finding(
            "local platform",
            "bad",
            f"daemon.json has layout {recorded.get('layout')!r}, not {DAEMON_LAYOUT}",
            "run: slipway down",
        )
        return
    daemon = read_daemon(environment)
    answer = ask_room(["local", "status", "--root", str(environment.root)], environment.root, _log(environment))
    if daemon and answer.get("running"):
        where = f"pid {daemon.pid}, AWS at {daemon.aws_endpoint}, Kubernetes at {daemon.kubernetes_endpoint}"
        yield Finding("local platform", "ok", f"runs: {where}")
    else:
        yield Finding("local platform", "bad", "its process is gone", "run: slipway up, which brings everything back")


def _locks(environment: Environment) -> Iterator[Finding]:
    owner = current_owner(environment)
    yield Finding(
        "lock", "note" if owner else "ok", f"held by {owner.describe()}" if owner else "nobody changes it now"
    )
    if environment.is_local and (left := engine_locks(environment)) and not owner:
        yield Finding(
            "engine's lock", "note", f"{len(left)} left by a run that was killed", "run: slipway up, which removes it"
        )


def _log(environment: Environment) -> Path:
    folder = environment.root / ".slipway" / "log"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return folder / "doctor.log"
    except OSError:
        return Path(os.devnull)
