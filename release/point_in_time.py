"""Training sets without leakage: to each event the features as they were known at its time.

Call it from the code that trains a model:

    from release.feature_groups import offline_rows
    from release.point_in_time import training_set

    flights = training_set(flights, offline_rows("airports", "prod"), key="airport")
"""

from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from release.errors import SlipwayError


def training_set(
    events: pa.Table,
    features: pa.Table,
    *,
    key: str,
    time: str = "event_time",
    feature_time: str = "event_time",
    max_age: timedelta | None = None,
) -> pa.Table:
    """`events` with the columns of the newest row of `features` of the same key that was known at the event's time.

    A feature row is known from its `feature_time` on, so one of the very same time counts and a later one never does.
    Of rows with the same key and time the last in `features` counts. With `max_age` older rows do not count. An event
    without such a row, or without a key or a time itself, has nulls. Rows and order of `events` stay as they are.

    Times are timestamps of any unit; without a time zone they are taken as UTC. Takes O((n + m) log(n + m)) time.

    Raises:
        SlipwayError: a column is missing or of a wrong type, or a feature is called as a column of the events is.
    """
    _check(events, features, key, time, feature_time)
    event_keys, feature_keys = _codes(events[key], features[key])
    event_times, feature_times = _nanoseconds(events[time], time), _nanoseconds(features[feature_time], feature_time)
    rows = _newest(event_keys, event_times, feature_keys, feature_times)
    found = rows >= 0
    if max_age is not None:
        age = event_times[found] - feature_times[rows[found]]  # never negative, but it may pass what is signed
        found[found] = age.view(np.uint64) <= min(max_age // timedelta(microseconds=1) * 1000, 2**64 - 1)
    found &= _valid(events[key]) & _valid(events[time])
    taken = features.drop_columns([name for name in {key, feature_time} if name in features.column_names])
    indices = pa.array(rows, mask=~found)
    joined = events
    for name in taken.column_names:
        column: Any = taken[name]
        joined = joined.append_column(name, column.take(indices))
    return joined


def _newest(
    event_keys: NDArray[Any], event_times: NDArray[Any], feature_keys: NDArray[Any], feature_times: NDArray[Any]
) -> NDArray[Any]:
    """For each event the index of its feature row, or -1.

    Both are put in one order of key, time and (at the same time) features first; the sort is stable. Then the row
    wanted is the last feature before an event, if it is of the same key.
    """
    count = len(feature_keys)
    keys, times = np.concatenate([feature_keys, event_keys]), np.concatenate([feature_times, event_times])
    is_event = np.arange(len(keys)) >= count
    order = np.lexsort((is_event, times, keys))
    last = np.maximum.accumulate(np.where(is_event[order], -1, np.arange(len(order))))
    before = np.where(last >= 0, order[np.maximum(last, 0)], -1)
    found = np.full(len(keys), -1, np.int64)
    found[order] = np.where((before >= 0) & (keys[before] == keys[order]), before, -1)
    return found[count:]


def _codes(events: Any, features: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """The keys of both as numbers that are equal where the keys are."""
    kind = pa.string() if pa.types.is_string(events.type) or pa.types.is_large_string(events.type) else pa.int64()
    try:
        both = pa.chunked_array([*events.cast(kind).chunks, *features.cast(kind).chunks], kind)
    except pa.ArrowException as error:
        raise _refused(f"the keys of events ({events.type}) and features ({features.type}) differ: {error}") from None
    codes = both.combine_chunks().dictionary_encode().indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return codes[: len(events)], codes[len(events) :]


def _nanoseconds(column: Any, name: str) -> NDArray[Any]:
    """Times as nanoseconds since 1970, UTC: a coarser unit would make what comes later the same."""
    try:
        whole = column.cast(pa.timestamp("ns", column.type.tz)).cast(pa.int64())
    except pa.ArrowException as error:
        raise _refused(f"{name}: {error}") from None
    return whole.fill_null(0).to_numpy()


def _valid(column: Any) -> NDArray[Any]:
    return column.is_valid().to_numpy()


def _check(events: pa.Table, features: pa.Table, key: str, time: str, feature_time: str) -> None:
    for what, table, names in (("events", events, (key, time)), ("features", features, (key, feature_time))):
        for name in names:
            if name not in table.column_names:
                raise _refused(f"the {what} have no column {name!r}, only {', '.join(table.column_names) or 'none'}")
    for what, column in (("events", events[time]), ("features", features[feature_time])):
        if not pa.types.is_timestamp(column.type):
            raise _refused(f"the time of the {what} is {column.type}, expected a timestamp")
    for name in (key, feature_time):
        if features[name].null_count:
            raise _refused(f"{features[name].null_count} rows of the features have no {name}")
    both = (set(features.column_names) - {key, feature_time}) & set(events.column_names)
    if both:
        raise _refused(f"events and features both have {', '.join(sorted(both))}; rename it in one of them")


def _refused(why: str) -> SlipwayError:
    return SlipwayError("bad-training-set", why)
