"""Tomorrow's schedule, written to a file."""

from datetime import date
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from examples.flight_delay.data import FEATURES
from examples.flight_delay.schedule import main, parse_day


def test_a_day_with_its_flights_and_their_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--out", str(tmp_path / "day.parquet"), "--day", "01-02"]) == 0
    table = pq.read_table(tmp_path / "day.parquet")
    assert table.column_names == ["flight", *FEATURES]
    assert capsys.readouterr().out == f"{tmp_path / 'day.parquet'}  {table.num_rows} flights\n"
    assert table.num_rows > 900
    assert main(["--out", str(tmp_path / "day.csv"), "--day", "01-02"]) == 0
    assert len((tmp_path / "day.csv").read_text().splitlines()) == table.num_rows + 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--out", "x.parquet", "--day", "13-01"],
            "error: --day: expected MM-DD, got '13-01'. To mend it: --day 07-04",
        ),
        (["--out", "x.txt"], "error: --out: expected a file .parquet or .csv, got x.txt"),
    ],
)
def test_a_wrong_option_is_one_line(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) != 0
    said = capsys.readouterr().err
    assert said.startswith(message)
    assert said.count("\n") == 1


def test_tomorrow_is_a_day_of_the_data() -> None:
    assert parse_day(None).year == 2013
    assert parse_day("02-28") == date(2013, 2, 28)
