"""`slipway features`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from release.cli.options import (
    ConfirmOption,
    EnvironmentOption,
    JsonOption,
    begin,
    command_app,
    confirm_change,
    existing_file,
)

app = command_app(__doc__ or "")


class Action(StrEnum):
    """What can be done with a feature group."""

    PUSH = "push"


ActionArgument = Annotated[Action, typer.Argument(metavar="push", help="Write rows to the group's two tables.")]
GroupArgument = Annotated[str, typer.Argument(metavar="GROUP", help="A feature group of the environment.")]
FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="Rows: .parquet, .csv or .jsonl.")]


@app.command(epilog="Example: slipway features push airports airports.csv")
def features(
    action: ActionArgument,
    group: GroupArgument,
    file: FileArgument,
    env: EnvironmentOption = "local",
    json: JsonOption = False,
    confirm: ConfirmOption = None,
) -> None:
    """Write rows of a feature group to its online table and to its history, together.

    Every row is checked first: one mistake, and nothing is written. The online table takes each entity's newest row,
    unless it has a newer one. Pushing the same file again changes nothing.
    """
    session = begin(env, json)
    existing_file(file, "the rows")
    from release.feature_groups import feature_group
    from release.feature_push import push
    from release.feature_rows import read_rows

    environment = session.environment
    deployed = session.deployed
    bucket = deployed.require("warehouse_bucket", environment)
    found = feature_group(deployed, environment, group)
    with session.screen.waiting(f"checking {file.name}"):
        rows = read_rows(file, found)
    confirm_change(session, confirm, f"features {action}")
    with session.screen.waiting(f"writing {rows.num_rows} rows") as wait:
        pushed = push(environment, found, bucket, rows, wait.now)
    if json:
        session.screen.result({"environment": env, "group": group, **pushed.as_json()})
        return
    session.screen.line(f"{pushed.rows} rows of {group} pushed")
    online = [f"{pushed.online} entities written"]
    online += [f"{pushed.older} were newer already"] if pushed.older else []
    online += [f"{pushed.expired} have expired"] if pushed.expired else []
    session.screen.line(f"  online   {', '.join(online)}")
    there = f", {pushed.files_there} were there already" if pushed.files_there else ""
    session.screen.line(f"  history  {pushed.files} files written{there}")
