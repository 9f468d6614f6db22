"""Builds the Pulumi CLI from the Go module proxy into the user's cache, verified by go.sum.

All that Go writes on the way lies in the cache's work folder. A build that was interrupted, killed or ran out of disk
leaves it there, and the next one goes on with it; a build that succeeds removes it.
"""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from engine import version
from engine.build_lock import build_lock
from engine.errors import EngineError, cannot_write
from engine.go_errors import explain
from engine.paths import EngineCache
from engine.progress import Meter, say, showing
from engine.toolchain import MODULE, go_tool

PACKAGE = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
VERSION_VARIABLE = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version"

EXPECTED = "about 3 to 7 minutes on 2 cores, downloads first"
NEEDED_BYTES = 6 * 1024**3


def build(cache: EngineCache) -> None:
    """Makes `cache.pulumi` be there. Two processes at once: one builds, the other waits and takes the result."""
    try:
        cache.home.mkdir(parents=True, exist_ok=True)
        with build_lock(cache.lock):
            if not cache.pulumi.exists():
                _build(cache)
    except OSError as error:
        hint = "make it writable for this user, or set XDG_CACHE_HOME to a folder that is"
        raise cannot_write(f"the engine cache {cache.home}", error, hint) from None


def _build(cache: EngineCache) -> None:
    """One build, holding the lock."""
    resumed = cache.work.is_dir()
    if not resumed:
        _check_room(cache)
        cache.log.write_text("")
        cache.work.mkdir()
    for left_over in cache.work.glob("pulumi.*.partial"):
        left_over.unlink()
    again = " (going on with one that was interrupted)" if resumed else ""
    say(f"building the Pulumi CLI {cache.version} from source, once: {EXPECTED}{again}")

    environment = go_environment(cache.work)
    go = go_tool(cache.work / "toolchain", environment, cache.log)
    packages = _download(go, environment, cache)
    partial = _compile(go, environment, cache, packages)
    with showing(Meter("removing what the build needed")):
        _put_in_place(partial, cache)
    say(f"built {cache.pulumi}")


def _check_room(cache: EngineCache) -> None:
    free = shutil.disk_usage(cache.home).free
    if free < NEEDED_BYTES:
        needs = f"building the engine needs {NEEDED_BYTES / 1e9:.1f} GB for a while in {cache.home}"
        hint = "free some space, or set XDG_CACHE_HOME to a disk with room"
        raise EngineError("disk-full", f"{needs}; {free / 1e9:.1f} GB are free", hint)


def go_environment(work: Path) -> dict[str, str]:
    """The environment for `go`: everything it writes below `work`, the user's proxy settings as they are.

    CGO_ENABLED=0: no C compiler is needed. GOTOOLCHAIN=local: no other compiler than the chosen one is fetched.
    -modcacherw: the module cache can be removed like any folder. Go keeps its usage counters in the user's config
    folder; XDG_CONFIG_HOME moves them here, and GOENV keeps `go env -w` settings of the user, such as GOPROXY, valid.
    """
    config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return {
        "GOENV": str(config / "go" / "env"),
        **os.environ,
        "CGO_ENABLED": "0",
        "GO111MODULE": "on",
        "GOCACHE": str(work / "build"),
        "GOFLAGS": "-mod=readonly -modcacherw -trimpath -buildvcs=false",
        "GOMODCACHE": str(work / "modules"),
        "GOPATH": str(work / "gopath"),
        "GOTMPDIR": str(work),
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
        "XDG_CONFIG_HOME": str(work / "config"),
    }


def _download(go: Path, environment: dict[str, str], cache: EngineCache) -> set[str]:
    """Downloads the modules, by asking which packages the build needs; returns their import paths."""
    there = len(list((cache.work / "modules" / "cache" / "download").glob("**/*.zip")))
    meter = Meter("downloading", "modules", module_count((MODULE / "go.sum").read_text()), done=there)

    def on_line(line: str) -> None:
        if line.startswith("go: downloading "):
            meter.step()

    with showing(meter):
        command = [str(go), "list", "-deps", "-f", "{{.ImportPath}}", PACKAGE]
        return set(_run("downloading the engine's sources", command, environment, cache, on_line).split())


def module_count(go_sum: str) -> int:
    """How many modules go.sum has a content hash for; most of them are needed, the rest is their tests' business."""
    return sum(1 for line in go_sum.splitlines() if len(line.split()) == 3 and "/go.mod " not in line)


def _compile(go: Path, environment: dict[str, str], cache: EngineCache, packages: set[str]) -> Path:
    """Compiles and links; returns the fresh executable, which has said its version."""
    already = compiled(cache.log.read_text(errors="replace"), packages)
    meter = Meter("compiling", "packages", len(packages), done=len(already))

    def on_line(line: str) -> None:
        if line in packages and line not in already:
            already.add(line)
            meter.step()
        if line == PACKAGE:  # the last one; nothing more is counted, and linking takes half a minute
            meter.label, meter.total = "linking", None

    partial = cache.work / f"pulumi.{os.getpid()}.partial"
    ldflags = f"-s -w -X {VERSION_VARIABLE}=v{version.ENGINE}"
    with showing(meter):
        command = [str(go), "build", "-v", "-o", str(partial), "-ldflags", ldflags, PACKAGE]
        _run("compiling the engine", command, environment, cache, on_line)
    said = _run("starting the built engine", [str(partial), "version"], {"PULUMI_SKIP_UPDATE_CHECK": "1"}, cache)
    if version.parse(said) != version.ENGINE:
        raise EngineError(
            "build-failed", f"the built engine says it is {said.strip()!r}, not {version.ENGINE}", f"read {cache.log}"
        )
    return partial


def compiled(log: str, packages: set[str]) -> set[str]:
    """The packages that `go build -v` named in an earlier, interrupted run: it will not compile them again."""
    return packages.intersection(log.splitlines())


def _run(
    what: str,
    command: list[str],
    environment: dict[str, str],
    cache: EngineCache,
    on_line: Callable[[str], None] = lambda _: None,
) -> str:
    """Runs a tool in the module's folder; `on_line` sees each line of its stderr, the log keeps them. Returns stdout.

    It runs in a process group of its own, so that an interrupt ends it with all its compilers, once, by us.
    """
    complaints: list[str] = []
    with tempfile.TemporaryFile("w+", dir=cache.work) as stdout, cache.log.open("a", buffering=1) as log:
        process = subprocess.Popen(
            command,
            cwd=MODULE,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        assert process.stderr is not None  # noqa: S101 - a pipe was asked for
        with process:  # closes the pipe and waits
            try:
                for line in process.stderr:
                    log.write(line)
                    if line.strip():
                        complaints.append(line.strip())
                        on_line(line.strip())
            except BaseException:
                os.killpg(process.pid, signal.SIGKILL)
                raise
        returncode = process.returncode
        if returncode != 0:
            raise explain(what, complaints, returncode, cache.log)
        stdout.seek(0)
        return stdout.read()


def _put_in_place(partial: Path, cache: EngineCache) -> None:
    """Renames the CLI into place, whole on disk even if the power fails, and removes what the build needed."""
    cache.pulumi.parent.mkdir(exist_ok=True)
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.replace(cache.pulumi)
    shutil.rmtree(cache.work, ignore_errors=True)
    cache.log.unlink(missing_ok=True)
