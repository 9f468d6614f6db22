"""From an objective to alarms: the numbers of Google's SRE workbook, and what holds for any objective."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.slo import BURN_RATES, burn_rates, error_budget, threshold


def test_the_workbooks_numbers():
    """Table 5-8 for a 99.9 % objective: 14.4 over 1 h and 5 min, 6 over 6 h and 30 min."""
    fast, slow, day = BURN_RATES
    assert (round(fast.rate, 6), fast.long_seconds, fast.short_seconds) == (14.4, 3600, 300)
    assert (round(slow.rate, 6), slow.long_seconds, slow.short_seconds) == (6.0, 21600, 1800)
    assert (round(day.rate, 6), day.long_seconds, day.short_seconds) == (3.0, 86400, 7200)
    assert round(threshold(fast, 99.9), 6) == 0.0144
    assert [burn.urgency for burn in BURN_RATES] == ["page", "page", "ticket"]


@given(st.floats(min_value=0.001, max_value=99.999))
def test_every_threshold_can_be_passed_and_is_above_the_budget(availability):
    made = burn_rates(availability)
    assert made
    for burn in made:
        limit = threshold(burn, availability)
        assert 0 < limit < 1
        assert limit >= min(error_budget(availability), 0.99)


@given(st.floats(min_value=90, max_value=99.99))
def test_faster_burns_have_higher_thresholds(availability):
    limits = [threshold(burn, availability) for burn in burn_rates(availability)]
    assert limits == sorted(limits, reverse=True)


def test_windows_fit_cloudwatch():
    """A period is a multiple of a minute and a day at most (PutMetricAlarm, Period)."""
    for burn in BURN_RATES:
        for seconds in (burn.long_seconds, burn.short_seconds):
            assert seconds % 60 == 0
            assert seconds <= 86_400


@pytest.mark.parametrize("availability", [0, 100, -1, 101])
def test_an_impossible_objective_is_refused(availability):
    with pytest.raises(ValueError, match="expected above 0 and below 100"):
        error_budget(availability)
