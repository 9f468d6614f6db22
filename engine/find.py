"""Finds a Pulumi CLI: the user's own when it is new enough, else the one that we built earlier."""

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from engine import version
from engine.errors import EngineError
from engine.paths import EngineCache, is_bin_dir

LANGUAGE_HOST = "pulumi-language-python"

# How long a CLI may take to say its version, in seconds. It takes half a second on a busy machine.
VERSION_SECONDS = 20

Preference = Literal["", "path", "build"]


@dataclass(frozen=True)
class Cli:
    """A usable Pulumi CLI."""

    pulumi: Path
    version: str
    origin: Literal["path", "built"]
    language_host: Path | None
    """The vendor's Python language host that came with it; None where there is none, and ours is needed."""


@dataclass(frozen=True)
class Search:
    """What was found, and why what lies on PATH was not taken."""

    cli: Cli | None
    passed_over: list[str] = field(default_factory=list[str])
    """One sentence for each CLI on PATH that cannot be used."""


def preference() -> Preference:
    """`$SLIPWAY_ENGINE`: `path` takes only a CLI on PATH, `build` only one of our own; unset, whichever is there."""
    named = os.environ.get("SLIPWAY_ENGINE", "")
    if named in ("", "path", "build"):
        return named
    raise EngineError(
        "bad-setting",
        f"SLIPWAY_ENGINE is {named!r}; expected 'path' or 'build'",
        "unset SLIPWAY_ENGINE, or set it to path (use the CLI on PATH) or build (use one built from source)",
    )


def find(cache: EngineCache, wanted: Preference) -> Search:
    """Looks on PATH, then in the cache. Runs what it finds on PATH to ask its version; writes nothing."""
    found = Search(None) if wanted == "build" else _on_path()
    if found.cli is None and wanted != "path" and os.access(cache.pulumi, os.X_OK):
        # Its version stands in its path, and it answered before it was put there.
        return Search(Cli(cache.pulumi, cache.version, "built", None), found.passed_over)
    return found


def _on_path() -> Search:
    """The first CLI on PATH that is new enough. A version manager's wrapper may fail; it is passed over as well."""
    passed_over: list[str] = []
    for folder in _path_folders():
        if (found := shutil.which("pulumi", path=str(folder))) is None:
            continue
        said = _ask_version(found)
        if (got := version.parse(said)) is None:
            passed_over.append(f"{found} does not say a version ({said or 'no output'})")
        elif not version.new_enough(got):
            wanted = f"{version.MINIMUM} or newer (below {version.MINIMUM.major + 1}.0.0)"
            passed_over.append(f"{found} is {said.removeprefix('v')}; needed is {wanted}")
        else:
            return Search(Cli(Path(found), said.removeprefix("v"), "path", _vendor_host(Path(found))), passed_over)
    return Search(None, passed_over)


def _path_folders() -> list[Path]:
    """The folders on PATH, without our own: a shell that has run `slipway env` has one there."""
    folders = [Path(entry) for entry in os.environ.get("PATH", "").split(os.pathsep) if entry]
    return [folder for folder in folders if not is_bin_dir(folder)]


def _ask_version(pulumi: str) -> str:
    """What `pulumi version` prints, or the last line of what it complains about."""
    try:
        answer = subprocess.run(
            [pulumi, "version"],
            env={**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=VERSION_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    lines = (answer.stdout if answer.returncode == 0 else answer.stderr).strip().splitlines()
    return lines[-1] if lines else ""


def _vendor_host(pulumi: Path) -> Path | None:
    """The host as the engine itself would find it: on PATH, or beside the real executable (links resolved)."""
    folders = [*_path_folders(), pulumi.parent, pulumi.resolve().parent]
    found = shutil.which(LANGUAGE_HOST, path=os.pathsep.join(map(str, folders)))
    return Path(found) if found else None
