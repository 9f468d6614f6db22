"""Interrupt anything, run it again, nothing to clean up: signals at random moments of `up` and `release`."""

import random
import signal
import subprocess
import time

import pytest
from checkout import Checkout

pytestmark = pytest.mark.integration


def cut(checkout: Checkout, number: signal.Signals, after: float, *words: str) -> "subprocess.CompletedProcess[str]":
    """Begin a command and send it a signal after some seconds, as a person or the system would."""
    process = checkout.start(*words)
    time.sleep(after)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    return subprocess.CompletedProcess(words, process.returncode, out, err)


def test_ctrl_c_is_one_line_and_130(checkout: Checkout):
    done = cut(checkout, signal.SIGINT, 1.0, "up")
    assert done.returncode == 130
    assert done.stderr.splitlines() == [
        "error: interrupted",
        "  → nothing to clean up; to finish, run it again: slipway up",
    ]


def test_a_change_that_is_cut_off_is_finished_by_the_next_run(checkout: Checkout):
    file = checkout.root / "stacks" / "Pulumi.local.yaml"
    before = file.read_text()
    chance = random.Random(2013)
    try:
        for replicas, number in ((3, signal.SIGKILL), (2, signal.SIGTERM), (3, signal.SIGKILL)):
            file.write_text(before.replace("{min: 2, max: 2}", f"{{min: {replicas}, max: {replicas}}}"))
            cut(checkout, number, chance.uniform(1.0, 6.0), "up")
    finally:
        file.write_text(before)
    assert checkout.answer("up")["services"]["flight-delay"]["version"] == "1"
    assert len(checkout.rest_pods) == 2
    assert checkout.service["ready"] is True


def test_two_at_once_the_second_is_told_who_is_first(checkout: Checkout):
    first = checkout.start("up")
    try:
        time.sleep(0.8)
        second = checkout.run("up")
        assert second.returncode == 1
        assert f"(pid {first.pid} on " in second.stderr
    finally:
        assert first.wait(60) == 0
        first.communicate()


def test_a_first_up_that_is_killed_again_and_again_ends_well(checkout: Checkout):
    """From nothing: each time a little further, at a moment that chance picks."""
    checkout.slipway("down")
    chance = random.Random(20130101)
    for number, longest in ((signal.SIGKILL, 2), (signal.SIGKILL, 6), (signal.SIGINT, 10), (signal.SIGKILL, 14)):
        done = cut(checkout, number, chance.uniform(0.3, longest), "up")
        assert "Traceback" not in done.stderr
    assert checkout.answer("up")["services"]["flight-delay"]["version"] == "1"
    assert checkout.service["ready"] is True
