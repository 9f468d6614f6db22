"""Rows a second of `python -m serving batch`, beside onnxruntime alone on the same rows in memory with all cores.

Each turn takes all of them one after the other, and the ratio is made within the turn: a machine that is busy with
something else slows them all. Processor time, which hardly depends on that, is told besides.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from serving.batch.rows import Columns
from serving.manifest import MODEL_FILE
from serving.model import Model, load
from serving.onnx_session import open_session
from serving.package import verify_directory

from bench import measure

_CHUNKS = (4_096, 16_384, 65_536)
_ROW_GROUP = 131_072
_CORES = os.cpu_count() or 1


class Taken(NamedTuple):
    """One measurement."""

    rate: float
    """Rows a second."""
    cpu_us: float
    """Processor time of a row, in µs."""
    memory_mb: float = 0.0


def run(options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        package = measure.package(folder)
        model = load(verify_directory(package))
        rows = _rows(model)
        counts = [int(1_000_000 * float(text)) for text in options.millions.split(",")]
        source = _write(rows, counts[0], folder / "in")
        alone: dict[str, list[Taken]] = {}
        ours: list[Taken] = []
        for turn in range(options.repeats):
            for name, ask in _alone(package, model, rows).items():
                alone.setdefault(name, []).append(_measured(ask, rows.num_rows))
            ours.append(_batch(package, source, folder / f"out-{turn}"))
            sys.stderr.write(f"turn {turn + 1} of {options.repeats} done\n")
        memory = {counts[0]: max(each.memory_mb for each in ours)}
        for count in counts[1:]:
            taken = _batch(package, _write(rows, count, folder / f"in-{count}"), folder / f"out-{count}")
            memory[count] = taken.memory_mb
            sys.stderr.write(f"{count:,} rows done\n")
        text = _report(model, alone, ours, memory, options)
    measure.write_report(Path(options.out) / "batch.md", text)


def _rows(model: Model) -> pa.Table:
    """The year's flights for the example's model; for another one its golden rows, over and over."""
    from examples.flight_delay.data import FEATURES, flights

    if {feature.name for feature in model.manifest.features} == set(FEATURES):
        return flights(range(1, 13)).select(["flight", *FEATURES])
    rows = [dict(row) for row in model.golden.rows]
    return pa.Table.from_pylist(rows * 10_000)


def _write(rows: pa.Table, count: int, folder: Path) -> Path:
    """So many of the rows, over and over, as one file."""
    folder.mkdir()
    with pq.ParquetWriter(folder / "rows.parquet", rows.schema) as writer:
        while count > 0:
            part = rows.slice(0, min(count, rows.num_rows, _ROW_GROUP))
            writer.write_table(part)
            rows = pa.concat_tables([rows.slice(part.num_rows), part])
            count -= part.num_rows
    return folder


def _alone(package: Path, model: Model, rows: pa.Table) -> dict[str, Callable[[], None]]:
    """onnxruntime on tensors that are there already: its own threads, and a thread a core for chunks of any size."""
    (batch,) = rows.combine_chunks().to_batches()
    checked, _ = Columns(model.manifest).check(batch)
    own, single = (open_session(package / MODEL_FILE, "cpu", threads) for threads in (_CORES, 1))
    names, count = model.output_names, rows.num_rows

    def parts(size: int) -> list[dict[str, Any]]:
        return [{k: v[start : start + size] for k, v in checked.feeds.items()} for start in range(0, count, size)]

    def shared(size: int) -> Callable[[], None]:
        def ask() -> None:
            with ThreadPoolExecutor(_CORES) as pool:
                for _ in pool.map(lambda feeds: single.run(names, feeds), parts(size)):
                    pass

        return ask

    return {
        f"onnxruntime, {_CORES} threads of its own, all rows at once": lambda: own.run(names, checked.feeds) and None,
        **{f"onnxruntime, {_CORES} callers, {size:,} rows each": shared(size) for size in _CHUNKS},
    }


def _measured(ask: Callable[[], None], count: int) -> Taken:
    began, used = time.perf_counter(), time.process_time()
    ask()
    return Taken(count / (time.perf_counter() - began), 1e6 * (time.process_time() - used) / count)


def _batch(package: Path, source: Path, output: Path) -> Taken:
    """A run of one worker: its rate as it says it itself (process start and imports apart), time and peak memory."""
    settings = {
        "MODEL_DIR": package,
        "BATCH_INPUT": source,
        "BATCH_OUTPUT": output,
        "BATCH_RUN": "bench-29384820",
        "THREADS": _CORES,
    }
    given = os.environ | {f"SLIPWAY_{name}": str(value) for name, value in settings.items()}
    process = subprocess.Popen(
        [sys.executable, "-m", "serving", "batch"], env=given, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    said = [json.loads(line) for line in process.stderr]
    process.stderr.close()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"batch ended with {process.returncode}: {said[-1]['message']}")
    (scored,) = [line for line in said if line["message"] == "scored"]
    cpu = 1e6 * (used.ru_utime + used.ru_stime) / scored["rows"]
    return Taken(scored["rows"] / scored["seconds"], cpu, used.ru_maxrss / 1024)


def _report(
    model: Model,
    alone: dict[str, list[Taken]],
    ours: list[Taken],
    memory: dict[int, float],
    options: argparse.Namespace,
) -> str:
    first = next(iter(memory))
    about = (
        f"Model {model.name} {model.version}, {_CORES} cores, Python {platform.python_version()}, {options.repeats} "
        f"turns. Batch: {first:,} rows from a Parquet file to the table's Parquet, all of it but the start of the "
        "process; its processor time has the start in it. onnxruntime: on tensors in memory, nothing read or written. "
        "`of the best`: the rate over that of the fastest onnxruntime of the same turn, median (least to most). "
        "`python -m bench batch`."
    )
    lines = ["# Batch, beside onnxruntime alone", "", about, ""]
    lines += ["| what | rows/s | of the best | CPU µs a row |", "|---|---|---|---|"]
    best = [max(taken[turn].rate for taken in alone.values()) for turn in range(options.repeats)]
    for name, taken in {"slipway batch": ours, **alone}.items():
        ratios = sorted(each.rate / most for each, most in zip(taken, best, strict=True))
        lines.append(
            f"| {name} | {statistics.median(each.rate for each in taken):,.0f} | {statistics.median(ratios):.2f} "
            f"({ratios[0]:.2f} to {ratios[-1]:.2f}) | {statistics.median(each.cpu_us for each in taken):.2f} |"
        )
    lines += ["", "| rows | peak memory, MB |", "|---|---|"]
    lines += [f"| {count:,} | {peak:.0f} |" for count, peak in memory.items()]
    return "\n".join(lines) + "\n"
