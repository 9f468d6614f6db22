"""`python -m engine ensure|find [--root DIR]`: one JSON object on stdout, progress on stderr.

A failure exits with 1 (a wrong command line with 2, an interrupt with 130) and prints `{"code", "message", "hint"}`.
"""

import argparse
import json
import signal
import sys
from pathlib import Path
from typing import NoReturn

from engine.bin_folder import write_bin
from engine.errors import EngineError
from engine.find import LANGUAGE_HOST, Cli, find, preference
from engine.paths import bin_dir, engine_cache


class _Parser(argparse.ArgumentParser):
    """Reports a wrong command line in the same form as any other failure."""

    def error(self, message: str) -> NoReturn:
        print(json.dumps({"code": "usage", "message": message, "hint": self.format_usage().strip()}))
        sys.exit(2)


def main() -> int:
    """Runs one command; returns the exit status."""
    parser = _Parser(prog="python -m engine", description=__doc__)
    parser.add_argument("command", choices=["ensure", "find"], help="ensure: find or build; find: only look")
    parser.add_argument("--root", type=Path, default=Path(), metavar="DIR", help="the checkout (default: this folder)")
    arguments = parser.parse_args()
    root: Path = arguments.root.absolute()
    # A build runs in a process group of its own; ended by either signal, we end it too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        answer = ensure(root) if arguments.command == "ensure" else look(root)
    except EngineError as error:
        print(json.dumps({"code": error.code, "message": error.message, "hint": error.hint}))
        return 1
    except KeyboardInterrupt:
        hint = "run the same command again; it goes on where it stopped"
        print(json.dumps({"code": "interrupted", "message": "interrupted before the engine was ready", "hint": hint}))
        return 130
    print(json.dumps(answer))
    return 0


def ensure(root: Path) -> dict[str, str | None]:
    """Finds a CLI or builds one, and makes `.slipway/engine/bin` where our language host is needed."""
    cache = engine_cache()
    wanted = preference()
    search = find(cache, wanted)
    cli = search.cli
    if cli is None:
        # Only here: a command that finds its engine must not spend time on importing what builds one.
        from engine.obtain import obtain

        cli = obtain(cache, wanted, search.passed_over)
    if cli.language_host is not None:
        return _answer(cli, cli.pulumi, cli.pulumi.parent, cli.language_host)
    folder = write_bin(cli, root)
    return _answer(cli, folder / "pulumi", folder, folder / LANGUAGE_HOST)


def look(root: Path) -> dict[str, str | None]:
    """What `ensure` would use, without writing anything; parts that `ensure` has yet to write are null."""
    search = find(engine_cache(), preference())
    if search.cli is None:
        from engine.obtain import remedy

        return {
            "pulumi": None,
            "version": None,
            "origin": None,
            "bin": None,
            "language_host": None,
            "remedy": remedy(),
            "note": "; ".join(search.passed_over) or None,
        }
    cli, host = search.cli, search.cli.language_host
    folder = bin_dir(root)
    if host is None:
        answer = _answer(cli, cli.pulumi, folder if folder.is_dir() else None, _there(folder / LANGUAGE_HOST))
    else:
        answer = _answer(cli, cli.pulumi, cli.pulumi.parent, host)
    return {**answer, "note": "; ".join(search.passed_over) or None}


def _there(path: Path) -> Path | None:
    return path if path.exists() else None


def _answer(cli: Cli, pulumi: Path, folder: Path | None, host: Path | None) -> dict[str, str | None]:
    """The contract's object (docs/architecture.md)."""
    return {
        "pulumi": str(pulumi),
        "version": cli.version,
        "origin": cli.origin,
        "bin": str(folder) if folder else None,
        "language_host": str(host) if host else None,
    }


if __name__ == "__main__":
    sys.exit(main())
