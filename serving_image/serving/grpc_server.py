"""gRPC: `inference.GRPCInferenceService` on grpcio's synchronous server, whose threads ask the data plane themselves.

Measured on one core, the synchronous server answers about a third more than grpc.aio, whose every event crosses from
its poller's thread to the event loop's.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import grpc
from google.protobuf.message import DecodeError

from serving import errors, grpc_codec, v2
from serving.api_keys import ApiKeys
from serving.capture import Capture
from serving.errors import InvalidInputError, ServingError
from serving.exits import CommandError, Exit
from serving.grpc_messages import HEALTH_SERVICE, MESSAGES, SERVICE
from serving.logs import Log
from serving.metrics import LATENCY, SECONDS, Metrics
from serving.model import Model
from serving.plane import Plane
from serving.settings import Settings
from serving.spool import Kind

STATUS: dict[type[ServingError], grpc.StatusCode] = {
    errors.InvalidInputError: grpc.StatusCode.INVALID_ARGUMENT,
    errors.UnauthenticatedError: grpc.StatusCode.UNAUTHENTICATED,
    errors.NotFoundError: grpc.StatusCode.NOT_FOUND,
    errors.TooLargeError: grpc.StatusCode.INVALID_ARGUMENT,
    errors.OverloadedError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.NotReadyError: grpc.StatusCode.UNAVAILABLE,
    errors.DeadlineExceededError: grpc.StatusCode.DEADLINE_EXCEEDED,
}

THREADS = 4
_SERVING, _NOT_SERVING = 1, 2
_UNREADABLE = object()
"""Stands for a message that could not be decoded: grpc itself would answer INTERNAL."""
Method = Callable[[Any, grpc.ServicerContext], Any]


class GrpcServer:
    """Serves a `Plane` over gRPC on an address; like REST it answers while it drains, but is not ready any more."""

    def __init__(
        self, plane: Plane, metrics: Metrics, log: Log, keys: ApiKeys | None, capture: Capture, settings: Settings
    ) -> None:
        self.ready = True
        self._plane, self._log, self._keys, self._max_rows = plane, log, keys, settings.max_rows
        self._capture = capture
        self._lock = threading.Lock()
        labels = {"protocol": "grpc", "route": "infer"}
        self._seconds = metrics.histogram(
            "slipway_request_seconds", "Seconds from a whole request to its answer.", labels, LATENCY, SECONDS
        )
        self._codes = {
            code: metrics.counter("slipway_requests_total", "Requests.", labels | {"code": code.name})
            for code in (grpc.StatusCode.OK, grpc.StatusCode.INTERNAL, *STATUS.values())
        }
        options = [
            ("grpc.so_reuseport", 1),
            ("grpc.max_receive_message_length", settings.max_body_bytes),
            ("grpc.max_send_message_length", -1),
            ("grpc.max_metadata_size", 64 * 1024),
        ]
        self._server = grpc.server(
            ThreadPoolExecutor(THREADS, thread_name_prefix="grpc"),
            options=options,
            maximum_concurrent_rpcs=settings.max_queue,
        )
        self._server.add_generic_rpc_handlers((self._inference(), self._health()))

    def start(self, address: str, port: int) -> None:
        """Listen; the port must have been reserved, since another process of this user could share it.

        Raises:
            CommandError: the port cannot be opened.
        """
        host = f"[{address}]" if ":" in address else address
        try:
            self._server.add_insecure_port(f"{host}:{port}")
        except RuntimeError as error:
            raise CommandError(Exit.UNAVAILABLE, f"cannot listen on {host}:{port} for gRPC: {error}") from None
        self._server.start()

    def stop(self, grace: float) -> threading.Event:
        """Take no new calls; the event is set once the open ones have ended, or are cut after `grace` seconds."""
        return self._server.stop(grace)

    def _inference(self) -> "grpc.GenericRpcHandler[Any, Any]":
        methods = {
            "ServerLive": (self._live, False),
            "ServerReady": (self._ready, False),
            "ModelReady": (self._model_ready, False),
            "ServerMetadata": (self._server_metadata, True),
            "ModelMetadata": (self._model_metadata, True),
            "ModelInfer": (self._infer, True),
        }
        handlers = {
            name: self._method(f"{name}Request", method, guarded=guarded) for name, (method, guarded) in methods.items()
        }
        return _typed(grpc.method_handlers_generic_handler(SERVICE, handlers))

    def _health(self) -> "grpc.GenericRpcHandler[Any, Any]":
        check = self._method("HealthCheckRequest", self._check, guarded=False)
        return _typed(grpc.method_handlers_generic_handler(HEALTH_SERVICE, {"Check": check}))

    def _method(self, request: str, method: Method, *, guarded: bool) -> "grpc.RpcMethodHandler[Any, Any]":
        def answer(message: Any, context: grpc.ServicerContext) -> Any:
            context.set_trailing_metadata((("slipway-model-version", self._plane.default.version),))
            try:
                if guarded and self._keys is not None:
                    _check_key(self._keys, context)
                if message is _UNREADABLE:
                    raise InvalidInputError("the message cannot be decoded")
                return method(message, context)
            except ServingError as error:
                self._count(STATUS[type(error)])
                self._log.debug("refused", status=STATUS[type(error)].name, error=str(error))
                context.abort(STATUS[type(error)], str(error))
            except Exception as error:  # noqa: BLE001 - the last resort: the caller gets INTERNAL, the log the traceback
                self._count(grpc.StatusCode.INTERNAL)
                self._log.error("a call failed in a way that it should not", error)
                context.abort(grpc.StatusCode.INTERNAL, "internal error; the server's log has the reason")

        return cast("Any", grpc).unary_unary_rpc_method_handler(
            answer, request_deserializer=_reader(MESSAGES[request]), response_serializer=_serialized
        )

    def _infer(self, request: Any, context: grpc.ServicerContext) -> Any:
        model = self._model(request.model_name, request.model_version)
        question = grpc_codec.read(model, request, self._max_rows)
        remaining = cast("float | None", context.time_remaining())  # the stubs forget calls without a deadline
        if remaining is not None:
            question.deadline = question.started + remaining
        response = grpc_codec.write(question, self._plane.answer(question)).SerializeToString()
        if self._capture.predictions is not None:
            asked = request.SerializeToString()
            self._capture.prediction(Kind.GRPC, question, asked, None, response, None)
        self._count(grpc.StatusCode.OK, time.perf_counter() - question.started)
        return response

    def _model(self, name: str, version: str) -> Model:
        return self._plane.model(name, version or None)

    def _live(self, _: Any, __: grpc.ServicerContext) -> Any:
        return MESSAGES["ServerLiveResponse"](live=True)

    def _ready(self, _: Any, __: grpc.ServicerContext) -> Any:
        return MESSAGES["ServerReadyResponse"](ready=self.ready)

    def _model_ready(self, request: Any, _: grpc.ServicerContext) -> Any:
        self._model(request.name, request.version)
        return MESSAGES["ModelReadyResponse"](ready=self.ready)

    def _server_metadata(self, _: Any, __: grpc.ServicerContext) -> Any:
        return MESSAGES["ServerMetadataResponse"](name="slipway", version="1")

    def _model_metadata(self, request: Any, _: grpc.ServicerContext) -> Any:
        model = self._model(request.name, request.version)
        return MESSAGES["ModelMetadataResponse"](**v2.metadata(model, self._plane.versions(model.name)))

    def _check(self, request: Any, _: grpc.ServicerContext) -> Any:
        if request.service not in {"", SERVICE}:
            raise errors.NotFoundError(f"no service {request.service!r} here")
        return MESSAGES["HealthCheckResponse"](status=_SERVING if self.ready else _NOT_SERVING)

    def _count(self, code: grpc.StatusCode, seconds: float | None = None) -> None:
        with self._lock:  # several threads come here, and a count is read, then written
            self._codes[code].add()
            if seconds is not None:
                self._seconds.observe(seconds)


def _typed(handler: Any) -> "grpc.GenericRpcHandler[Any, Any]":
    return handler  # grpc-stubs leave the handlers' type parameters open


def _check_key(keys: ApiKeys, context: grpc.ServicerContext) -> None:
    sent = {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}
    keys.check(sent.get("authorization"), sent.get("x-api-key"))


def _reader(message: type[Any]) -> Callable[[bytes], Any]:
    def read(content: bytes) -> Any:
        try:
            return message.FromString(content)
        except DecodeError:
            return _UNREADABLE

    return read


def _serialized(message: Any) -> bytes:
    return message if isinstance(message, bytes) else message.SerializeToString()
