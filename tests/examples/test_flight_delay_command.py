"""The command of the example: what a person sees of it, also when things are wrong."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from examples.flight_delay.openmp import LIBRARY, required
from examples.flight_delay.train import main, parse_months
from release.errors import SlipwayError

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "examples.flight_delay.train"]


@pytest.mark.parametrize(("text", "months"), [("1-3", range(1, 4)), ("4", range(4, 5)), ("11", range(11, 12))])
def test_months(text: str, months: range) -> None:
    assert parse_months(text) == months


@pytest.mark.parametrize("text", ["", "0", "12", "1-12", "3-1", "jan", "1-", "-3", "1-3-5", "1,2", "٣"])
def test_months_that_are_none(text: str) -> None:
    with pytest.raises(SlipwayError, match=r"^--months: expected A-B"):
        parse_months(text)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--out", "x", "--months", "13"], "--months: expected A-B"),
        ([], "the following arguments are required: --out"),
        (["--out", "x", "--moths", "1"], "unrecognized arguments: --moths 1"),
    ],
)
def test_misuse_is_one_line(arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 1
    out, err = capsys.readouterr()
    assert not out
    assert err.startswith(f"error: {line}")
    assert err.count("\n") == 1
    assert main([*arguments, "--json"]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["message"].startswith(line)
    assert json.loads(out)["hint"]
    assert not err


def test_help_needs_none_of_the_libraries() -> None:
    listed = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "examples.flight_delay.train", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "example: python -m examples.flight_delay.train" in listed.stdout
    loaded = {line.rsplit("|", 1)[-1].strip().partition(".")[0] for line in listed.stderr.splitlines()}
    assert not loaded & {"lightgbm", "onnx", "pyarrow", "numpy", "onnxruntime", "pandas", "sklearn", "scipy"}


def test_training_loads_neither_pandas_nor_scikit_learn() -> None:
    program = "import sys, examples.flight_delay.pipeline; import pyarrow as pa; pa.array([1.0]); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "lightgbm" in done.stdout.split()
    assert not {"pandas", "sklearn"} & set(done.stdout.split())


@pytest.mark.skipif(sys.platform != "linux", reason="the loader's search path is Linux's")
def test_a_machine_without_openmp_trains_with_the_one_that_scikit_learn_carries(tmp_path: Path) -> None:
    (tmp_path / LIBRARY).write_bytes(b"")  # found first, and broken: as good as none
    environment = os.environ | {"LD_LIBRARY_PATH": str(tmp_path)}
    arguments = [*COMMAND, "--out", str(tmp_path / "out"), "--months", "2", "--json"]
    done = subprocess.run(arguments, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert Path(json.loads(done.stdout)["archive"]).is_file()
    environment["FLIGHT_DELAY_OPENMP"] = "1"
    done = subprocess.run(arguments, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "apt-get install libgomp1" in json.loads(done.stdout)["hint"]


def test_other_errors_of_the_system_stay_what_they_are() -> None:
    with pytest.raises(FileNotFoundError), required():
        raise FileNotFoundError("something else")


def test_an_interrupt_leaves_nothing_behind(tmp_path: Path) -> None:
    running = subprocess.Popen([*COMMAND, "--out", str(tmp_path / "out")], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    assert running.stderr is not None
    assert running.stderr.readline() == "reading flights and weather\n"
    running.send_signal(2)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 130
    assert err.splitlines()[-1] == "interrupted; nothing was written"
    assert "Traceback" not in err
    deadline = time.monotonic() + 5
    while (tmp_path / "out").exists() and any((tmp_path / "out").iterdir()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
