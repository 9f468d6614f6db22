"""HTTP/1.1 for one handler: an asyncio protocol around httptools' parser (llhttp), and nothing between the two.

It keeps what a public server must keep: limits on header, body, time and connections; answers in the order of pipelined
requests; backpressure in both directions; `Expect: 100-continue`; half-closed clients; a graceful end.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from email.utils import formatdate
from http import HTTPStatus
from typing import cast

import httptools

from serving.errors import (
    HeadersTooLargeError,
    InvalidInputError,
    NotReadyError,
    RequestTimeoutError,
    ServingError,
    TooLargeError,
)

MAX_HEADER_BYTES = 64 * 1024
_MAX_PIPELINED = 16
_LINGER_SECONDS = 2.0
"""How long a refused client may go on sending before the connection is cut, so that it can read why."""

_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
JSON = b"application/json"


_PROBED = b"/v2/health/"


class Request:
    """One request, read whole. The handler calls `respond` exactly once, at once or later."""

    __slots__ = ("_connection", "_keep_alive", "body", "headers", "method", "path", "query", "started")

    def __init__(
        self,
        connection: "_Connection",
        method: bytes,
        target: bytes,
        headers: dict[bytes, bytes],
        body: bytes,
        alive: bool,
    ) -> None:
        self._connection, self._keep_alive = connection, alive
        self.method, self.headers, self.body = method, headers, body
        self.path, _, self.query = target.partition(b"?")
        self.started = time.perf_counter()

    def respond(self, status: int, body: bytes, content_type: bytes = JSON, extra: bytes = b"") -> None:
        """Send the response; `extra` are further header lines, each ended by CRLF."""
        self._connection.respond(self, status, body, content_type, extra, self._keep_alive)


class Limits:
    """What a client may not pass."""

    def __init__(
        self, *, max_body_bytes: int, max_connections: int = 4096, request_seconds: float = 30, idle_seconds: float = 75
    ) -> None:
        self.max_body_bytes = max_body_bytes
        self.max_connections = max_connections
        self.request_seconds = request_seconds
        self.idle_seconds = idle_seconds
        """More than the 60 s of an AWS load balancer, which must be the one to drop idle connections."""


Handler = Callable[[Request], None]
Refusal = Callable[[ServingError], tuple[int, bytes, bytes]]
"""Status, body and extra header lines of an error."""


class HttpServer:
    """Connections of one listening socket; `handle` gets each request, `refuse` words what never became one."""

    def __init__(self, handle: Handler, refuse: Refusal, limits: Limits, common_headers: bytes = b"") -> None:
        self.handle, self.refuse, self.limits = handle, refuse, limits
        self.connections: set[_Connection] = set()
        self.draining = False
        self.last_activity = self.now = time.monotonic()
        self._common = common_headers
        self.headers = b""
        self._quiet_seconds = 0.0
        self._tick()

    def connection(self) -> asyncio.Protocol:
        """A protocol for the next connection."""
        return _Connection(self)

    async def keep_time(self) -> None:
        """Runs as long as the server: dates responses and ends what takes too long, to half a second."""
        while True:
            await asyncio.sleep(0.5)
            self._tick()
            for connection in list(self.connections):
                connection.check_time(self.now, self._quiet_seconds)

    async def drain(self, seconds: float) -> None:
        """Finish: every response closes its connection, idle ones are closed, for at most so many seconds.

        The listening socket is the caller's and stays open meanwhile: a load balancer goes on sending until it has
        noticed. It ends once no connection is open and no request has come for a quarter of the time; those of probes,
        which go on to the end, do not count.
        """
        self.draining = True
        self._quiet_seconds = seconds / 4
        until = time.monotonic() + seconds
        while (now := time.monotonic()) < until:
            if not self.connections and now - self.last_activity >= self._quiet_seconds:
                return
            await asyncio.sleep(min(0.05, seconds / 20))
        for connection in list(self.connections):
            connection.cut()

    def _tick(self) -> None:
        self.now = time.monotonic()
        self.headers = b"Date: " + formatdate(usegmt=True).encode() + b"\r\n" + self._common


class _Connection(asyncio.Protocol):
    __slots__ = (
        "_body",
        "_body_size",
        "_busy",
        "_closing",
        "_ended",
        "_going_on",
        "_has_head",
        "_head_bytes",
        "_headers",
        "_parser",
        "_paused",
        "_reading",
        "_refused_at",
        "_server",
        "_since",
        "_target",
        "_transport",
        "_waiting",
        "_write_paused",
    )

    def __init__(self, server: HttpServer) -> None:
        self._server = server
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._waiting: deque[Request] = deque()
        self._busy = False
        """A request of this connection is with the handler."""
        self._reading = False
        """A request has begun to arrive and is not whole yet."""
        self._closing = False
        """Nothing more is read from this connection."""
        self._ended = False
        """The client sends no more, but may be reading."""
        self._write_paused = False
        self._paused = False
        self._going_on = False
        self._refused_at = 0.0
        self._since = server.now
        """When what is going on now (idling, reading, writing) began."""
        self._target = b""
        self._headers: dict[bytes, bytes] = {}
        self._head_bytes = 0
        """What came since the last of a body: header, trailer, or the framing of chunks."""
        self._has_head = False
        self._body: list[bytes] = []
        self._body_size = 0

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        server = self._server
        server.connections.add(self)
        if len(server.connections) > server.limits.max_connections:
            self._refuse(NotReadyError("too many connections; try again later"))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._server.connections.discard(self)
        self._transport = None
        self._waiting.clear()

    def eof_received(self) -> bool:
        self._ended = True
        return self._busy or bool(self._waiting)  # keep the other half open for what is still to be answered

    def pause_writing(self) -> None:
        self._write_paused = True
        self._since = self._server.now

    def resume_writing(self) -> None:
        self._write_paused = False
        self._since = self._server.now
        self._go_on()

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return
        self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            # No protocol to upgrade to: the request was taken as it is, and what follows it is the next one.
            self._parser = httptools.HttpRequestParser(self)
            rest = data[cast("int", upgrade.args[0]) :]
            if rest and not self._closing:
                self.data_received(rest)
        except httptools.HttpParserError as error:
            if not self._closing:
                self._refuse(InvalidInputError(f"not HTTP/1.1: {error}"))
        if self._reading and self._head_bytes > MAX_HEADER_BYTES and not self._closing:
            self._refuse(HeadersTooLargeError(f"the request's header is larger than {MAX_HEADER_BYTES} bytes"))

    # httptools' side

    def on_message_begin(self) -> None:
        self._reading, self._has_head = True, False
        self._since = self._server.now
        self._target = b""
        self._headers = {}
        self._body = []
        self._body_size = 0

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._has_head:  # what follows a chunked body has no say: whoever stands before us has not looked at it
            self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        if self._closing:
            return
        self._head_bytes, self._has_head = 0, True
        length = self._headers.get(b"content-length")
        if length is not None and int(length) > self._server.limits.max_body_bytes:
            self._refuse(self._too_large())
        elif self._transport is not None and self._headers.get(b"expect", b"").lower() == b"100-continue":
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        if self._closing:
            return
        self._head_bytes = 0
        self._body_size += len(body)
        if self._body_size > self._server.limits.max_body_bytes:
            self._refuse(self._too_large())
        else:
            self._body.append(body)

    def on_message_complete(self) -> None:
        if self._closing:
            return
        self._reading = False
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._body, self._body_size, self._head_bytes = [], 0, 0
        alive = self._parser.should_keep_alive()
        request = Request(self, self._parser.get_method(), self._target, self._headers, body, alive)
        if self._busy or self._waiting or self._write_paused:
            self._waiting.append(request)
            if len(self._waiting) >= _MAX_PIPELINED and self._transport is not None:
                self._paused = True
                self._transport.pause_reading()
        else:
            self._busy = True
            self._server.handle(request)

    # the server's side

    def respond(
        self, request: Request, status: int, body: bytes, content_type: bytes, extra: bytes, keep_alive: bool
    ) -> None:
        self._busy = False
        transport, server = self._transport, self._server
        self._since = server.now
        if not (server.draining and request.path.startswith(_PROBED)):
            server.last_activity = server.now
        if transport is None or transport.is_closing():
            return
        close = not keep_alive or server.draining or self._closing
        if close:
            extra += b"Connection: close\r\n"
        elif self._parser.get_http_version() == "1.0":
            extra += b"Connection: keep-alive\r\n"
        head = b"%b%bContent-Type: %b\r\nContent-Length: %d\r\n%b\r\n" % (
            _STATUS_LINES[status],
            server.headers,
            content_type,
            len(body),
            extra,
        )
        transport.write(head if request.method == b"HEAD" else head + body)
        if close or (self._ended and not self._waiting):
            self._closing = True
            self._waiting.clear()
            transport.close()
        elif self._waiting:
            self._go_on()

    def check_time(self, now: float, quiet_seconds: float) -> None:
        """Called now and then: end this connection if it has taken too long with whatever it is doing."""
        limits, spent = self._server.limits, now - self._since
        if self._closing:
            if not self._busy and now - self._refused_at > _LINGER_SECONDS:
                self.cut()
        elif self._write_paused:
            if spent > limits.request_seconds:
                self.cut()
        elif self._reading:
            if spent > limits.request_seconds:
                self._refuse(
                    RequestTimeoutError(f"the request did not arrive whole within {limits.request_seconds:g} s")
                )
        elif not self._busy and spent > (quiet_seconds if self._server.draining else limits.idle_seconds):
            self._closing = True
            if self._transport is not None:
                self._transport.close()

    def cut(self) -> None:
        """Drop the connection."""
        if self._transport is not None:
            self._transport.abort()

    def _go_on(self) -> None:
        """Hand the pipelined requests on, one after the other; a loop, for the handler may respond at once."""
        if self._going_on:
            return
        self._going_on = True
        while self._waiting and not (self._busy or self._write_paused or self._closing):
            request = self._waiting.popleft()
            self._busy = True
            self._server.handle(request)
        self._going_on = False
        if self._paused and len(self._waiting) < _MAX_PIPELINED and self._transport is not None and not self._closing:
            self._paused = False
            self._transport.resume_reading()

    def _refuse(self, error: ServingError) -> None:
        """Answer what cannot become a request, and close: without its end there is no next one."""
        self._closing, self._reading = True, False
        self._refused_at = self._server.now
        if self._transport is None:
            return
        if self._busy:  # an answer now would be taken for that of the earlier request, which is still to come
            self._waiting.clear()
            return
        status, body, extra = self._server.refuse(error)
        self._transport.write(
            _STATUS_LINES[status]
            + self._server.headers
            + b"Content-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n" % len(body)
            + extra
            + b"\r\n"
            + body
        )
        # Closing while the client is still sending would reset the connection before it has read this.
        if self._transport.can_write_eof():
            self._transport.write_eof()

    def _too_large(self) -> TooLargeError:
        return TooLargeError(f"the body is larger than the {self._server.limits.max_body_bytes} bytes that are allowed")
