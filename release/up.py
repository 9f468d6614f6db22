"""From a config file to a service that has answered: what `slipway up` does, step by step."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from release.config import check_config
from release.deploy import Work, apply, release
from release.engine import Engine, Outcome
from release.environment import Environment
from release.healing import heal
from release.lock import EnvironmentLock
from release.platform import stand_ready
from release.registry import Registry, who_decides
from release.releases import read_releases
from release.rooms import Room
from release.verify import Answer

EXAMPLE = "flight-delay"
"""The service of `local` that has a model of its own to begin with (examples/flight_delay)."""


@dataclass
class Result:
    """What `up` came to: the runs of the engine, and what each released service answered."""

    outcomes: list[Outcome]
    answers: list[Answer]

    @property
    def changed(self) -> int:
        """How many resources were created, changed, replaced or deleted."""
        return sum(len(outcome.changes) for outcome in self.outcomes)


def bring_up(
    environment: Environment, lock: EnvironmentLock, say: Callable[[str], None], waiting: Callable[[str], None]
) -> Result:
    """Provision an environment and prove its services.

    In `local` the example's service, while nothing was released for it, gets a model: trained while the platform is
    being provisioned, then packaged, registered, approved and released like any other.
    """
    services = check_config(environment)
    training = _start_training(environment, say) if _wants_example(environment, services) else None
    try:
        engine = stand_ready(environment, say)
        work = Work(environment, engine, lock, say, waiting)
        heal(engine, lock, say)
        ensure_stack(engine)
        waiting(f"provisioning {environment.name}")
        applied = apply(work)
        result = Result([applied.outcome], applied.answers)
        if training:
            waiting("training the example's model")
            made = training.answer()
            _release_example(work, made, result)
    finally:
        if training:
            training.end()
    return result


def ensure_stack(engine: Engine) -> None:
    """Make the stack of `local`, whose state lies here, when there is none yet. Elsewhere people make it."""
    environment = engine.environment
    if environment.is_local and not environment.checkpoint_file.exists():
        engine.call("stack", "init", environment.name, "--no-select")


def _wants_example(environment: Environment, services: list[str]) -> bool:
    if not environment.is_local or EXAMPLE not in services:
        return False
    record = read_releases(environment).get(EXAMPLE)
    return record is None or record.current is None


def _start_training(environment: Environment, say: Callable[[str], None]) -> Room:
    out = environment.work_directory / EXAMPLE
    arguments = ["examples.flight_delay.train", "--out", str(out), "--json"]
    return Room(
        arguments, environment.root, environment.log_directory / "train.log", lambda line: say(f"  model: {line}")
    )


def _release_example(work: Work, made: dict[str, Any], result: Result) -> None:
    from release.package import read_package

    packaged = read_package(Path(made["archive"]))
    registry = Registry(work.environment)
    entry, _ = registry.register(packaged.archive, packaged.package.manifest, packaged.digest)
    if entry.state != "approved":
        registry.decide(entry, "approved", who_decides(os.environ.get), "the example's model, approved by `slipway up`")
    work.say(f"  registered and approved {entry.model} {entry.version} ({entry.digest[:19]}…)")
    work.waiting(f"releasing {entry.model} {entry.version}")
    applied = release(work, EXAMPLE, entry.version)
    result.outcomes.append(applied.outcome)
    result.answers[:] = applied.answers
