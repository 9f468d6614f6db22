"""`slipway down`."""

import time

from release.cli.options import ConfirmOption, EnvironmentOption, JsonOption, begin, command_app, confirm_change
from release.lock import changing

app = command_app(__doc__ or "")


@app.command(epilog="Example: slipway down    (elsewhere: slipway down -e dev --confirm dev)")
def down(env: EnvironmentOption = "local", json: JsonOption = False, confirm: ConfirmOption = None) -> None:
    """Destroy an environment: services, data, registry; in local the daemon and every process too.

    Works in local whatever state it is in: what cannot be destroyed in order is forgotten.
    """
    began = time.monotonic()
    session = begin(env, json)
    confirm_change(session, confirm, "down")
    from release.down import take_down

    with changing(session.environment, session.command) as lock, session.screen.waiting(f"taking {env} down"):
        removed = take_down(session.environment, lock, session.screen.aside)
    changes = removed.outcome.changes if removed.outcome else []
    lost = [f"{change.loses} ({change.name})" for change in changes if change.loses]
    if json:
        answer = {"environment": env, "deleted": len(changes), "lost": lost, "trouble": removed.trouble or None}
        session.screen.result(answer)
        return
    if removed.trouble:
        session.screen.line(f"not destroyed in order, so forgotten: {removed.trouble}")
    for line in lost:
        session.screen.aside(f"lost: {line}")
    session.screen.line(f"{env} is down: {len(changes)} resources deleted, {time.monotonic() - began:.0f} s")
