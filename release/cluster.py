"""What runs in an environment's cluster: deployments, pods, how they ended, what they say. Read only."""

import http.client
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from release.documents import part, parts
from release.environment import DeployedService, Environment, read_daemon
from release.errors import SlipwayError
from release.kubernetes_api import KubernetesApi, contexts, from_kubeconfig

LOCAL_PORTS = "slipway.dev/local-ports"
"""Annotation of a Service of the local node: its loopback ports by name, as JSON."""
OPEN_PORTS = "slipway.dev/LocalPorts"
"""Condition of a Service of the local node: whether its loopback ports are open."""
MODEL_VERSION = "slipway.dev/model-version"
"""Label of a pod: the version that it was started to serve."""
MODEL_DIGEST = "slipway.dev/model-digest"
"""Annotation of a pod: the digest of that version's package."""
REST_PORT = 8080
METRICS_LINE = '{"_aws":'
"""How a line of a pod's log begins that holds metrics for CloudWatch: nothing for a person to read."""


@dataclass(frozen=True)
class Exit:
    """How a container ended."""

    container: str
    code: int
    reason: str
    at: str
    initial: bool
    """Whether it was an init container (`fetch`)."""


@dataclass(frozen=True)
class Pod:
    """A pod, as far as a release and `slipway status` care."""

    name: str
    namespace: str
    version: str | None
    digest: str | None
    phase: str
    ready: bool
    restarts: int
    created: str
    leaving: bool
    """Whether it is being taken down."""
    waiting: str
    """Why a container does not run, as `CrashLoopBackOff: …`; empty when all do."""
    last_exit: Exit | None
    """The latest end of one of its containers that was not a success."""

    def age_seconds(self) -> float:
        """Seconds since it was made."""
        return seconds_since(self.created)


@dataclass(frozen=True)
class Workload:
    """A Deployment's progress."""

    wanted: int
    ready: int
    updated: int
    settled: bool
    """Whether what runs is what was asked for: all pods are of the newest template and ready."""


@dataclass(frozen=True)
class WayIn:
    """Where a service answers."""

    rest: str | None = None
    """URL; None when nothing leads there."""
    grpc: str | None = None
    """Address on this machine; None when there is none."""
    problem: str = ""
    """Why there is no way in, where the node says so: a port that was asked for is taken."""


class Cluster:
    """The Kubernetes API of an environment."""

    def __init__(self, api: KubernetesApi, *, local: bool) -> None:
        self._api = api
        self._local = local

    @property
    def api(self) -> KubernetesApi:
        """The API itself."""
        return self._api

    def workload(self, service: DeployedService) -> Workload | None:
        """The service's Deployment; None when there is none."""
        found = self._api.get(f"/apis/apps/v1/namespaces/{service.namespace}/deployments/{service.deployment}")
        if found is None:
            return None
        status = part(found, "status")
        wanted = int(part(found, "spec").get("replicas", 1))
        ready, updated = int(status.get("readyReplicas") or 0), int(status.get("updatedReplicas") or 0)
        seen = int(status.get("observedGeneration") or 0) >= int(found["metadata"].get("generation") or 0)
        total = int(status.get("replicas") or 0)
        return Workload(wanted, ready, updated, seen and total == updated == ready == wanted)

    def pods(self, service: DeployedService) -> list[Pod]:
        """The pods of the service's Deployment, oldest first."""
        selector = f"app.kubernetes.io/name={service.name},app.kubernetes.io/component={service.component}"
        return self.selected_pods(service.namespace, selector)

    def selected_pods(self, namespace: str, selector: str) -> list[Pod]:
        """The pods with certain labels, oldest first."""
        found = self._api.get(f"/api/v1/namespaces/{namespace}/pods", {"labelSelector": selector})
        pods = [_pod(item) for item in parts(found, "items")]
        return sorted(pods, key=lambda pod: (pod.created, pod.name))

    def way_in(self, service: DeployedService) -> WayIn:
        """Where the service answers: its loopback ports on the local node, its ingress elsewhere."""
        namespace = f"namespaces/{service.namespace}"
        if not self._local:
            found = self._api.get(f"/apis/networking.k8s.io/v1/{namespace}/ingresses/{service.service}")
            hosts = [rule["host"] for rule in parts(found, "spec", "rules") if rule.get("host")]
            return WayIn(rest=f"https://{hosts[0]}" if hosts else None)
        found = self._api.get(f"/api/v1/{namespace}/services/{service.service}")
        ports: dict[str, int] = json.loads(part(found, "metadata", "annotations").get(LOCAL_PORTS) or "{}")
        closed = [entry for entry in parts(found, "status", "conditions") if entry.get("type") == OPEN_PORTS]
        return WayIn(
            rest=f"http://127.0.0.1:{ports['rest']}" if "rest" in ports else None,
            grpc=f"127.0.0.1:{ports['grpc']}" if "grpc" in ports else None,
            problem=next((str(entry.get("message")) for entry in closed if entry.get("status") == "False"), ""),
        )

    def ask_service(
        self, service: DeployedService, path: str, question: Any = None, timeout: float = 10
    ) -> tuple[int, Any]:
        """Ask through the Service's own address (GET, or POST of a question in JSON): status and JSON answer.

        Outside `local` the way leads through the API server's proxy, which reaches a service without ingress too.
        """
        if self._local:
            way = self.way_in(service)
            if way.rest is None:
                reason = way.problem or "its Service does not exist (yet)"
                raise SlipwayError("no-address", f"{service.name} has no address: {reason}")
            return _ask(KubernetesApi(way.rest), path, question, timeout)
        proxy = f"/api/v1/namespaces/{service.namespace}/services/{service.service}:rest/proxy"
        return _ask(self._api, proxy + path, question, timeout)

    def ask_pod(self, pod: Pod, path: str, timeout: float = 5) -> tuple[int, Any]:
        """Ask one pod, through the API server's proxy."""
        proxy = f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}:{REST_PORT}/proxy"
        return _ask(self._api, proxy + path, None, timeout)

    def log(
        self,
        pod: Pod,
        container: str | None = None,
        *,
        lines: int | None = None,
        previous: bool = False,
        follow: bool = False,
    ) -> Iterator[str]:
        """What a container of a pod said, line by line. `previous` is the one before its last restart."""
        query = {"container": container or "", "tailLines": str(lines) if lines is not None else ""}
        query |= {"previous": "true" if previous else "", "follow": "true" if follow else ""}
        path = f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}/log"
        wait = None if follow else 10.0
        with self._api.open("GET", path, {key: value for key, value in query.items() if value}, wait) as response:
            if response.status != http.HTTPStatus.OK:
                return
            try:
                for line in response:
                    yield line.decode(errors="replace").rstrip("\n")
            except (OSError, http.client.HTTPException):
                return  # the pod (or the node) went away while it was followed


def open_cluster(environment: Environment) -> Cluster:
    """The cluster of an environment: the local node, or the context `slipway-<environment>` of the caller's kubeconfig.

    The context is asked for by name: whichever one happens to be current may be another cluster.
    """
    if environment.is_local:
        daemon = read_daemon(environment)
        if daemon is None:
            raise SlipwayError("local-down", "the local platform is not running", "run: slipway up")
        return Cluster(from_kubeconfig(daemon.kubeconfig), local=True)
    first = os.environ.get("KUBECONFIG", "").split(os.pathsep)[0]
    path = Path(first) if first else Path.home() / ".kube" / "config"
    context = f"slipway-{environment.name}"
    if path.is_file() and context in contexts(path):
        return Cluster(from_kubeconfig(path, context), local=False)
    raise SlipwayError(
        "no-kubeconfig",
        f"{path} has no context {context!r}, by which Slipway finds the cluster of {environment.name}",
        f"run: aws eks update-kubeconfig --name <cluster of {environment.name}> --alias {context}",
    )


def seconds_since(moment: str) -> float:
    """Seconds since a time as Kubernetes writes it (RFC 3339); 0 when there is none."""
    if not moment:
        return 0.0
    return max(0.0, time.time() - datetime.fromisoformat(moment).astimezone(UTC).timestamp())


def _ask(api: KubernetesApi, path: str, question: Any, timeout: float) -> tuple[int, Any]:
    body = None if question is None else json.dumps(question).encode()
    try:
        with api.open("GET" if body is None else "POST", path, timeout=timeout, body=body) as response:
            content = response.read()
            status = response.status
    except (OSError, http.client.HTTPException) as error:
        raise SlipwayError("no-answer", f"{api.server}{path} does not answer ({error})") from error
    try:
        return status, json.loads(content)
    except ValueError:
        return status, content.decode(errors="replace")


def _pod(item: dict[str, Any]) -> Pod:
    metadata, status = part(item, "metadata"), part(item, "status")
    initial, main = parts(status, "initContainerStatuses"), parts(status, "containerStatuses")
    exits = [end for entry in initial if (end := _exit(entry, initial=True))]
    exits += [end for entry in main if (end := _exit(entry, initial=False))]
    return Pod(
        name=metadata["name"],
        namespace=metadata["namespace"],
        version=part(metadata, "labels").get(MODEL_VERSION),
        digest=part(metadata, "annotations").get(MODEL_DIGEST),
        phase=status.get("phase") or "Pending",
        ready=any(entry["type"] == "Ready" and entry["status"] == "True" for entry in parts(status, "conditions")),
        restarts=sum(int(entry.get("restartCount") or 0) for entry in [*initial, *main]),
        created=metadata.get("creationTimestamp") or "",
        leaving="deletionTimestamp" in metadata,
        waiting=next((said for entry in [*initial, *main] if (said := _waiting(entry))), ""),
        last_exit=max(exits, key=lambda end: end.at, default=None),
    )


def _exit(entry: dict[str, Any], *, initial: bool) -> Exit | None:
    for state in ("state", "lastState"):
        ended = part(entry, state, "terminated")
        if ended and int(ended.get("exitCode", 0)) != 0:
            return Exit(
                entry["name"], int(ended["exitCode"]), ended.get("reason") or "", ended.get("finishedAt") or "", initial
            )
    return None


_STARTING = frozenset({"ContainerCreating", "PodInitializing"})


def _waiting(entry: dict[str, Any]) -> str:
    held = part(entry, "state", "waiting")
    reason = str(held.get("reason") or "")
    if not reason or reason in _STARTING:
        return ""
    return f"{reason}: {held['message']}" if held.get("message") else reason
