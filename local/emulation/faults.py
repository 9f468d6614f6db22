"""Answers for what went wrong inside the emulation, in the form that the caller's protocol has for errors.

moto raises where it does not implement something, and its server then answers with a page of HTML. A client should get
an error that it can read, with the reason.
"""

import logging
import re
from collections.abc import Iterable
from typing import Any
from xml.sax.saxutils import escape

from local.emulation.durable import NotStoredError, StartResponse, WsgiApp

log = logging.getLogger(__name__)

_SIGNED_FOR = re.compile(r"Credential=[^/]+/[^/]+/[^/]+/([^/]+)/aws4_request")
_NO_ROUTE = b"<!doctype html>"
"""How Flask's page begins for an address that no call of moto has: not to be taken for a resource that is missing."""
_XML_SERVICES = frozenset(
    {"autoscaling", "ec2", "elasticloadbalancing", "iam", "rds", "route53", "s3", "sns", "sts", "cloudfront"}
)


class Faults:
    """WSGI middleware that turns exceptions into AWS errors."""

    def __init__(self, app: WsgiApp) -> None:
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:  # noqa: D102
        answer: list[tuple[Any, ...]] = []
        try:
            body = self._app(environ, lambda *started: answer.append(started))
            if str(answer[-1][0]).startswith("404"):
                body = list(body)
                if body and body[0].startswith(_NO_ROUTE):
                    raise NotImplementedError(f"the call {_asked(environ)} has not been implemented")
        except Exception as error:
            code = "NotImplemented" if isinstance(error, NotImplementedError) else "InternalError"
            message = f"AWS emulation: {' '.join(str(error).split()) or type(error).__name__}"
            known = code == "NotImplemented" or isinstance(error, NotStoredError)
            log.warning("%s: %s", _asked(environ), message, exc_info=None if known else error)
            status = "501 Not Implemented" if code == "NotImplemented" else "500 Internal Server Error"
            content_type, text = _body(environ, code, message)
            start_response(status, [("Content-Type", content_type), ("Content-Length", str(len(text)))])
            return [text]
        start_response(*answer[-1])
        return body


def _asked(environ: dict[str, Any]) -> str:
    return str(environ.get("HTTP_X_AMZ_TARGET") or f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}")


def _body(environ: dict[str, Any], code: str, message: str) -> tuple[str, bytes]:
    signed = _SIGNED_FOR.search(environ.get("HTTP_AUTHORIZATION", ""))
    service = signed[1] if signed else "s3"
    if service not in _XML_SERVICES:
        import json

        return "application/json", json.dumps({"__type": code, "message": message}).encode()
    error = f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
    if service == "ec2":
        error = f"<Response><Errors>{error}</Errors></Response>"
    elif service != "s3":
        error = f"<ErrorResponse>{error}</ErrorResponse>"
    return "application/xml", error.encode()
