"""Take an environment down: everything that was made, every process, and for `local` what was kept."""

import json
import shutil
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass

from release.documents import parts
from release.engine import Engine, Outcome, run
from release.environment import Environment, read_deployed
from release.errors import SlipwayError
from release.events import urn_name
from release.healing import heal
from release.lock import EnvironmentLock, end_engine_left_behind
from release.platform import stand_ready, stop_local
from release.registry import Registry

_KEPT = {"log", "lock"}


@dataclass
class Removed:
    """What `down` came to."""

    outcome: Outcome | None
    """The engine's run; None when there was nothing to destroy, or (local) it could not be run."""
    trouble: str
    """Why the engine could not destroy everything in order; `local` was then forgotten as it was."""


def take_down(environment: Environment, lock: EnvironmentLock, say: Callable[[str], None]) -> Removed:
    """Destroy the stack. A `local` that is broken is forgotten instead: nothing of it lies outside this machine."""
    if not environment.is_local:
        return Removed(_destroy(stand_ready(environment, say), lock, say), "")
    outcome, trouble = None, ""
    try:
        if lock.left_behind:
            end_engine_left_behind(lock.left_behind, patience_seconds=5)
        if environment.checkpoint_file.exists():
            outcome = _destroy(stand_ready(environment, say), lock, say)
    except SlipwayError as error:
        trouble = error.message
    stop_local(environment, say, forget=True)
    forget(environment)
    return Removed(outcome, trouble)


def _refuse_protected(engine: Engine) -> None:
    """Before anything is deleted: the engine would find out after the versions are gone."""
    state = json.loads(engine.call("stack", "export", "--stack", engine.environment.name))
    kept = [urn_name(str(found["urn"])) for found in parts(state, "deployment", "resources") if found.get("protect")]
    if kept:
        more = f" and {len(kept) - 5} more" if len(kept) > 5 else ""
        raise SlipwayError(
            "protected",
            f"{engine.environment.name} is protected: {', '.join(kept[:5])}{more} may not be deleted",
            f"if it must go: pulumi state unprotect --all --stack {engine.environment.name}, then run this again",
        )


def forget(environment: Environment) -> None:
    """Remove all that Slipway keeps about an environment on this machine, its logs excepted."""
    if not environment.directory.is_dir():
        return
    for path in environment.directory.iterdir():
        if path.name in _KEPT:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _destroy(engine: Engine, lock: EnvironmentLock, say: Callable[[str], None]) -> Outcome:
    heal(engine, lock, say)
    _refuse_protected(engine)
    environment = engine.environment
    deployed = read_deployed(environment)
    if deployed.outputs.get("models_bucket"):
        # An emulation that began empty may have no groups to look into.
        with suppress(SlipwayError) if environment.is_local else nullcontext():
            Registry(environment, deployed).forget()
    outcome = run(engine, "destroy", lock)
    outcome.raise_if_failed()
    return outcome
