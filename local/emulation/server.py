"""moto behind a threaded HTTP server on loopback, with what the emulation adds to it."""

import socket
import threading
from pathlib import Path
from typing import Any

from flask import Flask
from moto import backends
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import BaseWSGIServer, make_server

from local.emulation import bucket_policies, missing_calls, registry_api
from local.emulation.durable import Journal, WriteThrough
from local.emulation.faults import Faults
from local.emulation.objects import ObjectStore
from local.emulation.queues import QueueStore
from local.emulation.registry import RegistryStore

PRELOADED = ("iam", "kms", "logs", "events", "glue", "ecr", "sns", "sqs", "cloudwatch", "athena", "eks", "ec2")
"""What an update asks first. moto takes from 20 ms to 2 s to import one; that is done while the engine starts."""


class Handler(MotoRequestHandler):
    """Keeps connections open (clients make dozens of calls) and logs no requests; `faults` logs what fails."""

    protocol_version = "HTTP/1.1"

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Nothing."""


class Emulation:
    """A running server."""

    def __init__(self, server: BaseWSGIServer) -> None:
        self._server = server
        self._thread = threading.Thread(target=server.serve_forever, name="http", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """Where it listens on 127.0.0.1."""
        return self._server.port

    def shutdown(self) -> None:
        """Stops; requests that are being handled are finished."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def serve(durable: Path, region: str, port: int = 0) -> Emulation:
    """Restores what is stored in the folder `durable` and serves on loopback: on `port`, or a free one when that is
    taken. Raises OSError."""
    durable.mkdir(parents=True, exist_ok=True, mode=0o700)
    journal = Journal()
    objects = ObjectStore(durable / "s3", region, journal)
    objects.install()
    objects.restore()
    registry = RegistryStore(durable / "sagemaker", journal)
    registry_api.install(registry)
    bucket_policies.install()
    registry.restore()
    queues = QueueStore(durable / "sqs", journal)
    queues.install()
    queues.restore()
    dispatcher: Any = DomainDispatcherApplication(_create_app)
    app = Faults(WriteThrough(dispatcher, journal))
    server = _listen(app, port)
    threading.Thread(target=_preload, args=(dispatcher, region), name="preload", daemon=True).start()
    return Emulation(server)


def _listen(app: Faults, port: int) -> BaseWSGIServer:
    # werkzeug ends the process when a port is taken: the socket is bound here, and handed over.
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        return make_server("127.0.0.1", port, app, threaded=True, request_handler=Handler, fd=listener.fileno())


def _create_app(service: Any) -> Flask:
    missing_calls.install(service)
    return create_backend_app(service)


def _preload(dispatcher: DomainDispatcherApplication, region: str) -> None:
    for service in PRELOADED:
        app = _create_app(service)
        backends.get_backend(service)[DEFAULT_ACCOUNT_ID]["aws" if service == "iam" else region]
        with dispatcher.lock:
            dispatcher.app_instances.setdefault(service, app)
