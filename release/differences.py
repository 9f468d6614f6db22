"""What a change would do to one resource, property by property, in words.

The engine's events name the properties that differ (`detailedDiff`) and carry the old and new values. A value may be a
JSON document in a string (an IAM policy, a task definition): it is compared inside.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from release.documents import as_list, as_object, part

_STEP = re.compile(r'\.?([^.\[\]"]+)|\[(\d+)\]|\["((?:[^"\\]|\\.)*)"\]')
_ABSENT = object()
_LONGEST_VALUE = 60


@dataclass(frozen=True)
class Difference:
    """One property that changes. `old` and `new` are short texts; `replaces`: the resource is made anew for it."""

    path: str
    old: str
    new: str
    replaces: bool

    def __str__(self) -> str:
        return f"{self.path}: {self.old} → {self.new}{'  (forces a replacement)' if self.replaces else ''}"


def differences(metadata: dict[str, Any]) -> list[Difference]:
    """The differences of one step (`metadata` of a resourcePreEvent), sorted by path."""
    old_inputs, old_outputs = part(metadata, "old", "inputs"), part(metadata, "old", "outputs")
    new_inputs = part(metadata, "new", "inputs")
    forcing = set(metadata.get("keys") or ())
    detailed: dict[str, Any] = metadata.get("detailedDiff") or {}
    if not detailed:
        detailed = {
            key: {"diffKind": "update-replace" if key in forcing else "update", "inputDiff": True}
            for key in metadata.get("diffs") or ()
        }
    found: dict[str, Difference] = {}
    for path, kind in detailed.items():
        replaces = str(kind.get("diffKind") or kind.get("kind") or "").endswith("replace")
        before = _at(old_inputs, path)
        if before is _ABSENT and not kind.get("inputDiff"):
            before = _at(old_outputs, path)
        for place, old, new in _compare(path, before, _at(new_inputs, path)):
            found[place] = Difference(place, _text(old), _text(new), replaces)
    return [found[path] for path in sorted(found)]


def _at(value: Any, path: str) -> Any:
    for name, index, quoted in _STEP.findall(path):
        if index:
            items = as_list(value) or []
            value = items[int(index)] if int(index) < len(items) else _ABSENT
        else:
            key = quoted.replace('\\"', '"') if quoted else name
            value = (as_object(value) or {}).get(key, _ABSENT)
        if value is _ABSENT:
            break
    return value


def _compare(path: str, old: Any, new: Any) -> Iterator[tuple[str, Any, Any]]:
    if _same(old, new):
        return
    old_document, new_document = _document(old), _document(new)
    if old_document is not None and new_document is not None:
        yield from _compare(path, old_document, new_document)
        return
    old_object, new_object = as_object(old), as_object(new)
    old_items, new_items = as_list(old), as_list(new)
    if old_object is not None and new_object is not None:
        for key in sorted({*old_object, *new_object}):
            place = f"{path}.{key}" if re.fullmatch(r"[\w-]+", key) else f'{path}["{key}"]'
            yield from _compare(place, old_object.get(key, _ABSENT), new_object.get(key, _ABSENT))
    elif old_items is not None and new_items is not None:
        for index, (before, after) in enumerate(zip_longest(old_items, new_items, fillvalue=_ABSENT)):
            yield from _compare(f"{path}[{index}]", before, after)
    else:
        yield path, old, new


def _same(old: Any, new: Any) -> bool:
    return old is new or (old == new and isinstance(old, bool) == isinstance(new, bool))


def _document(value: Any) -> Any | None:
    """The object or list that a string holds as JSON; None for everything else."""
    if not isinstance(value, str) or value[:1] not in {"{", "["}:
        return None
    try:
        return json.loads(value)
    except ValueError:
        return None


UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""The engine's mark for a value that is known only after the update (resource/plugin, UnknownStringValue)."""


def _text(value: Any) -> str:
    if value is _ABSENT:
        return "(absent)"
    text = value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)
    if UNKNOWN in text:
        return "(known after the update)"
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"
