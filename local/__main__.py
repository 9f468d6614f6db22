"""`python -m local start|stop|status [--root DIR]`: the same platform on one machine. Prints one JSON object."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from local import daemon_control
from local.errors import LocalError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0, or 1 with `{"code", "message", "hint"}` as the answer."""
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, what in (
        ("start", "start the daemon, or find the one that runs"),
        ("stop", "end the daemon, its pods and the AWS emulation"),
        ("status", "say whether the daemon runs"),
    ):
        command = commands.add_parser(name, help=what, description=what)
        checkout = Path(__file__).resolve().parent.parent
        command.add_argument(
            "--root", type=Path, default=checkout, metavar="DIR", help="the checkout (default: this one)"
        )
        if name == "stop":
            command.add_argument("--forget", action="store_true", help="also remove what is kept under .slipway/local")
    given = parser.parse_args(arguments)
    root: Path = given.root.resolve()
    try:
        if given.command == "start":
            answer = daemon_control.start(root)
        elif given.command == "stop":
            answer = daemon_control.stop(root, forget=given.forget)
        else:
            answer = daemon_control.status(root)
    except LocalError as error:
        print(json.dumps(error.answer()))
        return 1
    print(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main())
