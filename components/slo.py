"""From a service's objective to its alarms: multiwindow, multi-burn-rate, as Google's SRE workbook recommends.

The error budget is the share of requests that may fail. A burn rate of 1 spends it exactly in the objective's period;
an alarm goes off when a long window spends a certain part of the budget, and goes out when a short window (a twelfth of
it) is back to normal. See "Alerting on SLOs", https://sre.google/workbook/alerting-on-slos/, table 5-8.
"""

from dataclasses import dataclass
from typing import TypedDict

from components.alarms import Urgency

PERIOD_HOURS = 30 * 24
"""The objective holds over 30 days."""
SHORT_WINDOW_SHARE = 12
"""The workbook's short window is 1/12 of the long one."""


class SloArgs(TypedDict):
    """What users are promised, written once; every threshold comes from here."""

    availability_percent: float
    """Share of requests answered without a server error over 30 days: above 0, below 100."""
    p95_ms: float
    """95 of 100 requests are answered within this, in milliseconds."""


@dataclass(frozen=True)
class BurnRate:
    """One alarm on the error budget."""

    budget_percent: float
    """Part of the 30 days' budget that the long window spends at this rate."""
    long_hours: float
    urgency: Urgency

    @property
    def rate(self) -> float:
        """How many times faster than allowed the budget is spent."""
        return self.budget_percent / 100 * PERIOD_HOURS / self.long_hours

    @property
    def long_seconds(self) -> int:
        """The long window."""
        return round(self.long_hours * 3600)

    @property
    def short_seconds(self) -> int:
        """The short window."""
        return self.long_seconds // SHORT_WINDOW_SHARE

    def error_ratio(self, availability_percent: float) -> float:
        """Share of failed requests, 0 to 1, above which both windows must be."""
        return self.rate * error_budget(availability_percent)

    def can_happen(self, availability_percent: float) -> bool:
        """Whether so many requests can fail at all: with a loose objective, a fast burn would need more than all."""
        return self.error_ratio(availability_percent) < 1


BURN_RATES = (
    BurnRate(budget_percent=2, long_hours=1, urgency=Urgency.PAGE),
    BurnRate(budget_percent=5, long_hours=6, urgency=Urgency.PAGE),
    # The workbook's last is 10 % in three days; CloudWatch sums over one day at most, and 10 % in a day is stricter.
    BurnRate(budget_percent=10, long_hours=24, urgency=Urgency.TICKET),
)


def error_budget(availability_percent: float) -> float:
    """Share of requests that may fail, 0 to 1.

    Raises:
        ValueError: the objective is not above 0 and below 100 percent.
    """
    if not 0 < availability_percent < 100:
        raise ValueError(f"slo.availability_percent: expected above 0 and below 100, got {availability_percent}")
    return 1 - availability_percent / 100


def burn_rates(availability_percent: float) -> list[BurnRate]:
    """The burn rates that can happen with this objective, fastest first.

    When even the slowest cannot (an objective below 90 percent), it stays, with every request failing as its limit:
    `threshold` is what an alarm compares with.
    """
    possible = [burn for burn in BURN_RATES if burn.can_happen(availability_percent)]
    return possible or [BURN_RATES[-1]]


def threshold(burn: BurnRate, availability_percent: float) -> float:
    """Error ratio that the alarm of `burn` compares with: below 1, so that it can be passed."""
    return min(burn.error_ratio(availability_percent), 0.99)
