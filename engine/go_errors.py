"""Turns what the Go tools (or pip) complain about into one line with a remedy."""

import re
from pathlib import Path

from engine import version
from engine.errors import EngineError

OFFICIAL = f"install the official Pulumi CLI {version.ENGINE}"

# First match wins: a checksum that differs must never be reported as a network problem.
_CAUSES = [
    (
        "checksum-mismatch",
        r"checksum mismatch|SECURITY ERROR|DO NOT MATCH THE HASHES",
        "a download does not match its recorded checksum; nothing of it was used",
        "do not build here: a proxy or mirror on the way delivers changed files",
    ),
    (
        "disk-full",
        r"no space left on device|disk quota exceeded",
        "the disk is full",
        "free 6 GB, or set XDG_CACHE_HOME to a disk with room, and run it again; it goes on where it stopped",
    ),
    (
        "not-writable",
        r"permission denied|read-only file system",
        "the engine cache cannot be written",
        "make it writable for this user, or set XDG_CACHE_HOME to a folder that is",
    ),
    (
        "no-network",
        (
            r"dial tcp|dial udp|no such host|connection refused|connection reset|network is unreachable|i/o timeout"
            r"|handshake timeout|proxyconnect|name resolution|module lookup disabled|unexpected EOF"
            r"|NewConnectionError|Max retries exceeded|timed out"
        ),
        "the downloads for the build do not get through",
        f"connect to the network (a mirror: set GOPROXY) and run the same command again, or {OFFICIAL}",
    ),
    (
        "not-served",
        r"\b(?:403|404|410|5\d\d) [A-Z]\w+",
        "the module proxy does not serve a part of the engine",
        f"set GOPROXY to a proxy that has it, or {OFFICIAL}",
    ),
    (
        # pip says the same of an index without the package and of one that it could not reach.
        "not-served",
        r"No matching distribution",
        "no package index has it, or none could be reached",
        f"check the network and pip's index-url, or install Go yourself, or {OFFICIAL}",
    ),
]


def explain(what: str, output: list[str], returncode: int, log: Path) -> EngineError:
    """The error for a tool that failed: a known cause with its remedy, else what the tool itself said last.

    `what` is the step, such as `compiling the engine`; `output` what the tool printed on stderr.
    """
    for code, pattern, cause, hint in _CAUSES:
        for line in output:
            if re.search(pattern, line):
                return EngineError(code, f"{what} failed: {cause} ({shorten(line)}; all of it in {log})", hint)
    how = f"was killed by signal {-returncode}" if returncode < 0 else f"exited with {returncode}"
    said = f", its last words: {shorten(output[-1])}" if output else ""
    return EngineError("build-failed", f"{what} failed: the tool {how}{said}", f"read {log}, or {OFFICIAL}")


def shorten(line: str, width: int = 160) -> str:
    """A tool's line on one line of ours: no tabs or runs of blanks, at most `width` characters."""
    plain = " ".join(line.split())
    return plain if len(plain) <= width else plain[: width - 1] + "…"
