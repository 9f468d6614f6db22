"""Where everything of `local` is under a checkout, and which version of that arrangement it is."""

import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.errors import LocalError

VERSION = 1
"""Goes up when what is kept in `.slipway/local` can no longer be read by what was written before."""
FORGET = "forget the local environment with `python -m local stop --forget`, then run `slipway up`"
RELEASE_LOCK = "lock"
"""Belongs to the `slipway` command that may be running: never removed here."""


@dataclass(frozen=True)
class Layout:
    """The paths below one checkout."""

    root: Path

    @property
    def home(self) -> Path:
        """All of it."""
        return self.root / ".slipway" / "local"

    @property
    def daemon_file(self) -> Path:
        """The running daemon."""
        return self.home / "daemon.json"

    @property
    def daemon_lock(self) -> Path:
        """Held by the daemon as long as it lives, however it ends."""
        return self.home / "daemon.lock"

    @property
    def command_lock(self) -> Path:
        """Held by a start or stop: one at a time."""
        return self.home / "command.lock"

    @property
    def version_file(self) -> Path:
        """The layout's number."""
        return self.home / "layout.json"

    @property
    def ports_file(self) -> Path:
        """The ports of the last start: asked for again, so that endpoints stay as they are."""
        return self.home / "ports.json"

    @property
    def kubeconfig(self) -> Path:
        """The node's API with its token."""
        return self.home / "kubeconfig"

    @property
    def bin(self) -> Path:
        """The provider plugins."""
        return self.home / "bin"

    @property
    def node(self) -> Path:
        """Kubernetes objects and pod folders."""
        return self.home / "node"

    @property
    def logs(self) -> Path:
        """Of the daemon, the emulation and the pods."""
        return self.home / "log"

    @property
    def aws_port_file(self) -> Path:
        """Written by the emulation when it listens."""
        return self.home / "aws" / "port.json"

    def prepare(self) -> None:
        """Make the folders and note the version. Raises LocalError: not writable, full, or of another version."""
        self.check_version()
        try:
            self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.logs.mkdir(exist_ok=True, mode=0o700)
            write(self.version_file, json.dumps({"layout": VERSION}))
        except OSError as error:
            raise unwritable(self.home, error) from error

    def check_version(self) -> None:
        """Raises LocalError when what is there was written by another version."""
        for path in (self.version_file, self.daemon_file):
            found = read(path)
            if found is None:
                continue
            version: Any = found.get("layout")
            if version != VERSION:
                known = isinstance(version, int)
                age = ("an older" if version < VERSION else "a newer") if known else "an unknown"
                message = f"{path} was written by {age} Slipway (layout {version}, this one reads {VERSION})"
                hint = f"update Slipway, or {FORGET}" if known and version > VERSION else FORGET
                raise LocalError("layout", message, hint)


def read(path: Path) -> dict[str, Any] | None:
    """A JSON file of ours, None when it is not there. Raises LocalError when it is damaged."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise LocalError("unreadable", f"cannot read {path}: {error.strerror}", "check who owns .slipway") from error
    except ValueError as error:
        raise LocalError("damaged", f"{path} is not valid JSON: {error}", FORGET) from error
    if not isinstance(found, dict):
        raise LocalError("damaged", f"{path} must hold one JSON object", FORGET)
    return found  # pyright: ignore[reportUnknownVariableType] (the keys of a JSON object are strings)


def write(path: Path, text: str) -> None:
    """Write a file for its owner only, whole or not at all. Raises OSError."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise


def unwritable(path: Path, error: OSError) -> LocalError:
    """The line for a folder that cannot be written, or a disk that is full."""
    hint = f"make it writable for you and check the space left (df -h {path.parent})"
    return LocalError("unwritable", f"cannot write {error.filename or path}: {error.strerror}", hint)
