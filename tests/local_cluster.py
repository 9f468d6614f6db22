"""A node for tests: in a thread of its own, spoken to through its real API."""

import asyncio
import base64
import json
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import uvloop

from local.kubernetes.cluster import Cluster
from local.node.node import Node
from local.node.settings import NodeSettings

TOKEN = "a-token-for-tests"
IMAGES = Path(__file__).parent / "local" / "node" / "images"
SERVER = "registry.test/answering:1"
SCRIPT = "registry.test/script:1"
Object = dict[str, Any]


class TestNode:
    """A node that runs until `stop`."""

    __test__ = False

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder = folder
        images = {
            "answering": (sys.executable, "-I", "-S", str(IMAGES / "answering.py")),
            "script": (sys.executable, "-I", "-S", "-c"),
        }
        defaults: dict[str, Any] = {"images": images, "backoff_initial": 0.2, "settle": 0.1}
        self._settings = NodeSettings(folder / "node", folder / "log", **(defaults | settings))
        self._ready = threading.Event()
        self._failed: BaseException | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        self._ready.wait()
        if self._failed is not None:
            raise self._failed
        self.cluster = Cluster(json.dumps(self.kubeconfig))

    def _run(self) -> None:
        try:
            uvloop.run(self._main())
        except BaseException as error:  # noqa: BLE001 (told to the thread that waits)
            self._failed = error
            self._ready.set()

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._end = asyncio.Event()
        self.node = Node(self._settings, TOKEN)
        self.port = await self.node.start()
        self._ready.set()
        await self._end.wait()
        await self.node.stop()

    def stop(self) -> None:
        self.cluster.close()
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()

    # talking to it

    @property
    def kubeconfig(self) -> Object:
        cluster = {
            "server": f"https://127.0.0.1:{self.port}",
            "certificate-authority-data": base64.b64encode(self.node.certificate).decode(),
        }
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "t", "cluster": cluster}],
            "users": [{"name": "t", "user": {"token": TOKEN}}],
            "contexts": [{"name": "t", "context": {"cluster": "t", "user": "t"}}],
            "current-context": "t",
        }

    def request(self, method: str, path: str, body: Any = None, **options: Any) -> httpx2.Response:
        return self.cluster.client.request(method, path, content=None if body is None else json.dumps(body), **options)

    def apply(self, *objects: Object) -> Object:
        return [self.cluster.apply(item) for item in objects][-1]

    def get(self, kind: str, name: str, namespace: str = "default", api_version: str = "v1") -> Object | None:
        return self.cluster.get(
            {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": namespace}}
        )

    def pods(self, selector: str = "", namespace: str = "default") -> list[Object]:
        return self.cluster.select("v1", "Pod", namespace, selector)

    def until(self, question: Callable[[], Any], seconds: float = 15.0) -> Any:
        """The first answer that is true; fails with the last one."""
        deadline = time.monotonic() + seconds
        while not (answer := question()):
            assert time.monotonic() < deadline, f"still {answer!r} after {seconds} s"
            time.sleep(0.02)
        return answer

    def url(self, service: str, port: str = "rest") -> str:
        """Where a Service answers."""
        live = self.until(lambda: _ports(self.get("Service", service)).get(port))
        return f"http://127.0.0.1:{live}/"


def _ports(service: Object | None) -> dict[str, int]:
    annotations = (service or {"metadata": {}})["metadata"].get("annotations") or {}
    return json.loads(annotations.get("slipway.dev/local-ports", "{}"))


def container(**more: Any) -> Object:
    """A container that answers HTTP requests with the variable ANSWER and its pid."""
    return {
        "name": "web",
        "image": SERVER,
        "ports": [{"name": "rest", "containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": "rest"}, "periodSeconds": 1},
        **more,
    }


def script(text: str, name: str = "main", **more: Any) -> Object:
    """A container that runs Python text."""
    return {"name": name, "image": SCRIPT, "args": [text], **more}


def pod(name: str, *containers: Object, **spec: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "labels": {"app": name}},
        "spec": {"containers": list(containers), "terminationGracePeriodSeconds": 5, **spec},
    }


def deployment(
    name: str, *containers: Object, replicas: int = 2, strategy: Object | None = None, **spec: Any
) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "strategy": strategy or {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": list(containers), "terminationGracePeriodSeconds": 5, **spec},
            },
        },
    }


def service(name: str, annotations: dict[str, str] | None = None, **spec: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default", "annotations": annotations or {}},
        "spec": {"selector": {"app": name}, "ports": [{"name": "rest", "port": 80, "targetPort": "rest"}], **spec},
    }


def job(name: str, *containers: Object, policy: str = "Never", **spec: Any) -> Object:
    template = {"spec": {"containers": list(containers), "restartPolicy": policy, "terminationGracePeriodSeconds": 2}}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"template": template, **spec},
    }


def env(**variables: str) -> list[Object]:
    return [{"name": name, "value": value} for name, value in variables.items()]


def is_true(item: Object | None, kind: str) -> bool:
    conditions = ((item or {}).get("status") or {}).get("conditions") or []
    return any(c["type"] == kind and c["status"] == "True" for c in conditions)
