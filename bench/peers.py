"""Two workers of each server that people would otherwise pick, side by side: runs with PEERS=1 only.

Each peer stands alone with ours while it is measured, turn by turn, since all at once would not fit the machine; the
ratio is of rates within one turn. The questions are the same, in the Open Inference Protocol.
"""

import argparse
import os
import platform
import sys
import tempfile
from pathlib import Path
from typing import Any

from serving.model import load
from serving.package import verify_directory

from bench import measure
from bench.measure import DidNotStartError, Figures, Question
from bench.peer_servers.environments import HERE, python_of

WORKERS = 2
CONNECTIONS = (1, 16, 64)
PEERS = {"mlserver": ("http", "grpc"), "kserve": ("http", "grpc"), "ray": ("http",), "pytriton": ("http", "grpc")}
"""Peer -> the protocols that it speaks."""
START_SECONDS = 180

Taken = dict[tuple[str, str, int], tuple[list[Figures], list[Figures]]]
"""Peer, protocol, connections -> its figures, and ours of the same turns."""


def run(options: argparse.Namespace) -> None:
    """Measure all and write peers.md; without PEERS=1, say that it was left out."""
    if os.environ.get("PEERS") != "1":
        sys.stderr.write("peers: left out; PEERS=1 make bench measures them too (gigabytes of packages)\n")
        return
    taken: Taken = {}
    about: list[str] = []
    with tempfile.TemporaryDirectory() as scratch:
        package = measure.package(Path(scratch))
        model = load(verify_directory(package))
        questions = {"http": measure.rest_question(model), "grpc": measure.grpc_question(model)}
        for peer, protocols in PEERS.items():
            try:
                about += _against(peer, protocols, questions, package, taken, options)
            except DidNotStartError as error:
                about.append(f"| {peer} | {error} | |")
            sys.stderr.write(f"{peer} done\n")
    text = _report(model, taken, about, options)
    measure.write_report(Path(options.out) / "peers.md", text)


def _against(
    peer: str,
    protocols: tuple[str, ...],
    questions: dict[str, Question],
    package: Path,
    taken: Taken,
    options: argparse.Namespace,
) -> list[str]:
    """Measure one peer and ours in turn; the lines about how each started."""
    python = python_of(peer)
    ports = {protocol: measure.free_port() for protocol in ("http", "grpc")}
    command = [str(python), str(HERE / f"serve_{peer}.py"), str(package / "model.onnx"), str(WORKERS)]
    command += [str(ports["http"]), str(ports["grpc"])]
    spoken = {protocol: ports[protocol] for protocol in protocols}
    with (
        measure.slipway(package, questions["http"], WORKERS) as ours,
        measure.running(command, spoken, questions["http"], patience_seconds=START_SECONDS) as theirs,
    ):
        for _ in range(options.repeats):
            for protocol in protocols:
                for connections in CONNECTIONS:
                    figures = taken.setdefault((peer, protocol, connections), ([], []))
                    for found, server in zip(figures, (theirs, ours), strict=True):
                        found.append(measure.load(questions[protocol], server, connections, options.seconds))
        return [
            f"| {name} | {server.seconds:.2f} | {server.megabytes() / WORKERS:.0f} |"
            for name, server in ((peer, theirs), (f"slipway beside {peer}", ours))
        ]


def _report(model: Any, taken: Taken, about: list[str], options: argparse.Namespace) -> str:
    about_all = (
        f"{WORKERS} workers each, one row a request, model {model.name} {model.version}, the same question (REST: "
        f"JSON; gRPC: raw tensors); {os.cpu_count()} cores for both and the load generator, Python "
        f"{platform.python_version()}, {options.repeats} turns of {options.seconds:g} s. `ours over theirs`: rates of "
        "the same turn, median (least to most). PyTriton batches. Versions: `bench/peer_servers/*.lock`. "
        "`PEERS=1 python -m bench peers`."
    )
    columns = ["peer", "protocol", "connections", "theirs, requests/s", "ours, requests/s", "ours over theirs"]
    columns += ["their p99 ms", "our p99 ms"]
    lines = ["# Serving, against other people's servers", "", about_all, ""]
    lines += [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for (peer, protocol, connections), (theirs, ours) in taken.items():
        ratios = [mine["rate"] / other["rate"] for mine, other in zip(ours, theirs, strict=True)]
        lines.append(
            f"| {peer} | {'REST' if protocol == 'http' else 'gRPC'} | {connections} "
            f"| {measure.median(theirs, 'rate'):,.0f} | {measure.median(ours, 'rate'):,.0f} | {measure.spread(ratios)} "
            f"| {measure.median(theirs, 'p99_ms'):.2f} | {measure.median(ours, 'p99_ms'):.2f} |"
        )
    lines += ["", "| server | start to first answer, s | memory a worker, MB |", "|---|---|---|", *about]
    return "\n".join(lines) + "\n"
