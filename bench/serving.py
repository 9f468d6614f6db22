"""Requests a second and latency of one worker, side by side, in one run on the same machine and model.

Every figure is taken in turn with the others, `repeats` times, and told as the ratio to ours within each turn (median,
least, most): a machine that is busy with something else slows them all.
"""

import argparse
import contextlib
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from serving.model import load
from serving.package import verify_directory

from bench.servers import free_port

OURS = ("slipway", "slipway grpc")


def run(options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        package = _package(Path(scratch))
        model = load(verify_directory(package))
        questions = _questions(model)
        results: dict[tuple[str, int], list[dict[str, float]]] = {}
        started: dict[str, tuple[float, float]] = {}
        with contextlib.ExitStack() as stack:
            ports: dict[str, int] = {}
            processes: dict[str, psutil.Process] = {}
            for name in ("slipway", "bare", "asgi", "fastapi", "grpc"):
                found, process, seconds = stack.enter_context(_server(name, package))
                ports |= found
                processes |= dict.fromkeys(found, process)
                started[name] = (seconds, process.memory_info().rss / 1e6)
            for turn in range(options.repeats):
                for connections in (1, 16, 64):
                    for name, port in ports.items():
                        protocol = "grpc" if "grpc" in name else "http"
                        asked = questions[protocol] | {
                            "port": port,
                            "connections": connections,
                            "seconds": options.seconds,
                        }
                        results.setdefault((name, connections), []).append(_load(asked, processes[name]))
                sys.stderr.write(f"turn {turn + 1} of {options.repeats} done\n")
        text = _report(model, results, started, options)
    Path(options.out).mkdir(parents=True, exist_ok=True)
    (Path(options.out) / "serving.md").write_text(text)
    sys.stdout.write(text)


def _package(scratch: Path) -> Path:
    """The flight-delay package, trained for this run unless BENCH_PACKAGE names an unpacked one."""
    if given := os.environ.get("BENCH_PACKAGE"):
        return Path(given)
    from serving.package import unpack

    command = [sys.executable, "-m", "examples.flight_delay.train", "--out", str(scratch / "trained"), "--json"]
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    return unpack(Path(json.loads(told)["archive"]), scratch / "package").directory


def _questions(model: Any) -> dict[str, dict[str, Any]]:
    """One row, asked in each protocol."""
    from serving.grpc_messages import MESSAGES
    from serving.tensors import to_bytes

    row = dict(model.golden.rows[0])
    request = MESSAGES["ModelInferRequest"](model_name=model.name)
    for name, array in model.rows.tensors([model.rows.convert(row)]).items():
        request.inputs.add(name=name, datatype=model.inputs[name].datatype, shape=array.shape)
        request.raw_input_contents.append(to_bytes(array))
    return {
        "http": {"kind": "http", "path": "/predict", "body": json.dumps({"rows": [row]})},
        "grpc": {
            "kind": "grpc",
            "method": "/inference.GRPCInferenceService/ModelInfer",
            "content": request.SerializeToString().hex(),
        },
    }


@contextmanager
def _server(name: str, package: Path) -> Iterator[tuple[dict[str, int], psutil.Process, float]]:
    """A running server: its ports by name, its process, seconds from start to open ports."""
    port, environment = free_port(), dict(os.environ)
    ports = {"bare grpc" if name == "grpc" else name: port}
    if name == "slipway":
        ports["slipway grpc"] = free_port()
        settings = {"MODEL_DIR": package, "BIND": "127.0.0.1", "REST_PORT": port, "GRPC_PORT": ports["slipway grpc"]}
        environment |= {f"SLIPWAY_{key}": str(value) for key, value in (settings | {"DRAIN_SECONDS": 0}).items()}
        command = ["serving", "rest"]
    else:
        command = ["bench.servers", name, str(port), str(package)]
    began = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", *command], env=environment, stderr=subprocess.DEVNULL)
    try:
        while not all(map(_open, ports.values())):
            if process.poll() is not None or time.monotonic() - began > 60:
                raise SystemExit(f"{name} did not start")
            time.sleep(0.005)
        yield ports, psutil.Process(process.pid), time.monotonic() - began
    finally:
        process.terminate()
        process.wait()


def _open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _load(asked: dict[str, Any], process: psutil.Process) -> dict[str, float]:
    """What the load generator saw, and the processor time that the server took for a request, in µs."""
    command = [sys.executable, "-m", "bench.load"]
    before = sum(process.cpu_times()[:2])
    told = subprocess.run(
        command, input=json.dumps(asked).encode(), stdout=subprocess.PIPE, check=True, timeout=60 + asked["seconds"]
    )
    seen: dict[str, float] = json.loads(told.stdout)
    return seen | {"cpu_us": 1e6 * (sum(process.cpu_times()[:2]) - before) / seen.pop("count")}


def _report(
    model: Any,
    results: dict[tuple[str, int], list[dict[str, float]]],
    started: dict[str, tuple[float, float]],
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
    for (name, connections), taken in results.items():
        ours = results[OURS["grpc" in name], connections]
        ratios = sorted(mine["rate"] / other["rate"] for mine, other in zip(taken, ours, strict=True))
        median = {key: statistics.median(each[key] for each in taken) for key in taken[0]}
        lines.append(
            f"| {name} | {connections} | {median['rate']:,.0f} | {statistics.median(ratios):.2f} "
            f"({ratios[0]:.2f} to {ratios[-1]:.2f}) | {median['p50_ms']:.2f} | {median['p99_ms']:.2f} "
            f"| {median['cpu_us']:.0f} |"
        )
    lines += ["", "| server | start to open port, s | memory, MB |", "|---|---|---|"]
    lines += [f"| {name} | {seconds:.2f} | {memory:.0f} |" for name, (seconds, memory) in started.items()]
    return "\n".join(lines) + "\n"
