"""Schedules: five cron fields, as Kubernetes reads them, for those who read something else."""

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from typing import cast

from cronsim import CronSim, CronSimError

_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_START = datetime(2024, 1, 1, tzinfo=UTC)
_RUNS = 1000
"""Runs that are looked at for the longest pause: years of a nightly schedule."""


def require_cron(expression: str) -> str:
    """`expression`, when Kubernetes accepts it as a schedule; else a ValueError that says what was expected."""
    _parse(expression)
    return expression


def longest_pause(expression: str) -> timedelta:
    """Longest time between two runs of the schedule (UTC)."""
    runs = list(islice(_parse(expression), _RUNS))
    return max(later - earlier for earlier, later in pairwise(runs))


def eventbridge_cron(expression: str) -> str:
    """The same schedule as EventBridge Scheduler writes it: `cron(minutes hours day month weekday year)`.

    EventBridge counts weekdays from 1, wants `?` for whichever of day and weekday is not said, and cannot say both.

    Raises:
        ValueError: the expression is no schedule, or says both day of month and day of week.
    """
    schedule = _parse(expression)
    weekdays = {cast("int", day) % 7 for day in schedule.weekdays}
    every_day, every_weekday = len(schedule.days) == 31, len(weekdays) == 7
    if not every_day and not every_weekday:
        raise ValueError(f"schedule {expression!r}: expected a day of month or a day of week, not both; choose one")
    fields = (
        _list(schedule.minutes, 60),
        _list(schedule.hours, 24),
        _list(schedule.days, 31) if every_weekday else "?",
        _list(schedule.months, 12),
        "?" if every_weekday else ",".join(_WEEKDAYS[day] for day in sorted(weekdays)),
        "*",
    )
    return f"cron({' '.join(fields)})"


def _parse(expression: str) -> CronSim:
    wrong = ValueError(f'schedule {expression!r}: expected five cron fields in UTC such as "0 2 * * *"')
    fields = expression.upper().split()
    # The parser also knows seconds, L, LW and #, which Kubernetes does not.
    if len(fields) != 5 or "L" in fields[2] + fields[4] or "#" in expression:
        raise wrong
    try:
        return CronSim(expression, _START)
    except CronSimError:
        raise wrong from None


def _list(values: set[int], whole: int) -> str:
    return "*" if len(values) == whole else ",".join(str(value) for value in sorted(values))
