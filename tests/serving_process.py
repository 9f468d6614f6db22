"""A real `python -m serving` process for tests: started on free ports, stopped by pid."""

import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from serving_packages import write_package


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Server:
    """A running server: ask it with `get` and `post`, or connect to `port` by hand."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.process = process
        self.lines: list[dict[str, Any]] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self._ports: dict[str, int] = {}

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(json.loads(line))

    def wait_ready(self, seconds: float = 30) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for line in list(self.lines):
                if line["message"] == "ready":
                    self._ports = {key: int(line[key].rsplit(":", 1)[1]) for key in ("rest", "grpc") if key in line}
                    return
            if self.process.poll() is not None:
                break
            time.sleep(0.01)
        raise AssertionError(f"not ready: {self.lines}")

    @property
    def port(self) -> int:
        return self._ports["rest"]

    @property
    def grpc_port(self) -> int:
        return self._ports["grpc"]

    def get(self, path: str, **headers: str) -> Reply:
        return self.ask("GET", path, None, headers)

    def post(self, path: str, body: Any, **headers: str) -> Reply:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.ask("POST", path, content, headers)

    def ask(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, body, {key.replace("_", "-"): value for key, value in headers.items()})
            response = connection.getresponse()
            return Reply(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def raw(self, content: bytes, *, half_close: bool = False, timeout: float = 5) -> bytes:
        """What comes back for some bytes, until the server closes or nothing comes for a while."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout) as connection:
            connection.sendall(content)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
            connection.settimeout(0.5)
            received = b""
            try:
                while chunk := connection.recv(65536):
                    received += chunk
            except (TimeoutError, ConnectionResetError):
                pass
            return received

    def stop(self) -> int:
        """Ask it to end, and its exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        return self.wait()

    def wait(self) -> int:
        """Its exit code, once it has ended (killed after 30 s)."""
        try:
            code = self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self._reader.join()
        assert self.process.stderr is not None
        self.process.stderr.close()
        return code


def environment(**settings: Any) -> dict[str, str]:
    """The environment of a test process: this one's, loopback, any free port, and some settings."""
    mine = {key: value for key, value in os.environ.items() if not key.startswith("SLIPWAY_")}
    defaults = {"bind": "127.0.0.1", "rest_port": 0, "grpc_port": 0, "drain_seconds": 2}
    return mine | {f"SLIPWAY_{key.upper()}": str(value) for key, value in {**defaults, **settings}.items()}


def start(command: str, **settings: Any) -> Server:
    """`python -m serving COMMAND`, not waited for."""
    process = subprocess.Popen(
        [sys.executable, "-m", "serving", command],
        env=environment(**settings),
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    return Server(process)


@contextmanager
def serving(model_dir: Path, **settings: Any) -> Iterator[Server]:
    """A server of the package in `model_dir`, ready."""
    server = start("rest", model_dir=model_dir, **settings)
    try:
        server.wait_ready()
        yield server
    finally:
        server.stop()


@contextmanager
def serving_test_model(directory: Path, **settings: Any) -> Iterator[Server]:
    """A server of the test model, ready."""
    with serving(write_package(directory / "package"), **settings) as server:
        yield server
