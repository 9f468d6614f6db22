"""`slipway preview`."""

from release.cli.changes import show_changes
from release.cli.options import EnvironmentOption, JsonOption, begin, command_app

app = command_app(__doc__ or "")


@app.command(epilog="Example: slipway preview -e dev --json")
def preview(env: EnvironmentOption = "local", json: JsonOption = False) -> None:
    """Show what `up` would change, and change nothing.

    What would be lost comes first; then each difference with its whole path, and what forces a replacement.
    """
    session = begin(env, json)
    from release.config import check_config
    from release.engine import run
    from release.platform import stand_ready
    from release.up import ensure_stack

    check_config(session.environment)
    with session.screen.waiting(f"previewing {env}"):
        engine = stand_ready(session.environment, session.screen.aside)
        ensure_stack(engine)
        outcome = run(engine, "preview", None)
    outcome.raise_if_failed()
    if json:
        losses = [change.as_json() for change in outcome.changes if change.loses]
        changes = [change.as_json() for change in outcome.changes]
        session.screen.result({"environment": env, "losses": losses, "changes": changes})
    else:
        show_changes(session.screen, outcome.changes, done=False)
