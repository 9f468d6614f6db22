"""Where a command's words go: to a person at a terminal, to a log, or to a program.

With `--json` standard output carries the result and nothing else; every other word goes to standard error. Without a
terminal (or with CI set) there are plain lines, and a heartbeat while something takes long.
"""

import json
import os
import re
import sys
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console

WIDTH = 80
"""Columns that a table keeps to where the terminal's width is not known."""
HEARTBEAT_SECONDS = 10.0
_CONTROL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def plain(text: str) -> str:
    """Foreign text without escape sequences and control characters, tabs and line ends excepted."""
    return _CONTROL.sub("", text)


def shorten(text: str, width: int) -> str:
    """`text` in at most `width` columns, its middle left out where it is longer."""
    if len(text) <= width:
        return text
    head = (width - 1) // 2
    return f"{text[:head]}…{text[len(text) - (width - 1 - head) :]}"


class Screen:
    """One command's output."""

    def __init__(self, as_json: bool = False, words: TextIO | None = None) -> None:
        self.as_json = as_json
        self._words = words or (sys.stderr if as_json else sys.stdout)
        self.is_terminal = self._words.isatty() and not os.environ.get("CI") and os.environ.get("TERM") != "dumb"
        self._console: Console | None = None

    @property
    def console(self) -> "Console":
        """Rich's console on the stream for words; foreign text is never read as markup."""
        if self._console is None:
            from rich.console import Console

            self._console = Console(
                file=self._words,
                markup=False,
                highlight=False,
                emoji=False,
                soft_wrap=True,
                force_terminal=self.is_terminal,
                width=None if self.is_terminal else WIDTH,
                no_color=True if os.environ.get("NO_COLOR") else None,
            )
        return self._console

    def line(self, text: str = "", style: str = "") -> None:
        """One line for a person."""
        text = plain(text)
        if self.is_terminal:
            self.console.print(text, style=style or None)
        else:
            print(text, file=self._words, flush=True)

    def aside(self, text: str) -> None:
        """A line of lesser weight: progress, detail."""
        self.line(text, style="dim")

    def result(self, value: Any) -> None:
        """The answer of a command that was asked for JSON."""
        json.dump(value, sys.stdout, indent=2, default=str)
        sys.stdout.write("\n")
        sys.stdout.flush()

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table that keeps to the width of the screen; what is too long loses its middle, never a column."""
        width = self.console.width if self.is_terminal else WIDTH
        for number, text in enumerate(_aligned([list(columns), *map(list, rows)], width)):
            self.line(text, style="bold" if number == 0 else "")

    @contextmanager
    def waiting(self, what: str) -> Generator["Waiting"]:
        """Name what is being waited for, with its age once that passes ten seconds."""
        wait = Waiting(self, what)
        try:
            wait.begin()
            yield wait
        finally:
            wait.end()


class Waiting:
    """A wait that a person can see: for what, and for how long already."""

    def __init__(self, screen: Screen, what: str) -> None:
        self._what = what
        self._screen = screen
        self._since = time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def begin(self) -> None:
        """Start to show it."""
        self._thread.start()

    def end(self) -> None:
        """It is over."""
        self._over.set()
        self._thread.join()

    def now(self, what: str) -> None:
        """It waits for something else now; its age begins anew."""
        if what != self._what:
            self._what, self._since = what, time.monotonic()

    def _text(self) -> str:
        age = int(time.monotonic() - self._since)
        return f"{self._what} ({age} s)" if age >= 1 else self._what

    def _watch(self) -> None:
        if self._screen.is_terminal:
            with self._screen.console.status(plain(self._text())) as spinner:
                while not self._over.wait(0.5):
                    spinner.update(plain(self._text()))
        else:
            while not self._over.wait(HEARTBEAT_SECONDS):
                self._screen.line(f"… {self._text()}")


def _aligned(rows: list[list[str]], width: int) -> list[str]:
    widths = [max(len(plain(cell)) for cell in column) for column in zip(*rows, strict=True)]
    gaps = 2 * (len(widths) - 1)
    while sum(widths) + gaps > width and max(widths) > 8:
        widths[widths.index(max(widths))] -= 1
    return [
        "  ".join(shorten(plain(cell), size).ljust(size) for cell, size in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
