"""What a pod reports about itself: the state of each container, and phase and conditions of the whole."""

from dataclasses import dataclass, field
from typing import Literal

from local.node.objects import Object, set_condition, timestamp


def _waiting() -> Object:
    return {"waiting": {"reason": "PodInitializing"}}


@dataclass
class ContainerStatus:
    """One container's state, as `status.containerStatuses` shows it."""

    name: str
    image: str
    state: Object = field(default_factory=_waiting)
    last: Object = field(default_factory=dict[str, object])
    restarts: int = 0
    started: bool = False
    ready: bool = False

    @classmethod
    def of(cls, container: Object, before: Object | None) -> "ContainerStatus":
        """A container that is about to start; `before` is what a node that was stopped last knew of it."""
        status = cls(container["name"], container["image"])
        if before is not None:
            ended = before.get("state", {})
            if "running" in ended:
                ended = {"terminated": terminated(137, ended["running"].get("startedAt"), "NodeRestarted")}
            status.last = ended if "terminated" in ended else before.get("lastState", {})
            status.restarts = before.get("restartCount", 0) + (1 if "terminated" in ended else 0)
        return status

    def wait(self, reason: str, message: str = "") -> None:
        """Not running, for a reason."""
        if "terminated" in self.state:
            self.last = self.state
        self.state = {"waiting": {"reason": reason} | ({"message": message} if message else {})}
        self.started = self.ready = False

    def run(self) -> None:
        """Running from now on."""
        if "terminated" in self.state:
            self.last = self.state
        self.state = {"running": {"startedAt": timestamp()}}

    def end(self, code: int, message: str = "") -> None:
        """Ended, with the code that the process gave (negative: the signal that ended it)."""
        started = self.state.get("running", {}).get("startedAt")
        self.state = {"terminated": terminated(code, started, "Completed" if code == 0 else "Error", message)}
        self.started = self.ready = False

    @property
    def exit_code(self) -> int | None:
        """The exit code of a container that ended, None while it lives or waits."""
        return self.state.get("terminated", {}).get("exitCode")

    def render(self) -> Object:
        """As the API shows it."""
        return {
            "name": self.name,
            "image": self.image,
            "imageID": self.image,
            "state": self.state,
            "lastState": self.last,
            "restartCount": self.restarts,
            "started": self.started,
            "ready": self.ready,
        }


def terminated(code: int, started: str | None, reason: str, message: str = "") -> Object:
    """A terminated state; a signal becomes 128 + its number, as container runtimes report it."""
    found: Object = {"exitCode": code if code >= 0 else 128 - code, "reason": reason, "finishedAt": timestamp()}
    if code < 0:
        found["signal"] = -code
    if started:
        found["startedAt"] = started
    if message:
        found["message"] = message
    return found


Phase = Literal["Pending", "Running", "Succeeded", "Failed"]


def write(status: Object, phase: Phase, init: list[ContainerStatus], main: list[ContainerStatus], *, up: bool) -> None:
    """Set phase, container states and conditions in a pod's status. `up`: nobody asked it to stop."""
    initialized = phase != "Pending" or all(s.exit_code == 0 or s.started for s in init)
    ready = up and phase == "Running" and all(s.ready for s in main)
    done = phase == "Succeeded"
    unready = f"containers with unready status: [{' '.join(s.name for s in main if not s.ready)}]"
    why = ("", "") if ready else ("PodCompleted", "") if done else ("ContainersNotReady", unready)
    status["phase"] = phase
    status.setdefault("startTime", timestamp())
    status |= {"hostIP": "127.0.0.1", "podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}]}
    status["containerStatuses"] = [s.render() for s in main]
    if init:
        status["initContainerStatuses"] = [s.render() for s in init]
    set_condition(status, "PodScheduled", True)
    set_condition(status, "Initialized", initialized, *(("",) if initialized else ("ContainersNotInitialized",)))
    set_condition(status, "ContainersReady", ready, *why)
    set_condition(status, "Ready", ready, *why)
