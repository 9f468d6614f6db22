"""The benchmark itself, on the small test model and for moments only: that it runs and writes what it says."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from serving_packages import write_package
from serving_process import environment


@pytest.mark.integration
def test_it_measures_every_server_and_writes_a_table(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "bench",
        "serving",
        "--seconds",
        "0.1",
        "--repeats",
        "1",
        "--out",
        str(tmp_path / "out"),
    ]
    given = environment() | {"BENCH_PACKAGE": str(write_package(tmp_path / "package"))}
    root = Path(__file__).parents[2]
    ended = subprocess.run(command, env=given, cwd=root, capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode == 0, ended.stderr
    text = (tmp_path / "out" / "serving.md").read_text()
    assert ended.stdout == text
    rows = re.findall(r"^\| ([a-z ]+) \| (1|16|64) \| ([\d,]+) \| (\d+\.\d\d) ", text, re.MULTILINE)
    servers = ("slipway", "slipway grpc", "bare", "asgi", "fastapi", "bare grpc")
    assert {(name, connections) for name, connections, _, _ in rows} == {
        (n, c) for n in servers for c in ("1", "16", "64")
    }
    assert all(int(rate.replace(",", "")) > 0 for _, _, rate, _ in rows)


def test_an_unknown_benchmark_is_named(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    ended = subprocess.run([sys.executable, "-m", "bench", "x"], cwd=root, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr.endswith("no benchmark 'x'; there are: serving\n")
