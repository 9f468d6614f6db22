"""`slipway status`."""

import time
from typing import Annotated

import typer

from release.cli.options import EnvironmentOption, JsonOption, begin, command_app
from release.cli.screen import Screen
from release.status import STORED_ONLY, ServiceStatus, Status, read_status

app = command_app(__doc__ or "")

CheckOption = Annotated[bool, typer.Option("--check", help="Exit with 1 when something is wrong.")]


@app.command(epilog="Example: slipway status --check")
def status(env: EnvironmentOption = "local", json: JsonOption = False, check: CheckOption = False) -> int:
    """What runs now, asked live: versions that answer, pods, restarts, and what to run next."""
    session = begin(env, json)
    found = read_status(session.environment)
    if json:
        session.screen.result(found.as_json())
    else:
        _show(session.screen, found)
    return 1 if check and not found.healthy else 0


def _show(screen: Screen, found: Status) -> None:
    if found.being_changed_by:
        screen.line(f"being changed by {found.being_changed_by}")
    for service in found.services:
        screen.line(_headline(service), style="green" if service.ready else "red" if service.problem else "")
        _details(screen, service)
    if found.environment.is_local and found.services:
        screen.aside(f"stored here, enforced by a real cluster only: {', '.join(STORED_ONLY)}")
    if found.problem:
        screen.line(f"{found.problem}: run {found.next}" if found.next else found.problem, style="red")
    screen.aside(f"asked {time.time() - found.asked_at:.1f} s ago")


def _headline(service: ServiceStatus) -> str:
    note = f" ({service.note})" if service.note else ""
    if service.problem:
        serving = f"answers with {service.model_version}" if service.model_version else "does not answer"
        return f"{service.name}: NOT RIGHT, {serving}{note}: {service.problem}"
    if service.model_version:
        return f"{service.name}: serving {service.model_version}{note}"
    return f"{service.name}: {service.note or 'unknown'}"


def _details(screen: Screen, service: ServiceStatus) -> None:
    if service.rest:
        grpc = f", gRPC {service.grpc}" if service.grpc else ""
        screen.line(f"  REST {service.rest}{grpc}")
    if stream := service.stream:
        known = {"waiting": stream.waiting, "dead letters": stream.dead_letters}
        depths = ", ".join(f"{'?' if count is None else count} {what}" for what, count in known.items())
        screen.line(f"  stream {stream.source} {stream.url.rpartition('/')[2]}: {depths}")
    if service.suspended:
        screen.line(f"  provisioned, not running yet: {', '.join(service.suspended)}")
    if service.pods:
        rows = [
            (
                f"  {pod.name}",
                pod.version or "-",
                _state(pod.ready, pod.waiting),
                str(pod.restarts),
                _age(pod.age_seconds()),
            )
            for pod in service.pods
        ]
        screen.table(("  pod", "version", "state", "restarts", "age"), rows)
    if service.next:
        screen.line(f"  next: {service.next}")


def _state(ready: bool, waiting: str) -> str:
    return "ready" if ready else waiting or "not ready"


def _age(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds:.0f}s"
