"""Tomorrow's flights, to be scored: `python -m examples.flight_delay.schedule --out FILE`.

They are those of the same day in 2013, the year that the data are of, with the weather as it was.
"""

import argparse
import sys
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import csv

from examples.flight_delay.data import FEATURES, YEAR, flights
from release.errors import SlipwayError


def main(arguments: Sequence[str]) -> int:
    """The command; an error is one line."""
    parser = argparse.ArgumentParser(
        prog="python -m examples.flight_delay.schedule", description="Write tomorrow's flights, to be scored."
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="file to write, .parquet or .csv")
    parser.add_argument("--day", metavar="MM-DD", help="another day than tomorrow")
    options = parser.parse_args(arguments)
    try:
        rows = write(options.out, parse_day(options.day))
    except SlipwayError as error:
        print(f"error: {error.message}. To mend it: {error.hint}", file=sys.stderr)
        return error.exit_code
    print(f"{options.out}  {rows} flights")
    return 0


def parse_day(text: str | None) -> date:
    """A day of the data's year: `MM-DD`, or tomorrow's (28 February for the 29th).

    Raises:
        SlipwayError: it is no day.
    """
    if text is None:
        tomorrow = date.today() + timedelta(days=1)  # noqa: DTZ011 - the day of whoever asks
        is_leap_day = (tomorrow.month, tomorrow.day) == (2, 29)
        return tomorrow.replace(year=YEAR, day=28 if is_leap_day else tomorrow.day)
    try:
        return date.fromisoformat(f"{YEAR}-{text}")
    except ValueError:
        raise SlipwayError("bad-option", f"--day: expected MM-DD, got {text!r}", "--day 07-04, for example") from None


def write(file: Path, day: date) -> int:
    """Write the flights of a day with their numbers; how many there are.

    Raises:
        SlipwayError: the file is to be of another kind, or cannot be written.
    """
    if file.suffix not in {".parquet", ".csv"}:
        raise SlipwayError(
            "bad-option", f"--out: expected a file .parquet or .csv, got {file.name}", "--out day.parquet"
        )
    month = flights([day.month])
    rows = month.filter(pc.equal(month["day"], pa.scalar(day.day))).select(["flight", *FEATURES])
    try:
        if file.suffix == ".csv":
            csv.write_csv(rows, file)
        else:
            pq.write_table(rows, file)
    except OSError as error:
        raise SlipwayError("not-written", f"{file}: {error.strerror or error}", "choose another place") from None
    return rows.num_rows


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
