"""What must stand ready before an environment is changed: the engine, for `local` the daemon, the variables of both."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from release.engine import Engine
from release.environment import Environment
from release.errors import SlipwayError
from release.rooms import Room, ask_room

_OTHERS_CREDENTIALS = (
    "AWS_PROFILE",
    "AWS_SESSION_TOKEN",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
)
"""Variables by which the caller's own AWS account would get in the way of the emulation's."""


@dataclass(frozen=True)
class Platform:
    """A platform that is ready to be provisioned."""

    engine: Engine
    started: bool
    """Whether the local daemon was started just now."""
    marker: str
    """Names this run of the AWS emulation; empty elsewhere."""
    fresh: bool
    """Whether the AWS emulation began empty in this run."""


def stand_ready(environment: Environment, say: Callable[[str], None]) -> Platform:
    """Find (or build) the engine and start the local daemon, both at once."""
    log = environment.log_directory / "platform.log"
    arguments = ["--root", str(environment.root)]
    daemon = Room(["local", "start", *arguments], environment.root, log, say) if environment.is_local else None
    try:
        found = ask_room(["engine", "ensure", *arguments], environment.root, log, say)
    except BaseException:
        if daemon:
            daemon.end()
        raise
    local = daemon.answer() if daemon else None
    variables = engine_variables(environment, found["bin"], local)
    return Platform(
        engine=Engine(environment, found["pulumi"], found["version"], variables),
        started=bool(local and not local["already_running"]),
        marker=f"{local['pid']}-{local.get('aws_started', local['started'])}" if local else "",
        fresh=bool(local and local["fresh"]),
    )


def engine_variables(environment: Environment, engine_bin: str, local: dict[str, Any] | None) -> dict[str, str]:
    """The environment of an engine's process; `local` is the daemon's answer, None for a real cloud."""
    own = own_variables(environment, engine_bin, local)
    return {name: value for name, value in (dict(os.environ) | own).items() if own.get(name) != ""}


def own_variables(environment: Environment, engine_bin: str, local: dict[str, Any] | None) -> dict[str, str]:
    """Those of the variables that Slipway sets, empty where it takes one away: what `slipway env` prints."""
    path = os.environ.get("PATH", os.defpath)
    # The program imports SDKs of thousands of files: compiled anew each time they take ten seconds instead of two.
    kept = {"PYTHONDONTWRITEBYTECODE": ""}
    if local is None:
        return {"PATH": os.pathsep.join([engine_bin, path]), **kept}
    environment.state_directory.parent.mkdir(parents=True, exist_ok=True)
    return {
        **kept,
        **dict.fromkeys(_OTHERS_CREDENTIALS, ""),
        **{str(name): str(value) for name, value in local["env"].items()},
        "PATH": os.pathsep.join([engine_bin, local["bin"], path]),
    }


def look_ready(environment: Environment, log: Path) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """What there is without building or starting anything: the engine's answer, and the daemon's when it runs.

    Raises:
        SlipwayError: there is no engine yet, or the local daemon does not run.
    """
    arguments = ["--root", str(environment.root)]
    engine = ask_room(["engine", "find", *arguments], environment.root, log)
    if not engine.get("pulumi"):
        raise SlipwayError("no-engine", "there is no Pulumi CLI on this machine yet", str(engine.get("remedy") or ""))
    if not environment.is_local:
        return engine, None
    status = ask_room(["local", "status", *arguments], environment.root, log)
    if not status.get("running"):
        raise SlipwayError("local-down", "the local platform is not running", "run: slipway up")
    return engine, ask_room(["local", "start", *arguments], environment.root, log)


def stop_local(environment: Environment, say: Callable[[str], None], *, forget: bool) -> dict[str, Any]:
    """Stop the daemon with all that it runs."""
    arguments = ["local", "stop", "--root", str(environment.root), *(["--forget"] if forget else [])]
    return ask_room(arguments, environment.root, environment.root / ".slipway" / "log" / "stop.log", say)
