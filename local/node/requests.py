"""What a request to the API asks for: the place in its path, its options and its body."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from starlette.requests import Request

from local.node.errors import ApiError, bad_request, not_found
from local.node.kinds import Kind, Kinds
from local.node.objects import (
    Object,
    labels_of,
    name_of,
    namespace_of,
    parse_selector,
    selector_matches,
)

MAX_BODY = 8 * 1024 * 1024
FIELDS: dict[str, Callable[[Object], str]] = {
    "metadata.name": name_of,
    "metadata.namespace": namespace_of,
    "involvedObject.name": lambda o: o.get("involvedObject", {}).get("name", ""),
    "involvedObject.namespace": lambda o: o.get("involvedObject", {}).get("namespace", ""),
    "involvedObject.kind": lambda o: o.get("involvedObject", {}).get("kind", ""),
    "involvedObject.uid": lambda o: o.get("involvedObject", {}).get("uid", ""),
    "status.phase": lambda o: o.get("status", {}).get("phase", ""),
    "type": lambda o: o.get("type", ""),
}


@dataclass(frozen=True)
class Target:
    """What a path names."""

    kind: Kind
    namespace: str = ""
    name: str = ""
    sub: str = ""
    below: str = ""
    """What follows the subresource `proxy`."""


def target(kinds: Kinds, path: list[str]) -> Target | None:
    """The kind, namespace, object and subresource that a path names; None when the API serves nothing there."""
    match path:
        case ["api", version, *rest]:
            group = ""
        case ["apis", group, version, *rest]:
            pass
        case _:
            return None
    namespace = ""
    # `/namespaces/x/pods` is a place, `/namespaces/x` and `/namespaces/x/status` are the Namespace itself.
    if len(rest) >= 3 and rest[0] == "namespaces" and rest[2] not in {"status", "finalize"}:
        namespace, rest = rest[1], rest[2:]
    if not rest:
        return None
    plural, name, sub = (*rest, "", "")[:3]
    kind = kinds.by_resource(group, version, plural)
    if kind is None or (namespace and not kind.namespaced) or (sub and sub not in kind.subresources):
        return None
    if rest[3:] and sub != "proxy":
        return None
    return Target(kind, namespace, name, sub, "/".join(rest[3:]))


def home(at: Target) -> str:
    """The namespace of a target that must have one. Raises ApiError 404."""
    if at.kind.namespaced and not at.namespace:
        raise not_found(at.kind.resource, at.name)
    return at.namespace


def manager(request: Request) -> str:
    """Who makes the change: the field manager, else the user agent's name."""
    return request.query_params.get("fieldManager") or request.headers.get("user-agent", "unknown").split("/")[0]


def dry(request: Request) -> bool:
    """Whether nothing is to be kept."""
    return request.query_params.get("dryRun") == "All"


async def body(request: Request, *, empty: bool = False) -> Object:
    """The request's JSON (or, for apply, YAML) object. Raises ApiError 400, 413."""
    content = b""
    async for chunk in request.stream():
        content += chunk
        if len(content) > MAX_BODY:
            raise ApiError(413, "RequestEntityTooLarge", f"the limit of a request is {MAX_BODY} bytes")
    if not content and empty:
        return {}
    try:
        parsed: Any = json.loads(content)
    except ValueError:
        parsed = _yaml(content)
    if not isinstance(parsed, dict):
        raise bad_request("the request's body must be an object")
    return cast("Object", parsed)


def _yaml(content: bytes) -> Any:
    from ruamel.yaml import YAML, YAMLError  # only a hand-written apply needs it

    try:
        return YAML(typ="safe", pure=True).load(content.decode())
    except (YAMLError, UnicodeDecodeError) as error:
        raise bad_request(f"the request's body is neither JSON nor YAML: {error}") from error


def chooser(request: Request, at: Target) -> Callable[[Object], bool]:
    """The labelSelector and fieldSelector of a request, as one question. Raises ApiError 400."""
    try:
        selector = parse_selector(request.query_params.get("labelSelector") or "")
    except ValueError as error:
        raise bad_request(str(error)) from error
    terms = [t for t in (request.query_params.get("fieldSelector") or "").split(",") if t]
    fields: list[tuple[str, str, bool]] = []
    for term in terms:
        key, _, value = term.partition("!=" if "!=" in term else "=")
        if key not in FIELDS:
            raise bad_request(f"field label not supported for {at.kind.resource}: {key}")
        fields.append((key, value.lstrip("="), "!=" not in term))

    def chosen(item: Object) -> bool:
        if not selector_matches(selector, labels_of(item)):
            return False
        return all((FIELDS[key](item) == value) == equal for key, value, equal in fields)

    return chosen
