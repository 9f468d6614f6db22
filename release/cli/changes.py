"""A change on one screen: what would be lost on top, then what is made anew, then every difference by component."""

from collections.abc import Sequence
from itertools import groupby

from release.cli.screen import Screen
from release.events import Change

_DONE = {"create": "created", "change": "changed", "delete": "deleted", "replace": "replaced", "import": "imported"}
_MOST_LINES = 60
_ORDER = ["replace", "delete", "change", "create", "import"]


def show_changes(screen: Screen, changes: Sequence[Change], *, done: bool) -> None:
    """Show a plan, or (`done`) what was carried out."""
    for change in changes:
        if change.loses:
            tense = "lost" if done else "WILL BE LOST"
            screen.line(
                f"{tense}: {change.loses} ({_label(change)}, {_word(change.operation, done)})", style="bold red"
            )
    if not changes:
        if not done:
            screen.line("nothing would change")
        return
    lines = [line for change in _sorted(changes) for line in _lines(change, done)]
    for line in lines[:_MOST_LINES]:
        screen.line(line)
    if len(lines) > _MOST_LINES:
        screen.line(f"  … and {len(lines) - _MOST_LINES} more lines (--json has all)")
    _summary(screen, changes, done)


def _sorted(changes: Sequence[Change]) -> list[Change]:
    """Those that a reader has to look at: what is changed, replaced or deleted. What is new is counted by component."""
    return sorted(
        (change for change in changes if change.operation != "create"),
        key=lambda change: (_ORDER.index(change.operation), change.component, change.name),
    )


def _lines(change: Change, done: bool) -> list[str]:
    head = f"{_word(change.operation, done)} {_label(change)}"
    return [head, *(f"    {difference}" for difference in change.differences)]


def _summary(screen: Screen, changes: Sequence[Change], done: bool) -> None:
    created = sorted(
        (change for change in changes if change.operation == "create"), key=lambda change: change.component
    )
    for component, members in groupby(created, key=lambda change: change.component):
        screen.line(f"{component}: {len(list(members))} {_word('create', done)}")
    counts = {kind: sum(change.operation == kind for change in changes) for kind in _ORDER}
    screen.line(", ".join(f"{count} {_word(kind, done)}" for kind, count in counts.items() if count))


def _label(change: Change) -> str:
    return f"{change.component} / {change.type.rsplit(':', 1)[-1]} {change.name}"


def _word(operation: str, done: bool) -> str:
    return _DONE[operation] if done else f"to {operation}"
