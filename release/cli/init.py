"""`slipway init`."""

from pathlib import Path
from typing import Annotated

import typer

from release.cli.options import EnvironmentOption, JsonOption, command_app, existing_file
from release.cli.screen import Screen
from release.environment import open_environment

app = command_app(__doc__ or "")

PackageArgument = Annotated[Path, typer.Argument(metavar="PACKAGE", help="A package made by `slipway package`.")]
NameOption = Annotated[
    str | None, typer.Option("--service", metavar="NAME", help="The service's name; the model's unless given.")
]


@app.command(epilog="Example: slipway init flight-delay-1.tar.gz -e dev")
def init(
    package: PackageArgument, env: EnvironmentOption = "local", service: NameOption = None, json: JsonOption = False
) -> None:
    """Write a service's entry into an environment's config, from the signature of a model package.

    The entry is an online service with its defaults; nothing is deployed.
    """
    environment = open_environment(env)
    existing_file(package, "the package")
    from release.init import write_entry

    written = write_entry(environment, package, service)
    screen = Screen(json)
    file = environment.config_file.relative_to(environment.root)
    if json:
        screen.result({"environment": env, "service": written.service, "file": str(file), "entry": written.text})
        return
    screen.line(f"{file} has a service {written.service} now:")
    screen.line(written.text)
    screen.line(f"  its keys, with their reasons: slipway config {env} --explain")
    screen.line(f"  next: slipway up{environment.flag()}")
