"""A load generator: prepared requests over kept connections.

Closed loop: each is sent as soon as the last on its connection was answered. Open loop (`rate` above 0): they come at
their times whatever is still open, and wait for a free connection; latency counts from the time that each was due, so
that a server that stalls cannot hide it.

It runs as a process of its own (`python -m bench.load`), so that it and the server do not share an interpreter.
"""

import asyncio
import json
import sys
import time
from typing import cast

import uvloop


class Client(asyncio.Protocol):
    """One connection: sends the request, waits for the whole response, sends it again."""

    def __init__(self, request: bytes, until: float, seconds: list[float], due: "Due | None" = None) -> None:
        self.request, self.until, self.seconds, self.due = request, until, seconds, due
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.buffer = b""
        self.failed = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.send()

    def send(self) -> None:
        if self.due is None:
            self.sent = time.perf_counter()
            self.transport.write(self.request)
        elif (wait := self.due.next()) is None:
            self.finish()
        else:
            self.sent = wait
            delay = wait - time.perf_counter()
            if delay > 0:
                asyncio.get_running_loop().call_later(delay, self.transport.write, self.request)
            else:
                self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self.buffer[:end].lower()
        at = head.find(b"content-length:")
        length = int(head[at + 15 : head.find(b"\r", at) if b"\r" in head[at:] else None])
        if len(self.buffer) < end + 4 + length:
            return
        if not head.startswith(b"http/1.1 200"):
            self.failed = self.buffer.decode(errors="replace")
            self.finish()
            return
        self.buffer = b""
        now = time.perf_counter()
        self.seconds.append(now - self.sent)
        if now < self.until:
            self.send()
        else:
            self.finish()

    def connection_lost(self, exc: Exception | None) -> None:
        self.failed = self.failed or ("" if self.done.done() else f"connection lost: {exc}")
        self.finish()

    def finish(self) -> None:
        if not self.done.done():
            self.done.set_result(None)
            self.transport.close()


class Due:
    """The times at which an open loop's requests are due; whoever is free takes the next."""

    def __init__(self, begin: float, seconds: float, rate: float) -> None:
        self.times = (begin + number / rate for number in range(round(seconds * rate)))

    def next(self) -> float | None:
        """The next time; None when the load is over."""
        return next(self.times, None)


async def http(port: int, path: str, body: str, connections: int, seconds: float, rate: float) -> dict[str, float]:
    content = body.encode()
    head = f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: {len(content)}"
    request, times = head.encode() + b"\r\n\r\n" + content, list[float]()
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    due = Due(began, seconds, rate) if rate else None
    clients = [Client(request, began + seconds, times, due) for _ in range(connections)]
    for client in clients:
        await loop.create_connection(lambda client=client: client, "127.0.0.1", port)
    await asyncio.gather(*(client.done for client in clients))
    if failed := [client.failed for client in clients if client.failed]:
        raise SystemExit(f"a request failed: {failed[0][:500]}")
    return summary(times, time.perf_counter() - began)


async def grpc(port: int, method: str, content: str, connections: int, seconds: float, rate: float) -> dict[str, float]:
    import grpc.aio

    request, times = bytes.fromhex(content), list[float]()
    began = time.perf_counter()
    due = Due(began, seconds, rate) if rate else None

    async def client() -> None:
        options = [("grpc.use_local_subchannel_pool", 1)]
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
            call = channel.unary_unary(method)
            while (sent := due.next() if due else time.perf_counter()) is not None and sent < began + seconds:
                if (delay := sent - time.perf_counter()) > 0:
                    await asyncio.sleep(delay)
                await call(request)
                times.append(time.perf_counter() - sent)

    await asyncio.gather(*(client() for _ in range(connections)))
    return summary(times, time.perf_counter() - began)


def summary(times: list[float], seconds: float) -> dict[str, float]:
    times.sort()
    return {
        "count": len(times),
        "rate": len(times) / seconds,
        "p50_ms": 1000 * times[len(times) // 2],
        "p99_ms": 1000 * times[int(len(times) * 0.99)],
    }


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    kind = {"http": http, "grpc": grpc}[asked.pop("kind")]
    sys.stdout.write(json.dumps(uvloop.run(kind(**asked)) if kind is http else asyncio.run(kind(**asked))))
