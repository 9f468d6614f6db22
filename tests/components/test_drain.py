"""The times of a pod's end fit each other, whatever is asked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.drain import MARGIN_SECONDS, drain


@given(st.integers(0, 3600), st.booleans(), st.none() | st.integers(0, 600))
def test_the_order_of_a_pods_end_holds(seconds, load_balanced, pre_stop):
    times = drain(seconds, load_balanced=load_balanced, pre_stop_seconds=pre_stop)
    assert times.pre_stop_seconds + times.drain_seconds + MARGIN_SECONDS == times.grace_seconds
    # The load balancer gives up on open requests before the pod is killed, and not before the pod has had its time.
    assert times.deregistration_seconds < times.grace_seconds
    assert times.deregistration_seconds == min(times.pre_stop_seconds + times.drain_seconds, 3600)


def test_behind_a_load_balancer_a_pod_serves_longer_before_it_drains():
    assert drain(20, load_balanced=True).pre_stop_seconds > drain(20, load_balanced=False).pre_stop_seconds


def test_a_negative_time_is_refused():
    with pytest.raises(ValueError, match="expected 0 or more"):
        drain(-1, load_balanced=False)
