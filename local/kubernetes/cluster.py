"""A Kubernetes API: the local node's, or any that a kubeconfig names."""

import functools
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from local.node.objects import Object, items_of
from local.provider.errors import ProviderError

FIELD_MANAGER = "pulumi-kubernetes"
LOCAL_MARK = "+slipway"
"""In the version of the local node, which acts on some kinds and stores the others."""


class Refused(ProviderError):  # noqa: N818 (what the API did)
    """An answer that is not a success: the code, and the API's own message."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason


class Unreachable(ProviderError):  # noqa: N818 (what the API is)
    """There is no answer."""


class Cluster:
    """Requests to one API. Connects when it is first used, so that a preview that needs none starts at once."""

    def __init__(self, kubeconfig: str | None = None, context: str | None = None, namespace: str | None = None) -> None:
        self._kubeconfig, self._context, self._namespace = kubeconfig, context, namespace
        self._lock = threading.Lock()
        self._discovered: dict[str, dict[str, tuple[str, bool]]] = {}

    # objects ---------------------------------------------------------------------------------------------------------

    def get(self, item: Object) -> Object | None:
        """The live object of this identity, None when there is none."""
        try:
            return self._send("GET", self.path(item))
        except Refused as error:
            if error.code == 404:
                return None
            raise

    def apply(self, item: Object) -> Object:
        """Server-side apply: create it, or make it as it says. Raises Refused."""
        query = {"fieldManager": FIELD_MANAGER, "force": "true", "fieldValidation": "Strict"}
        return self._send("PATCH", self.path(item), item, query, "application/apply-patch+yaml")

    def delete(self, item: Object, policy: str) -> None:
        """Ask for deletion; what is not there is no error."""
        try:
            self._send("DELETE", self.path(item), {"propagationPolicy": policy})
        except Refused as error:
            if error.code != 404:
                raise

    def select(self, api_version: str, kind: str, namespace: str, selector: str = "") -> list[Object]:
        """Objects of a namespace that a label selector selects."""
        path = self._collection(api_version, kind, namespace)
        return self._send("GET", path, query={"labelSelector": selector} if selector else {})["items"]

    def logs(self, pod: Object, container: str, lines: int, *, previous: bool) -> str:
        """The last lines of a container; empty when they cannot be had."""
        query = {"container": container, "tailLines": str(lines), "previous": str(previous).lower()}
        try:
            response = self.client.get(f"{self.path(pod)}/log", params=query)
        except _http_error():
            return ""
        return response.text if response.status_code == 200 else ""

    # places ----------------------------------------------------------------------------------------------------------

    def path(self, item: Object) -> str:
        """Where an object is. Raises Refused when its kind is unknown."""
        meta = item["metadata"]
        collection = self._collection(item["apiVersion"], item["kind"], meta.get("namespace", ""))
        return f"{collection}/{quote(meta['name'])}"

    def is_namespaced(self, api_version: str, kind: str) -> bool:
        """Whether objects of a kind live in namespaces. Raises Refused when it is unknown."""
        return self._kind(api_version, kind)[1]

    def _collection(self, api_version: str, kind: str, namespace: str) -> str:
        plural, namespaced = self._kind(api_version, kind)
        place = f"/namespaces/{quote(namespace or self.namespace)}" if namespaced else ""
        return f"{_base(api_version)}{place}/{plural}"

    def _kind(self, api_version: str, kind: str) -> tuple[str, bool]:
        with self._lock:
            known = self._discovered.get(api_version) or {}
        if kind not in known:  # asked again: a CustomResourceDefinition may have been added since
            known = {
                r["kind"]: (r["name"], r["namespaced"]) for r in self._resources(api_version) if "/" not in r["name"]
            }
            with self._lock:
                self._discovered[api_version] = known
        if kind not in known:
            raise Refused(404, "NotFound", f"the cluster at {self.server} does not know {kind} in {api_version}")
        return known[kind]

    def _resources(self, api_version: str) -> list[Object]:
        try:
            return self._send("GET", _base(api_version))["resources"]
        except Refused as error:
            if error.code != 404:
                raise
            return []

    # connection ------------------------------------------------------------------------------------------------------

    @functools.cached_property
    def is_local(self) -> bool:
        """Whether this is the node of this machine."""
        return LOCAL_MARK in self._send("GET", "/version").get("gitVersion", "")

    @property
    def server(self) -> str:
        """The API's address."""
        return str(self._config.cluster.server)

    @property
    def namespace(self) -> str:
        """The namespace of objects that name none."""
        return self._namespace or self._config.namespace or "default"

    @functools.cached_property
    def _config(self) -> Any:
        from lightkube import ConfigError, KubeConfig

        try:
            if self._kubeconfig is None:
                found = KubeConfig.from_env()
            elif os.linesep not in self._kubeconfig and not self._kubeconfig.lstrip().startswith("{"):
                found = KubeConfig.from_file(self._kubeconfig)
            else:
                found = KubeConfig.from_dict(_parsed(self._kubeconfig))
            config: Any = found.get(self._context)
            own = _kubeconfig_of_this_node(str(config.cluster.server))
            return KubeConfig.from_file(own).get() if own else config
        except (ConfigError, KeyError, TypeError, ValueError, OSError) as error:
            where = "kubeconfig" if self._kubeconfig is None else f"kubeconfig {_named(self._kubeconfig)}"
            raise ProviderError(f"{where} cannot be used: {error}; locally, `slipway up` writes one") from error

    def close(self) -> None:
        """End the connections."""
        if "client" in self.__dict__:
            self.client.close()

    @functools.cached_property
    def client(self) -> Any:
        """The HTTP client, with the kubeconfig's address and credentials. Raises ProviderError."""
        import httpx2
        from lightkube.config import client_adapter

        config = self._config
        # Never through a proxy of the environment when it is this machine.
        trusted = not any(host in self.server for host in ("//127.0.0.1", "//localhost"))
        parameters = client_adapter.ConnectionParams(timeout=httpx2.Timeout(30.0), trust_env=trusted)
        try:
            return client_adapter.Client(config, parameters)
        except OSError as error:  # a certificate file that is not there
            raise ProviderError(f"the kubeconfig's credentials cannot be read: {error}") from error

    def _send(
        self, method: str, path: str, body: Object | None = None, query: dict[str, str] | None = None, kind: str = ""
    ) -> Object:
        with self._lock:
            client = self.client
        content = None if body is None else json.dumps(body)
        headers = {"Content-Type": kind or "application/json"} if content else {}
        try:
            response = client.request(method, path, params=query or {}, content=content, headers=headers)
        except _http_error() as error:
            hint = (
                "is the daemon running? `slipway up` starts it" if "//127.0.0.1" in self.server else "is it reachable?"
            )
            message = f"no answer from the Kubernetes API at {self.server} ({_plain(error)}); {hint}"
            raise Unreachable(message) from error
        if response.status_code < 400:
            return response.json()
        try:
            status = response.json()
            reason, message = str(status.get("reason", "")), str(status.get("message", ""))
        except ValueError:
            reason, message = "", response.text
        raise Refused(response.status_code, reason, " ".join(message.split()))


def _kubeconfig_of_this_node(server: str) -> str | None:
    """The daemon's kubeconfig when `server` is its node.

    A kubeconfig that a program makes of the emulated EKS cluster leads here too, and asks the AWS command line for a
    token, which the node would not know.
    """
    daemon = os.environ.get("SLIPWAY_LOCAL")
    if not daemon:
        return None
    try:
        state: Object = json.loads(Path(daemon).read_bytes())
    except (OSError, ValueError):
        return None
    return state["kubeconfig"] if state.get("kubernetes_endpoint") == server else None


def _http_error() -> type[Exception]:
    import httpx2

    return httpx2.HTTPError


def _plain(error: Exception) -> str:
    return str(error) or type(error).__name__


def _base(api_version: str) -> str:
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        from ruamel.yaml import YAML, YAMLError

        try:
            return YAML(typ="safe", pure=True).load(text)
        except YAMLError as error:
            raise ValueError(f"neither JSON nor YAML ({type(error).__name__})") from error


def _named(kubeconfig: str) -> str:
    """A kubeconfig in a message: its path, never its content."""
    return kubeconfig if "\n" not in kubeconfig and Path(kubeconfig).suffix != ".key" else "given as text"


def containers(pod: Object) -> Iterator[Object]:
    """The status of every container of a pod, init containers first."""
    status = pod.get("status", {})
    yield from items_of(status, "initContainerStatuses")
    yield from items_of(status, "containerStatuses")
