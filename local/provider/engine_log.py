"""Messages for the engine's screen."""

import contextlib
import threading

import grpc

from local.provider.protos import engine_pb2, engine_pb2_grpc


class EngineLog:
    """Sends what a provider has to say; a message that cannot be sent is dropped, never an error of the operation."""

    def __init__(self, address: str | None) -> None:
        self._address = address
        self._lock = threading.Lock()
        self._stub: engine_pb2_grpc.EngineStub | None = None

    def status(self, urn: str, message: str) -> None:
        """Shown beside the resource until the next one or the end of the operation."""
        self._send(engine_pb2.LogRequest(severity=engine_pb2.INFO, message=message, urn=urn, ephemeral=True))

    def warn(self, urn: str, message: str) -> None:
        """Stays on the screen."""
        self._send(engine_pb2.LogRequest(severity=engine_pb2.WARNING, message=message, urn=urn))

    def debug(self, message: str) -> None:
        """Shown with `--debug` only."""
        self._send(engine_pb2.LogRequest(severity=engine_pb2.DEBUG, message=message))

    def _send(self, request: engine_pb2.LogRequest) -> None:
        if self._address is None:
            return
        with self._lock:
            if self._stub is None:
                self._stub = engine_pb2_grpc.EngineStub(grpc.insecure_channel(self._address))
        with contextlib.suppress(grpc.RpcError):
            self._stub.Log(request, timeout=5)
