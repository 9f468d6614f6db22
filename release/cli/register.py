"""`slipway register`."""

from pathlib import Path
from typing import Annotated

import typer

from release.cli.options import (
    ConfirmOption,
    EnvironmentOption,
    JsonOption,
    begin,
    command_app,
    confirm_change,
    existing_file,
)

app = command_app(__doc__ or "")

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="A package made by `slipway package`.")]


@app.command(epilog="Example: slipway register flight-delay-2.tar.gz")
def register(
    file: FileArgument, env: EnvironmentOption = "local", json: JsonOption = False, confirm: ConfirmOption = None
) -> None:
    """Put a model package into the registry, as a candidate.

    The package is verified first. A version that is there with the same content stays as it is; with other content
    it is refused.
    """
    session = begin(env, json)
    existing_file(file, "the package")
    from release.package import read_package
    from release.registry import Registry

    with session.screen.waiting(f"verifying {file.name}"):
        packaged = read_package(file)
    confirm_change(session, confirm, "register")
    with session.screen.waiting(f"registering {file.name}"):
        entry, new = Registry(session.environment).register(
            packaged.archive, packaged.package.manifest, packaged.digest
        )
    if json:
        session.screen.result(entry.as_json() | {"new": new})
        return
    flag = session.environment.flag()
    session.screen.line(
        f"{entry.model} {entry.version} {'registered' if new else 'was registered already'}, {entry.digest}"
    )
    if entry.state == "candidate":
        session.screen.line(f"  it is a candidate; next: slipway approve {entry.model} {entry.version}{flag}")
    else:
        session.screen.line(f"  it is {entry.state}")
