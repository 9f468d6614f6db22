"""`slipway rehearse`."""

import time
from typing import Annotated

import typer

from release.cli.changes import show_changes
from release.cli.options import JsonOption, command_app
from release.cli.screen import Screen
from release.environment import open_environment

app = command_app(__doc__ or "")

NameArgument = Annotated[str, typer.Argument(metavar="ENV", help="The environment.")]
PreviewOption = Annotated[bool, typer.Option("--preview", help="Stop after the preview.")]


@app.command(epilog="Example: slipway rehearse prod")
def rehearse(env: NameArgument, preview: PreviewOption = False, json: JsonOption = False) -> None:
    """Bring an environment's whole program up on this machine, change it, refresh it, destroy it.

    The real engine runs the real program against an emulation that is thrown away afterwards: no credentials, and no
    account is touched. Services run no pods, for their packages lie in the real registry.
    """
    import shlex
    import sys

    from release.rehearse import Step
    from release.rehearse import rehearse as play

    began = time.monotonic()
    screen = Screen(json)
    environment = open_environment(env)
    screen.line(f"{env} · rehearsal on this machine, no account is touched", style="bold")

    def told(step: Step) -> None:
        words = ", ".join(
            f"{count} to {kind}" if step.name == "preview" else f"{count} {_past(kind)}"
            for kind, count in step.as_json()["changes"].items()
        )
        screen.line(f"  {step.name:<8} {step.seconds:>5.1f} s  {words or _NOTHING[step.name]}")

    with screen.waiting("getting ready") as wait:
        command = shlex.join(["slipway", *sys.argv[1:]])
        report = play(environment, command, preview_only=preview, say=screen.aside, waiting=wait.now, done=told)
    if json:
        screen.result(report.as_json())
        return
    if preview:
        show_changes(screen, report.steps[0].changes, done=False)
    else:
        rows = [(name, str(count), f"{seconds:.1f} s") for name, (count, seconds) in report.components.items()]
        screen.table(("component", "resources", "there after"), rows)
        if report.protected:
            screen.line(
                f"{report.protected} resources are protected: {env} cannot be destroyed before `protected: false`"
            )
    screen.line(f"{env} rehearsed: {report.resources} resources, {time.monotonic() - began:.0f} s", style="bold green")


_NOTHING = {
    "preview": "nothing to make",
    "up": "nothing made",
    "again": "nothing to change, as it should be",
    "change": "nothing changed",
    "refresh": "no drift",
    "let go": "nothing to let go",
    "destroy": "nothing to destroy",
}


def _past(operation: str) -> str:
    return f"{operation}d" if operation.endswith("e") else f"{operation}ed"
