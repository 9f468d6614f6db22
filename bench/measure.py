"""What every benchmark of servers needs: a model and questions, a running server, a load, figures with their spread."""

import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import psutil

Question = dict[str, Any]
Figures = dict[str, float]


@dataclass(frozen=True)
class Running:
    """A server that answers."""

    ports: Mapping[str, int]
    """By protocol, `http` or `grpc`."""
    process: psutil.Process
    seconds: float
    """From its start to its first right answer."""

    def family(self) -> list[psutil.Process]:
        """It and all that it has started."""
        return [self.process, *self.process.children(recursive=True)]

    def cpu_seconds(self) -> float:
        """Processor time that the living ones have taken."""
        return sum(sum(each.cpu_times()[:2]) for each in self.family())

    def megabytes(self) -> float:
        """Memory of all of them, what they share counted once (PSS)."""
        return sum(each.memory_full_info().pss for each in self.family()) / 1e6


class DidNotStartError(Exception):
    """A server that did not answer; its last words."""


def package(scratch: Path) -> Path:
    """The flight-delay package, trained for this run unless BENCH_PACKAGE names an unpacked one."""
    if given := os.environ.get("BENCH_PACKAGE"):
        return Path(given)
    from serving.package import unpack

    command = [sys.executable, "-m", "examples.flight_delay.train", "--out", str(scratch / "trained"), "--json"]
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    return unpack(Path(json.loads(told)["archive"]), scratch / "package").directory


def predict_question(model: Any) -> Question:
    """The golden question's first row by feature name."""
    return {"kind": "http", "path": "/predict", "body": json.dumps({"rows": [dict(model.golden.rows[0])]})}


def rest_question(model: Any) -> Question:
    """The same in the Open Inference Protocol, JSON."""
    inputs = [
        {"name": name, "shape": [*array.shape], "datatype": model.inputs[name].datatype, "data": _plain(array)}
        for name, array in _tensors(model).items()
    ]
    return {"kind": "http", "path": f"/v2/models/{model.name}/infer", "body": json.dumps({"inputs": inputs})}


def grpc_question(model: Any) -> Question:
    """The same in the Open Inference Protocol over gRPC."""
    from serving.grpc_messages import MESSAGES
    from serving.tensors import to_bytes

    request = MESSAGES["ModelInferRequest"](model_name=model.name)
    for name, array in _tensors(model).items():
        request.inputs.add(name=name, datatype=model.inputs[name].datatype, shape=array.shape)
        request.raw_input_contents.append(to_bytes(array))
    method = "/inference.GRPCInferenceService/ModelInfer"
    return {"kind": "grpc", "method": method, "content": request.SerializeToString().hex()}


@contextmanager
def slipway(directory: Path, question: Question, workers: int = 1) -> Iterator[Running]:
    """Our server on an unpacked package, REST and gRPC."""
    ports = {"http": free_port(), "grpc": free_port()}
    settings = {
        "MODEL_DIR": directory,
        "BIND": "127.0.0.1",
        "REST_PORT": ports["http"],
        "GRPC_PORT": ports["grpc"],
        "WORKERS": workers,
        "DRAIN_SECONDS": 0,
    }
    environment = {f"SLIPWAY_{key}": str(value) for key, value in settings.items()}
    with running([sys.executable, "-m", "serving", "rest"], ports, question, environment) as found:
        yield found


@contextmanager
def running(
    command: Sequence[str],
    ports: Mapping[str, int],
    question: Question,
    environment: Mapping[str, str] | None = None,
    patience_seconds: float = 60,
) -> Iterator[Running]:
    """Start a server, wait for its first right answer to `question`; end it with all that it has started."""
    began = time.monotonic()
    said = tempfile.TemporaryFile()  # noqa: SIM115 - closed below
    process = subprocess.Popen(
        command,
        env={**os.environ, **(environment or {})},
        stdout=said,
        stderr=said,
        start_new_session=True,
    )
    found = psutil.Process(process.pid)
    try:
        port = ports.get(question["kind"], 0)
        while not all(map(_is_open, ports.values())) or not _answers(question, port):
            if process.poll() is not None or time.monotonic() - began > patience_seconds:
                raise DidNotStartError(f"no answer within {time.monotonic() - began:.0f} s: {_last_line(said)}")
            time.sleep(0.005)
        yield Running(ports, found, time.monotonic() - began)
    finally:
        _end(process)
        said.close()


def load(question: Question, server: Running, connections: int, seconds: float, rate: float = 0) -> Figures:
    """What the load generator saw (requests/s, latencies), and the server's processor time for a request, in µs.

    `rate` above 0: that many requests a second, come what may (open loop).
    """
    asked = {**question, "port": server.ports[question["kind"]], "connections": connections, "seconds": seconds}
    before = server.cpu_seconds()
    told = subprocess.run(
        [sys.executable, "-m", "bench.load"],
        input=json.dumps(asked | {"rate": rate}).encode(),
        stdout=subprocess.PIPE,
        check=True,
        timeout=60 + seconds,
    )
    seen: Figures = json.loads(told.stdout)
    return seen | {"cpu_us": 1e6 * (server.cpu_seconds() - before) / seen.pop("count")}


def median(taken: Sequence[Figures], key: str) -> float:
    """The middle one of a figure's repeats."""
    return statistics.median(each[key] for each in taken)


def spread(ratios: Sequence[float]) -> str:
    """Median (least to most)."""
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def write_report(file: Path, text: str) -> None:
    """Keep a report, and show it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    sys.stdout.write(text)


def free_port() -> int:
    """A port that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


def _tensors(model: Any) -> dict[str, Any]:
    return model.rows.tensors([model.rows.convert(dict(model.golden.rows[0]))])


def _plain(array: Any) -> list[Any]:
    return [value.decode() if isinstance(value, bytes) else value for value in array.ravel().tolist()]


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _answers(question: Question, port: int) -> bool:
    if question["kind"] != "http":
        return True
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("POST", question["path"], question["body"], {"Content-Type": "application/json"})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _last_line(said: IO[bytes]) -> str:
    said.seek(0)
    lines = [line for line in said.read().decode(errors="replace").splitlines() if line.strip()]
    return lines[-1].strip()[:200] if lines else "it said nothing"


def _end(process: "subprocess.Popen[bytes]") -> None:
    """SIGTERM to it, patience, then SIGKILL to its whole session and what left it."""
    family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    for each in family:
        try:
            each.kill()
        except psutil.NoSuchProcess:
            continue
