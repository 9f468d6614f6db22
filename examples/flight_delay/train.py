"""Train the example model and package it: `python -m examples.flight_delay.train --out DIR`."""

import argparse
import json
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from examples.flight_delay import openmp
from release.errors import SlipwayError


def main(arguments: Sequence[str]) -> int:
    """The command; its result goes to stdout, progress to stderr, an error is one line (with --json an object)."""
    as_json = "--json" in arguments
    try:
        options = _parser().parse_args(arguments)
        months = parse_months(options.months)
        summary = _train(options.out, months, options.version)
    except openmp.MissingError as error:
        return openmp.run_again(["-m", "examples.flight_delay.train", *arguments], error)
    except SlipwayError as error:
        if as_json:
            print(json.dumps(error.as_json()))
        else:
            print(f"error: {error.message}. To mend it: {error.hint}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted; nothing was written", file=sys.stderr)
        return 130
    if as_json:
        print(json.dumps(summary))
    else:
        print(f"{summary['archive']}  {summary['digest']}  {summary['seconds']} s")
    return 0


def parse_months(text: str) -> range:
    """`1-3` or `1`: months of 2013 to train on, with at least one left after them to be judged on.

    Raises:
        SlipwayError: they are none.
    """
    if found := re.fullmatch(r"([0-9]{1,2})(?:-([0-9]{1,2}))?", text):
        start, stop = int(found[1]), int(found[2] or found[1])
        if 1 <= start <= stop <= 11:
            return range(start, stop + 1)
    raise SlipwayError(
        "bad-option",
        f"--months: expected A-B with 1 <= A <= B <= 11 (a later month must be left to judge on), got {text!r}",
        "--months 1-3, for example",
    )


def _train(out: Path, months: range, version: str) -> dict[str, Any]:
    started = time.monotonic()
    with openmp.required():
        from examples.flight_delay.pipeline import make
    packaged, difference = make(out, months, version, lambda line: print(line, file=sys.stderr, flush=True))
    return packaged.summary() | {"max_difference": difference, "seconds": round(time.monotonic() - started, 1)}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise SlipwayError("bad-option", message, f"{self.prog} --help says what there is")


def _parser() -> _Parser:
    parser = _Parser(
        prog="python -m examples.flight_delay.train",
        description="Train the example model on real flights and package it.",
        epilog="example: python -m examples.flight_delay.train --months 1-6 --version 2 --out /tmp/model",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the package and its archive")
    parser.add_argument("--months", default="1-3", help="months of 2013 to train on (default: 1-3)")
    parser.add_argument("--version", default="1", help="the model version to make (default: 1)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
