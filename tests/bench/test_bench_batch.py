"""The batch benchmark on the small test model: that it runs and writes what it says."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from serving_packages import write_package
from serving_process import environment


@pytest.mark.integration
def test_it_measures_batch_and_onnxruntime_and_writes_a_table(tmp_path: Path) -> None:
    options = ["--repeats", "1", "--millions", "0.02,0.03", "--out", str(tmp_path / "out")]
    given = environment() | {"BENCH_PACKAGE": str(write_package(tmp_path / "package"))}
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "bench", "batch", *options]
    ended = subprocess.run(command, env=given, cwd=root, capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode == 0, ended.stderr
    text = (tmp_path / "out" / "batch.md").read_text()
    assert ended.stdout == text
    rates = re.findall(r"^\| (slipway batch|onnxruntime, .*?) \| ([\d,]+) \| (\d+\.\d\d) ", text, re.MULTILINE)
    assert len(rates) == 5
    assert all(int(rate.replace(",", "")) > 0 for _, rate, _ in rates)
    assert re.findall(r"^\| ([\d,]+) \| \d+ \|$", text, re.MULTILINE) == ["20,000", "30,000"]
