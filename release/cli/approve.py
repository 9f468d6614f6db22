"""`slipway approve`."""

from release.cli.decide import ModelArgument, NoteOption, VersionArgument, decide
from release.cli.options import ConfirmOption, EnvironmentOption, JsonOption, command_app

app = command_app(__doc__ or "")


@app.command(epilog='Example: slipway approve flight-delay 2 --note "AUC 0.71 on April"')
def approve(
    model: ModelArgument,
    version: VersionArgument,
    note: NoteOption = "",
    env: EnvironmentOption = "local",
    json: JsonOption = False,
    confirm: ConfirmOption = None,
) -> None:
    """Let a registered version be released. Who decided, when and why is kept with it."""
    decide(model, version, "approved", note, env, json, confirm)
