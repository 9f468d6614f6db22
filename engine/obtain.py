"""What to do where no Pulumi CLI was found: name the official one where it can be had, else build one."""

import os
import sys
import threading
import urllib.request

from engine import version
from engine.build import EXPECTED, build
from engine.errors import EngineError
from engine.find import Cli, Preference, find
from engine.paths import EngineCache
from engine.progress import on_terminal, say

VENDOR = "https://get.pulumi.com"
INSTALL_OFFICIAL = f"curl -fsSL {VENDOR} | sh -s -- --version {version.ENGINE}"
PROBE_SECONDS = 2.0


def remedy() -> str:
    """What mends a missing engine, on one line."""
    return f"run `make up`, which builds one ({EXPECTED}), or install the official CLI: {INSTALL_OFFICIAL}"


def obtain(cache: EngineCache, wanted: Preference, passed_over: list[str]) -> Cli:
    """Builds a CLI, after saying so; on a terminal where the official one can be had, asks first.

    Raises EngineError where a build is not wanted or fails.
    """
    for sentence in passed_over:
        say(sentence)
    if wanted == "path":
        why = "; ".join(passed_over) or "there is no `pulumi` on PATH"
        hint = f"install the official CLI ({INSTALL_OFFICIAL}), or unset SLIPWAY_ENGINE to build one from source"
        raise EngineError("engine-missing", f"SLIPWAY_ENGINE=path, but {why}", hint)
    if wanted != "build" and not offline() and vendor_reachable():
        say(f"no usable Pulumi CLI found. The official one, in seconds: {INSTALL_OFFICIAL}")
        if not _agreed(f"Build {version.ENGINE} from source now instead ({EXPECTED})?"):
            raise EngineError("engine-missing", "no Pulumi CLI found, and a build was not wanted", INSTALL_OFFICIAL)
    build(cache)
    cli = find(cache, "build").cli
    if cli is None:
        raise EngineError("build-failed", f"{cache.pulumi} is gone right after its build", "run the same command again")
    return cli


def offline() -> bool:
    """Whether nobody would read about the official CLI, or the network is not to be touched for it."""
    return bool(os.environ.get("CI") or os.environ.get("SLIPWAY_OFFLINE"))


def vendor_reachable(url: str = VENDOR, seconds: float = PROBE_SECONDS) -> bool:
    """Whether the vendor's host answers within `seconds`, name lookup included (which has no timeout of its own)."""
    answered = threading.Event()

    def probe() -> None:
        request = urllib.request.Request(url, method="HEAD")  # noqa: S310 - a constant https address
        try:
            with urllib.request.urlopen(request, timeout=seconds):  # noqa: S310
                answered.set()
        except (OSError, ValueError):
            return

    threading.Thread(target=probe, daemon=True).start()
    return answered.wait(seconds)


def _agreed(question: str) -> bool:
    """Asks on a terminal, No being the default; without one the build goes ahead, announced."""
    if not (on_terminal() and sys.stdin.isatty()):
        return True
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
