"""Tell early that a rollout cannot succeed, in the words of the pod that could not start."""

import time
from dataclasses import dataclass, field

from release.cluster import METRICS_LINE, Cluster, Exit, Pod
from release.environment import DeployedService
from release.errors import SlipwayError
from release.releases import Release

LOG_LINES = 10
_TRIES = 2
"""Restarts after which an exit that might pass by itself (S3 unreachable, no access yet) no longer counts as one."""
_ASK_EVERY_SECONDS = 0.5
_IMAGE_PATIENCE_SECONDS = 30
_NEVER_STARTS = (
    "ImagePullBackOff",
    "ErrImagePull",
    "InvalidImageName",
    "CreateContainerConfigError",
    "CreateContainerError",
)


@dataclass
class Watch:
    """Looks at the pods of services whose new version is not proven yet.

    `reason()` is cheap to call often; it asks the cluster twice a second at most.
    """

    cluster: Cluster
    awaited: dict[str, tuple[DeployedService, Release]]
    """By service: where it runs, and the version that is to come."""
    told: set[str] = field(default_factory=set[str])
    """Pods whose first exit has been reported."""
    news: list[str] = field(default_factory=list[str])
    """First exits that do not end the wait, for whoever shows progress; emptied by the reader."""
    _next: float = 0.0

    def reason(self, *, now: bool = False) -> str | None:
        """Why waiting is pointless; None while it is not. `now` asks even if it was just asked."""
        if time.monotonic() < self._next and not now:
            return None
        self._next = time.monotonic() + _ASK_EVERY_SECONDS
        for service, release in self.awaited.values():
            try:
                if closed := self.cluster.way_in(service).problem:
                    return f"{service.name} has no address: {closed}; end that process, or set another rest.local_port"
                pods = [pod for each in service.workloads for pod in self.cluster.pods(each)]
            except SlipwayError:
                continue  # no answer is no verdict: the engine, which waits too, has its own timeout
            for pod in pods:
                awaited = not pod.leaving and pod.version == release.version and pod.digest in {None, release.digest}
                if awaited and (found := self._judge(pod, release)):
                    return found
        return None

    def _judge(self, pod: Pod, release: Release) -> str | None:
        if pod.waiting.startswith(_NEVER_STARTS) and pod.age_seconds() > _IMAGE_PATIENCE_SECONDS:
            return f"pod {pod.name} cannot start: {pod.waiting}; it was to serve {release}"
        end = pod.last_exit
        if end is None or pod.ready:
            return None
        if is_permanent(end) or pod.restarts > _TRIES:
            return f"{describe_exit(self.cluster, pod, end)}\nwaited for: {release} to be ready"
        if pod.name not in self.told:
            self.told.add(pod.name)
            self.news.append(describe_exit(self.cluster, pod, end))
        return None


def is_permanent(end: Exit) -> bool:
    """Whether the same package and settings would end the same way again (the runtime's exit codes say so)."""
    from serving.exits import Exit as Code

    return end.code in {
        Code.USAGE,
        Code.INVALID_PACKAGE,
        Code.INTERNAL,
        Code.CONFIG,
        Code.DIGEST_MISMATCH,
        Code.GOLDEN_MISMATCH,
    }


def describe_exit(cluster: Cluster, pod: Pod, end: Exit) -> str:
    """How a container ended, with the last lines that it said."""
    from serving.exits import Exit as Code

    known = {code.value: code.name.lower().replace("_", " ") for code in Code}
    meaning = known.get(end.code) or end.reason
    lines = last_lines(cluster, pod, end)
    head = f"pod {pod.name}: container {end.container} exited with {end.code}{f' ({meaning})' if meaning else ''}"
    return "\n".join([head, *(f"  | {line}" for line in lines)])


def last_lines(cluster: Cluster, pod: Pod, end: Exit) -> list[str]:
    """The end of the log of a container that has ended, from before its restart where it was restarted."""
    for previous in (True, False):
        try:
            lines = list(cluster.log(pod, end.container, lines=LOG_LINES, previous=previous))
        except SlipwayError:
            lines = []
        if lines:
            return [_message(line) for line in lines if not line.startswith(METRICS_LINE)]
    return []


def _message(line: str) -> str:
    """The sentence of a log line: the runtime writes one JSON object a line."""
    import json

    try:
        said = json.loads(line)
        return str(said.get("message") or said.get("msg") or line)
    except (ValueError, AttributeError):
        return line
