"""Joins as of a point in time: never a row from after the event, against a search by hand."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from release.errors import SlipwayError
from release.point_in_time import training_set

KEYS = st.sampled_from(["JFK", "LGA", "EWR", ""])
NANOSECONDS = st.integers(-5, 5) | st.integers(-(2**62), 2**62)
ROWS = st.lists(st.tuples(KEYS, NANOSECONDS), max_size=30)


def events_of(rows: list[tuple[Any, Any]]) -> pa.Table:
    keys, times = [key for key, _ in rows], [time for _, time in rows]
    return pa.table(
        {
            "airport": pa.array(keys, pa.string()),
            "at": pa.array(times, pa.timestamp("ns")),
            "label": [*range(len(rows))],
        }
    )


def features_of(rows: list[tuple[str, int]]) -> pa.Table:
    keys, times = [key for key, _ in rows], [time for _, time in rows]
    return pa.table(
        {
            "airport": pa.array(keys, pa.string()),
            "event_time": pa.array(times, pa.timestamp("ns", "UTC")),
            "row": pa.array(range(len(rows)), pa.int64()),
        }
    )


def by_hand(event: tuple[Any, Any], features: list[tuple[str, int]], max_age: int | None) -> int | None:
    """The row of an event, from the definition: newest, not after it, the last of equals."""
    key, time = event
    limit = 2**64 if max_age is None else max_age
    known = [
        (at, row)
        for row, (of, at) in enumerate(features)
        if key is not None and time is not None and of == key and 0 <= time - at <= limit
    ]
    return max(known)[1] if known else None


@settings(deadline=None, max_examples=300)
@given(
    st.lists(st.tuples(KEYS | st.none(), NANOSECONDS | st.none()), max_size=30),
    ROWS,
    st.none() | st.integers(0, 10) | st.integers(2**52, 2**54),
)
def test_each_event_has_the_newest_row_that_was_known(
    events: list[tuple[Any, Any]], features: list[tuple[str, int]], microseconds: int | None
) -> None:
    max_age = None if microseconds is None else timedelta(microseconds=microseconds)
    joined = training_set(events_of(events), features_of(features), key="airport", time="at", max_age=max_age)
    nanoseconds = None if microseconds is None else 1000 * microseconds
    assert joined["row"].to_pylist() == [by_hand(event, features, nanoseconds) for event in events]
    assert joined["label"].to_pylist() == [*range(len(events))]
    assert joined.column_names == ["airport", "at", "label", "row"]


@settings(deadline=None)
@given(ROWS, ROWS, st.integers(0, 29))
def test_what_comes_after_an_event_changes_nothing(
    events: list[tuple[str, int]], features: list[tuple[str, int]], which: int
) -> None:
    if not events:
        return
    event = events[which % len(events)]
    asked = events_of([event])
    past = [row for row in features if row[1] <= event[1]]
    with_future = training_set(asked, features_of(features), key="airport", time="at")["row"].to_pylist()
    without = training_set(asked, features_of(past), key="airport", time="at")["row"].to_pylist()
    numbers = [number for number, row in enumerate(features) if row[1] <= event[1]]
    assert with_future == [None if row is None else numbers[row] for row in without]


def test_units_and_zones_are_compared_as_moments() -> None:
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    events = pa.table(
        {"id": [1, 1], "event_time": pa.array([noon, noon + timedelta(hours=1)], pa.timestamp("s", "UTC"))}
    )
    features = pa.table(
        {
            "id": pa.array([1], pa.int32()),
            "known": pa.array([noon + timedelta(microseconds=1)], pa.timestamp("us", "America/New_York")),
            "temp": [3.5],
        }
    )
    joined = training_set(events, features, key="id", feature_time="known")
    assert joined["temp"].to_pylist() == [None, 3.5]


def test_chunks_and_types_of_features_stay() -> None:
    events = pa.concat_tables([events_of([("JFK", 1)]), events_of([("LGA", 9)])])
    features = pa.concat_tables([features_of([("LGA", 5)]), features_of([("JFK", 2), ("LGA", 5)])])
    features = features.append_column("words", pa.array([["a"], None, ["b", "c"]]))
    joined = training_set(events, features, key="airport", time="at")
    assert joined["words"].to_pylist() == [None, ["b", "c"]]
    assert joined.schema.field("words").type == pa.list_(pa.string())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"key": "code"}, "the events have no column 'code', only airport, at, label"),
        ({"time": "label"}, "the time of the events is int64, expected a timestamp"),
        ({"feature_time": "when"}, "the features have no column 'when', only airport, event_time, row"),
        ({"features": features_of([("JFK", 1)]).rename_columns(["airport", "event_time", "label"])},
         "events and features both have label; rename it in one of them"),
        ({"features": pa.table({"airport": [None], "event_time": pa.array([0], pa.timestamp("s"))})},
         "1 rows of the features have no airport"),
        ({"features": pa.table({"airport": ["x"], "event_time": pa.array([2**62], pa.timestamp("s"))})},
         "event_time: "),
    ],
)  # fmt: skip
def test_what_cannot_be_joined_is_one_line(change: dict[str, Any], message: str) -> None:
    usual: dict[str, Any] = {
        "key": "airport",
        "time": "at",
        "events": events_of([("JFK", 1)]),
        "features": features_of([("JFK", 1)]),
    }
    with pytest.raises(SlipwayError) as error:
        training_set(**{**usual, **change})
    assert error.value.message.startswith(message)
