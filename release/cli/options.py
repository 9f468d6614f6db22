"""The options that several commands share, and how a command begins."""

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from release.cli.screen import Screen
from release.environment import Deployed, Environment, open_environment, read_daemon, read_deployed
from release.errors import SlipwayError

EnvironmentOption = Annotated[str, typer.Option("--env", "-e", metavar="ENV", help="The environment.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Answer in JSON on standard output.")]
ConfirmOption = Annotated[
    str | None,
    typer.Option(
        "--confirm", metavar="ENV", help="The environment's name again: agrees to change one that is not local."
    ),
]
ServiceArgument = Annotated[str, typer.Argument(metavar="SERVICE", help="A service of the environment.")]


def command_app(summary: str) -> typer.Typer:
    """The Typer application of one command file."""
    return typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False, help=summary)


@dataclass
class Session:
    """A command that has begun: the environment it is about, and the screen it speaks on."""

    environment: Environment
    screen: Screen
    command: str
    """The command line, for the lock."""

    @property
    def deployed(self) -> Deployed:
        """What the engine last recorded, read now."""
        return read_deployed(self.environment)


def begin(env: str, as_json: bool = False, *, aside: bool = False) -> Session:
    """Open the environment and name it (and its account) in the first line.

    `aside` sends words to standard error though the result is not JSON, for commands whose output is meant for a pipe.
    """
    environment = open_environment(env)
    screen = Screen(as_json, words=sys.stderr if aside else None)
    screen.line(_heading(environment), style="bold")
    return Session(environment, screen, shlex.join(["slipway", *sys.argv[1:]]))


def _heading(environment: Environment) -> str:
    if environment.is_local:
        return "local · this machine"
    deployed = read_deployed(environment)
    account = f"account {deployed.account}" if deployed.account else "not deployed from here yet"
    return " · ".join(filter(None, [environment.name, account, deployed.outputs.get("region")]))


def confirm_change(session: Session, confirm: str | None, what: str) -> None:
    """Outside `local`, have the environment's name typed out before `what` is done to it."""
    name = session.environment.name
    if session.environment.is_local:
        return
    if confirm is None and sys.stdin.isatty() and session.screen.is_terminal:
        session.screen.line(f"{what} changes {name}. Type its name to go on:")
        confirm = input("> ").strip()
    if confirm != name:
        problem = f"{confirm!r} is not its name" if confirm else "its name was not confirmed"
        message = f"{what} would change {name}: {problem}"
        raise SlipwayError("not-confirmed", message, f"add --confirm {name}", exit_code=2)
    from release.aws import check_account

    check_account(session.environment)


def service_named(session: Session, name: str) -> str:
    """The service's name, refused with the ones there are."""
    from difflib import get_close_matches

    services = session.deployed.services
    if name in services:
        return name
    environment = session.environment
    if not services:
        raise SlipwayError(
            "not-deployed", f"{environment.name} is not deployed yet", f"run: slipway up{environment.flag()}"
        )
    near = get_close_matches(name, services, n=1)
    raise SlipwayError(
        "unknown-service",
        f"there is no service {name!r} in {environment.name}: it has {', '.join(sorted(services))}",
        f"did you mean {near[0]!r}?" if near else "run: slipway status",
        exit_code=2,
    )


def existing_file(path: Path, what: str) -> Path:
    """`path`, refused when there is no such file."""
    if path.is_file():
        return path
    raise SlipwayError("no-such-file", f"{what} {path} is not a file", "check the path", exit_code=2)


__all__ = [
    "ConfirmOption",
    "EnvironmentOption",
    "JsonOption",
    "ServiceArgument",
    "Session",
    "begin",
    "command_app",
    "confirm_change",
    "existing_file",
    "read_daemon",
    "service_named",
]
