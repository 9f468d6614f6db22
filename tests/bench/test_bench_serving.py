"""The benchmark itself, on the small test model and for moments only: that it runs and writes what it says."""

import json
import re
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from serving_packages import write_package
from serving_process import environment


@pytest.mark.integration
def test_it_measures_every_server_and_writes_a_table(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "bench",
        "serving",
        "--seconds",
        "0.1",
        "--repeats",
        "1",
        "--out",
        str(tmp_path / "out"),
    ]
    given = environment() | {"BENCH_PACKAGE": str(write_package(tmp_path / "package"))}
    root = Path(__file__).parents[2]
    ended = subprocess.run(command, env=given, cwd=root, capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode == 0, ended.stderr
    text = (tmp_path / "out" / "serving.md").read_text()
    assert ended.stdout == text
    rows = re.findall(r"^\| ([a-z ]+) \| (1|16|64) \| ([\d,]+) \| (\d+\.\d\d) ", text, re.MULTILINE)
    servers = ("slipway", "slipway grpc", "bare", "asgi", "fastapi", "bare grpc")
    assert {(name, connections) for name, connections, _, _ in rows} == {
        (n, c) for n in servers for c in ("1", "16", "64")
    }
    assert all(int(rate.replace(",", "")) > 0 for _, _, rate, _ in rows)
    opened = re.findall(r"^\| ([a-z ]+) \| (100|1000) \| ([\d,]+) \| [\d.]+ \| [\d.]+ \|$", text, re.MULTILINE)
    assert {(name, asked) for name, asked, _ in opened} == {(n, r) for n in servers for r in ("100", "1000")}


@pytest.mark.integration
def test_an_open_loop_counts_from_the_time_that_a_request_was_due() -> None:
    """A server that answers one request at a time in 20 ms, asked 100 times a second: the queue is in the latency."""

    class Slow(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            with lock:
                time.sleep(0.02)
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002 - the library's name

    lock = threading.Lock()
    with ThreadingHTTPServer(("127.0.0.1", 0), Slow) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        asked = {"kind": "http", "port": server.server_port, "path": "/", "body": "{}", "connections": 8, "seconds": 1}
        command = [sys.executable, "-m", "bench.load"]
        root = Path(__file__).parents[2]
        told = [
            json.loads(
                subprocess.run(
                    command,
                    input=json.dumps(asked | {"rate": rate}),
                    text=True,
                    capture_output=True,
                    check=True,
                    cwd=root,
                ).stdout
            )
            for rate in (10, 100)
        ]
        server.shutdown()
    assert told[0]["count"] == 10
    assert told[1]["p99_ms"] > 5 * told[0]["p50_ms"]


def test_an_unknown_benchmark_is_named(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    ended = subprocess.run([sys.executable, "-m", "bench", "x"], cwd=root, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "no benchmark 'x'; there are: batch, serving" in ended.stderr
