"""The Kubernetes REST API on loopback: paths, verbs, watches and logs, on top of `Resources`.

Protocol: https://kubernetes.io/docs/reference/using-api/api-concepts/
"""

import asyncio
import hmac
import json
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, cast

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from local.node import patches
from local.node.errors import ApiError, bad_request, not_found
from local.node.kinds import Kind, Kinds, discovery
from local.node.objects import Object, name_of, namespace_of, parse_selector, selector_matches
from local.node.pods.logs import LogFiles, LogQuery
from local.node.resources import Resources, unsupported
from local.node.store import Change

log = logging.getLogger(__name__)

VERSION: Object = {
    "major": "1",
    "minor": "34",
    "gitVersion": "v1.34.0+slipway",
    "gitCommit": "",
    "gitTreeState": "clean",
    "platform": "local",
}
OPEN_PATHS = {"/healthz", "/livez", "/readyz"}
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
    if not 1 <= len(rest) <= 3:
        return None
    kind = kinds.by_resource(group, version, rest[0])
    if kind is None or (namespace and not kind.namespaced):
        return None
    name, sub = (*rest[1:], "", "")[:2]
    return None if sub and sub not in kind.subresources else Target(kind, namespace, name, sub)


class Api:
    """The ASGI application."""

    def __init__(self, resources: Resources, logs: LogFiles, token: str) -> None:
        self._resources = resources
        self._store = resources.store
        self._logs = logs
        self._token = token.encode()
        self._closing = asyncio.Event()

    def close(self) -> None:
        """End every watch and log stream, so that the server can stop."""
        self._closing.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        try:
            response = await self._respond(request)
        except ApiError as error:
            response = JSONResponse(error.status(), error.code)
        except ClientDisconnect:
            return
        except Exception:
            log.exception("%s %s", request.method, request.url.path)
            error = ApiError(500, "InternalError", "the node failed on this request; its log says why")
            response = JSONResponse(error.status(), error.code)
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        if request.url.path in OPEN_PATHS:
            return PlainTextResponse("ok")
        given = request.headers.get("authorization", "").encode()
        if not hmac.compare_digest(given, b"Bearer " + self._token):
            raise ApiError(401, "Unauthorized", "this API wants the bearer token of the kubeconfig")
        path = [part for part in request.url.path.split("/") if part]
        if path == ["version"]:
            return JSONResponse(VERSION)
        document = discovery(self._store.kinds, path) if request.method == "GET" else None
        if document is not None:
            return JSONResponse(document)
        found = target(self._store.kinds, path)
        if found is None:
            raise ApiError(404, "NotFound", f"the server could not find the requested resource: {request.url.path}")
        handler = {
            "GET": self._get,
            "POST": self._post,
            "PUT": self._put,
            "PATCH": self._patch,
            "DELETE": self._delete,
        }.get(request.method)
        nameless = {"POST"} if not found.name else set[str]()
        allowed = nameless | ({"GET", "DELETE"} | ({"PUT", "PATCH"} if found.name else set()))
        if handler is None or request.method not in allowed:
            message = f"{request.method} is not supported on {request.url.path}"
            raise ApiError(405, "MethodNotAllowed", message)
        return await handler(request, found)

    # reading ---------------------------------------------------------------------------------------------------------

    async def _get(self, request: Request, at: Target) -> Response:
        if at.sub == "log":
            return self._log(request, at)
        if at.sub == "scale":
            return JSONResponse(scale_of(self._store.get(at.kind, at.namespace, at.name)))
        if at.name:
            return JSONResponse(self._store.get(at.kind, at.namespace, at.name))
        chosen = _filter(request, at)
        if request.query_params.get("watch") in {"true", "1"}:
            return StreamingResponse(self._watch(request, at, chosen), media_type="application/json")
        items = [item for item in self._store.select(at.kind, at.namespace) if chosen(item)]
        return JSONResponse(
            {
                "apiVersion": at.kind.api_version,
                "kind": f"{at.kind.kind}List",
                "metadata": {"resourceVersion": self._store.version},
                "items": items,
            }
        )

    def _watch(self, request: Request, at: Target, chosen: Callable[[Object], bool]) -> AsyncIterator[bytes]:
        if request.query_params.get("sendInitialEvents") == "true":
            raise ApiError(422, "Invalid", "sendInitialEvents is not supported: list, then watch")
        start = request.query_params.get("resourceVersion") or "0"
        limit = float(request.query_params.get("timeoutSeconds") or 3600)
        queue: asyncio.Queue[tuple[str, Object]] = asyncio.Queue()

        def wanted(change: Change) -> None:
            ref = change.ref
            if ref.kind == at.kind and (not at.namespace or ref.namespace == at.namespace) and chosen(change.object):
                queue.put_nowait((change.type, change.object))

        if start == "0":
            for item in self._store.select(at.kind, at.namespace):
                if chosen(item):
                    queue.put_nowait(("ADDED", item))
        else:
            try:
                for change in self._store.since(int(start)):
                    wanted(change)
            except ValueError as error:
                raise bad_request(f"resourceVersion must be a number, got {start!r}") from error
        return self._stream(queue, self._store.listen(wanted), limit)

    async def _stream(
        self, queue: asyncio.Queue[tuple[str, Object]], stop: Callable[[], None], limit: float
    ) -> AsyncIterator[bytes]:
        closing = asyncio.ensure_future(self._closing.wait())
        deadline = asyncio.get_running_loop().time() + limit
        try:
            while not self._closing.is_set():
                event = asyncio.ensure_future(queue.get())
                left = deadline - asyncio.get_running_loop().time()
                done, _ = await asyncio.wait({event, closing}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
                if event not in done:
                    event.cancel()
                    return
                kind, item = event.result()
                yield json.dumps({"type": kind, "object": item}).encode() + b"\n"
        finally:
            closing.cancel()
            stop()

    def _log(self, request: Request, at: Target) -> Response:
        pod = self._store.get(at.kind, at.namespace, at.name)
        query = LogQuery.parse(pod, dict(request.query_params))
        if not query.follow:
            return PlainTextResponse(self._logs.read(query))

        def running() -> bool:
            here = self._store.find(at.kind, at.namespace, at.name)
            return here is not None and not self._closing.is_set()

        return StreamingResponse(self._logs.follow(query, running), media_type="text/plain")

    # writing ---------------------------------------------------------------------------------------------------------

    async def _post(self, request: Request, at: Target) -> Response:
        item = await _body(request)
        made = self._resources.create(at.kind, _home(at), item, _manager(request), dry=_dry(request))
        return JSONResponse(made, 201)

    async def _put(self, request: Request, at: Target) -> Response:
        item = await _body(request)
        if at.sub == "status":
            return JSONResponse(self._resources.set_status(at.kind, at.namespace, at.name, item.get("status") or {}))
        if at.sub == "scale":
            return self._scale(request, at, item)
        manager, dry = _manager(request), _dry(request)
        return JSONResponse(self._resources.replace(at.kind, _home(at), at.name, item, manager, dry=dry))

    async def _patch(self, request: Request, at: Target) -> Response:
        content_type = request.headers.get("content-type", "").split(";")[0]
        if content_type not in {patches.APPLY, patches.MERGE, patches.STRATEGIC}:
            raise unsupported(content_type)
        body = await _body(request)
        manager, dry = _manager(request), _dry(request)
        if at.sub == "scale":
            return self._scale(request, at, body)
        if at.sub == "status":
            status = self._store.get(at.kind, at.namespace, at.name).get("status") or {}
            merged = patches.merge_patch(status, body.get("status") or {})
            return JSONResponse(self._resources.set_status(at.kind, at.namespace, at.name, merged))
        if content_type == patches.APPLY:
            if not request.query_params.get("fieldManager"):
                raise bad_request("fieldManager is required for apply patch")
            created = self._store.find(at.kind, _home(at), at.name) is None
            force = request.query_params.get("force") in {"true", "1"}
            made = self._resources.apply(at.kind, _home(at), at.name, body, manager, force=force, dry=dry)
            return JSONResponse(made, 201 if created else 200)
        made = self._resources.patch(at.kind, _home(at), at.name, body, content_type, manager, dry=dry)
        return JSONResponse(made)

    def _scale(self, request: Request, at: Target, body: Object) -> Response:
        replicas = (body.get("spec") or {}).get("replicas", 0)
        change: Object = {"spec": {"replicas": replicas}}
        made = self._resources.patch(at.kind, at.namespace, at.name, change, patches.MERGE, _manager(request))
        return JSONResponse(scale_of(made))

    async def _delete(self, request: Request, at: Target) -> Response:
        options = await _body(request, empty=True)
        for field in ("propagationPolicy", "gracePeriodSeconds"):
            if field in request.query_params:
                value = request.query_params[field]
                options[field] = int(value) if field == "gracePeriodSeconds" else value
        dry = _dry(request)
        if at.name:
            return JSONResponse(self._resources.delete(at.kind, _home(at), at.name, options, dry=dry))
        chosen = _filter(request, at)
        items = [item for item in self._store.select(at.kind, at.namespace) if chosen(item)]
        for item in items:
            self._resources.delete(at.kind, namespace_of(item), name_of(item), options, dry=dry)
        return JSONResponse({"apiVersion": at.kind.api_version, "kind": f"{at.kind.kind}List", "items": items})


def scale_of(item: Object) -> Object:
    """The Scale of a workload."""
    selector = (item["spec"].get("selector") or {}).get("matchLabels") or {}
    return {
        "apiVersion": "autoscaling/v1",
        "kind": "Scale",
        "metadata": {k: item["metadata"][k] for k in ("name", "namespace", "uid", "resourceVersion")},
        "spec": {"replicas": item["spec"].get("replicas", 1)},
        "status": {
            "replicas": item.get("status", {}).get("replicas", 0),
            "selector": ",".join(f"{k}={v}" for k, v in selector.items()),
        },
    }


def _home(at: Target) -> str:
    if at.kind.namespaced and not at.namespace:
        raise not_found(at.kind.resource, at.name)
    return at.namespace


def _manager(request: Request) -> str:
    return request.query_params.get("fieldManager") or request.headers.get("user-agent", "unknown").split("/")[0]


def _dry(request: Request) -> bool:
    return request.query_params.get("dryRun") == "All"


async def _body(request: Request, *, empty: bool = False) -> Object:
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


def _filter(request: Request, at: Target) -> Callable[[Object], bool]:
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
        labels = item["metadata"].get("labels") or {}
        if not selector_matches(selector, labels):
            return False
        return all((FIELDS[key](item) == value) == equal for key, value, equal in fields)

    return chosen
