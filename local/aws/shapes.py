"""Property values as an API wants them, and the API's answers as property values.

Both sides say what they are: the API by its model (botocore's shapes), the property by the SDK's types. A value is led
through both at once, which settles what the two do differently: one structure or a list of one, tags as a map or as
pairs, numbers and booleans as strings, documents as strings or as objects.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast
from urllib.parse import unquote

from local.aws.names import Names
from local.aws.sdk import ANY, Property, Type

_PAIR_KEYS = ("Key", "key", "TagKey", "Name")
_PAIR_VALUES = ("Value", "value", "TagValue")


def to_api(
    shape: Any, properties: Mapping[str, Type], values: Mapping[str, Any], names: Names, within: str = ""
) -> Any:
    """Parameters for a structure of an API: every member that a property has a value for."""
    parameters: dict[str, Any] = {}
    for member, member_shape in shape.members.items():
        name = names.property(member, within, properties.keys())
        if name is not None and values.get(name) is not None:
            parameters[member] = _value_to_api(member_shape, properties[name], values[name], names, member)
    return parameters


def from_api(
    shape: Any, properties: Mapping[str, Type], data: Mapping[str, Any], names: Names, within: str = ""
) -> Any:
    """Properties that a structure in an API's answer has values for."""
    values: dict[str, Any] = {}
    for member, value in data.items():
        if member not in shape.members or value is None:
            continue
        name = names.property(member, within, properties.keys())
        if name is not None and name not in values:
            values[name] = value_from_api(shape.members[member], properties[name], value, names, member)
    return values


def _value_to_api(shape: Any, kind: Type, value: Any, names: Names, within: str) -> Any:
    match shape.type_name:
        case "structure":
            first = cast("dict[str, Any]", _first(value) or {})
            return to_api(shape, _types(_of_object(kind)), first, names, within)
        case "list":
            return _list_to_api(shape, kind, value, names, within)
        case "map":
            element = kind.element or ANY
            return {key: _value_to_api(shape.value, element, item, names, within) for key, item in value.items()}
        case _:
            return scalar_to_api(shape.type_name, _first(value))


def _list_to_api(shape: Any, kind: Type, value: Any, names: Names, within: str) -> list[Any]:
    if isinstance(value, dict) and (pair := _pair(shape.member)):
        pairs = cast("dict[str, Any]", value).items()
        return [{pair[0]: key, pair[1]: str(item)} for key, item in pairs]
    items = cast("list[Any]", value) if isinstance(value, list) else [cast("Any", value)]
    element = kind.element if kind.kind == "list" and kind.element else kind
    return [_value_to_api(shape.member, element, item, names, within) for item in items]


def _first(value: Any) -> Any:
    """Of a list of one, for an API that has no list there."""
    return next(iter(cast("list[Any]", value)), None) if isinstance(value, list) else value


def scalar_to_api(kind: str, value: Any) -> Any:
    """A value as the API's scalar type wants it."""
    match kind:
        case "integer" | "long":
            return int(value)
        case "double" | "float":
            return float(value)
        case "boolean":
            return value if isinstance(value, bool) else str(value).lower() == "true"
        case "blob":
            return value.encode() if isinstance(value, str) else value
        case "string":
            return value if isinstance(value, str) else json.dumps(value)
        case _:
            return value


def value_from_api(shape: Any, kind: Type, value: Any, names: Names, within: str) -> Any:
    """A value in an API's answer as the property's type wants it."""
    if kind.kind == "string" and shape.type_name in ("structure", "map"):
        return json.dumps(value)
    match shape.type_name:
        case "structure":
            made = from_api(shape, _types(_of_object(kind)), value, names, within)
            return [made] if kind.kind == "list" else made
        case "list":
            return _list_from_api(shape, kind, value, names, within)
        case "map":
            element = kind.element or ANY
            return {key: value_from_api(shape.value, element, item, names, within) for key, item in value.items()}
        case _:
            made = scalar_from_api(kind.element or ANY if kind.kind == "list" else kind, value)
            return [made] if kind.kind == "list" else made


def _list_from_api(shape: Any, kind: Type, value: Any, names: Names, within: str) -> Any:
    if kind.kind == "map" and (pair := _pair(shape.member)):
        return {item[pair[0]]: item.get(pair[1], "") for item in value}
    element = kind.element if kind.kind == "list" and kind.element else kind
    made = [value_from_api(shape.member, element, item, names, within) for item in value]
    return made if kind.kind in ("list", "any") else _first(made)


def scalar_from_api(kind: Type, value: Any) -> Any:
    """An API's scalar as the property's type wants it."""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, bytes):
        value = value.decode()
    match kind.kind:
        case "string" | "object":
            return _text(value)
        case "integer":
            return int(value)
        case "number":
            return float(value)
        case "boolean":
            return value if isinstance(value, bool) else str(value).lower() == "true"
        case _:
            return value


def _text(value: Any) -> str:
    """botocore decodes the documents of IAM; elsewhere they are percent-encoded or plain."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        return json.dumps(value)
    text = str(value)
    return unquote(text) if text.startswith("%7B") else text


def _of_object(kind: Type) -> Mapping[str, Property]:
    """The properties of an object, or of the objects in a list."""
    if kind.kind == "list" and kind.element is not None:
        kind = kind.element
    return kind.properties() if kind.kind == "object" else {}


def _types(properties: Mapping[str, Property]) -> Mapping[str, Type]:
    return {name: found.type for name, found in properties.items()}


def _pair(shape: Any) -> tuple[str, str] | None:
    """The names of key and value, when the shape is such a pair."""
    if shape.type_name != "structure":
        return None
    key = next((name for name in _PAIR_KEYS if name in shape.members), None)
    value = next((name for name in _PAIR_VALUES if name in shape.members), None)
    return (key, value) if key and value else None
