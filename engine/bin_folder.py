"""Writes `.slipway/engine/bin`: the CLI and our language host side by side, to go first on PATH."""

import os
import shlex
import sys
from pathlib import Path

from engine.errors import cannot_write
from engine.find import LANGUAGE_HOST, Cli
from engine.paths import bin_dir


def write_bin(cli: Cli, root: Path) -> Path:
    """Puts both there and returns the folder. Done again it changes nothing; two at once do not disturb each other."""
    folder = bin_dir(root)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _link(cli, folder / "pulumi")
        _write_host(folder / LANGUAGE_HOST)
    except OSError as error:
        raise cannot_write(str(folder), error, f"make {root / '.slipway'} writable for this user") from None
    return folder


def _link(cli: Cli, link: Path) -> None:
    """A hard link to a CLI of ours, else a symbolic one.

    The engine resolves symbolic links of its executable and then expects the language host beside the target; it warns
    on every run about one that lies elsewhere. A CLI that is not ours stays where its other plugins are.
    """
    if link.exists() and link.samefile(cli.pulumi):
        return
    fresh = link.with_name(f".pulumi.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    try:
        if cli.origin == "path":
            fresh.symlink_to(cli.pulumi.absolute())
        else:
            try:
                fresh.hardlink_to(cli.pulumi)
            except OSError:  # another file system, or one without hard links
                fresh.symlink_to(cli.pulumi)
        fresh.replace(link)
    finally:
        fresh.unlink(missing_ok=True)


def _write_host(path: Path) -> None:
    """A shell script, because a `#!` line can name neither a path with spaces nor two arguments.

    It names the interpreter of this virtual environment; one made anew in another folder is written here by the next
    `ensure`. -P keeps the program's folder, where the engine starts the host, off the module path.
    """
    text = f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -P -m engine.language_host "$@"\n'
    if path.exists() and path.read_text() == text and os.access(path, os.X_OK):
        return
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        fresh.write_text(text)
        fresh.chmod(0o755)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
