"""What a program wants laid over what there is, and the other way round.

The emulation does not hold every property of every type. What it did not give back right after it was written is kept
in the resource's own state: `KEPT` lists the paths. All else is read, so that a refresh sees what has really changed.
"""

from collections.abc import Mapping
from typing import Any, cast

from local.aws.sdk import Type
from local.provider import diff
from local.provider.diff import Change, Same
from local.provider.values import Props

KEPT = "__kept"


def overlaid(actual: Any, wanted: Any) -> Any:
    """`wanted`, completed by what `actual` has besides."""
    if isinstance(actual, dict) and isinstance(wanted, dict):
        there, here = cast("dict[str, Any]", actual), cast("dict[str, Any]", wanted)
        return {**there, **{key: overlaid(there.get(key), value) for key, value in here.items()}}
    if isinstance(actual, list) and isinstance(wanted, list):
        there, here = cast("list[Any]", actual), cast("list[Any]", wanted)
        if len(there) == len(here):
            return [overlaid(old, new) for old, new in zip(there, here, strict=True)]
    return cast("Any", wanted)


def projected(actual: Any, wanted: Any, kind: Type) -> Any:
    """As much of `actual` as `wanted` speaks of: what else there is was not asked for. Maps are taken whole."""
    if kind.kind == "object" and isinstance(actual, dict) and isinstance(wanted, dict):
        there, here = cast("dict[str, Any]", actual), cast("dict[str, Any]", wanted)
        types = {name: found.type for name, found in kind.properties().items()}
        shared = [key for key in here if key in there]
        return {key: projected(there[key], here[key], types.get(key, kind)) for key in shared}
    if kind.kind == "list" and isinstance(actual, list) and isinstance(wanted, list):
        there, here = cast("list[Any]", actual), cast("list[Any]", wanted)
        if len(there) == len(here):
            element = kind.element or kind
            return [projected(old, new, element) for old, new in zip(there, here, strict=True)]
    return cast("Any", actual)


def drift(actual: Props, wanted: Props, types: Mapping[str, Type], same: Same) -> list[Change]:
    """Where what there is differs from what was wanted."""
    found = {name: projected(actual[name], wanted[name], types[name]) for name in wanted if name in actual}
    return diff.differences(found, wanted, same)


def restored(actual: Props, state: Props, kept: list[str]) -> Props:
    """What there is, with the kept paths taken from the state."""
    result = actual
    for text in kept:
        path = parsed(text)
        value = _get(state, path)
        if value is not None:
            result = _with(result, path, value)
    return result


def parsed(text: str) -> diff.Path:
    """A path that `diff.text` wrote."""
    import json
    import re

    steps = re.findall(r'\[(\d+)\]|\[("(?:[^"\\]|\\.)*")\]|([^.\[\]]+)', text)
    return tuple(int(index) if index else json.loads(quoted) if quoted else plain for index, quoted, plain in steps)


def _get(value: Any, path: diff.Path) -> Any:
    for step in path:
        if isinstance(value, dict):
            value = cast("dict[Any, Any]", value).get(step)
        elif isinstance(value, list) and isinstance(step, int) and step < len(cast("list[Any]", value)):
            value = cast("list[Any]", value)[step]
        else:
            return None
    return value


def _with(value: Any, path: diff.Path, new: Any) -> Any:
    """A copy with the value at the path set; a path that leads nowhere changes nothing below where it ends."""
    if not path:
        return new
    step, rest = path[0], path[1:]
    if isinstance(step, str) and (value is None or isinstance(value, dict)):
        box = cast("dict[str, Any]", value or {})
        return {**box, step: _with(box.get(step), rest, new)}
    if isinstance(step, int) and isinstance(value, list):
        items = cast("list[Any]", value)
        return [_with(item, rest, new) if index == step else item for index, item in enumerate(items)]
    return value


def coerced(value: Any, kind: Type) -> Any:
    """Scalars in the type that the property has: the engine passes on `"5"` where a program wrote it."""
    if isinstance(value, dict) and kind.kind in ("object", "map"):
        items = cast("dict[str, Any]", value).items()
        if kind.kind == "map":
            return {key: coerced(item, kind.element or kind) for key, item in items}
        types = {name: found.type for name, found in kind.properties().items()}
        return {key: coerced(item, types[key]) if key in types else item for key, item in items}
    if isinstance(value, list) and kind.kind == "list":
        return [coerced(item, kind.element or kind) for item in cast("list[Any]", value)]
    return _scalar(value, kind)


def _scalar(value: Any, kind: Type) -> Any:
    match kind.kind:
        case "boolean" if isinstance(value, str):
            return value == "true"
        case "integer" if isinstance(value, str):
            return int(value)
        case "number" if isinstance(value, str):
            return float(value)
        case "string" if isinstance(value, bool):
            return str(value).lower()
        case "string" if isinstance(value, int | float):
            return str(value)
        case _:
            return value
