"""Words and results: where they go, and what they may hold."""

import io
import json
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from release.cli import screen as screen_module
from release.cli.screen import WIDTH, Screen, plain, shorten


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def no_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


def test_a_result_goes_to_stdout_and_words_do_not(capsys: pytest.CaptureFixture[str]):
    screen = Screen(as_json=True)
    screen.line("a word")
    screen.result({"a": 1})
    out, err = capsys.readouterr()
    assert json.loads(out) == {"a": 1}
    assert err == "a word\n"


def test_foreign_text_is_not_read_as_markup(no_ci: None):
    words = Terminal()
    Screen(words=words).line("[red]x[/red] [bold] :smile: http://example.com")
    assert "[red]x[/red] [bold] :smile: http://example.com" in re.sub(r"\x1b\[[0-9;]*m", "", words.getvalue())


def test_a_terminal_has_styles_unless_no_color(no_ci: None, monkeypatch: pytest.MonkeyPatch):
    styled, plainer = Terminal(), Terminal()
    Screen(words=styled).line("x", style="red")
    monkeypatch.setenv("NO_COLOR", "1")
    Screen(words=plainer).line("x", style="red")
    assert "\x1b[31m" in styled.getvalue()
    assert "\x1b[31m" not in plainer.getvalue()


def test_in_ci_a_terminal_gets_plain_lines(no_ci: None, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CI", "true")
    words = Terminal()
    screen = Screen(words=words)
    with screen.waiting("something"):
        screen.line("x", style="red")
    assert words.getvalue() == "x\n"


@given(st.text())
def test_plain_text_has_no_control_characters(text: str):
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", plain(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b[2J\x1b[1;1Hgone", "gone"),
        ("\x1b]0;title\x07x", "x"),
        ("a\rb", "ab"),
        ("a\tb\nc", "a\tb\nc"),
        ("\x9b31mx", "31mx"),
    ],
)
def test_escape_sequences_of_others_are_left_out(text: str, expected: str):
    assert plain(text) == expected


@given(st.text(st.characters(codec="ascii", categories=["L", "N"])), st.integers(3, 50))
def test_shortened_text_fits_and_keeps_both_ends(text: str, width: int):
    short = shorten(text, width)
    assert len(short) <= width
    assert short == text or (short[0] == text[0] and short[-1] == text[-1])


cells = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=60)


@given(st.lists(st.tuples(cells, cells, cells, cells), min_size=1, max_size=5))
def test_tables_are_whole_at_80_columns(rows: list[tuple[str, str, str, str]]):
    words = io.StringIO()
    Screen(words=words).table(("one", "two", "three", "four"), rows)
    lines = words.getvalue().splitlines()
    assert len(lines) == len(rows) + 1
    assert max(map(len, lines)) <= WIDTH
    assert all(len(line.split()) == 4 for line in lines)


def test_a_long_wait_is_named_with_its_age(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(screen_module, "HEARTBEAT_SECONDS", 0.05)
    words = io.StringIO()
    with Screen(words=words).waiting("the pods") as wait:
        time.sleep(0.12)
        wait.now("the answer")
        time.sleep(0.12)
    assert "… the pods\n" in words.getvalue()
    assert "… the answer\n" in words.getvalue()


def test_a_short_wait_is_not_worth_a_line():
    words = io.StringIO()
    with Screen(words=words).waiting("the pods"):
        pass
    assert words.getvalue() == ""
