"""What the tests of the engine room share: scripts that stand in for tools, and a real project to run."""

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


def executable(path: Path, body: str) -> Path:
    """A shell script on disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


@dataclass(frozen=True)
class Project:
    """A Pulumi project in a folder with a space, its state beside it, and the engine to run it with."""

    root: Path
    environment: Mapping[str, str]

    def write_program(self, text: str, name: str = "__main__.py") -> None:
        (self.root / "stacks" / name).write_text(text)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["pulumi", *arguments, "--non-interactive", "--color", "never"],
            cwd=self.root,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def pulumi(self, *arguments: str) -> tuple[int, str]:
        """Exit status and all output."""
        with self.start(*arguments) as process:
            output, _ = process.communicate(timeout=120)
            return process.returncode, output
