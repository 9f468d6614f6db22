"""Requests a second and latency of one worker, side by side, in one run on the same machine and model.

Every figure is taken in turn with the others, `repeats` times, and told as the ratio to ours within each turn (median,
least, most): a machine that is busy with something else slows them all.
"""

import argparse
import contextlib
import os
import platform
import sys
import tempfile
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from serving.model import load
from serving.package import verify_directory

from bench import measure
from bench.measure import Figures, Question, Running

CONNECTIONS = (1, 16, 64)
RATES = (100, 1000)
OPEN_CONNECTIONS = 64


def run(options: argparse.Namespace) -> None:
    """Measure all and write serving.md."""
    with tempfile.TemporaryDirectory() as scratch, contextlib.ExitStack() as stack:
        package = measure.package(Path(scratch))
        model = load(verify_directory(package))
        predict, grpc = measure.predict_question(model), measure.grpc_question(model)
        ours = stack.enter_context(measure.slipway(package, predict))
        servers: dict[str, tuple[Running, Question]] = {"slipway": (ours, predict), "slipway grpc": (ours, grpc)}
        for kind, question in (("bare", predict), ("asgi", predict), ("fastapi", predict), ("bare grpc", grpc)):
            servers[kind] = (stack.enter_context(_other(kind, question, package)), question)
        closed: dict[tuple[str, int], list[Figures]] = {}
        opened: dict[tuple[str, int], list[Figures]] = {}
        for turn in range(options.repeats):
            for connections in CONNECTIONS:
                for name, (server, question) in servers.items():
                    seen = measure.load(question, server, connections, options.seconds)
                    closed.setdefault((name, connections), []).append(seen)
            for rate in RATES:
                for name, (server, question) in servers.items():
                    seen = measure.load(question, server, OPEN_CONNECTIONS, options.seconds, rate)
                    opened.setdefault((name, rate), []).append(seen)
            sys.stderr.write(f"turn {turn + 1} of {options.repeats} done\n")
        text = _report(model, closed, opened, {name: server for name, (server, _) in servers.items()}, options)
    measure.write_report(Path(options.out) / "serving.md", text)


def _other(kind: str, question: Question, package: Path) -> AbstractContextManager[Running]:
    port = measure.free_port()
    command = [sys.executable, "-m", "bench.servers", {"bare grpc": "grpc"}.get(kind, kind), str(port), str(package)]
    return measure.running(command, {question["kind"]: port}, question)


def _report(
    model: Any,
    closed: dict[tuple[str, int], list[Figures]],
    opened: dict[tuple[str, int], list[Figures]],
    servers: dict[str, Running],
    options: argparse.Namespace,
) -> str:
    about = (
        f"One worker each, one row a request, model {model.name} {model.version}; {os.cpu_count()} cores for it and "
        f"the load generator, Python {platform.python_version()}, {options.repeats} turns of {options.seconds:g} s. "
        "`of ours`: the server's rate over ours of the same turn, median (least to most); processor time, unlike the "
        "others, hardly depends on what else the machine does. `python -m bench serving`."
    )
    lines = ["# Serving, side by side", "", about, ""]
    lines += [
        "| server | connections | requests/s | of ours | p50 ms | p99 ms | CPU µs a request |",
        "|---|---|---|---|---|---|---|",
    ]
    for (name, connections), taken in closed.items():
        ours = closed["slipway grpc" if "grpc" in name else "slipway", connections]
        ratios = [mine["rate"] / other["rate"] for mine, other in zip(taken, ours, strict=True)]
        rate, p50, p99, cpu = (measure.median(taken, key) for key in ("rate", "p50_ms", "p99_ms", "cpu_us"))
        lines.append(
            f"| {name} | {connections} | {rate:,.0f} | {measure.spread(ratios)} | {p50:.2f} | {p99:.2f} | {cpu:.0f} |"
        )
    lines += ["", f"Open loop: so many requests a second whatever is still open, {OPEN_CONNECTIONS} connections.", ""]
    lines += ["| server | requests/s asked | answered | p50 ms | p99 ms |", "|---|---|---|---|---|"]
    for (name, asked), taken in opened.items():
        rate, p50, p99 = (measure.median(taken, key) for key in ("rate", "p50_ms", "p99_ms"))
        lines.append(f"| {name} | {asked} | {rate:,.0f} | {p50:.2f} | {p99:.2f} |")
    lines += ["", "| server | start to first answer, s | memory, MB |", "|---|---|---|"]
    lines += [
        f"| {name} | {server.seconds:.2f} | {server.megabytes():.0f} |"
        for name, server in servers.items()
        if name != "slipway grpc"
    ]
    return "\n".join(lines) + "\n"
