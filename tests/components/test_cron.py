"""Schedules: Kubernetes' five fields, and what EventBridge makes of them."""

from datetime import UTC, datetime, timedelta

import pytest
from cronsim import CronSim
from hypothesis import given
from hypothesis import strategies as st

from components.cron import eventbridge_cron, longest_pause, require_cron, shortest_pause

DAYS = {name: index for index, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"))}


def fires(expression: str, at: datetime) -> bool:
    """Whether EventBridge's schedule fires at a minute, read from its text."""
    minute, hour, day, month, weekday, year = expression.removeprefix("cron(").removesuffix(")").split()
    assert year == "*"
    assert (day == "?") != (weekday == "?")
    matches = [
        (minute, at.minute),
        (hour, at.hour),
        (day, at.day),
        (month, at.month),
        (weekday, at.isoweekday() % 7),
    ]
    return all(
        text in {"*", "?"} or value in {DAYS.get(part) if part in DAYS else int(part) for part in text.split(",")}
        for text, value in matches
    )


FIELDS = st.tuples(
    st.sampled_from(["*", "0", "*/15", "5,35", "10-20"]),
    st.sampled_from(["*", "2", "*/6", "1-5"]),
    st.sampled_from(["*", "1", "1,15", "*/10"]),
    st.sampled_from(["*", "6", "JAN,JUL", "*/3"]),
    st.sampled_from(["*", "0", "7", "1-5", "SUN,WED", "*/2"]),
).filter(lambda fields: fields[2] == "*" or fields[4] == "*")


@given(FIELDS)
def test_eventbridge_fires_when_kubernetes_would(fields):
    expression = " ".join(fields)
    start = datetime(2026, 3, 1, tzinfo=UTC)
    simulated = CronSim(expression, start)
    converted = eventbridge_cron(expression)
    previous = start
    for run in (next(simulated) for _ in range(5)):
        assert fires(converted, run)
        between = previous + (run - previous) / 2
        middle = between.replace(second=0, microsecond=0)
        if previous < middle < run:
            assert not fires(converted, middle)
        previous = run


def test_a_nightly_schedule():
    assert eventbridge_cron("0 2 * * *") == "cron(0 2 * * ? *)"
    assert eventbridge_cron("30 6 * * 1-5") == "cron(30 6 ? * MON,TUE,WED,THU,FRI *)"
    assert longest_pause("0 2 * * *") == timedelta(days=1)
    assert longest_pause("0 2 * * 1-5") == timedelta(days=3)
    # Two thousand runs come before the first pause of this one.
    assert longest_pause("*/5 * * * 1-5") == timedelta(days=2, minutes=5)
    assert shortest_pause("*/5 * * * 1-5") == timedelta(minutes=5)
    assert longest_pause("0 2 29 2 *") == timedelta(days=4 * 365 + 1)


@pytest.mark.parametrize(
    "expression", ["", "nightly", "0 2 * *", "0 0 2 * * *", "61 * * * *", "0 2 L * *", "0 2 * * 1#2"]
)
def test_what_is_no_schedule_is_refused(expression):
    with pytest.raises(ValueError, match="expected five cron fields"):
        require_cron(expression)


def test_a_day_of_month_and_of_week_cannot_both_be_said():
    with pytest.raises(ValueError, match="not both; choose one"):
        eventbridge_cron("0 2 1 * 1")
