"""What `slipway approve` and `slipway reject` share."""

import os
from typing import Annotated, Literal

import typer

from release.cli.options import begin, confirm_change

ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help="A model of the registry.")]
VersionArgument = Annotated[str, typer.Argument(metavar="VERSION", help="One of its versions.")]
NoteOption = Annotated[str, typer.Option("--note", "-m", metavar="TEXT", help="Why; kept with the decision.")]


def decide(
    model: str,
    version: str,
    state: Literal["approved", "rejected"],
    note: str,
    env: str,
    json: bool,
    confirm: str | None,
) -> None:
    """Record a decision on a version, and say what it is now."""
    session = begin(env, json)
    confirm_change(session, confirm, "approve" if state == "approved" else "reject")
    from release.registry import Registry, who_decides

    registry = Registry(session.environment)
    entry = registry.decide(registry.find(model, version), state, who_decides(os.environ.get), note)
    if json:
        session.screen.result(entry.as_json())
        return
    flag = session.environment.flag()
    session.screen.line(f"{entry.model} {entry.version} is {entry.state} by {entry.decided_by} ({entry.digest[:19]}…)")
    if state == "approved":
        session.screen.line(f"  next: slipway release SERVICE {entry.version}{flag}")
