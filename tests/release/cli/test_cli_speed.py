"""`--help`, completion and the path of `status` stay quick: by the clock, and by what they import."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest
from release_support import deployed

from release.environment import Environment

HEAVY = {
    "pulumi",
    "boto3",
    "botocore",
    "onnxruntime",
    "onnx",
    "pyarrow",
    "numpy",
    "pydantic",
    "moto",
    "lightkube",
    "grpc",
}
AFTER_RUN = "import sys; sys.stderr.write('\\n'.join(sorted({m.split('.')[0] for m in sys.modules})))"


def imported(words: list[str], root: Path) -> set[str]:
    """Top-level modules that are loaded when the command has ended."""
    code = f"import sys, atexit; atexit.register(lambda: exec({AFTER_RUN!r})); sys.argv = ['slipway', *{words!r}]\n"
    code += "from release.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False, timeout=60
    )
    return set(done.stderr.splitlines())


def seconds(words: list[str], root: Path, runs: int = 7) -> float:
    """The least processor time of several runs: what the command itself takes, however busy the machine is."""
    times: list[float] = []
    for _ in range(runs):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [sys.executable, "-m", "release.cli", *words], cwd=root, capture_output=True, check=True, timeout=60
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(times)


def test_help_takes_less_than_a_fifth_of_a_second(root: Path):
    assert seconds(["--help"], root) < 0.2


def test_completion_of_a_command_takes_less_than_a_fifth_of_a_second(root: Path):
    assert seconds(["completion", "--words", "st"], root) < 0.2


def test_completion_of_a_service_takes_less_than_a_fifth_of_a_second(root: Path, local: Environment):
    deployed(local)
    assert seconds(["completion", "--words", "logs", "fl"], root) < 0.2


def test_help_imports_no_library(root: Path):
    assert not imported(["--help"], root) & (HEAVY | {"typer", "rich", "psutil"})


@pytest.mark.parametrize(
    "words", [["status"], ["status", "--json"], ["up", "--help"], ["release", "--help"], ["predict", "x", "--help"]]
)
def test_a_quick_command_imports_nothing_heavy(words: list[str], root: Path, local: Environment):
    deployed(local)
    found = imported(words, root)
    assert "typer" in found  # the command did run
    assert not found & HEAVY


def test_status_takes_less_than_half_a_second(root: Path, local: Environment):
    deployed(local)
    assert seconds(["status"], root, runs=4) < 0.5
