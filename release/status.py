"""The truth about an environment, asked now: its cluster, and each service's own readiness."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any

from release.cluster import Cluster, Pod, open_cluster, seconds_since
from release.environment import Deployed, DeployedService, Environment, read_daemon, read_deployed
from release.errors import SlipwayError
from release.lock import current_owner
from release.releases import Record, read_releases
from release.verify import served_versions
from release.watch import last_lines

STORED_ONLY = ("autoscaling (HPA)", "disruption budget (PDB)", "network policy", "ingress and its TLS")
"""What `local` keeps and does not act on."""
_NEW_SECONDS = 60


@dataclass
class StreamStatus:
    """A service's stream worker, and what waits for it."""

    source: str
    url: str
    waiting: int | None = None
    """Events in the queue; None where the source does not say, or did not answer."""
    dead_letters: int | None = None
    """Events that could not be predicted."""


@dataclass
class ServiceStatus:
    """One service, as it is at this moment."""

    name: str
    model: str
    model_version: str | None = None
    """The version that answers, asked through the service's own address; None when none does."""
    wanted_version: str | None = None
    ready: bool = False
    rest: str | None = None
    grpc: str | None = None
    pods: list[Pod] = field(default_factory=list[Pod])
    wanted_pods: int = 0
    stream: StreamStatus | None = None
    suspended: tuple[str, ...] = ()
    """Jobs that are provisioned and do not run yet."""
    note: str = ""
    problem: str = ""
    """What is not right; empty when all is."""
    next: str = ""
    """The command that looks further, or mends it."""

    def as_json(self) -> dict[str, Any]:
        """The service as `slipway status --json` has it."""
        return {
            "rest": self.rest,
            "grpc": self.grpc,
            "model": self.model,
            "model_version": self.model_version,
            "wanted_version": self.wanted_version,
            "ready": self.ready,
            "pods": [
                {
                    "name": pod.name,
                    "version": pod.version,
                    "ready": pod.ready,
                    "restarts": pod.restarts,
                    "age_seconds": round(pod.age_seconds()),
                }
                for pod in self.pods
            ],
            "stream": asdict(self.stream) if self.stream else None,
            "suspended": list(self.suspended),
            "note": self.note or None,
            "problem": self.problem or None,
            "next": self.next or None,
        }


@dataclass
class Status:
    """An environment, as it is at this moment."""

    environment: Environment
    services: list[ServiceStatus] = field(default_factory=list[ServiceStatus])
    aws_endpoint: str | None = None
    being_changed_by: str | None = None
    problem: str = ""
    next: str = ""
    asked_at: float = field(default_factory=time.time)

    @property
    def healthy(self) -> bool:
        """Whether nothing is wrong. A service that waits for its first release is not wrong."""
        return not self.problem and not any(service.problem for service in self.services)

    def as_json(self) -> dict[str, Any]:
        """What `slipway status --json` prints (design page)."""
        return {
            "environment": self.environment.name,
            "aws_endpoint": self.aws_endpoint,
            "healthy": self.healthy,
            "being_changed_by": self.being_changed_by,
            "problem": self.problem or None,
            "next": self.next or None,
            "stored_only": list(STORED_ONLY) if self.environment.is_local else [],
            "services": {service.name: service.as_json() for service in self.services},
        }


def read_status(environment: Environment) -> Status:
    """Ask everything; never raises for what is merely broken or absent, that is what it reports."""
    status = Status(environment)
    owner = current_owner(environment)
    status.being_changed_by = owner.describe() if owner else None
    flag = environment.flag()
    deployed = read_deployed(environment)
    records = read_releases(environment)
    if not deployed.services:
        status.problem, status.next = "not deployed", f"slipway up{flag}"
    try:
        if environment.is_local:
            daemon = read_daemon(environment)
            status.aws_endpoint = daemon.aws_endpoint if daemon else None
        cluster = open_cluster(environment)
        status.services = _ask_all(environment, cluster, deployed, records)
    except SlipwayError as error:
        gone = environment.is_local and error.code in {"local-down", "kubernetes-unreachable"}
        status.problem = "the local platform is not running" if gone else error.message
        status.next = "slipway up" if gone else error.hint.removeprefix("run: ")
        status.services = [_unknown(service, records.get(service.name)) for service in deployed.services.values()]
    return status


def _ask_all(
    environment: Environment, cluster: Cluster, deployed: Deployed, records: dict[str, Record]
) -> list[ServiceStatus]:
    services = list(deployed.services.values())
    if not services:
        return []

    def ask(service: DeployedService) -> ServiceStatus:
        return _ask(environment, cluster, service, records.get(service.name, Record()))

    with ThreadPoolExecutor(max_workers=min(8, len(services))) as pool:
        return list(pool.map(ask, services))


def _ask(environment: Environment, cluster: Cluster, service: DeployedService, record: Record) -> ServiceStatus:
    found = _unknown(service, record)
    flag = environment.flag()
    if found.wanted_version is None:
        found.note = found.note or "waits for its first release"
        found.next = f"slipway release {service.name} VERSION{flag}"
        return found
    way = cluster.way_in(service)
    found.rest, found.grpc = way.rest, way.grpc
    found.stream = _stream(environment, service)
    for each in service.workloads:
        workload = cluster.workload(each)
        if workload is None:
            found.problem, found.next = f"deployment {each.deployment} does not exist", f"slipway up{flag}"
            return found
        found.pods += [pod for pod in cluster.pods(each) if not pod.leaving]
        found.wanted_pods += workload.wanted
    found.model_version = _answering_version(cluster, service)
    found.problem = way.problem or _problem(found, cluster, service)
    found.ready = found.model_version is not None and not found.problem
    if found.problem:
        found.next = f"slipway logs {service.name}{flag}"
    return found


def _stream(environment: Environment, service: DeployedService) -> StreamStatus | None:
    """The queues of a service with a stream, as deep as they are now."""
    if service.stream is None:
        return None
    from release.streams import depth

    stream = service.stream
    waiting = depth(environment, stream.url) if stream.source == "sqs" else None
    return StreamStatus(stream.source, stream.url, waiting, depth(environment, stream.dead_letters))


def _unknown(service: DeployedService, record: Record | None) -> ServiceStatus:
    wanted = record.current.version if record and record.current else service.version
    note = record.note if record else ""
    return ServiceStatus(service.name, service.model, wanted_version=wanted, suspended=service.suspended, note=note)


def _answering_version(cluster: Cluster, service: DeployedService) -> str | None:
    """The version that a request to the service meets now; None when it is not ready."""
    try:
        ready, _ = cluster.ask_service(service, "/v2/health/ready", timeout=2)
        status, answer = cluster.ask_service(service, f"/v2/models/{service.model}", timeout=2)
    except SlipwayError:
        return None
    versions = served_versions(answer) if ready == status == 200 else []
    return versions[0] if len(versions) == 1 else None


def _problem(found: ServiceStatus, cluster: Cluster, service: DeployedService) -> str:
    """The most telling of the things that are not right; empty when all is."""
    troubles = [said for pod in found.pods if (said := _trouble(pod, cluster))]
    ready = sum(pod.ready for pod in found.pods)
    if ready < found.wanted_pods:
        troubles.append(f"{ready} of {found.wanted_pods} pods are ready")
    if found.model_version is None:
        troubles.append(f"the service {service.service} does not answer")
    elif found.model_version != found.wanted_version:
        troubles.append(f"version {found.model_version} answers, {found.wanted_version} is released")
    troubles += [
        f"pod {pod.name} was restarted within the last minute ({pod.restarts} restarts)"
        for pod in found.pods
        if pod.restarts and _just_crashed(pod)
    ]
    return troubles[0] if troubles else ""


def _trouble(pod: Pod, cluster: Cluster) -> str:
    """Why a pod is not ready, in its own words; empty when it is, or is merely starting."""
    if pod.ready:
        return ""
    if pod.last_exit:
        words = last_lines(cluster, pod, pod.last_exit)
        said = f": {words[-1]}" if words else ""
        return f"pod {pod.name} exited with {pod.last_exit.code} ({pod.restarts} restarts){said}"
    return f"pod {pod.name} cannot start: {pod.waiting}" if pod.waiting else ""


def _just_crashed(pod: Pod) -> bool:
    """Whether it ended by itself within the last minute; one that was started again with the machine did not."""
    end = pod.last_exit
    return end is not None and end.reason != "NodeRestarted" and seconds_since(end.at) < _NEW_SECONDS
