"""An environment: its name, where its files lie, and what the engine last put into it.

Nothing here starts a process or opens a connection, so that `slipway status` stays quick.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from release.documents import part, parts, read_object, write_json
from release.errors import SlipwayError

LOCAL = "local"
PROJECT = "slipway"
"""The Pulumi project's name; part of the file backend's paths."""


def find_root(start: Path | None = None) -> Path:
    """The checkout: `$SLIPWAY_ROOT`, or the nearest folder with a Pulumi.yaml, from `start` upward."""
    if named := os.environ.get("SLIPWAY_ROOT"):
        root = Path(named).resolve()
        if not (root / "Pulumi.yaml").is_file():
            raise SlipwayError(
                "no-project",
                f"SLIPWAY_ROOT names {root}, which has no Pulumi.yaml",
                "unset SLIPWAY_ROOT, or correct it",
            )
        return root
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / "Pulumi.yaml").is_file():
            return folder
    raise SlipwayError(
        "no-project",
        f"{here} is not inside a Slipway checkout (no Pulumi.yaml here or above)",
        "cd into the checkout, or set SLIPWAY_ROOT to it",
    )


@dataclass(frozen=True)
class Environment:
    """One of the environments that `stacks/Pulumi.<name>.yaml` describes."""

    name: str
    root: Path

    @property
    def is_local(self) -> bool:
        """Whether it runs on this machine."""
        return self.name == LOCAL

    @property
    def config_file(self) -> Path:
        """The stack config that people edit."""
        return self.root / "stacks" / f"Pulumi.{self.name}.yaml"

    @property
    def directory(self) -> Path:
        """Everything that Slipway itself writes about the environment."""
        return self.root / ".slipway" / self.name

    @property
    def log_directory(self) -> Path:
        """The engine's output, one pair of files a run."""
        return self.directory / "log"

    @property
    def work_directory(self) -> Path:
        """Where packages that are made on the way are kept."""
        return self.directory / "work"

    @property
    def lock_file(self) -> Path:
        """Who is changing the environment."""
        return self.directory / "lock"

    @property
    def unsettled_file(self) -> Path:
        """There while what exists may differ from what the engine's state says (a run that changes something has not
        ended well, the emulation began anew): the engine looks (`--refresh`) before its next change."""
        return self.directory / "unsettled"

    @property
    def emulation_file(self) -> Path:
        """`local`: which run of the AWS emulation the engine last met."""
        return self.directory / "emulation.json"

    @property
    def state_directory(self) -> Path:
        """The engine's own state, where it is kept on this machine (`local`)."""
        return self.directory / "state" / ".pulumi"

    @property
    def checkpoint_file(self) -> Path:
        """The engine's record of what exists, where it is kept on this machine."""
        return self.state_directory / "stacks" / PROJECT / f"{self.name}.json"

    def flag(self) -> str:
        """How to name this environment in a command that is shown to a person."""
        return "" if self.is_local else f" -e {self.name}"


def open_environment(name: str, root: Path | None = None) -> Environment:
    """The environment called `name`; an unknown one is refused with the names that exist."""
    root = root or find_root()
    known = sorted(
        path.name.removeprefix("Pulumi.").removesuffix(".yaml") for path in root.glob("stacks/Pulumi.*.yaml")
    )
    if name in known:
        return Environment(name, root)
    near = get_close_matches(name, known, n=1)
    raise SlipwayError(
        "unknown-environment",
        f"there is no environment {name!r}: stacks/ has {', '.join(known) or 'none'}",
        f"did you mean {near[0]!r}?" if near else f"write stacks/Pulumi.{name}.yaml to make one",
    )


@dataclass(frozen=True)
class DeployedStream:
    """Where a service's events go in."""

    source: str
    """`sqs`, `kinesis` or `kafka`."""
    url: str
    """Queue URL, stream name or brokers."""
    dead_letters: str
    """URL of the SQS queue for what could not be predicted."""


@dataclass(frozen=True)
class DeployedService:
    """What the engine last deployed for a service. `version` is None while it waits for its first release."""

    name: str
    namespace: str
    deployment: str
    service: str
    model: str
    version: str | None
    digest: str | None
    patterns: tuple[str, ...]
    stream: DeployedStream | None = None
    suspended: tuple[str, ...] = ()
    """Jobs that are provisioned and do not run yet: of `drift`, `retraining`."""
    component: str = "rest"
    """Which of its patterns `deployment` runs."""

    @property
    def workloads(self) -> "Sequence[DeployedService]":
        """The service once for each pattern whose pods run all the time, with that pattern's Deployment."""
        rest = [self] if "rest" in self.patterns else []
        worker = replace(self, deployment=f"{self.name}-stream", component="stream")
        return [*rest, worker] if "stream" in self.patterns else rest


@dataclass(frozen=True)
class Deployed:
    """The outputs of an environment's stack (docs/architecture.md, "The program's outputs")."""

    outputs: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def services(self) -> dict[str, DeployedService]:
        """The services that the engine knows, by name."""
        found: dict[str, Any] = self.outputs.get("services") or {}
        return {
            name: DeployedService(
                name=name,
                namespace=entry["namespace"],
                deployment=entry.get("deployment") or f"{name}-rest",
                service=entry.get("service") or f"{name}-rest",
                model=entry["model"],
                version=entry.get("version"),
                digest=entry.get("digest"),
                patterns=tuple(entry.get("patterns") or ()),
                stream=DeployedStream(**entry["stream"]) if entry.get("stream") else None,
                suspended=tuple(entry.get("suspended") or ()),
            )
            for name, entry in found.items()
        }

    @property
    def account(self) -> str | None:
        """The AWS account, read out of the key's ARN."""
        arn = str(self.outputs.get("kms_key_arn") or "")
        return arn.split(":")[4] if arn.count(":") >= 5 else None

    def require(self, name: str, environment: Environment) -> str:
        """One output, or the error that says what to run first."""
        value = self.outputs.get(name)
        if value:
            return str(value)
        raise SlipwayError(
            "not-deployed", f"{environment.name} is not deployed yet", f"run: slipway up{environment.flag()}"
        )


def read_deployed(environment: Environment) -> Deployed:
    """What the engine last recorded: its checkpoint for `local`, the outputs kept after each run for the others."""
    if not environment.is_local:
        kept = read_object(environment.directory / "outputs.json")
        return Deployed(kept["outputs"]) if kept else Deployed()
    checkpoint = read_object(environment.checkpoint_file)
    for resource in parts(checkpoint, "checkpoint", "latest", "resources"):
        if resource.get("type") == "pulumi:pulumi:Stack":
            return Deployed(part(resource, "outputs"))
    return Deployed()


def keep_outputs(environment: Environment, outputs: dict[str, Any]) -> None:
    """Remember a stack's outputs, for the environments whose state lies elsewhere."""
    if not environment.is_local:
        write_json(environment.directory / "outputs.json", {"layout": 1, "outputs": outputs})


@dataclass(frozen=True)
class Daemon:
    """The running local platform, as `daemon.json` describes it (layout 1)."""

    pid: int
    started: float
    aws_endpoint: str
    kubernetes_endpoint: str
    kubeconfig: Path
    region: str
    account: str


DAEMON_LAYOUT = 1


def read_daemon(environment: Environment) -> Daemon | None:
    """The local platform's facts; None when it was never started or has been stopped."""
    path = environment.directory / "daemon.json"
    content = read_object(path)
    if content is None:
        return None
    if content.get("layout") != DAEMON_LAYOUT:
        raise SlipwayError(
            "old-layout",
            f"{path} has layout {content.get('layout')!r}, this Slipway reads layout {DAEMON_LAYOUT}",
            "run: slipway down && slipway up",
        )
    return Daemon(
        pid=int(content["pid"]),
        started=float(content["started"]),
        aws_endpoint=content["aws_endpoint"],
        kubernetes_endpoint=content["kubernetes_endpoint"],
        kubeconfig=Path(content["kubeconfig"]),
        region=content["region"],
        account=content["account"],
    )
