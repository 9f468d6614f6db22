"""The Kubernetes REST API on loopback: paths, verbs, watches and logs, on top of `Resources`.

Protocol: https://kubernetes.io/docs/reference/using-api/api-concepts/
"""

import asyncio
import hmac
import json
import logging
from collections.abc import AsyncIterator, Callable

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from local.node import patches, podproxy, requests
from local.node.errors import ApiError, bad_request
from local.node.kinds import discovery
from local.node.objects import Object, name_of, namespace_of, section
from local.node.pods.logs import LogFiles, LogQuery
from local.node.requests import Target
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
        found = requests.target(self._store.kinds, path)
        if found is None:
            raise ApiError(404, "NotFound", f"the server could not find the requested resource: {request.url.path}")
        if found.sub == "proxy":
            return await podproxy.forward(request, self._store, found)
        handlers = {"GET": self._get, "DELETE": self._delete}
        handlers |= {"PUT": self._put, "PATCH": self._patch} if found.name else {"POST": self._post}
        handler = handlers.get(request.method)
        if handler is None:
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
        chosen = requests.chooser(request, at)
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
        item = await requests.body(request)
        made = self._resources.create(
            at.kind, requests.home(at), item, requests.manager(request), dry=requests.dry(request)
        )
        return JSONResponse(made, 201)

    async def _put(self, request: Request, at: Target) -> Response:
        item = await requests.body(request)
        if at.sub == "status":
            return JSONResponse(self._resources.set_status(at.kind, at.namespace, at.name, section(item, "status")))
        if at.sub == "scale":
            return self._scale(request, at, item)
        manager, dry = requests.manager(request), requests.dry(request)
        return JSONResponse(self._resources.replace(at.kind, requests.home(at), at.name, item, manager, dry=dry))

    async def _patch(self, request: Request, at: Target) -> Response:
        content_type = request.headers.get("content-type", "").split(";")[0]
        if content_type not in {patches.APPLY, patches.MERGE, patches.STRATEGIC}:
            raise unsupported(content_type)
        body = await requests.body(request)
        manager, dry = requests.manager(request), requests.dry(request)
        if at.sub == "scale":
            return self._scale(request, at, body)
        if at.sub == "status":
            status = section(self._store.get(at.kind, at.namespace, at.name), "status")
            merged = patches.merge_patch(status, section(body, "status"))
            return JSONResponse(self._resources.set_status(at.kind, at.namespace, at.name, merged))
        if content_type == patches.APPLY:
            if not request.query_params.get("fieldManager"):
                raise bad_request("fieldManager is required for apply patch")
            created = self._store.find(at.kind, requests.home(at), at.name) is None
            force = request.query_params.get("force") in {"true", "1"}
            made = self._resources.apply(at.kind, requests.home(at), at.name, body, manager, force=force, dry=dry)
            return JSONResponse(made, 201 if created else 200)
        made = self._resources.patch(at.kind, requests.home(at), at.name, body, content_type, manager, dry=dry)
        return JSONResponse(made)

    def _scale(self, request: Request, at: Target, body: Object) -> Response:
        replicas = section(body, "spec").get("replicas", 0)
        change: Object = {"spec": {"replicas": replicas}}
        made = self._resources.patch(at.kind, at.namespace, at.name, change, patches.MERGE, requests.manager(request))
        return JSONResponse(scale_of(made))

    async def _delete(self, request: Request, at: Target) -> Response:
        options = await requests.body(request, empty=True)
        for field in ("propagationPolicy", "gracePeriodSeconds"):
            if field in request.query_params:
                value = request.query_params[field]
                options[field] = int(value) if field == "gracePeriodSeconds" else value
        dry = requests.dry(request)
        if at.name:
            return JSONResponse(self._resources.delete(at.kind, requests.home(at), at.name, options, dry=dry))
        chosen = requests.chooser(request, at)
        items = [item for item in self._store.select(at.kind, at.namespace) if chosen(item)]
        for item in items:
            self._resources.delete(at.kind, namespace_of(item), name_of(item), options, dry=dry)
        return JSONResponse({"apiVersion": at.kind.api_version, "kind": f"{at.kind.kind}List", "items": items})


def scale_of(item: Object) -> Object:
    """The Scale of a workload."""
    selector = section(section(item["spec"], "selector"), "matchLabels")
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
