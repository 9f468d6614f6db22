"""Typed Kubernetes inputs as plain manifests, for custom resources, whose fields the SDK does not know."""

from collections.abc import Mapping, Sequence
from typing import Any, cast


def manifest(value: object) -> Any:
    """`value` with every key as Kubernetes spells it (`restart_policy` becomes `restartPolicy`).

    Labels, quantities and other free keys have no underscores, so they stay; outputs stay outputs.
    """
    if isinstance(value, Mapping):
        fields = cast("Mapping[str, object]", value)
        return {_camel(key): manifest(field) for key, field in fields.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [manifest(item) for item in cast("Sequence[object]", value)]
    return value


def _camel(key: str) -> str:
    first, *rest = key.split("_")
    return first + "".join(word.capitalize() for word in rest)
