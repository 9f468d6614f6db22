"""What a worker without requests of its own answers on its port: health, metrics, and which model it runs."""

from collections.abc import Callable

import msgspec

from serving import v2
from serving.errors import MethodNotAllowedError, NotFoundError, NotReadyError, ServingError
from serving.http_server import JSON, Request
from serving.metrics import Metrics
from serving.rest import STATUS
from serving.signature import Signature


class Health:
    """Answers probes, scrapes and `GET /v2/models/<name>`; `handle` and `refuse` are what an HttpServer wants."""

    def __init__(self, model: Signature, metrics: Metrics) -> None:
        self.ready = False
        self._model, self._metrics = model, metrics
        self._encode = msgspec.json.Encoder().encode
        self._routes: dict[bytes, Callable[[], tuple[bytes, bytes]]] = {
            b"/v2/health/live": lambda: (self._encode({"live": True}), JSON),
            b"/v2/health/ready": self._readiness,
            b"/metrics": lambda: (metrics.render().encode(), b"text/plain; version=0.0.4; charset=utf-8"),
            f"/v2/models/{model.name}".encode(): lambda: (self._encode(v2.metadata(model, [model.version])), JSON),
        }

    def handle(self, request: Request) -> None:
        """Answer one request."""
        try:
            route = self._routes.get(request.path)
            if route is None:
                paths = ", ".join(path.decode() for path in self._routes)
                raise NotFoundError(f"this worker takes its questions from a stream; here are {paths}")
            if request.method not in {b"GET", b"HEAD"}:
                raise MethodNotAllowedError("only GET")
            body, kind = route()
        except ServingError as error:
            status, body, extra = self.refuse(error)
            request.respond(status, body, JSON, extra)
        else:
            request.respond(200, body, kind)

    def refuse(self, error: ServingError) -> tuple[int, bytes, bytes]:
        """Status, body and extra header lines of an error."""
        return STATUS[type(error)], self._encode({"error": str(error)}), b""

    def _readiness(self) -> tuple[bytes, bytes]:
        if not self.ready:
            raise NotReadyError("this worker is starting or going away")
        model = self._model
        return self._encode({"ready": True, "name": model.name, "model_version": model.version}), JSON
