"""Clients that mean harm or are broken: each is refused or cut, and it costs the others nothing."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import psutil
import pytest
from serving.errors import ServingError
from serving.http_server import HttpServer, Limits, Request
from serving_process import Server

pytestmark = pytest.mark.integration

ROW = {"carrier": "UA", "temp": 2, "wind": 4}
GIBIBYTE = 2**30


def flood(server: Server, head: bytes, chunk: bytes, most: int) -> tuple[bytes, int]:
    """Send `head`, then `chunk` again and again up to `most` bytes: what came back, and how much was taken."""
    sent, received = 0, b""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        with contextlib.suppress(ConnectionError, TimeoutError):
            connection.sendall(head)
            while sent < most:
                connection.sendall(chunk)
                sent += len(chunk)
        connection.settimeout(5)
        with contextlib.suppress(ConnectionError, TimeoutError):
            while part := connection.recv(65536):
                received += part
    return received, sent


def memory(server: Server) -> int:
    return psutil.Process(server.process.pid).memory_info().rss


FLOODS: dict[str, tuple[bytes, bytes, int]] = {
    "a body of a gibibyte": (
        b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % GIBIBYTE, b"x" * 2**20, 413,
    ),
    "chunks without end": (
        b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"100000\r\n" + b"x" * 2**20 + b"\r\n", 413,
    ),
    "tiny chunks without end": (
        b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 2**16, 413,
    ),
    "one header without end": (b"GET / HTTP/1.1\r\nX: ", b"x" * 2**20, 431),
    "headers without end": (b"GET / HTTP/1.1\r\n", b"X-Bomb: 1\r\n" * 2**16, 431),
    "a path without end": (b"GET /", b"x" * 2**20, 431),
    "an extension of a chunk without end": (
        b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n1;x=", b"x" * 2**20, 431,
    ),
    "a trailer without end": (
        b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX: ",
        b"x" * 2**20, 431,
    ),
    "trailers without end": (
        b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n",
        b"X-Bomb: 1\r\n" * 2**16, 431,
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", FLOODS)
def test_what_has_no_end_is_refused_and_kept_nowhere(server: Server, kind: str) -> None:
    head, chunk, status = FLOODS[kind]
    server.post("/predict", {"rows": [ROW]})
    before = memory(server)
    received, sent = flood(server, head, chunk, GIBIBYTE // 4)
    assert received.startswith(b"HTTP/1.1 %d " % status) or (received == b"" and sent < GIBIBYTE // 4)
    assert received.count(b"HTTP/1.1 ") <= 1
    assert memory(server) - before < 16 * 2**20
    assert server.post("/predict", {"rows": [ROW]}).status == 200


def test_what_follows_a_chunked_body_is_no_header(server: Server) -> None:
    body = b'{"rows": [{"carrier": "AA"}]}'
    received = server.raw(
        b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        + b"%x\r\n%b\r\n0\r\nContent-Encoding: gzip\r\n\r\n" % (len(body), body)
    )
    assert received.startswith(b"HTTP/1.1 200 ")


def test_many_that_send_nothing_or_half_do_not_keep_others_waiting(server: Server) -> None:
    halves = [b"", b"P", b"POST /predict HTTP/1.1\r\n", b"POST /predict HTTP/1.1\r\nContent-Length: 50\r\n\r\n{"]
    with contextlib.ExitStack() as open_ones:
        for number in range(200):
            connection = socket.create_connection(("127.0.0.1", server.port), timeout=10)
            open_ones.enter_context(connection)
            connection.sendall(halves[number % len(halves)])
            if number % 8 == 7:
                connection.shutdown(socket.SHUT_WR)
        began = time.perf_counter()
        for _ in range(20):
            assert server.post("/predict", {"rows": [ROW]}).status == 200
        assert time.perf_counter() - began < 5
    until = time.monotonic() + 10
    process = psutil.Process(server.process.pid)
    while len(process.net_connections()) > 10 and time.monotonic() < until:
        time.sleep(0.05)
    assert len(process.net_connections()) <= 10


def test_a_client_that_never_reads_is_held_back_and_not_buffered_for(server: Server) -> None:
    request = b"GET /docs HTTP/1.1\r\nHost: x\r\n\r\n" * 1000
    before = memory(server)
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.settimeout(0.5)
        sent = 0
        with contextlib.suppress(TimeoutError):
            while sent < 64 * 2**20:
                sent += connection.send(request)
        assert sent < 64 * 2**20
        assert memory(server) - before < 16 * 2**20
        assert server.post("/predict", {"rows": [ROW]}).status == 200


def in_a_server(limits: Limits, client: Callable[[int], Any]) -> Any:
    """What `client`, given the port, returns from a server of its own with these limits."""

    def answer(request: Request) -> None:
        request.respond(200, b"{}")

    def refuse(error: ServingError) -> tuple[int, bytes, bytes]:
        return 408 if "arrive" in str(error) else 503, b"{}", b""

    async def serve() -> Any:
        server = HttpServer(answer, refuse, limits)
        loop = asyncio.get_running_loop()
        listener = await loop.create_server(server.connection, "127.0.0.1", 0)
        time_keeper = loop.create_task(server.keep_time())
        try:
            return await asyncio.to_thread(client, listener.sockets[0].getsockname()[1])
        finally:
            time_keeper.cancel()
            listener.close()

    return asyncio.run(serve())


def test_a_request_that_drips_in_is_ended() -> None:
    def client(port: int) -> tuple[bytes, float]:
        began = time.monotonic()
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(b"POST / HTTP/1.1\r\nContent-Length: 1000\r\n\r\n")
            stop = threading.Event()

            def drip() -> None:
                with contextlib.suppress(OSError):
                    while not stop.wait(0.05):
                        connection.sendall(b"x")

            dripping = threading.Thread(target=drip)
            dripping.start()
            received = connection.recv(65536)
            stop.set()
            dripping.join()
        return received, time.monotonic() - began

    received, seconds = in_a_server(Limits(max_body_bytes=10_000, request_seconds=0.3), client)
    assert received.startswith(b"HTTP/1.1 408 ")
    assert seconds < 5


def test_connections_that_only_sit_there_are_closed() -> None:
    def client(port: int) -> bytes:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            return connection.recv(65536)

    assert in_a_server(Limits(max_body_bytes=10_000, idle_seconds=0.3), client) == b""


def test_more_connections_than_may_be_are_told_so() -> None:
    def client(port: int) -> bytes:
        with contextlib.ExitStack() as open_ones:
            for _ in range(3):
                open_ones.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
            with socket.create_connection(("127.0.0.1", port), timeout=10) as one_more:
                return one_more.recv(65536)

    assert in_a_server(Limits(max_body_bytes=10_000, max_connections=3), client).startswith(b"HTTP/1.1 503 ")
