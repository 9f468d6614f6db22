"""A rehearsal: an environment's whole program, through the real engine, on a throw-away emulation.

The config is copied into a throw-away project with a state and a local daemon of its own, so that a rehearsal needs no
credentials, touches no account and can run beside anything else. What it proves: the program previews and comes up, a
second run changes nothing, a change changes without replacing, a refresh finds no drift, and a destroy leaves nothing.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from release.documents import part
from release.engine import Engine, Operation, Outcome, run
from release.environment import Environment
from release.errors import SlipwayError
from release.events import Change, Story, urn_name, urn_type
from release.lock import EnvironmentLock, changing
from release.stage import forget_the_dead, make_stand_ins, staged, stand_ready

Say = Callable[[str], None]

_DIFFERENCES_SHOWN = 5


@dataclass
class Step:
    """One run of the engine."""

    name: str
    seconds: float
    changes: list[Change]

    def as_json(self) -> dict[str, Any]:
        """The step as `--json` has it."""
        counts: dict[str, int] = {}
        for change in self.changes:
            counts[change.operation] = counts.get(change.operation, 0) + 1
        return {"step": self.name, "seconds": round(self.seconds, 1), "changes": counts}


@dataclass
class Report:
    """What a rehearsal came to."""

    environment: str
    steps: list[Step] = field(default_factory=list[Step])
    components: dict[str, tuple[int, float]] = field(default_factory=dict[str, tuple[int, float]])
    """Component → resources, and seconds from the start of `up` until all of them were there."""
    protected: int = 0
    """Resources that refuse to be destroyed."""

    @property
    def resources(self) -> int:
        """How many resources the environment has, components included."""
        return len(self.steps[0].changes)

    def as_json(self) -> dict[str, Any]:
        """The report as `--json` has it."""
        return {
            "environment": self.environment,
            "resources": self.resources,
            "protected": self.protected,
            "seconds": round(sum(step.seconds for step in self.steps), 1),
            "steps": [step.as_json() for step in self.steps],
            "components": [
                {"component": name, "resources": count, "seconds": round(seconds, 1)}
                for name, (count, seconds) in self.components.items()
            ],
        }


def rehearse(
    environment: Environment, command: str, *, preview_only: bool, say: Say, waiting: Say, done: Callable[[Step], None]
) -> Report:
    """Rehearse an environment; `done` hears of each step.

    Raises:
        SlipwayError: the config is wrong, a run of the engine failed, or the environment did not behave.
    """
    from release.config import check_config

    check_config(environment)
    forget_the_dead(environment.root, say)
    report = Report(environment.name)
    with staged(environment, say) as stage, changing(stage, command) as lock:
        waiting("starting a throw-away platform")
        engine = stand_ready(stage, environment.root, say)
        make_stand_ins(stage, engine.variables)
        engine.call("stack", "init", stage.name, "--no-select")
        _Performance(engine, lock, report, waiting, done).play(preview_only=preview_only)
    return report


@dataclass
class _Performance:
    """The runs of a rehearsal, in their order."""

    engine: Engine
    lock: EnvironmentLock
    report: Report
    waiting: Say
    done: Callable[[Step], None]

    def play(self, *, preview_only: bool) -> None:
        self.step("preview", "preview")
        if preview_only:
            return
        self.step("up", "up", on_change=self._clock())
        again = self.step("again", "up")
        refuse("a second `up` would change what the first has made", again.changes)
        vary(self.engine.environment)
        changed = self.step("change", "up")
        refuse("a change of settings replaces", [c for c in changed.changes if c.operation not in {"change"}])
        if not changed.changes:
            raise SlipwayError("rehearsal-failed", "a change of settings changed nothing")
        self.step("refresh", "refresh")
        self._destroy()

    def step(self, name: str, operation: Operation, on_change: Callable[[Change, Story], None] | None = None) -> Step:
        """One run of the engine, noted and told."""
        self.waiting(f"{name}: {self.engine.environment.name}")
        outcome = run(self.engine, operation, self.lock, on_change=on_change)
        outcome.raise_if_failed()
        if operation == "refresh":
            refuse_drift(outcome)
        step = Step(name, outcome.seconds, outcome.changes)
        self.report.steps.append(step)
        self.done(step)
        return step

    def _clock(self) -> Callable[[Change, Story], None]:
        began = time.monotonic()

        def note(change: Change, _story: Story) -> None:
            count, _ = self.report.components.get(change.component, (0, 0.0))
            self.report.components[change.component] = (count + 1, time.monotonic() - began)

        return note

    def _destroy(self) -> None:
        state = self.engine.call("stack", "export", "--stack", self.engine.environment.name)
        resources: list[dict[str, Any]] = part(json.loads(state), "deployment").get("resources") or []
        self.report.protected = sum(bool(resource.get("protect")) for resource in resources)
        if self.report.protected:
            # As one would take it down for good: first let go, on purpose, then destroy.
            edit(self.engine.environment, lambda platform: platform.update(protected=False))
            self.step("let go", "up")
        self.step("destroy", "destroy")


def refuse(what: str, changes: Sequence[Change]) -> None:
    """Raise that an environment is unsteady, with the first differences; nothing without changes."""
    if not changes:
        return
    shown = [
        f"  {change.operation} {change.component} / {change.name}: "
        + "; ".join(str(difference) for difference in change.differences[:_DIFFERENCES_SHOWN])
        for change in changes[:_DIFFERENCES_SHOWN]
    ]
    more = f"\n  … and {len(changes) - len(shown)} more" if len(changes) > len(shown) else ""
    raise SlipwayError("rehearsal-failed", f"{what} ({len(changes)} resources):\n" + "\n".join(shown) + more)


def refuse_drift(outcome: Outcome) -> None:
    """Raise that a refresh found another state than the program's, naming the resources and what is different."""
    drifted = list(_drifted(outcome.log.with_suffix(".events.jsonl")))
    if drifted:
        more = f"\n  … and {len(drifted) - _DIFFERENCES_SHOWN} more" if len(drifted) > _DIFFERENCES_SHOWN else ""
        message = f"a refresh finds another state than `up` has left ({len(drifted)} resources):\n"
        shown = "\n".join(f"  {line}" for line in drifted[:_DIFFERENCES_SHOWN])
        raise SlipwayError("rehearsal-failed", message + shown + more, log=outcome.log)


def _drifted(events: Path) -> Iterator[str]:
    """What the engine found otherwise, from the log of a refresh: there each resource ends in what has become of it."""
    for line in events.read_text(encoding="utf-8").splitlines():
        found = part(json.loads(line), "resOutputsEvent", "metadata")
        if found.get("op") in {"update", "delete"}:
            what = ", ".join(found.get("diffs") or ()) or "it"
            verb = "is gone" if found["op"] == "delete" else f"differs in {what}"
            yield f"{urn_type(found['urn']).rsplit(':', 1)[-1]} {urn_name(found['urn'])} {verb}"


def vary(environment: Environment) -> None:
    """Change settings of the rehearsed config that every environment has and that can be changed in place."""
    from stacks.config.loader import environment_named, from_file

    now = from_file(environment_named(environment.name), environment.root).platform
    days, limit = now.data.retention.capture_days, now.data.scan_limit_gib

    def change(platform: dict[str, Any]) -> None:
        data = platform.setdefault("data", {})
        data.setdefault("retention", {})["capture_days"] = days - 1 if days > 30 else days + 1
        data["scan_limit_gib"] = limit - 1 if limit > 1 else limit + 1
        for name, pool in now.pools.items():
            platform["pools"][name]["max_cpu"] = pool.max_cpu - 1 if pool.max_cpu > 2 else pool.max_cpu + 1

    edit(environment, change)


def edit(environment: Environment, change: Callable[[dict[str, Any]], None]) -> None:
    """Change `slipway:platform` of the rehearsed config."""
    from ruamel.yaml import YAML

    yaml = YAML()
    document: Any = yaml.load(environment.config_file)
    change(document["config"]["slipway:platform"])
    with environment.config_file.open("w", encoding="utf-8") as file:
        yaml.dump(document, file)
