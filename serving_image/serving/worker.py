"""One serving process: loads the model, answers until it is told to stop, then finishes what is open."""

import asyncio
import gc
import os
import signal
import socket
import time
from collections.abc import Callable, Coroutine
from typing import Any

import numpy as np

from serving.api_keys import ApiKeys
from serving.capture import Capture
from serving.companion import Companion, is_wanted
from serving.grpc_server import GrpcServer
from serving.http_server import HttpServer, Limits
from serving.keyed_rows import open_keyed_rows
from serving.logs import Log
from serving.metrics import Metrics
from serving.model import Model
from serving.plane import Plane
from serving.rest import Rest
from serving.settings import Settings, keys_file
from serving.startup import open_model
from serving.traffic import Traffic


class Worker:
    """What one worker is given: its settings, its listening socket, and its place among the workers of the pod."""

    def __init__(
        self, settings: Settings, rest: socket.socket, grpc_port: int, metrics: Metrics, parent: int | None = None
    ) -> None:
        self.settings, self.rest_socket, self.grpc_port, self.metrics, self.parent = (
            settings,
            rest,
            grpc_port,
            metrics,
            parent,
        )
        self.log = Log(settings.log_level, service=settings.service, environment=settings.environment)
        self._stop = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def run(self) -> None:
        """Serve until SIGTERM, SIGINT or the end of the parent.

        Raises:
            CommandError: the model cannot be served.
        """
        began = time.perf_counter()
        np.seterr(all="ignore")  # a number that does not fit FP32 becomes infinite; nobody reads a warning here
        model = open_model(self.settings)
        if not model.batches:
            self.log.info("requests are not merged: the model's rows are not independent of each other")
        settings = self.settings
        plane = Plane([model], self.metrics, max_queue=settings.max_queue, deadline_seconds=settings.deadline_seconds)
        file = keys_file(settings)
        keys = None if file is None else ApiKeys(file, self.log)
        capture = Capture(settings, model.manifest, self.log, self.metrics)
        keyed = open_keyed_rows(model, settings, self.log, self.metrics)
        rest = Rest(plane, self.metrics, self.log, keys, capture, max_rows=settings.max_rows, keyed=keyed)
        grpc = GrpcServer(plane, self.metrics, self.log, keys, capture, settings)
        info = {"model": model.name, "model_version": model.version, "service": settings.service or model.name}
        self.metrics.gauge("slipway_workers", "Workers that are up, with the model that they serve.", info).set(1)
        traffic = Traffic(settings, self.metrics)
        # What exists now lives as long as the process: the collector need not look at it ever again.
        gc.collect()
        gc.freeze()
        # With several workers it is the supervisor's.
        companion = Companion(self.log) if self.parent is None and is_wanted(settings) else None
        every_second = [traffic.tick, *([] if companion is None else [companion.look_after])]
        try:
            with asyncio.Runner(loop_factory=_loop_factory()) as runner:
                runner.run(self._serve(rest, grpc, model, every_second, began))
            plane.close()
            if keyed is not None:
                keyed.close()
        finally:
            capture.close()
            traffic.publish()
            if companion is not None:
                companion.end()

    async def _serve(
        self, rest: Rest, grpc: GrpcServer, model: Model, every_second: list[Callable[[], None]], began: float
    ) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal, number, rest)
        if self.parent is not None:
            loop.add_reader(self.parent, self._on_orphaned, rest)
        version = f"Slipway-Model-Version: {model.version}\r\n".encode()
        server = HttpServer(rest.handle, rest.refuse, Limits(max_body_bytes=self.settings.max_body_bytes), version)
        self._keep(server.keep_time())
        self._keep(_repeat(every_second))
        listener = await loop.create_server(server.connection, sock=self.rest_socket, backlog=2048)
        grpc.start(self.settings.bind, self.grpc_port)
        address, port = self.rest_socket.getsockname()[:2]
        where = {"rest": f"{address}:{port}", "grpc": f"{address}:{self.grpc_port}"}
        seconds = round(time.perf_counter() - began, 3)
        self.log.info("ready", **where, model=model.name, model_version=model.version, pid=os.getpid(), seconds=seconds)
        await self._stop.wait()
        self.log.info("draining", seconds=self.settings.drain_seconds, connections=len(server.connections))
        grpc.ready = False
        await asyncio.gather(server.drain(self.settings.drain_seconds), self._drain_grpc(grpc))
        listener.close()
        for task in self._tasks:
            task.cancel()
        self.log.info("stopped", pid=os.getpid())

    async def _drain_grpc(self, grpc: GrpcServer) -> None:
        """As REST does: go on for a quarter of the time, until clients have noticed, then finish."""
        seconds = self.settings.drain_seconds
        await asyncio.sleep(seconds / 4)
        ended = grpc.stop(seconds * 3 / 4)
        await asyncio.to_thread(ended.wait)

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.get_running_loop().create_task(work))

    def _on_signal(self, number: signal.Signals, rest: Rest) -> None:
        # A second Ctrl-C wants it now. A second SIGTERM is common: from a process group, and from the supervisor.
        if number == signal.SIGINT and self._stop.is_set():
            os._exit(0)
        rest.ready = False
        self._stop.set()

    def _on_orphaned(self, rest: Rest) -> None:
        """The pipe that the supervisor holds open was closed: it is gone, and nobody else will stop this process."""
        asyncio.get_running_loop().remove_reader(self.parent or 0)
        rest.ready = False
        self._stop.set()


async def _repeat(every_second: list[Callable[[], None]]) -> None:
    while True:
        await asyncio.sleep(1)
        for call in every_second:
            call()


def _loop_factory() -> Any:
    try:
        import uvloop
    except ImportError:  # it does not exist for every platform
        return None
    return uvloop.new_event_loop
