"""`slipway up`."""

import time

from release.cli.answers import curl_line, say_answers
from release.cli.changes import show_changes
from release.cli.options import (
    ConfirmOption,
    EnvironmentOption,
    JsonOption,
    Session,
    begin,
    command_app,
    confirm_change,
)
from release.lock import changing

app = command_app(__doc__ or "")


@app.command(epilog="Example: slipway up    (elsewhere: slipway up -e dev --confirm dev)")
def up(env: EnvironmentOption = "local", json: JsonOption = False, confirm: ConfirmOption = None) -> None:
    """Provision an environment and prove what it serves.

    In local, the example service gets a model too: trained on real data, packaged, registered, approved, released and
    asked a first question. Run it again at any time: it changes what differs, and heals what was cut off.
    """
    began = time.monotonic()
    session = begin(env, json)
    if not session.environment.is_local:
        show_preview(session)
        confirm_change(session, confirm, "up")
    from release.up import bring_up

    with changing(session.environment, session.command) as lock, session.screen.waiting("getting ready") as wait:
        result = bring_up(session.environment, lock, session.screen.aside, wait.now)
    seconds = time.monotonic() - began
    if json:
        session.screen.result(
            {
                "environment": env,
                "seconds": round(seconds, 1),
                "changes": [change.as_json() for outcome in result.outcomes for change in outcome.changes],
                "services": {
                    answer.service: {
                        "model": answer.release.name,
                        "version": answer.release.version,
                        "digest": answer.release.digest,
                        "rest": answer.url,
                        "curl": curl_line(answer),
                        "answer": answer.answer,
                    }
                    for answer in result.answers
                },
            }
        )
        return
    show_changes(session.screen, result.outcomes[0].changes, done=True)
    if not result.changed:
        session.screen.line("nothing changed")
    say_answers(session, result.answers, seconds)


def show_preview(session: Session) -> None:
    """The difference, before anything is changed."""
    from release.engine import run
    from release.platform import stand_ready

    with session.screen.waiting(f"previewing {session.environment.name}"):
        engine = stand_ready(session.environment, session.screen.aside)
        outcome = run(engine, "preview", None)
    outcome.raise_if_failed()
    show_changes(session.screen, outcome.changes, done=False)
