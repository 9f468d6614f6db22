"""A throw-away project: an environment's config with a state and a local platform of its own."""

import json
import os
import shutil
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from release.documents import as_list, as_object
from release.engine import Engine
from release.environment import PROJECT, Environment
from release.errors import SlipwayError
from release.lock import ProcessId
from release.platform import engine_variables
from release.rooms import Room, ask_room

Say = Callable[[str], None]
FOLDER = "rehearsal"


@dataclass(frozen=True)
class Stage(Environment):
    """The environment in its throw-away project; its logs stay in the checkout."""

    logs: Path

    @property
    def log_directory(self) -> Path:
        """The checkout's own."""
        return self.logs


@contextmanager
def staged(environment: Environment, say: Say) -> Generator[Stage]:
    """A throw-away project with the environment's config; gone afterwards, with its daemon and all that it kept."""
    folder = environment.root / ".slipway" / FOLDER / f"{environment.name}-{os.getpid()}"
    stage = Stage(environment.name, folder, environment.log_directory)
    try:
        _write_project(environment, stage)
        yield stage
    finally:
        _clear(folder, environment.root, say)


def _write_project(environment: Environment, stage: Stage) -> None:
    from ruamel.yaml import YAML

    yaml = YAML()
    stage.config_file.parent.mkdir(parents=True)
    document: Any = yaml.load(environment.config_file)
    # The state is new, so are its secrets: nothing of the real one can be opened, and nothing needs to be.
    for key in ("secretsprovider", "encryptedkey", "encryptionsalt"):
        document.pop(key, None)
    document["config"] = _without_secrets(document["config"])
    with stage.config_file.open("w", encoding="utf-8") as file:
        yaml.dump(document, file)
    # The engine takes a program only from below its project.
    (stage.root / "program").symlink_to(environment.root / "stacks", target_is_directory=True)
    project = {
        "name": PROJECT,
        "runtime": {"name": "python", "options": {"toolchain": "pip", "virtualenv": sys.prefix}},
        "main": "program/",
        "stackConfigDir": "stacks",
    }
    (stage.root / "Pulumi.yaml").write_text(json.dumps(project), encoding="utf-8")


def _without_secrets(value: Any) -> Any:
    if (section := as_object(value)) is not None:
        if list(section) == ["secure"]:
            return "rehearsal"
        return {key: _without_secrets(item) for key, item in section.items()}
    return [_without_secrets(item) for item in items] if (items := as_list(value)) is not None else value


def stand_ready(stage: Stage, checkout: Path, say: Say) -> Engine:
    """The engine for a stage, with a local platform that was started for it."""
    log = stage.log_directory / "platform.log"
    daemon = Room(["local", "start", "--root", str(stage.root)], checkout, log, say)
    try:
        found = ask_room(["engine", "ensure", "--root", str(checkout)], checkout, log, say)
    except BaseException:
        daemon.end()
        raise
    local = daemon.answer()
    Path(local["env"]["PULUMI_BACKEND_URL"].removeprefix("file://")).mkdir(parents=True, exist_ok=True)
    variables = engine_variables(stage, found["bin"], local) | {"SLIPWAY_ROOT": str(stage.root)}
    return Engine(stage, found["pulumi"], found["version"], variables)


def make_stand_ins(stage: Stage, variables: dict[str, str]) -> None:
    """Put into the emulation what the config takes as being there already and the program uses: roles.

    Networks, clusters, keys, secrets and the like are only referred to: the emulation takes them at their word.
    """
    import boto3

    from stacks.config.loader import environment_named, from_file

    platform = from_file(environment_named(stage.name), stage.root).platform
    if cluster := platform.cluster.existing:
        session = boto3.Session(
            variables["AWS_ACCESS_KEY_ID"], variables["AWS_SECRET_ACCESS_KEY"], region_name=platform.region
        )
        iam = session.client("iam", endpoint_url=variables["AWS_ENDPOINT_URL"])
        for name in sorted({name for name in (cluster.node_role_name, cluster.scaler_role_name) if name}):
            iam.create_role(RoleName=name, AssumeRolePolicyDocument='{"Version": "2012-10-17", "Statement": []}')


def forget_the_dead(checkout: Path, say: Say) -> None:
    """Clear away what rehearsals that were killed have left: their daemons and folders."""
    for folder in sorted((checkout / ".slipway" / FOLDER).glob("*-*")):
        pid = folder.name.rpartition("-")[2]
        if pid.isdecimal() and not _lives(int(pid), folder):
            _clear(folder, checkout, say)


def _lives(pid: int, folder: Path) -> bool:
    """Whether the process that made the folder still runs; another one with its number is younger than the folder."""
    import psutil

    try:
        return ProcessId.of(pid).started <= folder.stat().st_mtime + 1
    except psutil.Error:
        return False


def _clear(folder: Path, checkout: Path, say: Say) -> None:
    if not folder.exists():
        return
    log = checkout / ".slipway" / "log" / "rehearsal.log"
    try:
        ask_room(["local", "stop", "--root", str(folder), "--forget"], checkout, log)
    except SlipwayError as error:
        say(f"  {error.message}")
    shutil.rmtree(folder, ignore_errors=True)
