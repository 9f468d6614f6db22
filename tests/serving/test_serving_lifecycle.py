"""Start, stop and death of real server processes."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from serving.exits import Exit
from serving_packages import rewrite_manifest, write_package
from serving_process import Server, environment, serving_test_model, start
from waiting import until

pytestmark = pytest.mark.integration

BODY = json.dumps({"rows": [{"carrier": "UA", "temp": 2, "wind": 4}]}).encode()


class Load:
    """Clients that ask without pause over kept connections, opening a new one when told to close."""

    def __init__(self, port: int, clients: int) -> None:
        self.answered = self.closed = 0
        self.failures: list[str] = []
        self.refused_new = 0
        self._port, self._stop = port, threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]
        for thread in self._threads:
            thread.start()

    def _ask(self) -> None:
        connection: http.client.HTTPConnection | None = None
        while not self._stop.is_set():
            if connection is None:
                connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
                try:
                    connection.connect()
                except OSError:  # the server is gone: nobody is there to fail a request
                    self.refused_new += 1
                    return
            try:
                connection.request("POST", "/predict", BODY)
                response = connection.getresponse()
                answer = response.read()
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error))
                return
            if response.status != 200:
                self.failures.append(answer.decode())
            self.answered += 1
            if response.will_close:
                self.closed += 1
                connection.close()
                connection = None
        if connection is not None:
            connection.close()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_server_that_is_told_to_stop_finishes_what_is_open(tmp_path: Path, workers: int) -> None:
    """Under load: not ready at once, no request fails, kept connections are closed after an answer, then it exits."""
    with serving_test_model(tmp_path, workers=workers, drain_seconds=4) as server:
        until = time.monotonic() + 20
        while [line["message"] for line in server.lines].count("ready") < workers:
            assert time.monotonic() < until
            time.sleep(0.01)
        load = Load(server.port, 8)
        time.sleep(0.5)
        idle = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        idle.request("GET", "/v2/health/ready")
        assert idle.getresponse().read()
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        reply = server.get("/v2/health/ready")
        assert (reply.status, reply.headers["connection"], reply.headers["retry-after"]) == (503, "close", "1")
        assert server.get("/v2/health/live").status == 200
        idle.request("POST", "/predict", BODY)
        assert idle.getresponse().getheader("Connection") == "close"
        time.sleep(0.2)
        load.stop()
        assert load.failures == []
        assert load.closed > 0
        assert load.answered > 50
        assert server.wait() == Exit.OK
    assert [line["message"] for line in server.lines].count("stopped") == workers


def test_an_idle_server_stops_early(tmp_path: Path) -> None:
    running = serving_test_model(tmp_path, drain_seconds=4)
    with running as server, socket.create_connection(("127.0.0.1", server.port)):
        began = time.monotonic()
        assert server.stop() == Exit.OK
        assert time.monotonic() - began < 3.5


def test_probes_do_not_keep_a_server_from_stopping(tmp_path: Path) -> None:
    """A kubelet and a load balancer go on asking for its health until it is gone."""
    with serving_test_model(tmp_path, drain_seconds=8) as server:
        over = threading.Event()

        def probe() -> None:
            while not over.wait(0.2):
                with contextlib.suppress(OSError, http.client.HTTPException):
                    server.get("/v2/health/ready")

        prober = threading.Thread(target=probe)
        prober.start()
        time.sleep(0.5)
        began = time.monotonic()
        assert server.stop() == Exit.OK
        assert time.monotonic() - began < 6
        over.set()
        prober.join()


def test_a_second_interrupt_ends_it_at_once_and_a_second_termination_does_not(tmp_path: Path) -> None:
    running = serving_test_model(tmp_path, drain_seconds=30)
    with running as server, socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nContent-Length: 10\r\n\r\n")
        for number in (signal.SIGTERM, signal.SIGTERM):
            server.process.send_signal(number)
            time.sleep(0.3)
        assert server.process.poll() is None
        began = time.monotonic()
        server.process.send_signal(signal.SIGINT)
        assert server.wait() == Exit.OK
        assert time.monotonic() - began < 2


def test_what_does_not_end_is_cut_when_the_time_is_over(tmp_path: Path) -> None:
    running = serving_test_model(tmp_path, drain_seconds=1)
    with running as server, socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nContent-Length: 10\r\n\r\n")
        time.sleep(0.2)
        began = time.monotonic()
        assert server.stop() == Exit.OK
        assert 0.8 < time.monotonic() - began < 4


def workers_of(server: Server) -> list[psutil.Process]:
    return sorted(psutil.Process(server.process.pid).children(), key=lambda process: process.pid)


def test_a_worker_that_dies_is_replaced_and_the_metrics_go_on(tmp_path: Path) -> None:
    with serving_test_model(tmp_path, workers=2) as server:
        until(lambda: sum(line["message"] == "ready" for line in server.lines) == 2, 15)
        for _ in range(20):
            assert server.post("/predict", BODY).status == 200
        victim = workers_of(server)[0]
        victim.kill()
        until(lambda: sum(line["message"] == "ready" for line in server.lines) == 3, 15)
        for _ in range(20):
            assert server.post("/predict", BODY).status == 200
        scraped = server.get("/metrics").body.decode()
        assert 'slipway_requests_total{protocol="rest",route="predict",code="200"} 40\n' in scraped
        assert "slipway_workers" in scraped
        died = [line for line in server.lines if "died" in line["message"]]
        assert died[0]["message"] == "worker 0 died (SIGKILL); starting it again"


def test_connections_that_wait_for_a_dead_worker_are_taken_by_its_successor(tmp_path: Path) -> None:
    with serving_test_model(tmp_path, workers=2) as server:
        until(lambda: sum(line["message"] == "ready" for line in server.lines) == 2, 15)
        for worker in workers_of(server):
            worker.kill()
        replies = [server.post("/predict", BODY).status for _ in range(10)]
        assert replies == [200] * 10


def test_workers_do_not_outlive_their_supervisor(tmp_path: Path) -> None:
    with serving_test_model(tmp_path, workers=2, drain_seconds=1) as server:
        until(lambda: sum(line["message"] == "ready" for line in server.lines) == 2, 15)
        workers = workers_of(server)
        os.kill(server.process.pid, signal.SIGKILL)
        until(
            lambda: not any(worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE for worker in workers), 15
        )


def failure(**settings: object) -> tuple[int, str]:
    """Exit code and last line of a server that cannot start."""
    command = [sys.executable, "-m", "serving", "rest"]
    ended = subprocess.run(
        command, check=False, env=environment(**settings), capture_output=True, text=True, timeout=60
    )
    lines = ended.stderr.splitlines()
    assert not any("Traceback" in line for line in lines), ended.stderr
    return ended.returncode, json.loads(lines[-1])["message"]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_server_that_cannot_start_says_why_in_one_line(tmp_path: Path, workers: int) -> None:
    package = write_package(tmp_path / "package")
    right = {"model_dir": package, "workers": workers}
    assert failure(**right | {"model_dir": tmp_path / "none"}) == (
        Exit.NOT_FOUND,
        f"{tmp_path / 'none'}: no model package there; `python -m serving fetch` brings it",
    )
    assert failure(**right, model_name="other") == (
        Exit.INVALID_PACKAGE,
        "manifest.json: name: SLIPWAY_MODEL_NAME is 'other', the package has 'delay'",
    )
    assert failure(**right, device="cuda")[0] == Exit.UNAVAILABLE
    assert failure(**right, device="tpu") == (Exit.CONFIG, "SLIPWAY_DEVICE: expected one of cpu, cuda, got 'tpu'")
    assert failure(**right, bind="192.0.2.1") == (
        Exit.UNAVAILABLE,
        "cannot listen on 192.0.2.1: SLIPWAY_BIND is not an address of this machine",
    )
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        what = f"port {port} is taken by another process; stop it or set SLIPWAY_REST_PORT to a free port"
        assert failure(**right, rest_port=port) == (Exit.UNAVAILABLE, f"cannot listen on 127.0.0.1: {what}")
    wrong = write_package(tmp_path / "wrong", bias=1.0)
    assert failure(**right | {"model_dir": wrong})[0] == Exit.GOLDEN_MISMATCH
    rewrite_manifest(package, format_version=2)
    assert failure(**right) == (
        Exit.INVALID_PACKAGE,
        f"{package}: manifest.json: format_version: expected 1, got 2; this Slipway cannot read it",
    )


def test_two_servers_cannot_share_a_port_by_mistake(tmp_path: Path) -> None:
    with serving_test_model(tmp_path, workers=2) as server:
        until(lambda: sum(line["message"] == "ready" for line in server.lines) == 2, 15)
        code, message = failure(model_dir=tmp_path / "package", rest_port=server.port, workers=2)
        assert code == Exit.UNAVAILABLE
        assert f"port {server.port} is taken" in message


def test_an_unknown_command_shows_how_it_is_used() -> None:
    def run(argument: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "serving", argument]
        return subprocess.run(command, check=False, capture_output=True, text=True, env=environment(), timeout=60)

    wrong, helped = run("serve"), run("--help")
    assert wrong.returncode == Exit.USAGE
    assert wrong.stderr.startswith("usage: python -m serving COMMAND")
    assert (helped.returncode, helped.stdout) == (Exit.OK, wrong.stderr)


def test_nothing_heavy_is_imported_and_start_and_memory_stay_small(tmp_path: Path) -> None:
    """The modules that a running server has loaded, told by the server itself through a module injected at start."""
    package = write_package(tmp_path / "package")
    spy = tmp_path / "spy"
    spy.mkdir()
    (spy / "sitecustomize.py").write_text(
        "import atexit, json, os, sys\n"
        "atexit.register(lambda: open(os.environ['SPY_FILE'], 'w').write(json.dumps(sorted(sys.modules))))\n"
    )
    told = tmp_path / "modules.json"
    env = environment(model_dir=package, drain_seconds=0.2) | {"PYTHONPATH": str(spy), "SPY_FILE": str(told)}
    process = subprocess.Popen([sys.executable, "-m", "serving", "rest"], env=env, stderr=subprocess.PIPE)
    server = Server(process)
    try:
        server.wait_ready()
        assert server.post("/predict", BODY).status == 200
        assert psutil.Process(process.pid).memory_info().rss < 120_000_000
        ready = next(line for line in server.lines if line["message"] == "ready")
        assert ready["seconds"] < 1
    finally:
        assert server.stop() == Exit.OK
    modules = {name.partition(".")[0] for name in json.loads(told.read_text())}
    heavy = {
        "pandas",
        "pydantic",
        "boto3",
        "botocore",
        "sklearn",
        "scipy",
        "pyarrow",
        "onnx",
        "pulumi",
        "uvicorn",
        "starlette",
    }
    assert modules & heavy == set()
    assert "onnxruntime" in modules


def test_logs_are_json_lines_and_a_debug_log_tells_of_refusals(tmp_path: Path) -> None:
    with serving_test_model(tmp_path, log_level="debug", service="delays", environment="test") as server:
        server.post("/predict", b"{")
        until(lambda: any(line["message"] == "refused" for line in server.lines), 15)
        line = next(line for line in server.lines if line["message"] == "refused")
        assert (line["level"], line["service"], line["environment"], line["status"]) == ("debug", "delays", "test", 400)
    quiet = start("rest", model_dir=tmp_path / "none", log_level="error")
    assert quiet.stop() in {Exit.NOT_FOUND, -signal.SIGTERM}
