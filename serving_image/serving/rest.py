"""REST: which path asks what of the data plane, and how its answers and errors look in HTTP."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec

from serving import errors, openapi, v2
from serving.api_keys import ApiKeys
from serving.capture import Capture, read_outcomes
from serving.errors import InvalidInputError, MethodNotAllowedError, NotFoundError, NotReadyError, ServingError
from serving.http_server import JSON, Request
from serving.ids import new_id
from serving.keyed_rows import Completed, KeyedRows
from serving.logs import Log
from serving.manifest import PREDICTION_ID
from serving.metrics import LATENCY, SECONDS, Metrics
from serving.model import Model
from serving.plane import Answer, Plane, Question
from serving.rows import Row
from serving.spool import Kind

STATUS: dict[type[ServingError], int] = {
    errors.InvalidInputError: 400,
    errors.UnauthenticatedError: 401,
    errors.NotFoundError: 404,
    errors.MethodNotAllowedError: 405,
    errors.RequestTimeoutError: 408,
    errors.TooLargeError: 413,
    errors.UnsupportedMediaError: 415,
    errors.OverloadedError: 429,
    errors.HeadersTooLargeError: 431,
    errors.NotReadyError: 503,
    errors.UnavailableError: 503,
    errors.DeadlineExceededError: 504,
}

_JSON_LENGTH = b"inference-header-content-length"
Route = Callable[[Request], None]


class Rest:
    """Answers HTTP requests from a `Plane`. `handle` and `refuse` are what an HttpServer wants."""

    def __init__(
        self,
        plane: Plane,
        metrics: Metrics,
        log: Log,
        keys: ApiKeys | None,
        capture: Capture,
        *,
        max_rows: int,
        keyed: KeyedRows | None = None,
    ) -> None:
        self.ready = True
        self._plane, self._metrics, self._log = plane, metrics, log
        self._keys, self._capture, self._max_rows, self._keyed = keys, capture, max_rows, keyed
        self._key_columns = None if keyed is None else keyed.keys
        self._encode = msgspec.json.Encoder().encode
        self._prefixes = {id(model): self._prefix(model) for model in plane.models.values()}
        self._seconds = {
            route: metrics.histogram(
                "slipway_request_seconds",
                "Seconds from a whole request to its answer.",
                {"protocol": "rest", "route": route},
                LATENCY,
                SECONDS,
            )
            for route in ("predict", "infer")
        }
        self._codes = {
            (route, status): metrics.counter(
                "slipway_requests_total", "Requests.", {"protocol": "rest", "route": route, "code": str(status)}
            )
            for route in ("predict", "infer", "health", "other")
            for status in (200, 500, *STATUS.values())
        }
        self._routes = self._all_routes()

    def handle(self, request: Request) -> None:
        """Answer one request, now or later; whatever happens, it is answered."""
        try:
            methods = self._routes.get(request.path)
            if methods is None:
                methods = self._unusual(request.path)
            route = methods.get(request.method)
            if route is None:
                raise MethodNotAllowedError(f"{request.method.decode()} is not for this path, only {_listed(methods)}")
            route(request)
        except ServingError as error:
            self._fail(request, "other", error)
        except Exception as error:  # noqa: BLE001 - the last resort: the caller gets a 500, the log the traceback
            self._defect(request, error)

    def refuse(self, error: ServingError) -> tuple[int, bytes, bytes]:
        """Status, body and extra header lines of an error."""
        status = STATUS[type(error)]
        self._codes["other", status].add()
        extra = b"" if error.retry_after is None else b"Retry-After: %d\r\n" % error.retry_after
        return status, self._encode({"error": str(error)}), extra

    def _all_routes(self) -> dict[bytes, dict[bytes, Route]]:
        models = self._plane.models.values()
        routes: dict[bytes, dict[bytes, Route]] = {
            b"/predict": {b"POST": self._guarded(self._predict)},
            b"/outcomes": {b"POST": self._guarded(self._outcomes)},
            b"/metrics": _get(self._scrape),
            b"/docs": _get(self._docs),
            b"/openapi.json": _get(self._openapi),
            b"/v2": _get(self._guarded(self._server)),
            b"/v2/health/live": _get(self._live),
            b"/v2/health/ready": _get(self._readiness),
        }
        for model in models:
            bases = [f"/v2/models/{model.name}/versions/{model.version}"]
            if model is self._plane.default:
                bases.append(f"/v2/models/{model.name}")
            for base in map(str.encode, bases):
                routes[base] = _get(self._guarded(_with(self._metadata, model)))
                routes[base + b"/ready"] = _get(self._readiness)
                routes[base + b"/infer"] = {b"POST": self._guarded(_with(self._infer, model))}
        return routes

    def _guarded(self, route: Route) -> Route:
        """A route that wants an API key, where keys are set; health, metrics and documentation are for everyone."""
        keys = self._keys
        if keys is None:
            return route

        def checked(request: Request) -> None:
            authorization, key = request.headers.get(b"authorization"), request.headers.get(b"x-api-key")
            keys.check(_text(authorization), _text(key))
            route(request)

        return checked

    def _unusual(self, path: bytes) -> dict[bytes, Route]:
        """The route of a path that is not written as usual, or why there is none."""
        plain = unquote_to_bytes(path)
        plain = plain.rstrip(b"/") or b"/"
        if plain in self._routes:
            return self._routes[plain]
        parts = plain.decode(errors="replace").split("/")
        if parts[:3] == ["", "v2", "models"] and len(parts) > 3:
            version = parts[5] if len(parts) > 5 and parts[4] == "versions" else None
            self._plane.model(parts[3], version)
        raise NotFoundError(f"no such path: {plain.decode(errors='replace')[:200]}; /docs lists them")

    # questions

    def _predict(self, request: Request) -> None:
        try:
            _check_encoding(request)
            if self._keyed is None:
                self._ask(request, self._plane.default.rows.decode(request.body), request.body)
            else:
                self._look_up(request, self._keyed)
        except ServingError as error:
            self._fail(request, "predict", error)

    def _look_up(self, request: Request, keyed: KeyedRows) -> None:
        found = keyed.complete(keyed.decode(request.body))
        if not isinstance(found, Future):
            return self._completed(request, found)
        loop = asyncio.get_running_loop()

        def back(ended: "Future[Completed]") -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended, and the connection with it
                loop.call_soon_threadsafe(self._completed, request, ended.result())

        return found.add_done_callback(back)

    def _completed(self, request: Request, rows: Completed) -> None:
        try:
            if isinstance(rows, ServingError):
                raise rows
            # What is captured is what the model was asked, with what was looked up.
            body = b"" if self._capture.predictions is None else self._encode({"rows": rows})
            self._ask(request, rows, body)
        except ServingError as error:
            self._fail(request, "predict", error)
        except Exception as error:  # noqa: BLE001 - as in `handle`, which this may run after
            self._defect(request, error)

    def _ask(self, request: Request, rows: list[Row], body: bytes) -> None:
        question = Question(self._plane.default, len(rows), rows=rows, id=new_id())
        question.started = request.started
        self._plane.submit(question, lambda question, result: self._predicted(request, body, question, result))

    def _predicted(self, request: Request, asked: bytes, question: Question, result: Answer | ServingError) -> None:
        if isinstance(result, ServingError):
            return self._fail(request, "predict", result)
        try:
            names = question.outputs
            predictions = [
                {PREDICTION_ID: f"{question.id}-{i}", **dict(zip(names, values, strict=True))}
                for i, values in enumerate(zip(*result.values(names), strict=True))
            ]
            body = self._prefixes[id(question.model)] + self._encode(predictions) + b"}"
        except Exception as error:  # noqa: BLE001 - as in `handle`, which this runs after
            return self._defect(request, error)
        self._answer(request, "predict", body)
        return self._capture.prediction(Kind.PREDICT, question, asked, None, body, None)

    def _infer(self, request: Request, model: Model) -> None:
        try:
            _check_encoding(request)
            question = v2.read(model, request.body, _json_length(request), self._max_rows)
            self._plane.submit(question, lambda question, result: self._inferred(request, question, result))
        except ServingError as error:
            self._fail(request, "infer", error)

    def _inferred(self, request: Request, question: Question, result: Answer | ServingError) -> None:
        if isinstance(result, ServingError):
            return self._fail(request, "infer", result)
        assert isinstance(question, v2.Asked)  # noqa: S101 - it is what `_infer` submitted
        try:
            body, json_length = v2.write(question, result)
        except Exception as error:  # noqa: BLE001 - as in `handle`, which this runs after
            return self._defect(request, error)
        if json_length is None:
            self._answer(request, "infer", body)
        else:
            length = b"Inference-Header-Content-Length: %d\r\n" % json_length
            self._answer(request, "infer", body, b"application/octet-stream", length)
        return self._capture.prediction(Kind.INFER, question, request.body, _json_length(request), body, json_length)

    def _outcomes(self, request: Request) -> None:
        if self._capture.outcomes is None:
            raise NotFoundError("this service keeps no outcomes: SLIPWAY_OUTCOMES_URI is not set")
        _check_encoding(request)
        count, record = read_outcomes(request.body, self._max_rows)
        self._capture.outcomes.add(record)
        self._answer(request, "other", self._encode({"accepted": count}))

    # everything else

    def _live(self, request: Request) -> None:
        self._say(request, {"live": True}, "health")

    def _readiness(self, request: Request) -> None:
        if not self.ready:
            self._fail(request, "health", NotReadyError("this server is going away"))
        elif self._keys is not None and not self._keys.known:
            self._fail(request, "health", NotReadyError("the API keys are not there yet"))
        else:
            model = self._plane.default
            self._say(request, {"ready": True, "name": model.name, "model_version": model.version}, "health")

    def _server(self, request: Request) -> None:
        self._say(request, {"name": "slipway", "version": "1", "extensions": ["binary_tensor_data"]})

    def _metadata(self, request: Request, model: Model) -> None:
        self._say(request, v2.metadata(model, self._plane.versions(model.name)))

    def _scrape(self, request: Request) -> None:
        text = self._metrics.render().encode()
        self._answer(request, "other", text, b"text/plain; version=0.0.4; charset=utf-8")

    def _openapi(self, request: Request) -> None:
        self._say(request, openapi.document(self._plane.default, self._key_columns))

    def _docs(self, request: Request) -> None:
        self._answer(
            request,
            "other",
            openapi.page(self._plane.default, self._key_columns),
            b"text/html; charset=utf-8",
        )

    # answers

    def _say(self, request: Request, document: Any, route: str = "other") -> None:
        self._answer(request, route, self._encode(document))

    def _answer(
        self, request: Request, route: str, body: bytes, content_type: bytes = JSON, extra: bytes = b""
    ) -> None:
        self._codes[route, 200].add()
        if route in self._seconds:
            self._seconds[route].observe(time.perf_counter() - request.started)
        request.respond(200, body, content_type, extra)

    def _fail(self, request: Request, route: str, error: ServingError) -> None:
        status = STATUS[type(error)]
        self._codes[route, status].add()
        extra = b"" if error.retry_after is None else b"Retry-After: %d\r\n" % error.retry_after
        if isinstance(error, errors.UnauthenticatedError):
            extra += b"WWW-Authenticate: Bearer\r\n"
        if isinstance(error, MethodNotAllowedError):
            extra += b"Allow: " + _listed(self._routes.get(request.path, {})).encode() + b"\r\n"
        self._log.debug("refused", status=status, path=request.path.decode(errors="replace"), error=str(error))
        request.respond(status, self._encode({"error": str(error)}), JSON, extra)

    def _defect(self, request: Request, error: Exception) -> None:
        self._codes["other", 500].add()
        self._log.error(
            "a request failed in a way that it should not", error, path=request.path.decode(errors="replace")
        )
        request.respond(500, self._encode({"error": "internal error; the server's log has the reason"}))

    def _prefix(self, model: Model) -> bytes:
        named = self._encode({"model_name": model.name, "model_version": model.version})
        return named[:-1] + b',"predictions":'


def _check_encoding(request: Request) -> None:
    if request.headers.get(b"content-encoding", b"identity") != b"identity":
        raise errors.UnsupportedMediaError("Content-Encoding: compressed requests are not supported; send it plain")


def _json_length(request: Request) -> int | None:
    stated = request.headers.get(_JSON_LENGTH)
    if stated is None:
        return None
    if not stated.isdigit():
        raise InvalidInputError("Inference-Header-Content-Length: expected a number of bytes")
    return int(stated)


def _text(header: bytes | None) -> str | None:
    return None if header is None else header.decode("latin-1")


def _get(route: Route) -> dict[bytes, Route]:
    return {b"GET": route, b"HEAD": route}


def _with(route: Callable[[Request, Model], None], model: Model) -> Route:
    return lambda request: route(request, model)


def _listed(methods: dict[bytes, Route]) -> str:
    return ", ".join(method.decode() for method in methods)
