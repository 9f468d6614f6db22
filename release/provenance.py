"""Where a model comes from: the code that trained it, when, and with which versions."""

import os
import re
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from serving.manifest import Source

from release.errors import SlipwayError

SOURCE_DATE_EPOCH = "SOURCE_DATE_EPOCH"


def source_of(folder: Path) -> tuple[Source, datetime | None]:
    """The last commit that changed `folder`, whether the folder differs from it now, and the time of that commit.

    Without git, a repository or such a commit there is neither commit nor time.
    """
    last = _git(folder, "log", "-1", "--format=%H %ct", "--", ".")
    changed = _git(folder, "status", "--porcelain", "--", ".")
    if not last:
        return Source(commit=None, dirty=bool(changed)), None
    commit, seconds = last.split()
    return Source(commit=commit, dirty=bool(changed)), datetime.fromtimestamp(int(seconds), UTC)


def created_at(otherwise: datetime) -> datetime:
    """`$SOURCE_DATE_EPOCH` (https://reproducible-builds.org/specs/source-date-epoch/) when set, else `otherwise`.

    Raises:
        SlipwayError: the variable is set to something else than seconds since 1970.
    """
    stated = os.environ.get(SOURCE_DATE_EPOCH)
    if not stated:
        return otherwise.replace(microsecond=0)
    try:
        return datetime.fromtimestamp(int(stated), UTC)
    except (ValueError, OverflowError, OSError):
        raise SlipwayError(
            "bad-environment-variable",
            f"{SOURCE_DATE_EPOCH}: expected seconds since 1970, got {stated!r}",
            f"unset {SOURCE_DATE_EPOCH}, or correct it",
        ) from None


def installed_versions(distributions: Iterable[str]) -> str:
    """These distributions and all that they need, as installed now: a requirements file of exact versions."""
    found: dict[str, str] = {}
    waiting = list(distributions)
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name in found:
            continue
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue  # needed on another platform only
        found[name] = distribution.version
        needed = [line for line in distribution.requires or () if "extra ==" not in line]
        waiting += [re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0] for line in needed]
    python = f"# Python {sys.version_info.major}.{sys.version_info.minor}\n"
    return python + "".join(f"{name}=={version}\n" for name, version in sorted(found.items()))


def _git(folder: Path, *arguments: str) -> str:
    # Reading must not take the index lock: another git command may be at work in the same checkout.
    environment = os.environ | {"GIT_OPTIONAL_LOCKS": "0"}
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
