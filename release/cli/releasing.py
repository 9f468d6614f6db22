"""What `slipway release` and `slipway rollback` share: lock, engine, wait, and the proven answer at the end."""

import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

from release.cli.answers import curl_line, say_answers
from release.cli.changes import show_changes
from release.cli.options import Session, confirm_change, service_named
from release.lock import changing


def change_release(
    session: Session,
    confirm: str | None,
    service: str,
    began: float,
    what: str,
    change: Callable[[ModuleType, Any], Any],
) -> None:
    """Carry out `change(release.deploy, work)` under the environment's lock, and show what came of it."""
    service_named(session, service)
    confirm_change(session, confirm, what)
    from release import deploy
    from release.healing import heal
    from release.platform import stand_ready

    screen = session.screen
    with changing(session.environment, session.command) as lock, screen.waiting(what) as wait:
        engine = stand_ready(session.environment, screen.aside)
        heal(engine, lock, screen.aside)
        work = deploy.Work(session.environment, engine, lock, screen.aside, wait.now)
        applied: deploy.Applied = change(deploy, work)
    seconds = time.monotonic() - began
    mine = [answer for answer in applied.answers if answer.service == service]
    if session.screen.as_json:
        screen.result(
            {
                "environment": session.environment.name,
                "service": service,
                "version": mine[0].release.version if mine else None,
                "digest": mine[0].release.digest if mine else None,
                "curl": curl_line(mine[0]) if mine else None,
                "answer": mine[0].answer if mine else None,
                "changes": [found.as_json() for found in applied.outcome.changes],
                "seconds": round(seconds, 1),
            }
        )
        return
    show_changes(screen, applied.outcome.changes, done=True)
    say_answers(session, mine, seconds)
