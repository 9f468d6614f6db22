"""The node: store, API, controllers and pods in one event loop."""

import asyncio
import logging
import socket

import uvicorn

from local.node import certificate as certificates
from local.node.api import Api
from local.node.controllers.cronjobs import CronJobs
from local.node.controllers.deployments import Deployments
from local.node.controllers.garbage import Garbage
from local.node.controllers.jobs import Jobs
from local.node.controllers.loop import ControlLoop
from local.node.controllers.namespaces import Namespaces
from local.node.controllers.replicasets import ReplicaSets
from local.node.controllers.services import Services
from local.node.kinds import Kinds
from local.node.kubelet import Kubelet
from local.node.objects import Object, set_condition
from local.node.pods.logs import LogFiles
from local.node.pods.ports import LOOPBACK, Ports
from local.node.proxy import Open
from local.node.resources import Resources
from local.node.settings import NodeSettings
from local.node.store import Store

log = logging.getLogger(__name__)

NAMESPACES = ("default", "kube-system")


class Node:
    """One machine that behaves like a small Kubernetes cluster."""

    def __init__(self, settings: NodeSettings, token: str) -> None:
        self.store = Store(settings.folder / "objects", Kinds())
        self.resources = Resources(self.store)
        logs = LogFiles(settings.logs)
        ports, connections = Ports(), Open()
        self._services = Services(self.resources, ports, connections)
        self._kubelet = Kubelet(self.store, settings, logs, ports, connections.drained)
        self._api = Api(self.resources, logs, token)
        controllers = (
            Namespaces(self.resources),
            Garbage(self.resources),
            self._services,
            Deployments(self.resources),
            ReplicaSets(self.resources),
            Jobs(self.resources),
            CronJobs(self.resources),
        )
        self._loops = [ControlLoop(c) for c in controllers]
        self._folder = settings.folder
        self.certificate = b""
        """PEM of the API's certificate, once started."""
        self._server: uvicorn.Server | None = None
        self._serving: asyncio.Task[None] | None = None

    async def start(self, port: int = 0) -> int:
        """Bring everything up; gives the port that the API answers on. Raises OSError when `port` is taken."""
        listener = socket.create_server((LOOPBACK, port), backlog=1024)
        self._bootstrap()
        self._kubelet.start()
        for loop in self._loops:
            loop.start()
        certificate, key = certificates.write(self._folder)
        self.certificate = certificate.read_bytes()
        config = uvicorn.Config(
            self._api,
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=2,
            server_header=False,
            ssl_certfile=certificate,
            ssl_keyfile=key,
        )
        self._server = uvicorn.Server(config)
        # The daemon owns the signals; uvicorn's `serve` would take them.
        self._serving = asyncio.create_task(self._server._serve([listener]))  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        while not self._server.started:
            if self._serving.done():
                self._serving.result()
            await asyncio.sleep(0.005)
        return int(listener.getsockname()[1])

    async def stop(self) -> None:
        """End pods, connections and the API; everything that is to last is on disk."""
        for loop in self._loops:
            await loop.stop()
        await self._kubelet.stop()
        self._services.stop()
        self._api.close()
        if self._server is not None and self._serving is not None:
            self._server.should_exit = True
            await self._serving

    def _bootstrap(self) -> None:
        """The objects that every cluster has."""
        namespace = self.store.kind("v1", "Namespace")
        for name in NAMESPACES:
            if self.store.find(namespace, "", name) is None:
                self.resources.create(namespace, "", {"metadata": {"name": name}}, "slipway-local")
        node = self.store.kind("v1", "Node")
        if self.store.find(node, "", "local") is None:
            self.resources.create(node, "", {"metadata": {"name": "local"}}, "slipway-local")
        self.store.change(node, "", "local", _ready)


def _ready(node: Object) -> None:
    status = node.setdefault("status", {})
    status["addresses"] = [{"type": "InternalIP", "address": LOOPBACK}]
    status["nodeInfo"] = {"kubeletVersion": "v1.34.0+slipway", "operatingSystem": "processes of this machine"}
    set_condition(
        status, "Ready", True, "KubeletReady", "pods run as processes; cpu and memory limits are not enforced"
    )
