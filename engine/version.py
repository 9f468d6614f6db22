"""The one place that names the engine's version, and how versions are read and compared."""

import re
from typing import NamedTuple


class Version(NamedTuple):
    """A semantic version. A pre-release (`3.259.0-alpha.1`) comes before its release, so it compares as not `final`."""

    major: int
    minor: int
    patch: int
    final: bool = True

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}" + ("" if self.final else "-pre")


# The Python SDK in requirements.in and the modules in engine/module/go.mod are pinned to the same version (a test
# compares the three), because that is the combination that is tested.
ENGINE = Version(3, 259, 0)

# A CLI on PATH is taken from this version on, up to the next major one. An engine older than the SDK that talks to it
# is a combination that nobody tests, and updating a CLI takes a minute.
MINIMUM = ENGINE

_SEMANTIC = re.compile(r"(?:v|go)?(\d+)\.(\d+)(?:\.(\d+))?([-\w.+]*)", re.ASCII)


def parse(text: str) -> Version | None:
    """The version in `text`, as `pulumi version` (`v3.259.0`) or `go env GOVERSION` (`go1.26.8`, `go1.27rc1`) print it.

    None where the text is not a version: a development build may print anything.
    """
    match = _SEMANTIC.fullmatch(text.strip())
    if match is None:
        return None
    major, minor, patch, rest = match.groups()
    return Version(int(major), int(minor), int(patch or 0), final=not rest or rest.startswith("+"))


def new_enough(version: Version) -> bool:
    """Whether a CLI of this version can run our programs."""
    return version >= MINIMUM and version.major == MINIMUM.major
