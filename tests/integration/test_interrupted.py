"""Interrupt anything, run it again, nothing to clean up: signals at random moments of `up` and `release`."""

import random
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest
from checkout import Checkout, made

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    with made(tmp_path_factory.mktemp("interrupted")) as checkout:
        yield checkout


def cut(checkout: Checkout, number: signal.Signals, after: float, *words: str) -> "subprocess.CompletedProcess[str]":
    """Begin a command and send it a signal after some seconds, as a person or the system would."""
    process = checkout.start(*words)
    time.sleep(after)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    return subprocess.CompletedProcess(words, process.returncode, out, err)


def test_a_first_up_that_is_killed_again_and_again_ends_well(checkout: Checkout):
    """From nothing: each time a little further, at a moment that chance picks."""
    chance = random.Random(20130101)
    for number, longest in ((signal.SIGKILL, 2), (signal.SIGKILL, 6), (signal.SIGINT, 10), (signal.SIGKILL, 14)):
        done = cut(checkout, number, chance.uniform(0.3, longest), "up")
        assert "Traceback" not in done.stderr
    assert checkout.answer("up")["services"]["flight-delay"]["version"] == "1"
    assert checkout.service["ready"] is True


def test_ctrl_c_is_one_line_and_130(checkout: Checkout):
    done = cut(checkout, signal.SIGINT, 1.5, "up")
    if done.returncode == 0:
        pytest.skip("it was done before it could be interrupted")
    assert done.returncode == 130
    assert done.stderr.splitlines() == [
        "error: interrupted",
        "  → nothing to clean up; to finish, run it again: slipway up",
    ]
    checkout.slipway("up")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_change_that_is_cut_off_is_finished_by_the_next_run(checkout: Checkout, number: signal.Signals):
    file = checkout.root / "stacks" / "Pulumi.local.yaml"
    before = file.read_text()
    chance = random.Random(number)
    try:
        for replicas in (3, 2):
            file.write_text(before.replace("{min: 2, max: 2}", f"{{min: {replicas}, max: {replicas}}}"))
            cut(checkout, number, chance.uniform(1.0, 5.0), "up")
        checkout.slipway("up")
    finally:
        file.write_text(before)
    assert len(checkout.service["pods"]) == 2
    assert checkout.service["ready"] is True
    assert checkout.answer("up")["changes"] == []


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
