"""Schedules: five cron fields, as Kubernetes reads them, for those who read something else."""

from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from typing import cast

from cronsim import CronSim, CronSimError

_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_START = datetime(2024, 1, 1, tzinfo=UTC)
_HORIZON = timedelta(days=3000)
"""How far is looked for pauses: over two leap years, and so over every pause that there is before 2100."""


def require_cron(expression: str) -> str:
    """`expression`, when Kubernetes accepts it as a schedule; else a ValueError that says what was expected."""
    _parse(expression)
    return expression


def longest_pause(expression: str) -> timedelta:
    """Longest time between two runs of the schedule (UTC)."""
    return max(_pauses(expression))


def shortest_pause(expression: str) -> timedelta:
    """Shortest time between two runs of the schedule (UTC)."""
    return min(_pauses(expression))


def eventbridge_crons(expression: str) -> list[str]:
    """The same schedule for EventBridge Scheduler: two where both day of month and day of week are said, as Kubernetes
    runs on either."""
    schedule = _parse(expression)
    if len(schedule.days) == 31 or len({cast("int", day) % 7 for day in schedule.weekdays}) == 7:
        return [eventbridge_cron(expression)]
    minute, hour, day, month, weekday = expression.split()
    return [
        eventbridge_cron(f"{minute} {hour} {day} {month} *"),
        eventbridge_cron(f"{minute} {hour} * {month} {weekday}"),
    ]


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


@cache
def _pauses(expression: str) -> frozenset[timedelta]:
    """The different times between two runs: within a day, and from the last of a day to the first of the next one.

    Run by run would not do: a schedule by the minute has thousands before its first weekend.
    """
    schedule = _parse(expression)
    minutes = [60 * hour + minute for hour in sorted(schedule.hours) for minute in sorted(schedule.minutes)]
    within = {timedelta(minutes=later - earlier) for earlier, later in pairwise(minutes)}
    overnight = timedelta(minutes=minutes[0] - minutes[-1])
    _, _, *day = expression.split()
    days = CronSim(" ".join(["0", "0", *day]), _START)
    first = next(days)
    between: set[timedelta] = set()
    for later in days:
        between.add(later - first)
        first = later
        if first - _START > _HORIZON:
            break
    return frozenset(within | {pause + overnight for pause in between})


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
