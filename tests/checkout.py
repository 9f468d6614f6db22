"""A checkout of its own with the real `local` platform in it, driven as a user drives it: by the command."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

REPOSITORY = Path(__file__).parents[1]


class Checkout:
    """A folder (with a space in its name) that has this repository's program and a `.slipway` of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir()
        shutil.copy(REPOSITORY / "Pulumi.yaml", root)
        shutil.copytree(REPOSITORY / "stacks", root / "stacks", ignore=shutil.ignore_patterns("__pycache__"))
        (root / ".venv").symlink_to(sys.prefix)

    @property
    def environment(self) -> dict[str, str]:
        """The variables of a user who has set nothing."""
        foreign = ("AWS_", "PULUMI_", "KUBECONFIG", "SLIPWAY_")
        return {name: value for name, value in os.environ.items() if not name.startswith(foreign)}

    def start(self, *words: str) -> "subprocess.Popen[str]":
        """Begin a command."""
        return subprocess.Popen(
            [sys.executable, "-m", "release.cli", *words],
            cwd=self.root,
            env=self.environment | {"PYTHONSAFEPATH": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str, timeout: float = 240) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end, whatever that is."""
        with self.start(*words) as process:
            try:
                out, err = process.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def slipway(self, *words: str) -> str:
        """Run a command that must go well; its standard output."""
        done = self.run(*words)
        if done.returncode != 0:
            pytest.fail(f"slipway {' '.join(words)} exited with {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def answer(self, *words: str) -> Any:
        """The JSON answer of a command that must go well."""
        return json.loads(self.slipway(*words, "--json"))

    @property
    def service(self) -> dict[str, Any]:
        """`slipway status --json` of the example service."""
        return self.answer("status")["services"]["flight-delay"]

    @property
    def rest_pods(self) -> list[dict[str, Any]]:
        """Of its pods those that answer requests."""
        return [pod for pod in self.service["pods"] if pod["name"].startswith("flight-delay-rest-")]

    def daemon(self) -> psutil.Process:
        """The local daemon."""
        return psutil.Process(json.loads((self.root / ".slipway/local/daemon.json").read_text())["pid"])

    def pod_processes(self) -> list[psutil.Process]:
        """The processes of the pods that serve, one a pod."""
        found = self.daemon().children(recursive=True)
        return [
            process
            for process in found
            if process.cmdline()[-3:-1] == ["-m", "serving"] and process.cmdline()[-1] == "rest"
        ]

    def processes(self) -> list[str]:
        """Command lines of every process that has to do with this checkout."""
        own = psutil.Process().pid
        found: list[str] = []
        for process in psutil.process_iter():
            try:
                words = process.cmdline()
                if process.pid != own and (
                    str(self.root) in " ".join(words) or process.cwd().startswith(str(self.root))
                ):
                    found.append(" ".join(words))
            except psutil.Error:
                continue
        return found


class Day:
    """A checkout, and what its first `slipway up` printed."""

    def __init__(self, checkout: Checkout) -> None:
        self.checkout = checkout
        self.first_words = checkout.slipway("up")


def until(condition: Any, seconds: float, every: float = 0.1) -> float:
    """Wait until `condition()` is true; the seconds that it took."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > seconds:
            pytest.fail(f"not so after {seconds} s: {condition}")
        time.sleep(every)
    return time.monotonic() - began


@contextmanager
def made(folder: Path) -> Iterator[Checkout]:
    """A checkout that is taken down at the end, in order or not."""
    checkout = Checkout(folder / "check out")
    try:
        yield checkout
    finally:
        checkout.run("down", timeout=120)
