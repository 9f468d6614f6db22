"""Waits until an object does what it was made for, and says why when it does not: in the pod's own words."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from local.kubernetes.cluster import Cluster, Refused, containers
from local.node.objects import (
    Object,
    annotations_of,
    condition,
    controller_of,
    is_deleting,
    is_true,
    items_of,
    labels_of,
    name_of,
    namespace_of,
    section,
    selector_matches,
    uid_of,
)
from local.provider.resource import Call

SKIP = "pulumi.com/skipAwait"
TIMEOUT = "pulumi.com/timeoutSeconds"
DEFAULT_SECONDS = {
    "Deployment": 600.0,
    "StatefulSet": 600.0,
    "Service": 600.0,
    "Ingress": 600.0,
    "Pod": 600.0,
    "Job": 3600.0,
}
NOTE_SECONDS = 10.0
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0
STUCK_SECONDS = 3.0
"""How long a container may say that it cannot be started (no such image, no such ConfigMap) before it is believed."""
NO_PODS_SECONDS = 120.0
"""How long a Service may select nothing at all: its Deployment may be made after something slow."""
CANNOT_START = {
    "CreateContainerConfigError",
    "CreateContainerError",
    "ErrImageNeverPull",
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "RunContainerError",
}
LOG_LINES = 10


class NotReady(Exception):  # noqa: N818 (what the object is)
    """It will not become ready, or has not in time; the first line says why, more lines are its log."""


@dataclass
class Wait:
    """One object that is waited for."""

    cluster: Cluster
    item: Object
    call: Call
    stuck: dict[str, float] = field(default_factory=dict[str, float])
    begun: float = field(default_factory=time.monotonic)
    """When each container was first seen unable to start."""

    def until_ready(self) -> Object:
        """The object as it is when it is ready. Raises NotReady, CancelledError."""
        check = self._check()
        if check is None or annotations_of(self.item).get(SKIP) == "true":
            return self.item
        limit = self._limit()
        noted, pause = self.begun, FIRST_PAUSE
        while True:
            live = self.cluster.get(self.item)
            if live is None:
                raise NotReady(f"{_title(self.item)} was deleted while it was waited for")
            missing = check(live)
            if missing is None:
                return live
            waited = time.monotonic() - self.begun
            if waited > limit:
                raise NotReady(f"{_title(live)} is not ready after {limit:g} s: {missing}")
            if time.monotonic() - noted > NOTE_SECONDS:
                noted = time.monotonic()
                self.call.status(f"{_title(live)}, {waited:.0f} s: {missing}")
            self.call.wait(pause)
            pause = min(pause * 1.3, LONGEST_PAUSE)

    def until_gone(self) -> None:
        """Wait for the end of a deletion. Raises NotReady, CancelledError."""
        limit = self.call.timeout or 600.0
        noted, pause = self.begun, FIRST_PAUSE
        while True:
            live = self.cluster.get(self.item)
            if live is None or uid_of(live) != self.item["metadata"].get("uid", uid_of(live)):
                return
            waited = time.monotonic() - self.begun
            if waited > limit:
                left = items_of(live["metadata"], "finalizers")
                raise NotReady(f"{_title(live)} is not gone after {limit:g} s; it waits for {left or 'its pods'}")
            if time.monotonic() - noted > NOTE_SECONDS:
                noted = time.monotonic()
                self.call.status(f"{_title(live)}, {waited:.0f} s: being deleted")
            self.call.wait(pause)
            pause = min(pause * 1.3, LONGEST_PAUSE)

    def _limit(self) -> float:
        written = annotations_of(self.item).get(TIMEOUT, "")
        if self.call.timeout:
            return self.call.timeout
        return float(written) if written.isdigit() else DEFAULT_SECONDS.get(self.item["kind"], 300.0)

    def _check(self) -> Callable[[Object], str | None] | None:
        """What tells whether this kind is ready: what is missing, or None. None where there is nothing to wait for."""
        checks = {
            ("apps", "Deployment"): self._deployment,
            ("", "Service"): self._service,
            ("", "Pod"): self._pod,
            ("batch", "Job"): self._job,
            ("apps", "StatefulSet"): _stateful_set,
            ("networking.k8s.io", "Ingress"): _ingress,
            ("apiextensions.k8s.io", "CustomResourceDefinition"): _established,
        }
        group = self.item["apiVersion"].rpartition("/")[0]
        check = checks.get((group, self.item["kind"]))
        only_stored = check in {_stateful_set, _ingress, _established} and self.cluster.is_local
        return None if only_stored else check

    # kinds -----------------------------------------------------------------------------------------------------------

    def _deployment(self, live: Object) -> str | None:
        status, wanted = live.get("status", {}), live["spec"].get("replicas", 1)
        if status.get("observedGeneration", 0) < live["metadata"]["generation"]:
            return "its change has not been seen yet"
        if live["spec"].get("paused"):
            return None
        failure = condition(live, "ReplicaFailure")
        if failure is not None and failure["status"] == "True":
            raise NotReady(f"{_title(live)}: its pods cannot be made: {failure['message']}")
        updated, available = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
        old = status.get("replicas", 0) - updated
        if updated >= wanted and available >= wanted and old <= 0:
            return None
        missing = f"{min(available, updated)} of {wanted} new pods are available"
        if updated >= wanted and old > 0 and available >= wanted:
            missing = f"{old} old pods are still to go"
        self._fail_fast(list(self._new_pods(live)), missing, live)
        progressing = condition(live, "Progressing")
        if progressing is not None and progressing.get("reason") == "ProgressDeadlineExceeded":
            raise NotReady(f"{_title(live)}: {progressing['message']} {missing}")
        return missing

    def _service(self, live: Object) -> str | None:
        problem = condition(live, "slipway.dev/LocalPorts")
        if problem is not None and problem["status"] == "False":
            raise NotReady(f"{_title(live)}: {problem['message']}")
        spec = live["spec"]
        selector: dict[str, str] = section(spec, "selector")
        if spec.get("type") == "ExternalName" or spec.get("clusterIP") == "None" or not selector:
            return None
        if self.cluster.is_local and problem is None:
            return "its port is not open yet"
        namespace = namespace_of(live)
        label = f"kubernetes.io/service-name={name_of(live)}"
        slices = self.cluster.select("discovery.k8s.io/v1", "EndpointSlice", namespace, label)
        endpoints = [e for s in slices for e in items_of(s, "endpoints")]
        if any(e.get("conditions", {}).get("ready") for e in endpoints):
            return None
        text = ",".join(f"{k}={v}" for k, v in selector.items())
        pods = self.cluster.select("v1", "Pod", namespace, text)
        missing = f"none of the {len(pods)} pods with {text} is ready" if pods else f"there is no pod with {text}"
        if pods and all(any(True for _ in self._words(pod)) for pod in pods):
            self._fail_fast(pods, missing, live)
        if not pods and time.monotonic() - self.begun > NO_PODS_SECONDS:
            raise NotReady(
                f"{_title(live)}: {missing} after {NO_PODS_SECONDS:g} s; annotate it with {SKIP} to not wait"
            )
        return missing

    def _pod(self, live: Object) -> str | None:
        if is_true(live, "Ready") or live.get("status", {}).get("phase") == "Succeeded":
            return None
        self._fail_fast([live], "the pod to be ready", live)
        return f"it is {live.get('status', {}).get('phase', 'Pending')}"

    def _job(self, live: Object) -> str | None:
        if live["spec"].get("suspend") or is_true(live, "Complete"):
            return None
        status = live.get("status", {})
        failed = condition(live, "Failed")
        if failed is not None and failed["status"] == "True":
            pods = self.cluster.select("v1", "Pod", namespace_of(live), f"batch.kubernetes.io/job-name={name_of(live)}")
            words = next((w for p in pods for w in self._words(p)), "")
            raise NotReady(f"{_title(live)} failed: {failed['message']}" + (f"; {words}" if words else ""))
        return f"{status.get('succeeded', 0)} of {live['spec'].get('completions', 1)} completions"

    # pods ------------------------------------------------------------------------------------------------------------

    def _new_pods(self, live: Object) -> Iterator[Object]:
        """The pods of a Deployment's present template."""
        namespace, wanted = namespace_of(live), live["spec"]["selector"]
        revision = annotations_of(live).get("deployment.kubernetes.io/revision")
        owned = [s for s in self.cluster.select("apps/v1", "ReplicaSet", namespace) if _owner(s) == uid_of(live)]
        new = [s for s in owned if annotations_of(s).get("deployment.kubernetes.io/revision") == revision]
        uids = {uid_of(s) for s in new}
        for pod in self.cluster.select("v1", "Pod", namespace):
            if _owner(pod) in uids and selector_matches(wanted, labels_of(pod)):
                yield pod

    def _fail_fast(self, pods: list[Object], missing: str, waited_for: Object) -> None:
        """Raise NotReady at the first exit of one of these pods' containers."""
        for pod in pods:
            if is_deleting(pod):
                continue
            for words in self._words(pod):
                raise NotReady(f"{_title(waited_for)}: {_lead(words)} (waited for: {missing}){_tail(words)}")

    def _words(self, pod: Object) -> Iterator[str]:
        """What a pod's containers that failed have to say."""
        for status in containers(pod):
            ended = status["state"].get("terminated") or status.get("lastState", {}).get("terminated")
            if ended is not None and (ended["exitCode"] != 0 or _must_stay(pod, status["name"])):
                yield self._exit(pod, status, ended)
            waiting = status["state"].get("waiting", {})
            if waiting.get("reason") in CANNOT_START:
                since = self.stuck.setdefault(f"{uid_of(pod)}/{status['name']}", time.monotonic())
                if time.monotonic() - since > STUCK_SECONDS or waiting["reason"] == "ErrImageNeverPull":
                    message = waiting.get("message", "")
                    who = f"container {status['name']} of pod {name_of(pod)}"
                    yield f"{who} cannot start: {waiting['reason']}: {message}"

    def _exit(self, pod: Object, status: Object, ended: Object) -> str:
        previous = "terminated" not in status["state"] and status["state"].get("waiting", {}).get("reason") is None
        name: str = status["name"]
        try:
            log = self.cluster.logs(pod, name, LOG_LINES, previous=previous)
        except Refused:
            log = ""
        lines = log.strip().splitlines()[-LOG_LINES:]
        signal = f" (signal {ended['signal']})" if ended.get("signal") else ""
        said = "it wrote no log" if not lines else f"the last {len(lines)} lines of its log:"
        text = "\n".join(f"    {line}" for line in lines)
        head = f"container {name} of pod {name_of(pod)} exited with code {ended['exitCode']}{signal}; {said}"
        return f"{head}\n{text}" if text else head


def _owner(item: Object) -> str:
    return (controller_of(item) or {}).get("uid", "")


def _must_stay(pod: Object, container: str) -> bool:
    """Whether an exit is a failure whatever its code: a main container of a pod that is to run for ever."""
    main = any(c["name"] == container for c in pod["spec"]["containers"])
    return main and pod["spec"].get("restartPolicy", "Always") == "Always"


def _title(item: Object) -> str:
    namespace = namespace_of(item)
    return f"{item['kind']} {namespace}/{name_of(item)}" if namespace else f"{item['kind']} {name_of(item)}"


def _lead(words: str) -> str:
    return words.partition("\n")[0]


def _tail(words: str) -> str:
    _, newline, rest = words.partition("\n")
    return newline + rest


def _stateful_set(live: Object) -> str | None:
    status, wanted = live.get("status", {}), live["spec"].get("replicas", 1)
    seen = status.get("observedGeneration", 0) >= live["metadata"]["generation"]
    if seen and status.get("readyReplicas", 0) >= wanted and status.get("updatedReplicas", wanted) >= wanted:
        return None
    return f"{status.get('readyReplicas', 0)} of {wanted} pods are ready"


def _ingress(live: Object) -> str | None:
    balancer = live.get("status", {}).get("loadBalancer", {}).get("ingress")
    return None if balancer else "it has no load balancer yet"


def _established(live: Object) -> str | None:
    return None if is_true(live, "Established") else "it is not established yet"
