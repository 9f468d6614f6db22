"""A Kubernetes API over HTTP: what a kubeconfig names, read in JSON.

`slipway status` has half a second in all, and the libraries for this take most of it to import; what is needed here is
GET with a token. Kubeconfig: https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/; credentials that a program
provides (`aws eks get-token`): https://kubernetes.io/docs/reference/config-api/client-authentication.v1/.
"""

import base64
import http.client
import json
import os
import ssl
import subprocess
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from release.documents import as_list, as_object, part, parts
from release.errors import SlipwayError


@dataclass(frozen=True)
class KubernetesApi:
    """One API server, and how to prove who asks."""

    server: str
    token: str | None = None
    tls: ssl.SSLContext | None = None

    def get(self, path: str, query: Mapping[str, str] | None = None, timeout: float = 5.0) -> Any:
        """The JSON at `path`; None when there is no such object."""
        with self.open("GET", path, query, timeout) as response:
            if response.status == http.HTTPStatus.NOT_FOUND:
                return None
            content = response.read()
            if response.status != http.HTTPStatus.OK:
                raise _refused(path, response.status, content)
            return json.loads(content)

    @contextmanager
    def open(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        timeout: float | None = 5.0,
        body: bytes | None = None,
    ) -> Generator[http.client.HTTPResponse]:
        """A response to read from, its status for the caller to judge. `timeout` None waits for ever."""
        parts = urlsplit(self.server)
        address = parts.hostname or "127.0.0.1"
        connection = (
            http.client.HTTPSConnection(address, parts.port or 443, timeout=timeout, context=self.tls)
            if parts.scheme == "https"
            else http.client.HTTPConnection(address, parts.port or 80, timeout=timeout)
        )
        headers = {"Accept": "application/json, */*"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        if body is not None:
            headers["Content-Type"] = "application/json"
        target = parts.path.rstrip("/") + path + (f"?{urlencode(query)}" if query else "")
        try:
            try:
                connection.request(method, target, body=body, headers=headers)
                response = connection.getresponse()
            except (OSError, http.client.HTTPException) as error:
                raise SlipwayError(
                    "kubernetes-unreachable", f"the Kubernetes API at {self.server} does not answer ({error})"
                ) from error
            yield response
        finally:
            connection.close()


def from_kubeconfig(path: Path, context: str | None = None) -> KubernetesApi:
    """The API that a kubeconfig file names, by `context` or its current one."""
    config = _read(path)
    chosen = context or config.get("current-context")
    entry = _named(config, "contexts", chosen, path)["context"]
    cluster = _named(config, "clusters", entry.get("cluster"), path)["cluster"]
    user: dict[str, Any] = _named(config, "users", entry.get("user"), path)["user"]
    tls = _tls(cluster, user) if str(cluster["server"]).startswith("https") else None
    return KubernetesApi(cluster["server"], _token(user), tls)


def contexts(path: Path) -> list[str]:
    """The names of a kubeconfig's contexts."""
    return [str(entry["name"]) for entry in parts(_read(path), "contexts")]


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SlipwayError(
            "no-kubeconfig",
            f"the kubeconfig {path} cannot be read ({error.strerror})",
            "set KUBECONFIG to the right file",
        ) from error
    try:
        content: Any = json.loads(text)  # the local node's is JSON, which is YAML too and reads a hundred times faster
    except ValueError:
        from ruamel.yaml import YAML, YAMLError

        try:
            content = YAML(typ="safe").load(text)
        except YAMLError as error:
            raise SlipwayError("no-kubeconfig", f"{path} is not valid YAML: {str(error).splitlines()[0]}") from error
    config = as_object(content)
    if config is None:
        raise SlipwayError("no-kubeconfig", f"{path} is not a kubeconfig")
    return config


def _named(config: dict[str, Any], kind: str, name: Any, path: Path) -> dict[str, Any]:
    for entry in parts(config, kind):
        if entry.get("name") == name:
            return entry
    raise SlipwayError("no-kubeconfig", f"{path} has no {name!r} among its {kind}", "set KUBECONFIG to the right file")


def _tls(cluster: dict[str, Any], user: dict[str, Any]) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=cluster.get("certificate-authority"))
    if data := cluster.get("certificate-authority-data"):
        context.load_verify_locations(cadata=base64.b64decode(data).decode())
    if "client-certificate" in user:
        context.load_cert_chain(user["client-certificate"], user.get("client-key"))
    elif "client-certificate-data" in user:
        _load_chain(context, user["client-certificate-data"], user["client-key-data"])
    return context


def _load_chain(context: ssl.SSLContext, certificate: str, key: str) -> None:
    """Python's ssl reads a certificate and its key from a file only; mkstemp's is the owner's alone."""
    descriptor, name = tempfile.mkstemp()
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.b64decode(certificate) + b"\n" + base64.b64decode(key))
        context.load_cert_chain(name)
    finally:
        Path(name).unlink()


def _token(user: dict[str, Any]) -> str | None:
    if "exec" not in user:
        return user.get("token")
    helper = part(user, "exec")
    variables = {str(entry["name"]): str(entry["value"]) for entry in parts(helper, "env")}
    command = [str(word) for word in (helper["command"], *(as_list(helper.get("args")) or []))]
    try:
        done = subprocess.run(
            command, env=os.environ | variables, capture_output=True, text=True, timeout=30, check=False
        )
        reason = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        if done.returncode == 0:
            return json.loads(done.stdout)["status"]["token"]
    except (OSError, subprocess.TimeoutExpired, ValueError, KeyError) as error:
        reason = [str(error)]
    raise SlipwayError(
        "no-credentials", f"`{' '.join(command)}` gave no Kubernetes credentials: {reason[0]}", "log in again"
    )


def _refused(path: str, status: int, content: bytes) -> SlipwayError:
    try:
        reason = str(json.loads(content).get("message") or "")
    except (ValueError, AttributeError):
        reason = ""
    hint = "your Kubernetes credentials are not accepted: log in again" if status in {401, 403} else ""
    return SlipwayError(
        "kubernetes-refused", f"the Kubernetes API answered {status} for {path}: {reason}".rstrip(": "), hint
    )
