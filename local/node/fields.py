"""Which manager set which field: what server-side apply needs (`metadata.managedFields`, FieldsV1).

A path is a tuple of steps in FieldsV1's own notation: `f:name` for a field, `k:{"name":"web"}` for an item of a list
that is merged by key, `.` for that item itself. Lists without a key are one value.
Protocol: https://kubernetes.io/docs/reference/using-api/server-side-apply/
"""

import copy
import json
from collections.abc import Iterable, Iterator
from typing import Any, cast

from local.node.objects import Object

Path = tuple[str, ...]

LIST_KEYS: dict[str, tuple[tuple[str, ...], ...]] = {
    # list field: the key sets that can identify its items, the first that fits
    "containers": (("name",),),
    "initContainers": (("name",),),
    "ephemeralContainers": (("name",),),
    "env": (("name",),),
    "volumes": (("name",),),
    "volumeMounts": (("mountPath",),),
    "ports": (("containerPort", "protocol"), ("port", "protocol")),
    "imagePullSecrets": (("name",),),
    "conditions": (("type",),),
    "ownerReferences": (("uid",),),
    "topologySpreadConstraints": (("topologyKey", "whenUnsatisfiable"),),
}
KEY_DEFAULTS = {"protocol": "TCP"}
UNMANAGED = {"apiVersion", "kind", "status"}
UNMANAGED_METADATA = {
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "name",
    "namespace",
    "resourceVersion",
    "selfLink",
    "uid",
}


def item_key(field: str, item: Any) -> str | None:
    """The step that identifies one item of a list field, None where the list is one value."""
    if not isinstance(item, dict):
        return None
    value = cast("Object", item)
    for keys in LIST_KEYS.get(field, ()):
        if keys[0] in value:
            named = {k: value.get(k, KEY_DEFAULTS.get(k)) for k in keys}
            return "k:" + json.dumps(named, separators=(",", ":"))
    return None


def _keyed(field: str, items: list[Any]) -> dict[str, Any] | None:
    """A list's items by their steps, or None when it is one value."""
    if not items or field not in LIST_KEYS:
        return None
    keyed: dict[str, Any] = {}
    for item in items:
        step = item_key(field, item)
        if step is None or step in keyed:
            return None
        keyed[step] = item
    return keyed


def leaves(value: Any, field: str = "", path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every path of an object that holds a value of its own."""
    if isinstance(value, dict) and value:
        for name, part in cast("Object", value).items():
            yield from leaves(part, name, (*path, f"f:{name}"))
        return
    keyed = _keyed(field, cast("list[Any]", value)) if isinstance(value, list) else None
    if keyed is None:
        yield path, value
        return
    for step, item in keyed.items():
        yield (*path, step, "."), None
        yield from leaves(item, "", (*path, step))


def managed(item: Object) -> dict[Path, Any]:
    """The leaves that a manager can own: all but identity, bookkeeping and status."""
    kept = {k: v for k, v in item.items() if k not in UNMANAGED}
    kept["metadata"] = {k: v for k, v in item.get("metadata", {}).items() if k not in UNMANAGED_METADATA}
    if not kept["metadata"]:
        del kept["metadata"]
    return dict(leaves(kept)) if kept else {}


def merge(current: Any, wanted: Any, field: str = "") -> Any:
    """`wanted` laid over `current`: objects and keyed lists item by item, everything else replaced."""
    if isinstance(current, dict) and isinstance(wanted, dict):
        have, want = cast("Object", current), cast("Object", wanted)
        merged: Object = {k: merge(have[k], v, k) if k in have else copy.deepcopy(v) for k, v in want.items()}
        return have | merged
    if isinstance(current, list) and isinstance(wanted, list):
        old, new = _keyed(field, cast("list[Any]", current)), _keyed(field, cast("list[Any]", wanted))
        if old is not None and new is not None:
            first: list[Any] = [merge(old[k], v) if k in old else copy.deepcopy(v) for k, v in new.items()]
            return first + [v for k, v in old.items() if k not in new]
    return copy.deepcopy(cast("Any", wanted))


def remove(item: Any, paths: Iterable[Path]) -> None:
    """Take these paths out of an object, with the parents that they leave empty."""
    # The deepest first, and an item's own marker after its fields: what other managers set in it must be known by then.
    for path in sorted(paths, key=lambda p: (-len(p), p[-1] == ".")):
        _remove(item, path, "")


def _remove(value: Any, path: Path, field: str) -> bool:
    """Remove one path below `value`; True when `value` is empty afterwards and can go too."""
    step, rest = path[0], path[1:]
    if step.startswith("f:") and isinstance(value, dict):
        part, name = cast("Object", value), step[2:]
        if name in part and (not rest or _remove(part[name], rest, name)):
            del part[name]
        return not part
    if step.startswith("k:") and isinstance(value, list):
        items = cast("list[Any]", value)
        keys = set(json.loads(step[2:]))
        if len(rest) == 1 and rest[0][2:] in keys:  # what identifies the item goes with it, not before
            return False
        for item in [i for i in items if item_key(field, i) == step]:
            # The item goes when its own marker does; a field of it that another manager set keeps it there.
            only_key = isinstance(item, dict) and set(cast("Object", item)) <= keys
            if (rest == (".",) and only_key) or (rest != (".",) and _remove(item, rest, "")):
                items.remove(item)
        return not items
    return False


def encode(paths: Iterable[Path]) -> Object:
    """Paths as FieldsV1."""
    tree: Object = {}
    for path in sorted(paths):
        node = tree
        for step in path:
            node = node.setdefault(step, {})
    return tree


def decode(tree: Object, path: Path = ()) -> Iterator[Path]:
    """The paths of a FieldsV1."""
    for step, below in tree.items():
        if below:
            yield from decode(below, (*path, step))
        else:
            yield (*path, step)
