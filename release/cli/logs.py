"""`slipway logs`."""

import queue
import threading
from collections.abc import Iterator
from typing import Annotated

import typer

from release.cli.options import (
    EnvironmentOption,
    JsonOption,
    ServiceArgument,
    Session,
    begin,
    command_app,
    service_named,
)
from release.cli.screen import plain
from release.cluster import METRICS_LINE, Cluster, Pod, open_cluster
from release.environment import DeployedService
from release.errors import SlipwayError

app = command_app(__doc__ or "")

FollowOption = Annotated[
    bool, typer.Option("--follow", "-f", help="Go on as more is said, by new pods too; end with Ctrl-C.")
]
PreviousOption = Annotated[bool, typer.Option("--previous", "-p", help="What was said before the last restart.")]
LinesOption = Annotated[int, typer.Option("--lines", "-n", metavar="N", min=1, help="So many lines of each pod.")]
_LOOK_EVERY_SECONDS = 1.0


@app.command(epilog="Example: slipway logs flight-delay -f")
def logs(
    service: ServiceArgument,
    follow: FollowOption = False,
    previous: PreviousOption = False,
    lines: LinesOption = 100,
    env: EnvironmentOption = "local",
    json: JsonOption = False,
) -> None:
    """Show what a service's pods say, each line with its pod's name (or, with --json, as one object)."""
    session = begin(env, aside=True)
    service_named(session, service)
    target = session.deployed.services[service]
    cluster = open_cluster(session.environment)
    pods = _pods(cluster, target)
    if not pods and not follow:
        flag = session.environment.flag()
        raise SlipwayError("no-pods", f"{service} has no pods", f"see: slipway status{flag}")
    if follow:
        _follow(session, cluster, target, lines, json)
        return
    for pod, container in pods:
        for line in _all_lines(cluster, pod, container, lines, previous):
            _say(pod.name, line, json)


def _pods(cluster: Cluster, service: DeployedService) -> list[tuple[Pod, str]]:
    """The pods of all patterns, each with the name of its own container."""
    return [(pod, each.component) for each in service.workloads for pod in cluster.pods(each)]


def _all_lines(cluster: Cluster, pod: Pod, container: str, lines: int, previous: bool) -> Iterator[str]:
    """The pod's own container, and the init container where that is what failed."""
    if pod.last_exit and pod.last_exit.initial:
        yield from cluster.log(pod, pod.last_exit.container, lines=lines, previous=previous)
    yield from cluster.log(pod, container, lines=lines, previous=previous)


def _say(pod: str, line: str, as_json: bool) -> None:
    if as_json:
        from json import dumps

        print(dumps({"pod": pod, "line": plain(line)}, ensure_ascii=False), flush=True)
    elif not line.startswith(METRICS_LINE):
        print(f"{pod} | {plain(line)}", flush=True)


def _follow(session: Session, cluster: Cluster, target: DeployedService, lines: int, as_json: bool) -> None:
    said: queue.Queue[tuple[str, str]] = queue.Queue()
    heard: set[str] = set()

    def listen(pod: Pod, container: str, tail: int | None) -> None:
        for line in cluster.log(pod, container, lines=tail, follow=True):
            said.put((pod.name, line))
        heard.discard(pod.name)  # it ended: a container that is restarted is listened to again

    first = True
    while True:
        try:
            pods = _pods(cluster, target)
        except SlipwayError as error:
            session.screen.line(error.message)
            return
        for pod, container in pods:
            if pod.name not in heard and pod.phase == "Running":
                heard.add(pod.name)
                threading.Thread(target=listen, args=(pod, container, lines if first else None), daemon=True).start()
        first = False
        _drain(said, as_json)


def _drain(said: "queue.Queue[tuple[str, str]]", as_json: bool) -> None:
    import time

    until = time.monotonic() + _LOOK_EVERY_SECONDS
    while (left := until - time.monotonic()) > 0:
        try:
            name, line = said.get(timeout=left)
        except queue.Empty:
            return
        _say(name, line, as_json)
