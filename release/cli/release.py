"""`slipway release`."""

import time
from typing import Annotated

import typer

from release.cli.options import ConfirmOption, EnvironmentOption, JsonOption, ServiceArgument, begin, command_app
from release.cli.releasing import change_release

app = command_app(__doc__ or "")

VersionArgument = Annotated[str, typer.Argument(metavar="VERSION", help="An approved version of its model.")]
NoteOption = Annotated[str, typer.Option("--note", "-m", metavar="TEXT", help="Why; kept with the release.")]


@app.command(epilog="Example: slipway release flight-delay 2")
def release(
    service: ServiceArgument,
    version: VersionArgument,
    note: NoteOption = "",
    env: EnvironmentOption = "local",
    json: JsonOption = False,
    confirm: ConfirmOption = None,
) -> None:
    """Make an approved version live for a service, and prove it.

    Good pods serve until new ones are ready. Live means: every pod reports the version, and the service answers its
    golden question as the package states. Otherwise what ran before is brought back, and the exit code is 1.
    """
    began = time.monotonic()
    session = begin(env, json)
    change_release(
        session,
        confirm,
        service,
        began,
        f"releasing {version} for {service}",
        lambda deploy, work: deploy.release(work, service, version, note),
    )
