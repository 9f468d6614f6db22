"""`slipway reject`."""

from release.cli.decide import ModelArgument, NoteOption, VersionArgument, decide
from release.cli.options import ConfirmOption, EnvironmentOption, JsonOption, command_app

app = command_app(__doc__ or "")


@app.command(epilog='Example: slipway reject flight-delay 2 --note "AUC 0.71 on April"')
def reject(
    model: ModelArgument,
    version: VersionArgument,
    note: NoteOption = "",
    env: EnvironmentOption = "local",
    json: JsonOption = False,
    confirm: ConfirmOption = None,
) -> None:
    """Keep a registered version from being released. What serves it already goes on until another one is released."""
    decide(model, version, "rejected", note, env, json, confirm)
