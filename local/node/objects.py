"""Kubernetes objects as plain JSON, and the few questions that every part of the node asks them."""

import copy
import datetime as dt
import re
from collections.abc import Iterable, Mapping
from typing import Any

Object = dict[str, Any]
"""One Kubernetes object (or part of one) in its JSON form."""

SELECTOR_TERM = re.compile(
    r"\s*(?P<absent>!)?\s*(?P<key>[A-Za-z0-9_./-]+)\s*"
    r"(?:(?P<op>==|=|!=|(?:in|notin)(?=\s*\())\s*(?P<value>\([^)]*\)|[A-Za-z0-9_.-]*))?\s*"
)


def name_of(item: Object) -> str:
    """metadata.name."""
    return item["metadata"]["name"]


def namespace_of(item: Object) -> str:
    """metadata.namespace, empty for cluster-wide objects."""
    return item["metadata"].get("namespace", "")


def uid_of(item: Object) -> str:
    """metadata.uid."""
    return item["metadata"]["uid"]


def labels_of(item: Object) -> dict[str, str]:
    """metadata.labels, empty when there are none."""
    return section(section(item, "metadata"), "labels")


def annotations_of(item: Object) -> dict[str, str]:
    """metadata.annotations, empty when there are none."""
    return section(section(item, "metadata"), "annotations")


def is_deleting(item: Object) -> bool:
    """Whether a deletion was asked for and has not finished."""
    return "deletionTimestamp" in item["metadata"]


def controller_of(item: Object) -> Object | None:
    """The owner reference that manages this object."""
    return next((o for o in items_of(item["metadata"], "ownerReferences") if o.get("controller")), None)


def owner_reference(owner: Object) -> Object:
    """The reference that makes `owner` the controller of another object."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": name_of(owner),
        "uid": uid_of(owner),
        "controller": True,
        "blockOwnerDeletion": True,
    }


def now() -> dt.datetime:
    """The current time, in UTC."""
    return dt.datetime.now(dt.UTC)


def timestamp(at: dt.datetime | None = None) -> str:
    """A time as Kubernetes writes it: UTC, whole seconds."""
    return (at or now()).astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def micro_timestamp(at: dt.datetime | None = None) -> str:
    """A time with microseconds, for what must be ordered more finely than by the second."""
    return (at or now()).astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_timestamp(text: str) -> dt.datetime:
    """The time that `timestamp` or `micro_timestamp` wrote."""
    return dt.datetime.fromisoformat(text.replace("Z", "+00:00"))


def age(text: str) -> float:
    """Seconds since a timestamp."""
    return (now() - parse_timestamp(text)).total_seconds()


def condition(item: Object, kind: str) -> Object | None:
    """The condition of that type in the object's status."""
    return next((c for c in items_of(section(item, "status"), "conditions") if c["type"] == kind), None)


def is_true(item: Object, kind: str) -> bool:
    """Whether the object's status has that condition with status True."""
    found = condition(item, kind)
    return found is not None and found["status"] == "True"


def set_condition(status: Object, kind: str, value: bool, reason: str = "", message: str = "") -> None:
    """Set one condition in a status; its transition time moves only when its status does."""
    conditions: list[Object] = status.setdefault("conditions", [])
    wanted: Object = {"type": kind, "status": str(value)}
    if reason:
        wanted["reason"] = reason
    if message:
        wanted["message"] = message
    for index, found in enumerate(conditions):
        if found["type"] == kind:
            same = found["status"] == wanted["status"]
            conditions[index] = {**wanted, "lastTransitionTime": found["lastTransitionTime"] if same else timestamp()}
            return
    conditions.append({**wanted, "lastTransitionTime": timestamp()})


def drop_condition(status: Object, kind: str) -> None:
    """Remove one condition from a status."""
    if "conditions" in status:
        status["conditions"] = [c for c in status["conditions"] if c["type"] != kind]


def selector_matches(selector: Object | None, labels: Mapping[str, str]) -> bool:
    """Whether a LabelSelector (matchLabels, matchExpressions) selects these labels; an absent one selects nothing."""
    if selector is None:
        return False
    wanted: dict[str, str] = section(selector, "matchLabels")
    if any(labels.get(key) != value for key, value in wanted.items()):
        return False
    return all(
        _term_matches(labels, e["key"], e["operator"], items_of(e, "values"))
        for e in items_of(selector, "matchExpressions")
    )


def _term_matches(labels: Mapping[str, str], key: str, operator: str, values: Iterable[str]) -> bool:
    match operator:
        case "In":
            return labels.get(key) in set(values)
        case "NotIn":
            return labels.get(key) not in set(values)
        case "Exists":
            return key in labels
        case _:
            return key not in labels


def parse_selector(text: str) -> Object:
    """A selector of a query string (`a=b,c!=d,e in (f,g),!h`) as a LabelSelector. Raises ValueError."""
    expressions: list[Object] = []
    position = 0
    while position < len(text):
        found = SELECTOR_TERM.match(text, position)
        if not found:
            raise ValueError(f"unable to parse selector at {text[position:]!r}")
        expressions.append(_expression(found))
        position = found.end()
        if position < len(text):
            if text[position] != ",":
                raise ValueError(f"unable to parse selector at {text[position:]!r}")
            position += 1
    return {"matchExpressions": expressions}


def _expression(term: re.Match[str]) -> Object:
    key, operator, value = term["key"], (term["op"] or "").strip(), term["value"] or ""
    if not operator:
        return {"key": key, "operator": "DoesNotExist" if term["absent"] else "Exists"}
    values = [v.strip() for v in value.strip("()").split(",")]
    return {"key": key, "operator": "NotIn" if operator in {"!=", "notin"} else "In", "values": values}


def without(item: Object, *paths: str) -> Object:
    """A deep copy that lacks the dotted paths."""
    result = copy.deepcopy(item)
    for path in paths:
        *parents, last = path.split(".")
        part: Any = result
        for parent in parents:
            part = part.get(parent, {})
        part.pop(last, None)
    return result


def section(item: Object, name: str) -> Object:
    """A part of an object that is an object itself; empty when it is absent or null."""
    return item.get(name) or {}


def items_of(item: Object, name: str) -> list[Any]:
    """A part of an object that is a list; empty when it is absent or null."""
    return item.get(name) or []
