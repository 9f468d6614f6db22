"""The `slipway` command.

A command is one file beside this one that defines `app`, a Typer application. The table below is all that `--help` and
completion need; a command's module, and the libraries it uses, are imported when it is run.
"""

from release.cli.main import main

__all__ = ["main"]
