"""Where the engine lives: one built CLI per user and version, one small folder per checkout."""

import os
from dataclasses import dataclass
from pathlib import Path

from engine import version


def cache_home() -> Path:
    """`$XDG_CACHE_HOME`, or `~/.cache`; the same on macOS. A relative value is ignored, as that specification says."""
    named = os.environ.get("XDG_CACHE_HOME", "")
    return Path(named) if named.startswith("/") else Path.home() / ".cache"


@dataclass(frozen=True)
class EngineCache:
    """The files of one version in the user's cache, shared by all checkouts."""

    home: Path
    """`<cache home>/slipway/engine`."""
    version: str

    @property
    def pulumi(self) -> Path:
        """The built CLI. It is there whole or not at all: it is renamed into place when it has answered."""
        return self.home / self.version / "pulumi"

    @property
    def work(self) -> Path:
        """What a build needs meanwhile, about 5 GB of Go's caches. Removed when the build has succeeded."""
        return self.home / f"{self.version}.work"

    @property
    def lock(self) -> Path:
        """Held by the process that builds; says which one."""
        return self.home / f"{self.version}.lock"

    @property
    def log(self) -> Path:
        """All that the Go tools said in the last build."""
        return self.home / f"{self.version}.log"


def engine_cache() -> EngineCache:
    """The cache of the version that this checkout wants."""
    return EngineCache(cache_home() / "slipway" / "engine", str(version.ENGINE))


def bin_dir(root: Path) -> Path:
    """The folder of a checkout that goes first on PATH: the CLI and our language host side by side."""
    return root / ".slipway" / "engine" / "bin"


def is_bin_dir(folder: Path) -> bool:
    """Whether `folder` is such a folder of any checkout: what lies there is ours, not the user's own CLI."""
    return folder.parts[-3:] == (".slipway", "engine", "bin")
