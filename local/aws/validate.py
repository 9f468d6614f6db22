"""Inputs checked against the types of the installed pulumi-aws, as the real provider does: every mistake at once."""

import difflib
from collections.abc import Collection, Iterator, Mapping
from typing import Any, cast

from local.aws.sdk import Property, Type
from local.provider import diff
from local.provider.errors import Failure
from local.provider.values import UNKNOWN

_SAID = {
    "string": "a string",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "list": "a list",
    "map": "a map",
    "object": "an object",
}


def failures(properties: Mapping[str, Property], inputs: Mapping[str, Any]) -> list[Failure]:
    """What is wrong with the inputs, each with the path of the property and what to do."""
    return list(_object_failures((), properties, inputs))


def _object_failures(
    path: diff.Path, properties: Mapping[str, Property], values: Mapping[str, Any]
) -> Iterator[Failure]:
    for name, value in values.items():
        here = (*path, name)
        if name.startswith("__"):
            continue
        if name not in properties:
            yield Failure(diff.text(here), f"{diff.text(here)} is not a property{_hint(name, properties)}")
        elif value is not None:
            yield from _value_failures(here, properties[name].type, value)
    for name, found in properties.items():
        if found.required and values.get(name) is None:
            here = diff.text((*path, name))
            yield Failure(here, f"{here} is missing: it must be {_SAID.get(found.type.kind, 'set')}")


def _value_failures(path: diff.Path, kind: Type, value: object) -> Iterator[Failure]:
    if value is UNKNOWN or kind.kind == "any" or _fits(kind, value):
        return
    if kind.kind == "object" and isinstance(value, dict):
        yield from _object_failures(path, kind.properties(), cast("dict[str, Any]", value))
    elif kind.kind == "list" and isinstance(value, list):
        for index, item in enumerate(cast("list[object]", value)):
            yield from _value_failures((*path, index), kind.element or kind, item)
    elif kind.kind == "map" and isinstance(value, dict):
        for key, item in cast("dict[str, object]", value).items():
            yield from _value_failures((*path, key), kind.element or kind, item)
    else:
        yield Failure(diff.text(path), f"{diff.text(path)} must be {_SAID[kind.kind]}, got {_shown(value)}")


def _fits(kind: Type, value: object) -> bool:
    """Scalars; those that the engine converts without loss are taken, as the real provider takes them."""
    match kind.kind:
        case "string":
            return isinstance(value, str | int | float | bool)
        case "boolean":
            return isinstance(value, bool) or value in ("true", "false")
        case "integer":
            return (isinstance(value, int) and not isinstance(value, bool)) or _number(value, int)
        case "number":
            return (isinstance(value, int | float) and not isinstance(value, bool)) or _number(value, float)
        case "object":
            return kind.also_string and isinstance(value, str)
        case _:
            return False


def _number(value: object, kind: type[int] | type[float]) -> bool:
    if not isinstance(value, str):
        return False
    try:
        kind(value)
    except ValueError:
        return False
    return True


def _hint(name: str, properties: Collection[str]) -> str:
    # Names are compared without case and underscores: snake_case keys in nested dictionaries are the usual mistake.
    plain = {known.lower(): known for known in properties}
    near = difflib.get_close_matches(name.replace("_", "").lower(), plain, n=1)
    if near:
        return f"; did you mean {plain[near[0]]}?"
    return f"; known are {', '.join(sorted(properties))}" if len(properties) <= 12 else ""


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
