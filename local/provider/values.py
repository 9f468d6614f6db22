"""Property values: the engine's protobuf structs as plain Python, and back.

Numbers that are whole become `int` (the wire only has doubles), a value that is not known yet becomes `UNKNOWN`,
secrets and output values are unwrapped (the engine marks outputs of secret inputs itself, see `acceptSecrets`), and
assets become `Asset` or `Archive`. The signatures are those of Pulumi's sdk/go/common/resource/plugin/rpc.go.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, TypeAlias, cast

from google.protobuf import struct_pb2


class Unknown(Enum):
    """The type of `UNKNOWN`."""

    VALUE = "unknown"

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = Unknown.VALUE
"""A value that an operation of this run has yet to produce; only seen in previews."""


@dataclass(frozen=True)
class Asset:
    """A file's content: inline text, a path or a URI (one of them)."""

    text: str | None = None
    path: str | None = None
    uri: str | None = None
    hash: str = ""


@dataclass(frozen=True)
class Archive:
    """A folder or archive file: a path, a URI, or assets by name (one of them)."""

    assets: "tuple[tuple[str, Asset | Archive], ...] | None" = None
    path: str | None = None
    uri: str | None = None
    hash: str = ""


Value: TypeAlias = "bool | int | float | str | list[Value] | dict[str, Value] | Unknown | Asset | Archive | None"
Props: TypeAlias = dict[str, Any]
"""Properties by name. Values are `Value`s; `Any` because each resource type knows its own."""

_SIGNATURE = "4dabf18193072939515e22adb298388d"
_SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - a marker of the protocol
_OUTPUT = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
_RESOURCE = "5cf8f73096256a8f31e491e813e4eb8e"
_ASSET = "c44067f5952c0a294b673a41bacd8c17"
_ARCHIVE = "0def7320c3a5731c473e5ecbe6d01bc7"
_UNKNOWN_STRING = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_UNKNOWNS = frozenset(
    {
        _UNKNOWN_STRING,
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",  # a boolean
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",  # a number
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",  # an array
        "030794c1-ac77-496b-92df-f27374a8bd58",  # an asset
        "e48ece36-62e2-4504-bad9-02848725956a",  # an archive
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",  # an object
    }
)


def from_struct(struct: struct_pb2.Struct) -> Props:
    """The properties of a request; those that are null are left out, as the engine means them."""
    values = {key: _from_value(value) for key, value in struct.fields.items()}
    return {key: value for key, value in values.items() if value is not None}


def to_struct(props: Mapping[str, Any]) -> struct_pb2.Struct:
    """Properties for a response; None is left out."""
    struct = struct_pb2.Struct()
    for key, value in props.items():
        if value is not None:
            _fill(struct.fields[key], value)
    return struct


def has_unknown(value: object) -> bool:
    """Whether `UNKNOWN` is anywhere in the value."""
    return any(leaf is UNKNOWN for leaf in _leaves(value))


def _leaves(value: object) -> Iterator[object]:
    if isinstance(value, dict):
        for item in cast("dict[str, object]", value).values():
            yield from _leaves(item)
    elif isinstance(value, list | tuple):
        for item in cast("Iterable[object]", value):
            yield from _leaves(item)
    else:
        yield value


def _from_value(value: struct_pb2.Value) -> Value:
    match value.WhichOneof("kind"):
        case "string_value":
            return UNKNOWN if value.string_value in _UNKNOWNS else value.string_value
        case "number_value":
            number = value.number_value
            return int(number) if number.is_integer() else number
        case "bool_value":
            return value.bool_value
        case "list_value":
            return [_from_value(item) for item in value.list_value.values]
        case "struct_value":
            return _from_object({key: _from_value(item) for key, item in value.struct_value.fields.items()})
        case _:
            return None


def _from_object(fields: dict[str, Any]) -> Value:
    match fields.get(_SIGNATURE):
        case None:
            return fields
        case signature if signature == _SECRET:
            return fields.get("value")
        case signature if signature == _OUTPUT:
            return fields.get("value", UNKNOWN)
        case signature if signature == _RESOURCE:
            return fields.get("id", fields.get("urn"))
        case signature if signature == _ASSET:
            return Asset(fields.get("text"), fields.get("path"), fields.get("uri"), fields.get("hash", ""))
        case signature if signature == _ARCHIVE:
            assets = fields.get("assets")
            items = None if assets is None else tuple(assets.items())
            return Archive(items, fields.get("path"), fields.get("uri"), fields.get("hash", ""))
        case signature:
            raise ValueError(f"a value has the signature {signature!r}, which is none of Pulumi's")


def _fill(target: struct_pb2.Value, value: object) -> None:
    if value is None:
        target.null_value = struct_pb2.NULL_VALUE
    elif value is UNKNOWN:
        target.string_value = _UNKNOWN_STRING
    elif isinstance(value, bool):
        target.bool_value = value
    elif isinstance(value, int | float):
        target.number_value = value
    elif isinstance(value, str):
        target.string_value = value
    elif isinstance(value, list | tuple):
        target.list_value.SetInParent()
        for item in cast("Iterable[object]", value):
            _fill(target.list_value.values.add(), item)
    elif isinstance(value, dict):
        target.struct_value.SetInParent()
        for key, item in cast("dict[str, object]", value).items():
            _fill(target.struct_value.fields[key], item)
    elif isinstance(value, Asset):
        _fill(target, _signed(_ASSET, text=value.text, path=value.path, uri=value.uri, hash=value.hash or None))
    elif isinstance(value, Archive):
        assets = None if value.assets is None else dict(value.assets)
        _fill(target, _signed(_ARCHIVE, assets=assets, path=value.path, uri=value.uri, hash=value.hash or None))
    else:
        raise TypeError(f"{type(value).__name__} is not a property value")


def _signed(signature: str, **fields: object) -> dict[str, object]:
    return {_SIGNATURE: signature, **{key: value for key, value in fields.items() if value is not None}}
