"""`pods/<name>:<port>/proxy/<path>`: a request to one pod's port through the API, as `kubectl proxy` users know it."""

import json
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from local.node.errors import ApiError, bad_request
from local.node.objects import Object, annotations_of, items_of
from local.node.pods.ports import LOOPBACK
from local.node.pods.worker import PORTS
from local.node.requests import Target
from local.node.store import Store

SECONDS = 60.0
HOP_BY_HOP = {"connection", "content-length", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
CREDENTIALS = {"authorization"}
"""The API's own: none of the pod's business."""


async def forward(request: Request, store: Store, at: Target) -> Response:
    """Send the request to the pod and give its answer. Raises ApiError 400, 404, 503."""
    import httpx2  # a third of a second, for what few requests need

    name, _, port = at.name.partition(":")
    pod = store.get(at.kind, at.namespace, name)
    url = f"http://{LOOPBACK}:{_port(pod, port)}/{at.below}"
    headers = [(k, v) for k, v in request.headers.items() if k not in HOP_BY_HOP | CREDENTIALS]
    # The pod is on this machine: no proxy of the environment has a part in it.
    async with httpx2.AsyncClient(timeout=SECONDS, trust_env=False) as client:
        try:
            answer = await client.request(
                request.method,
                url,
                params=str(request.query_params),
                headers=headers,
                content=await request.body(),
            )
        except httpx2.HTTPError as error:
            message = f"error trying to reach pod {name} on port {port or 'its first'}: {error or type(error).__name__}"
            raise ApiError(HTTPStatus.SERVICE_UNAVAILABLE, "ServiceUnavailable", message) from error
    kept = {k: v for k, v in answer.headers.items() if k.lower() not in HOP_BY_HOP | {"content-encoding"}}
    return Response(answer.content, answer.status_code, kept)


def _port(pod: Object, wanted: str) -> int:
    """The loopback port for a container port's name or number; of the first port when none is named."""
    picked: dict[str, int] = json.loads(annotations_of(pod).get(PORTS) or "{}")
    declared = [port for container in pod["spec"]["containers"] for port in items_of(container, "ports")]
    for port in declared:
        if wanted in {"", port.get("name"), str(port["containerPort"])} and port.get("name") in picked:
            return picked[port["name"]]
    if wanted.isdigit() and not any(str(port["containerPort"]) == wanted for port in declared):
        return int(wanted)
    raise bad_request(f"pod {pod['metadata']['name']} has no open port {wanted or '(none is declared)'}")
