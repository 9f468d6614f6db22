"""`slipway rollback`."""

import os
import time

from release.cli.options import ConfirmOption, EnvironmentOption, JsonOption, ServiceArgument, begin, command_app
from release.cli.releasing import change_release
from release.registry import who_decides

app = command_app(__doc__ or "")


@app.command(epilog="Example: slipway rollback flight-delay")
def rollback(
    service: ServiceArgument, env: EnvironmentOption = "local", json: JsonOption = False, confirm: ConfirmOption = None
) -> None:
    """Make the version before this one live again. It is written back, so the next `up` does not bring the bad one."""
    began = time.monotonic()
    session = begin(env, json)
    who = who_decides(os.environ.get)
    change_release(
        session,
        confirm,
        service,
        began,
        f"rolling {service} back",
        lambda deploy, work: deploy.roll_back(work, service, who),
    )
