"""How a live object is held against the inputs that made it: what it says about the same properties."""

import base64
import binascii
from decimal import Decimal
from typing import Any, cast

from local.node import fields
from local.node.objects import Object, section
from local.node.pods.images import ContainerProblemError
from local.node.pods.references import quantity
from local.provider.values import Props

SERVER_SET = ("uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "selfLink",
              "deletionTimestamp", "deletionGracePeriodSeconds", "ownerReferences", "finalizers")  # fmt: skip
QUANTITIES = {"requests", "limits", "capacity", "hard", "allocatable"}


def outputs_of(live: Object) -> Props:
    """What the engine keeps of a live object."""
    meta = {k: v for k, v in live["metadata"].items() if k != "managedFields"}
    return {**live, "metadata": meta}


def inputs_of(live: Object, inputs: Props) -> Props:
    """The inputs that would give the live object: each given property with its live value, all when none are given."""
    if not inputs:
        meta = {k: v for k, v in live["metadata"].items() if k not in SERVER_SET}
        return {**{k: v for k, v in live.items() if k != "status"}, "metadata": meta}
    found = cast("Props", _projected(inputs, live, ""))
    if "stringData" in inputs:
        found["stringData"] = _decoded(inputs["stringData"], section(live, "data"))
    return found


def _projected(wanted: Any, live: Any, field: str) -> Any:
    if isinstance(wanted, dict) and isinstance(live, dict):
        return _object(cast("Object", wanted), cast("Object", live), field)
    if isinstance(wanted, list) and isinstance(live, list):
        return _list(cast("list[Any]", wanted), cast("list[Any]", live), field)
    return live


def _object(wanted: Object, live: Object, field: str) -> Object:
    found: Object = {}
    for name, value in wanted.items():
        if name not in live:
            if value in ({}, [], None):
                found[name] = value  # the API leaves empty things out
            continue
        if field in QUANTITIES and _same_quantity(value, live[name]):
            found[name] = value
        else:
            found[name] = _projected(value, live[name], name)
    return found


def _list(wanted: list[Any], live: list[Any], field: str) -> list[Any]:
    keyed = {key: item for item in live if (key := fields.item_key(field, item)) is not None}
    keys = [fields.item_key(field, item) for item in wanted]
    if wanted and None not in keys and len(keyed) == len(live):
        kept = [_projected(item, keyed[key], "") for key, item in zip(keys, wanted, strict=True) if key in keyed]
        return kept + [item for key, item in keyed.items() if key not in keys]
    paired = [_projected(item, other, "") for item, other in zip(wanted, live, strict=False)]
    return paired + live[len(wanted) :]


def _same_quantity(one: object, other: object) -> bool:
    """Whether two quantities are the same amount: the API writes `1000m` as `1`."""
    try:
        amounts: list[Decimal] = [quantity(str(value)) for value in (one, other)]
    except ContainerProblemError:
        return False
    return amounts[0] == amounts[1]


def _decoded(wanted: Object, data: Object) -> Object:
    found: Object = {}
    for key in wanted:
        try:
            found[key] = base64.b64decode(data.get(key, ""), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            found[key] = data[key]
    return {key: value for key, value in found.items() if key in data}
