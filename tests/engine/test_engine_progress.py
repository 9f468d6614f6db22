import io
import re
import time

import pytest

from engine import progress
from engine.progress import Meter, duration, on_terminal, showing


class Clock:
    """Time that passes when told to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (185, "3 min 5 s"), (3725, "1 h 2 min")],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_the_time_left_follows_from_the_speed_so_far() -> None:
    clock = Clock()
    meter = Meter("compiling", "packages", 200, clock)
    clock.now += 30
    for _ in range(50):
        meter.step()
    assert meter.line() == "compiling: 25% (50 of 200 packages), 30 s so far, about 1 min 30 s left"


def test_what_an_earlier_run_did_counts_as_done_but_not_as_speed() -> None:
    clock = Clock()
    meter = Meter("compiling", "packages", 200, clock, done=100)
    clock.now += 30
    for _ in range(50):
        meter.step()
    assert meter.share == 0.75
    assert meter.left == pytest.approx(30)


def test_no_time_left_is_guessed_from_too_little_or_when_all_is_counted() -> None:
    meter = Meter("compiling", "packages", 100, Clock(), done=4)
    assert meter.left is None
    meter.done = 100
    assert meter.line() == "compiling: 100% (100 of 100 packages), 0 s so far"
    meter.done = 103
    assert meter.share == 1.0


def test_without_a_total_only_the_time_is_told() -> None:
    assert Meter("waiting for process 7", clock=Clock()).line() == "waiting for process 7: 0 s so far"


def test_plain_lines_with_a_heartbeat_where_no_terminal_is(capsys: pytest.CaptureFixture[str]) -> None:
    with showing(Meter("compiling", "packages", 10, done=3), every=0.02):
        time.sleep(0.15)
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert 2 <= len(lines) <= 8
    assert all(re.fullmatch(r"compiling: 30% \(3 of 10 packages\), 0 s so far", line) for line in lines)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_ci_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", Terminal())
    monkeypatch.delenv("CI", raising=False)
    assert on_terminal()
    monkeypatch.setenv("CI", "true")
    assert not on_terminal()


@pytest.mark.parametrize("colours", [True, False])
def test_a_bar_on_a_terminal_obeys_no_color(monkeypatch: pytest.MonkeyPatch, colours: bool) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    if not colours:
        monkeypatch.setenv("NO_COLOR", "1")
    with progress.showing(Meter("compiling [1]", "packages", 10, done=3)):
        pass
    text = terminal.getvalue()
    assert "compiling [1]: 30% (3 of 10 packages)" in text
    assert bool(re.search(r"\x1b\[[\d;]*(?:3[0-9]|38;[\d;]*)m", text)) is colours
