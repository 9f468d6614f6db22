"""`slipway doctor`."""

from typing import Annotated

import typer

from release.cli.options import EnvironmentOption, JsonOption, begin, command_app
from release.doctor import examine

app = command_app(__doc__ or "")

CheckOption = Annotated[bool, typer.Option("--check", help="Exit with 1 when something must be mended.")]
_SIGNS = {"ok": "ok  ", "note": "note", "bad": "BAD "}
_STYLES = {"ok": "", "note": "yellow", "bad": "red"}


@app.command(epilog="Example: slipway doctor")
def doctor(env: EnvironmentOption = "local", json: JsonOption = False, check: CheckOption = False) -> int:
    """Look at this machine: what was found, where, which versions; and the command that mends what is missing."""
    session = begin(env, json)
    findings = examine(session.environment)
    healthy = all(finding.state != "bad" for finding in findings)
    if json:
        session.screen.result(
            {"environment": env, "healthy": healthy, "findings": [vars(finding) for finding in findings]}
        )
    else:
        for finding in findings:
            session.screen.line(
                f"{_SIGNS[finding.state]}  {finding.subject}: {finding.found}", style=_STYLES[finding.state]
            )
            if finding.remedy:
                session.screen.line(f"      → {finding.remedy}")
    return 1 if check and not healthy else 0
