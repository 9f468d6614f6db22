"""What others know of a running daemon: `daemon.json`, the kubeconfig, the plugins and the environment they need."""

import base64
import contextlib
import fcntl
import hashlib
import json
import os
import shlex
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import psutil

from local.layout import Layout, read, write

REGION = "eu-west-1"
ACCOUNT = "123456789012"
CLOCK_SLACK = 2.0
"""A process's start time is derived from the boot time, which moves when the clock is set."""
PLUGINS = {"pulumi-resource-aws": "local.aws", "pulumi-resource-kubernetes": "local.kubernetes"}


def started_at(pid: int) -> float | None:
    """When a process started, None when there is none."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.Error:
        return None


def is_alive(pid: int, started: float) -> bool:
    """Whether this very process still runs: a reused pid started at another time."""
    found = started_at(pid)
    return found is not None and abs(found - started) < CLOCK_SLACK


def code_digest() -> str:
    """Names the code of this package: a daemon that was started from other code does not know what this one knows."""
    found = hashlib.sha256()
    here = Path(__file__).parent
    for path in sorted(here.rglob("*.py")):
        found.update(str(path.relative_to(here)).encode() + b"\0" + path.read_bytes())
    return found.hexdigest()[:16]


def is_same_file(known: os.stat_result, path: Path) -> bool:
    """Whether `path` is still the file that it was."""
    try:
        return os.path.samestat(known, path.stat())
    except OSError:
        return False


def running(layout: Layout) -> dict[str, Any] | None:
    """The daemon.json of the daemon that runs now, None when none does."""
    state = read(layout.daemon_file)
    if state is None or not is_alive(state["pid"], state["started"]):
        return None
    return state


def aws_environment(state: dict[str, Any]) -> dict[str, str]:
    """What an AWS client needs to talk to the emulation."""
    return {
        "AWS_ENDPOINT_URL": state["aws_endpoint"],
        "AWS_REGION": state["region"],
        "AWS_DEFAULT_REGION": state["region"],
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def environment(layout: Layout, state: dict[str, Any]) -> dict[str, str]:
    """What an engine run on this machine needs, besides the plugins on its PATH."""
    slipway = layout.root / ".slipway"
    return {
        **aws_environment(state),
        "KUBECONFIG": str(layout.kubeconfig),
        "SLIPWAY_LOCAL": str(layout.daemon_file),
        "PULUMI_HOME": str(slipway / "pulumi"),
        # As it is, not percent-encoded: the engine takes what follows file:// for a path.
        "PULUMI_BACKEND_URL": f"file://{layout.home / 'state'}",
        "PULUMI_CONFIG_PASSPHRASE": "slipway-local",  # nothing in `local` is secret
        "PULUMI_SKIP_UPDATE_CHECK": "1",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "1",
    }


def write_kubeconfig(layout: Layout, endpoint: str, certificate: bytes, token: str) -> None:
    """Write the kubeconfig (JSON is YAML too, and read faster)."""
    cluster = {"server": endpoint, "certificate-authority-data": base64.b64encode(certificate).decode()}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "slipway-local", "cluster": cluster}],
        "users": [{"name": "slipway-local", "user": {"token": token}}],
        "contexts": [{"name": "slipway-local", "context": {"cluster": "slipway-local", "user": "slipway-local"}}],
        "current-context": "slipway-local",
    }
    write(layout.kubeconfig, json.dumps(content, indent=1))


def write_plugins(layout: Layout) -> None:
    """Write the executables that the engine looks for on PATH."""
    layout.bin.mkdir(exist_ok=True)
    for name, module in PLUGINS.items():
        path = layout.bin / name
        # Through the shell: a #! line cannot hold an interpreter path with spaces.
        # -P: the engine starts it in stacks/, whose platform.py would stand for the standard library's.
        write(path, f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -P -m {module} "$@"\n')
        path.chmod(0o755)


@contextlib.contextmanager
def locked(path: Path, *, wait: bool) -> Generator[bool]:
    """Hold a lock file, which the system releases when its holder ends; gives whether it was had."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
    finally:
        os.close(handle)
