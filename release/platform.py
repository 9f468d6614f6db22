"""What must stand ready before an environment is changed: the engine, for `local` the daemon, the variables of both."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from release.documents import read_object, write_json
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


def stand_ready(environment: Environment, say: Callable[[str], None]) -> Engine:
    """Find (or build) the engine and start the local daemon, both at once; the engine, ready to run."""
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
    if local:
        _meet_emulation(environment, local)
    return Engine(environment, found["pulumi"], found["version"], engine_variables(environment, found["bin"], local))


def _meet_emulation(environment: Environment, local: dict[str, Any]) -> None:
    """An emulation that began anew has lost most of what the engine's state lists."""
    met = {"layout": 1, "aws_endpoint": local["aws_endpoint"], "aws_started": local["aws_started"]}
    if read_object(environment.emulation_file) == met:
        return
    if environment.checkpoint_file.exists():
        environment.unsettled_file.touch()
    write_json(environment.emulation_file, met)


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
    local = ask_room(["local", "status", *arguments], environment.root, log)
    if not local.get("running"):
        raise SlipwayError("local-down", "the local platform is not running", "run: slipway up")
    return engine, local


def stop_local(environment: Environment, say: Callable[[str], None], *, forget: bool) -> dict[str, Any]:
    """Stop the daemon with all that it runs."""
    arguments = ["local", "stop", "--root", str(environment.root), *(["--forget"] if forget else [])]
    return ask_room(arguments, environment.root, environment.root / ".slipway" / "log" / "stop.log", say)
