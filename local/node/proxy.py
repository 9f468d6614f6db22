"""Carries TCP connections from a Service's loopback port to its ready pods, turn by turn.

Who may get a connection is asked when it arrives, so a pod that is not ready, or is going, gets none from that moment
on. Connections that are open stay open.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from local.node.pods.ports import LOOPBACK


@dataclass(frozen=True)
class Backend:
    """A ready pod's port."""

    pod: str
    """The pod's uid."""
    port: int


class Open:
    """How many connections are open to each pod, over all Services."""

    def __init__(self) -> None:
        self._count: Counter[str] = Counter()
        self._changed = asyncio.Event()

    def add(self, pod: str, change: int) -> None:
        """One more or one less."""
        self._count[pod] += change
        if change < 0 and self._count[pod] <= 0:
            del self._count[pod]
            self._changed.set()

    async def drained(self, pod: str, limit: float) -> None:
        """Wait until no connection to the pod is open, at most `limit` seconds."""
        try:
            async with asyncio.timeout(limit):
                while self._count[pod] > 0:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return


class Frontend:
    """One loopback port of a Service."""

    def __init__(self, backends: Callable[[], list[Backend]], connections: Open) -> None:
        self._backends = backends
        self._open = connections
        self._turn = 0
        self._server: asyncio.Server | None = None
        self._dialling: set[asyncio.Task[None]] = set()
        self._clients: set[_Side] = set()

    async def listen(self, port: int) -> None:
        """Take connections. Raises OSError when the port is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Side(self._accept), LOOPBACK, port, backlog=1024)

    def close(self) -> None:
        """Take no more connections; open ones go on."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def abort(self) -> None:
        """Take no more connections and end the open ones."""
        self.close()
        for client in list(self._clients):
            client.abort()

    def _ended(self, client: "_Side", pod: str) -> None:
        self._clients.discard(client)
        self._open.add(pod, -1)

    def _accept(self, client: "_Side") -> None:
        task = asyncio.ensure_future(self._connect(client))
        self._dialling.add(task)
        task.add_done_callback(self._dialling.discard)

    async def _connect(self, client: "_Side") -> None:
        """Join a client to the next backend that takes the connection; without any, the client is refused."""
        loop = asyncio.get_running_loop()
        backends = self._backends()
        self._turn += 1
        for index in range(len(backends)):
            backend = backends[(self._turn + index) % len(backends)]
            # Counted before it is made: a pod that is told to go meanwhile waits for it.
            self._open.add(backend.pod, 1)
            try:
                _, server = await loop.create_connection(lambda: _Side(None), LOOPBACK, backend.port)
            except OSError:
                self._open.add(backend.pod, -1)
                continue
            self._clients.add(client)
            client.join(server, lambda pod=backend.pod: self._ended(client, pod))
            return
        client.abort()


class _Side(asyncio.Protocol):
    """One half of a carried connection: what arrives here is written to the other half."""

    def __init__(self, accepted: "Callable[[_Side], None] | None") -> None:
        self._accepted = accepted
        self._early: list[bytes] = []
        self._read_all = False
        self._on_end: Callable[[], None] = _nothing
        self.transport: asyncio.Transport | None = None
        self.other: _Side | None = None
        self.ended = False

    def join(self, other: "_Side", on_end: Callable[[], None]) -> None:
        """Carry bytes both ways from now on; `on_end` is called once, when both sides are closed."""
        left = [on_end]

        def ended() -> None:
            if self.ended and other.ended and left:
                left.pop()()

        self.begin(other, ended)
        other.begin(self, ended)
        if self.ended or other.ended:  # one of them while the connection was made
            self.abort()
            other.abort()
            ended()

    def begin(self, other: "_Side", on_end: Callable[[], None]) -> None:
        """Write to the other half what came early, and everything from now on."""
        self.other, self._on_end = other, on_end
        for data in self._early:
            other.write(data)
        if self._read_all:
            other.write_eof()
        if self._early and self.transport is not None and not self.ended:
            self.transport.resume_reading()

    def write(self, data: bytes) -> None:
        """Send bytes out on this side."""
        if self.transport is not None and not self.ended:
            self.transport.write(data)

    def write_eof(self) -> bool:
        """Say on this side that nothing more will come; False when that cannot be said."""
        if self.transport is None or self.transport.is_closing() or not self.transport.can_write_eof():
            return False
        self.transport.write_eof()
        return True

    def close(self) -> None:
        """End the connection once everything is written."""
        if self.transport is not None:
            self.transport.close()

    def abort(self) -> None:
        """Reset the connection."""
        if self.transport is not None:
            self.transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio.Protocol: the connection is there."""
        self.transport = cast("asyncio.Transport", transport)
        if self._accepted is not None:
            self._accepted(self)

    def data_received(self, data: bytes) -> None:
        """asyncio.Protocol: bytes came."""
        if self.other is not None:
            self.other.write(data)
            return
        # The other half is still being connected: one read is kept and the rest left to the sender.
        self._early.append(data)
        if self.transport is not None and len(self._early) == 1:
            self.transport.pause_reading()

    def eof_received(self) -> bool:
        """asyncio.Protocol: nothing more will come; half closed, what the other side still sends is carried."""
        self._read_all = True
        if self.other is None:
            return True
        if self.other._read_all:  # noqa: SLF001 (the same class)
            self.other.close()
            return False
        return self.other.write_eof()

    def pause_writing(self) -> None:
        """asyncio.Protocol: this side is slow, so the other one has to wait."""
        if self.other is not None and self.other.transport is not None and not self.other.ended:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        """asyncio.Protocol: this side has caught up."""
        if self.other is not None and self.other.transport is not None and not self.other.ended:
            self.other.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio.Protocol: a reset is passed on as one; an ordinary end lets what is buffered out first."""
        self.ended = True
        if self.other is not None:
            self.other.abort() if exc is not None else self.other.close()
        self._on_end()


def _nothing() -> None:
    """Before it is joined, the end of a side concerns nobody."""
