"""The ways to change a stored object: server-side apply, JSON merge patch, strategic merge patch."""

import copy
from typing import Any, cast

from local.node import fields
from local.node.errors import ApiError, bad_request
from local.node.objects import Object, items_of, section, timestamp

APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7386: null removes, objects merge, everything else replaces."""
    if not isinstance(patch, dict):
        return patch
    result: Object = dict(cast("Object", target)) if isinstance(target, dict) else {}
    for name, value in cast("Object", patch).items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge_patch(result.get(name), value)
    return result


def strategic_patch(target: Any, patch: Any, field: str = "") -> Any:
    """Kubernetes' merge patch whose keyed lists merge item by item; `$patch: delete` and `replace` are honoured."""
    if isinstance(patch, dict):
        return _strategic_object(target, cast("Object", patch))
    if isinstance(patch, list):
        return _strategic_list(target, cast("list[Any]", patch), field)
    return patch


def _strategic_object(target: Any, patch: Object) -> Object:
    directive = patch.get("$patch")
    if directive == "delete":
        return {}
    result: Object = dict(cast("Object", target)) if isinstance(target, dict) and directive != "replace" else {}
    for name, value in patch.items():
        if name.startswith("$"):
            continue
        if value is None:
            result.pop(name, None)
        else:
            result[name] = strategic_patch(result.get(name), value, name)
    return result


def _strategic_list(target: Any, patch: list[Any], field: str) -> list[Any]:
    keys = [fields.item_key(field, item) for item in patch]
    if not isinstance(target, list) or not patch or None in keys:
        return patch
    result = list(cast("list[Any]", target))
    for key, item in zip(keys, patch, strict=True):
        at = next((i for i, old in enumerate(result) if fields.item_key(field, old) == key), None)
        if item.get("$patch") == "delete":
            if at is not None:
                del result[at]
        elif at is None:
            result.append(strategic_patch({}, item))
        else:
            result[at] = strategic_patch(result[at], item)
    return result


def patched(current: Object, patch: Any, content_type: str) -> Object:
    """The object after a patch that is not an apply. Raises ApiError."""
    if not isinstance(patch, dict):
        raise bad_request(f"a {content_type} patch must be an object, got {type(patch).__name__}")
    if content_type == MERGE:
        return merge_patch(copy.deepcopy(current), patch)
    return strategic_patch(copy.deepcopy(current), patch)


def _owned(item: Object) -> dict[tuple[str, str], set[fields.Path]]:
    return {
        (entry["manager"], entry["operation"]): set(fields.decode(entry.get("fieldsV1", {})))
        for entry in items_of(item.get("metadata", {}), "managedFields")
        if not entry.get("subresource")
    }


def _write_owned(item: Object, before: Object | None, owned: dict[tuple[str, str], set[fields.Path]]) -> None:
    entries_before = items_of(section(before or {}, "metadata"), "managedFields")
    old: dict[tuple[str, str], Object] = {(e["manager"], e["operation"]): e for e in entries_before}
    entries: list[Object] = []
    for (manager, operation), paths in owned.items():
        if not paths:
            continue
        encoded = fields.encode(paths)
        known = old.get((manager, operation))
        entries.append(
            known
            if known and known["fieldsV1"] == encoded
            else {
                "manager": manager,
                "operation": operation,
                "apiVersion": item["apiVersion"],
                "time": timestamp(),
                "fieldsType": "FieldsV1",
                "fieldsV1": encoded,
            }
        )
    item["metadata"]["managedFields"] = entries


def applied(current: Object | None, wanted: Object, manager: str, *, force: bool) -> Object:
    """The object after a server-side apply by `manager`.

    Fields that this manager applied before and now leaves out are removed unless another manager set them too.
    Raises ApiError 409 when another manager owns a field with another value and `force` is off.
    """
    have = current or {"apiVersion": wanted["apiVersion"], "kind": wanted["kind"], "metadata": {}}
    owned = _owned(have)
    mine = (manager, "Apply")
    new, old_values = fields.managed(wanted), fields.managed(have)
    conflicts: list[tuple[str, fields.Path]] = []
    for other in owned.keys() - {mine}:
        taken = {p for p in owned[other] & new.keys() if old_values.get(p) != new[p]}
        conflicts += [(other[0], p) for p in taken]
        owned[other] -= taken
    if conflicts and not force:
        listed = ", ".join(f'"{who}": .{readable(path)}' for who, path in sorted(conflicts))
        message = f"Apply failed with {len(conflicts)} conflict(s): conflicts with {listed}"
        raise ApiError(409, "Conflict", message)
    others = {path for other, paths in owned.items() if other != mine for path in paths}
    result = cast("Object", fields.merge(have, wanted))
    kept = {path[:length] for path in others | new.keys() for length in range(1, len(path) + 1)}
    fields.remove(result, owned.get(mine, set()) - kept)
    result = cast("Object", fields.merge(result, wanted))  # an object that is now wanted empty went with its last field
    owned[mine] = set(new)
    _write_owned(result, current, owned)
    return result


def updated(current: Object | None, wanted: Object, manager: str) -> Object:
    """The object after a create, replace or patch by `manager`, who then owns what changed."""
    result = copy.deepcopy(wanted)
    before = fields.managed(current) if current else {}
    after = fields.managed(result)
    changed = {p for p, v in after.items() if p not in before or before[p] != v}
    owned = {who: (paths & after.keys()) - changed for who, paths in _owned(current or {}).items()}
    mine = (manager, "Update")
    owned[mine] = owned.get(mine, set()) | changed
    _write_owned(result, current, owned)
    return result


def readable(path: fields.Path) -> str:
    """A path as a person writes it: `spec.containers[name=web].image`."""
    text = ""
    for step in path:
        if step.startswith("f:"):
            text += f".{step[2:]}"
        elif step.startswith("k:"):
            text += step[2:].replace('"', "").replace("{", "[").replace("}", "]").replace(":", "=")
    return text.lstrip(".")
