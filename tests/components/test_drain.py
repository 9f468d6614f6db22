"""The times of a pod's end fit each other, whatever is asked."""

import re
from pathlib import Path

import pytest
import serving
from hypothesis import given
from hypothesis import strategies as st
from serving import companion

from components.drain import SHIPPING_SECONDS, WORKERS_SECONDS, drain


@given(st.integers(0, 3600), st.booleans(), st.none() | st.integers(0, 600))
def test_the_order_of_a_pods_end_holds(seconds: int, load_balanced: bool, pre_stop: int | None):
    times = drain(seconds, load_balanced=load_balanced, pre_stop_seconds=pre_stop)
    answered = times.pre_stop_seconds + times.drain_seconds
    # All that the runtime may do after its last answer is done before the pod is killed.
    assert answered + WORKERS_SECONDS + SHIPPING_SECONDS < times.grace_seconds
    # The load balancer gives up on open requests before that too, and not before the pod has had its time.
    assert times.deregistration_seconds == min(answered, 3600)
    assert times.deregistration_seconds < times.grace_seconds


def test_the_times_after_the_drain_are_the_runtimes():
    """`components` imports nothing of `serving`; so what it reckons with is compared here."""
    assert companion._LAST_SECONDS == SHIPPING_SECONDS
    supervisor = Path(serving.__path__[0], "supervisor.py").read_text()
    (extra,) = re.findall(r"drain_seconds \+ (\d+)", supervisor)
    assert int(extra) == WORKERS_SECONDS


def test_behind_a_load_balancer_a_pod_serves_longer_before_it_drains():
    assert drain(20, load_balanced=True).pre_stop_seconds > drain(20, load_balanced=False).pre_stop_seconds


def test_a_negative_time_is_refused():
    with pytest.raises(ValueError, match="expected 0 or more"):
        drain(-1, load_balanced=False)
