"""Late runs are noticed on any schedule, and runs in time never count as late: CloudWatch's hours, played through."""

from bisect import bisect_right
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise

import pytest
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st

from components.alarms import LONGEST_WINDOW_SECONDS
from components.cron import eventbridge_crons
from components.late_runs import MAX_DEADLINE_MINUTES, START_WITHIN_SECONDS, Lateness, lateness
from stacks.config.services import Batch

SCHEDULES = ["0 2 1 * *", "30 23 31 * *", "0 6 * * 1", "59 */8 1 * *", "0 2 1-4 * *", "30 1,5 1,15 * *", "0 4 1 1,7 *"]
"""With a pause of a week or more."""
FREQUENT = ["0 2 * * *", "*/15 * * * *", "0 2 * * 1-5", "0 */6 * * *"]
PLAYED = settings(max_examples=30, deadline=None)
START = datetime(2026, 1, 1, tzinfo=UTC)
DEADLINES = st.integers(1, MAX_DEADLINE_MINUTES)


def hour(at: datetime) -> int:
    return int((at - START).total_seconds() // 3600)


def is_late(late: Lateness, expected: list[int], succeeded: list[int], now: int) -> bool:
    """What the alarms say in the hour `now`: each looks at its last hours, this one included."""

    def within(hours: int, metric: list[int]) -> bool:
        seen = bisect_right(metric, now)
        return seen > 0 and metric[seen - 1] > now - hours

    if late.in_sight:
        return not within(late.silent_hours, succeeded)
    return (
        within(late.window_hours, expected)
        and not within(late.allowed_hours, expected)
        and not within(late.window_hours, succeeded)
    )


Played = tuple[Lateness, list[int], list[int]]
RUNS = {schedule: list(islice(CronSim(schedule, START), 10)) for schedule in [*SCHEDULES, *FREQUENT]}


def play(schedule: str, deadline: int, ends: Callable[[datetime], datetime | None]) -> Played:
    """Hours of the runs that were due, and those in which it counts as late, from the first run on."""
    late = lateness(schedule, deadline)
    runs = RUNS[schedule]
    ended = sorted(hour(end) for run in runs if (end := ends(run)))
    due = [hour(run) for run in runs]
    return late, due, [now for now in range(due[0], due[-1]) if is_late(late, due, ended, now)]


@PLAYED
@given(st.sampled_from(SCHEDULES), DEADLINES, st.floats(0, 1))
def test_a_run_in_time_is_never_late(schedule: str, deadline: int, share: float):
    longest = timedelta(minutes=deadline, seconds=START_WITHIN_SECONDS)
    late, _, hours = play(schedule, deadline, lambda run: run + longest * share)
    if not late.in_sight:
        assert hours == []


@PLAYED
@given(st.sampled_from(FREQUENT), st.integers(1, 24 * 60))
def test_what_cloudwatch_can_look_back_on_needs_no_schedule(schedule: str, deadline: int):
    assert lateness(schedule, deadline).in_sight


@PLAYED
@given(st.sampled_from(SCHEDULES), DEADLINES)
def test_runs_that_all_fail_are_late_in_the_first_pause(schedule: str, deadline: int):
    late, due, hours = play(schedule, deadline, lambda run: None)
    begun = next(earlier for earlier, later in pairwise(due) if later - earlier > late.allowed_hours)
    assert hours[0] == due[0] if late.in_sight else hours[0] == begun + late.allowed_hours


@PLAYED
@given(DEADLINES, st.integers(2, 7))
def test_one_month_without_a_run_is_late_until_it_is_forgotten(deadline: int, missing: int):
    runs = RUNS["0 2 1 * *"]
    late, due, hours = play("0 2 1 * *", deadline, lambda run: None if run == runs[missing] else run)
    assert hours == list(range(due[missing] + late.allowed_hours, due[missing] + late.window_hours))


@PLAYED
@given(st.sampled_from([*SCHEDULES, *FREQUENT]), DEADLINES)
def test_no_alarm_looks_back_longer_than_cloudwatch_does(schedule: str, deadline: int):
    late = lateness(schedule, deadline)
    hours = [late.silent_hours] if late.in_sight else [late.window_hours, late.allowed_hours]
    assert all(0 < each * 3600 <= LONGEST_WINDOW_SECONDS for each in hours)
    assert late.in_sight or late.allowed_hours < late.window_hours


@pytest.mark.parametrize("deadline", [0, MAX_DEADLINE_MINUTES + 1])
def test_a_deadline_that_cannot_be_watched_is_refused(deadline: int):
    with pytest.raises(ValueError, match=f"deadline_minutes: expected 1 to {MAX_DEADLINE_MINUTES}, got {deadline}"):
        lateness("0 2 * * *", deadline)


def test_the_config_refuses_the_same_deadlines():
    highest = Batch.model_json_schema()["properties"]["deadline_minutes"]["maximum"]
    assert highest == MAX_DEADLINE_MINUTES


def test_a_schedule_on_either_day_is_two():
    assert eventbridge_crons("0 2 1 * 1") == ["cron(0 2 1 * ? *)", "cron(0 2 ? * MON *)"]
    assert eventbridge_crons("0 2 * * *") == ["cron(0 2 * * ? *)"]
