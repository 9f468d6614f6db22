"""The variables that components give to pods are those that the runtime reads."""

import re
from pathlib import Path

from serving.settings import variables

ROOT = Path(__file__).resolve().parents[2]
NAME = re.compile(r"SLIPWAY_[A-Z]+(?:_[A-Z]+)*")


def given() -> set[str]:
    """Every variable that a component names."""
    return {
        name
        for file in (ROOT / "components").glob("*.py")
        for name in re.findall(rf'"({NAME.pattern})"', file.read_text(encoding="utf-8"))
    }


def promised() -> set[str]:
    """Variables that the contract lists by pattern, which the runtime may not read yet."""
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    section = page.partition("### By pattern")[2].partition("\n## ")[0]
    return set(NAME.findall(section))


def test_every_variable_is_read_by_the_runtime_or_promised_by_the_contract():
    assert len(given()) > 20
    assert given() - set(variables()) - promised() == set()


def test_nothing_is_promised_that_nobody_gives():
    assert promised()
    assert promised() - given() == set()
