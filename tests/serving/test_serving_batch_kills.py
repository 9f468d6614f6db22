"""Workers killed at any moment: the run ends with the same bytes as an undisturbed one, no row lost, none twice."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from batch_support import PARTITION, RUN, contents, results, run_all, settings, weather, write_input
from serving.batch import store as batch_store
from serving_packages import write_package
from serving_process import environment

PARTS = 3
ROWS = 1500


class Worker:
    """Starts workers of a run and kills them."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.lived = 0.0
        """How long the last worker lived, in seconds."""

    def attempt(self, part: int, life: float | None) -> int:
        """The exit status of a worker that is killed when it has lived so long, if it has not ended by then."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{part}\n")
        self._process.stdin.flush()
        pid = int(self._process.stdout.readline())
        began = time.monotonic()
        timer = threading.Timer(life, os.kill, (pid, signal.SIGKILL)) if life is not None else None
        if timer:
            timer.start()
        status = int(self._process.stdout.readline())
        self.lived = time.monotonic() - began
        if timer:
            timer.cancel()
        return status


@contextmanager
def nursery(package: Path, source: Path, output: Path) -> Iterator[Worker]:
    variables = environment(
        environment="test",
        service="delay",
        model_dir=package,
        batch_input=source,
        batch_output=output,
        batch_run=RUN,
        batch_parts=PARTS,
    )
    command = [sys.executable, str(Path(__file__).parents[1] / "batch_nursery.py")]
    with subprocess.Popen(command, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Worker(process)
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, dict[str, bytes]]:
    """The package, the input, and what an undisturbed run makes of it."""
    folder = tmp_path_factory.mktemp("kills")
    package = write_package(folder / "package")
    source = write_input(folder / "in", weather(ROWS), row_group_size=250)
    run_all(settings(package, source, folder / "out", batch_parts=PARTS))
    return package, source, contents(folder / "out")


def disturbed(made: tuple[Path, Path, dict[str, bytes]], folder: Path, kills: int, seed: int) -> None:
    """One run after the other, each worker killed some times at moments that chance picks, until so many were."""
    package, source, undisturbed = made
    chance = random.Random(seed)
    done = 0
    output = folder / "out"
    here = {
        name: content.replace(str(source.parent).encode() + b"/out", str(output).encode())
        for name, content in undisturbed.items()
    }
    with nursery(package, source, output) as worker:
        assert worker.attempt(0, None) == 0
        usual = worker.lived
        while done < kills:
            for part in chance.sample(range(PARTS), PARTS):
                for _ in range(chance.randint(2, 6)):
                    if worker.attempt(part, chance.uniform(0, usual)) == -signal.SIGKILL:
                        done += 1
                assert worker.attempt(part, None) == 0
            assert contents(output) == here
            # The next run begins anew; what this one left is looked at above.
            for file in sorted(output.rglob("*"), reverse=True):
                file.rmdir() if file.is_dir() else file.unlink()
    assert done >= kills


def test_twenty_kills_change_nothing(made: tuple[Path, Path, dict[str, bytes]], tmp_path: Path) -> None:
    disturbed(made, tmp_path, 20, seed=20130101)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_thousand_kills_change_nothing(made: tuple[Path, Path, dict[str, bytes]], tmp_path: Path) -> None:
    disturbed(made, tmp_path, 1000, seed=int(time.time()))


class KilledError(BaseException):
    """What stands for a kill in this process: nothing that handles errors handles it."""


STEPS = ("list", "open", "get", "put", "put_new", "put_file", "join", "delete")


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_kill_at_any_step_changes_nothing(
    made: tuple[Path, Path, dict[str, bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    """Each operation on the store is once the last one: of a worker alone, and of the one that commits."""
    package, source, undisturbed = made
    left = 0

    class Mortal(batch_store.FolderStore):
        def __getattribute__(self, name: str) -> Any:
            found = super().__getattribute__(name)
            if name not in STEPS:
                return found

            def step(*args: Any) -> Any:
                nonlocal left
                left -= 1
                if left == 0 and not after:
                    raise KilledError
                result = found(*args)
                if left == 0:
                    if name == "open":
                        result.close()
                    raise KilledError
                return result

            return step

    monkeypatch.setattr(batch_store, "FolderStore", Mortal)
    killed = 0
    for number in range(1, 100):
        output = tmp_path / str(number)
        found = settings(package, source, output, batch_parts=2)
        run_all(found, [0])
        left = number
        try:
            run_all(found, [1])
            break
        except KilledError:
            killed += 1
        left = 0
        assert len(list(output.glob(f"{PARTITION}/*"))) <= 1
        run_all(found, [1])
        assert [row["keys"]["flight"] for row in results(output)] == [str(i) for i in range(ROWS)]
        assert contents(output)[f"{PARTITION}/{RUN}.parquet"] == two_parts(made, tmp_path)
        assert set(contents(output)) == set(undisturbed)
    assert killed > 10


def two_parts(made: tuple[Path, Path, dict[str, bytes]], folder: Path) -> bytes:
    """What an undisturbed run of two workers makes."""
    package, source, _ = made
    output = folder / "two"
    if not output.exists():
        run_all(settings(package, source, output, batch_parts=2))
    return contents(output)[f"{PARTITION}/{RUN}.parquet"]
