"""What changed between two sets of properties: the paths and how. Pure, and the same for every provider."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias, cast

from local.provider.values import UNKNOWN, has_unknown

Path: TypeAlias = tuple[str | int, ...]
"""Keys and list indices from the properties down to a value."""

_PLAIN = re.compile(r"[A-Za-z_$][\w$]*", re.ASCII)


class Kind(Enum):
    """How a value changed."""

    ADD = "add"
    UPDATE = "update"
    DELETE = "delete"


@dataclass(frozen=True)
class Change:
    """One value that differs."""

    path: Path
    kind: Kind


Same: TypeAlias = Callable[[Path, Any, Any], bool]
"""Whether two values at a path mean the same to the API, although they are written differently."""


def differences(old: Mapping[str, Any], new: Mapping[str, Any], same: Same | None = None) -> list[Change]:
    """Every difference, as deep as both sides have the same structure, in the order of the properties.

    A null in an object is the same as nothing. A value that is not known yet differs from every other one. `same` may
    call two values equal that are not; it is asked at every level, from the outside in.
    """
    return list(_mappings((), old, new, same or _never))


def equal(old: object, new: object) -> bool:
    """Whether `differences` would find none between the two."""
    return not differences({"": old}, {"": new})


def text(path: Path) -> str:
    """The path as Pulumi writes it: `spec.containers[0].image`, `labels["app.kubernetes.io/name"]`."""
    parts: list[str] = []
    for element in path:
        if isinstance(element, int):
            parts.append(f"[{element}]")
        elif _PLAIN.fullmatch(element):
            parts.append(f".{element}" if parts else element)
        else:
            parts.append(f"[{json.dumps(element)}]")
    return "".join(parts)


def matches(path: Path, pattern: str) -> bool:
    """Whether a change at `path` touches what `pattern` names.

    A pattern is a path of keys such as `vpcConfig.subnetIds`, where `*` is any key, and any list index may stand
    between two of them. It names what lies below too, and what lies above (a whole object that comes or goes).
    """
    keys = [element for element in path if isinstance(element, str)]
    return all(wanted in ("*", key) for wanted, key in zip(pattern.split("."), keys, strict=False))


def same_json(old: object, new: object) -> bool:
    """Whether two strings are the same JSON document: key order and white space mean nothing there."""
    if not (isinstance(old, str) and isinstance(new, str)):
        return False
    if old[:1] not in ("{", "[") or new[:1] not in ("{", "["):
        return False
    try:
        return bool(json.loads(old) == json.loads(new))
    except ValueError:
        return False


def same_set(old: object, new: object) -> bool:
    """Whether two lists hold the same values, whatever their order."""
    if not (isinstance(old, list) and isinstance(new, list)):
        return False
    ours, theirs = cast("list[object]", old), cast("list[object]", new)
    if has_unknown(ours) or has_unknown(theirs):
        return False
    return sorted(map(_key, ours)) == sorted(map(_key, theirs))


def _key(value: object) -> str:
    return json.dumps(value, sort_keys=True, default=repr)


def _never(_path: Path, _old: object, _new: object) -> bool:
    return False


def _mappings(path: Path, old: Mapping[str, Any], new: Mapping[str, Any], same: Same) -> Iterator[Change]:
    for key in [*old, *(key for key in new if key not in old)]:
        yield from _values((*path, key), old.get(key), new.get(key), same)


def _values(path: Path, old: object, new: object, same: Same) -> Iterator[Change]:
    if old is None or new is None:
        if old is not new:
            yield Change(path, Kind.ADD if old is None else Kind.DELETE)
    elif old is UNKNOWN or new is UNKNOWN:
        if old is not new:
            yield Change(path, Kind.UPDATE)
    elif same(path, old, new):
        return
    elif isinstance(old, dict) and isinstance(new, dict):
        yield from _mappings(path, cast("dict[str, Any]", old), cast("dict[str, Any]", new), same)
    elif isinstance(old, list) and isinstance(new, list):
        yield from _lists(path, cast("list[Any]", old), cast("list[Any]", new), same)
    elif isinstance(old, bool) is not isinstance(new, bool) or old != new:  # True == 1 in Python, not in an API
        yield Change(path, Kind.UPDATE)


def _lists(path: Path, old: Sequence[Any], new: Sequence[Any], same: Same) -> Iterator[Change]:
    for index in range(max(len(old), len(new))):
        here = (*path, index)
        if index >= len(new):
            yield Change(here, Kind.DELETE)
        elif index >= len(old):
            yield Change(here, Kind.ADD)
        elif old[index] is None or new[index] is None:  # an element that is null is there nevertheless
            if old[index] is not new[index]:
                yield Change(here, Kind.UPDATE)
        else:
            yield from _values(here, old[index], new[index], same)


def any_matches(path: Path, patterns: Iterable[str]) -> bool:
    """Whether a change at `path` touches what any of the patterns names."""
    return any(matches(path, pattern) for pattern in patterns)
