"""Properties held against the SDK's types, as strictly as the API server's strict field validation."""

import difflib
from collections.abc import Iterator
from typing import Any, cast

from local.kubernetes.sdk_types import Property, TypeName, properties
from local.provider.errors import Failure
from local.provider.values import UNKNOWN

PYTHON_TYPES: dict[str, tuple[type, ...]] = {"str": (str,), "int": (int,), "float": (int, float), "bool": (bool,)}
WORDS = {"str": "text", "int": "a whole number", "float": "a number", "bool": "true or false"}


def failures(of: TypeName, value: object, at: str = "") -> Iterator[Failure]:
    """What is wrong with the properties of an input type; unknown values pass."""
    known = properties(of)
    if not known:  # the SDK says nothing about it
        return
    if not isinstance(value, dict):
        if value is not UNKNOWN:
            yield _failure(at, f"must be an object ({of.title}), got {_shown(value)}")
        return
    given = cast("dict[str, Any]", value)
    for name, part in given.items():
        where = f"{at}.{name}" if at else name
        if name.startswith("__"):
            continue
        if name not in known:
            yield _failure(where, f"is not a property of {of.title}{_suggestion(name, list(known))}")
        elif part is not None and part is not UNKNOWN:
            yield from _property(known[name], part, where)
    for name, wanted in known.items():
        if wanted.required and given.get(name) is None:
            yield _failure(f"{at}.{name}" if at else name, f"is required by {of.title}")


def _property(wanted: Property, value: object, at: str) -> Iterator[Failure]:
    if wanted.shape == "list":
        if not isinstance(value, list):
            yield _failure(at, f"must be a list, got {_shown(value)}")
            return
        for index, item in enumerate(cast("list[object]", value)):
            yield from _item(wanted, item, f"{at}[{index}]")
    elif wanted.shape == "map":
        if not isinstance(value, dict):
            yield _failure(at, f"must be an object, got {_shown(value)}")
            return
        for key, item in cast("dict[str, object]", value).items():
            yield from _item(wanted, item, f"{at}[{key!r}]")
    else:
        yield from _item(wanted, value, at)


def _item(wanted: Property, value: object, at: str) -> Iterator[Failure]:
    if value is UNKNOWN or value is None:
        return
    if wanted.reference is not None:
        yield from failures(wanted.reference, value, at)
        return
    if not wanted.types or "Any" in wanted.types:
        return
    allowed = [t for name in wanted.types for t in PYTHON_TYPES[name]]
    if type(value) not in allowed:
        words = " or ".join(WORDS[name] for name in wanted.types)
        yield _failure(at, f"must be {words}, got {_shown(value)}")


def _failure(at: str, what: str) -> Failure:
    return Failure(at, f"{at} {what}" if at else what)


def _suggestion(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else ""


def _shown(value: object) -> str:
    """A value in a message: never the content of text, which may be secret."""
    if isinstance(value, str):
        return "text"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    return repr(value)
