"""The kubeconfig's ways in, against servers of the test's own (plain and TLS)."""

import base64
import json
import ssl
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from release.errors import SlipwayError
from release.kubernetes_api import KubernetesApi, contexts, from_kubeconfig


class Handler(BaseHTTPRequestHandler):
    """Echoes who asked, and knows two special paths."""

    def do_GET(self) -> None:
        status = {"/missing": 404, "/forbidden": 403}.get(self.path, 200)
        content = json.dumps({"path": self.path, "authorization": self.headers.get("Authorization"), "message": "no"})
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content.encode())

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


def certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    import ipaddress

    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    pem, private = folder / "cert.pem", folder / "key.pem"
    pem.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.PrivateFormat.PKCS8
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, plain, serialization.NoEncryption()))
    return pem, private


@pytest.fixture
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


@pytest.fixture
def tls_server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    pem, key = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.socket = context.wrap_socket(running.socket, server_side=True)
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"https://127.0.0.1:{running.server_port}", pem
        running.shutdown()
        thread.join()


def kubeconfig(folder: Path, server: str, user: dict[str, Any], **cluster: Any) -> Path:
    path = folder / "kubeconfig"
    config = {
        "current-context": "one",
        "contexts": [{"name": "one", "context": {"cluster": "c", "user": "u"}}, {"name": "two", "context": {}}],
        "clusters": [{"name": "c", "cluster": {"server": server, **cluster}}],
        "users": [{"name": "u", "user": user}],
    }
    path.write_text(json.dumps(config))
    return path


def test_a_token(server: str, tmp_path: Path):
    api = from_kubeconfig(kubeconfig(tmp_path, server, {"token": "t"}))
    assert api.get("/api", {"labelSelector": "a=b,c=d"}) == {
        "path": "/api?labelSelector=a%3Db%2Cc%3Dd",
        "authorization": "Bearer t",
        "message": "no",
    }


def test_yaml_is_read_too(server: str, tmp_path: Path):
    path = tmp_path / "config"
    path.write_text(
        f"current-context: x\ncontexts:\n- {{name: x, context: {{cluster: c, user: u}}}}\n"
        f"clusters:\n- name: c\n  cluster: {{server: '{server}'}}\nusers:\n- name: u\n  user: {{token: y}}\n"
    )
    assert from_kubeconfig(path).get("/")["authorization"] == "Bearer y"


def test_a_server_with_a_certificate_of_its_own(tls_server: tuple[str, Path], tmp_path: Path):
    url, pem = tls_server
    data = base64.b64encode(pem.read_bytes()).decode()
    api = from_kubeconfig(kubeconfig(tmp_path, url, {"token": "t"}, **{"certificate-authority-data": data}))
    assert api.get("/")["authorization"] == "Bearer t"


def test_a_server_with_another_certificate_is_not_trusted(tls_server: tuple[str, Path], tmp_path: Path):
    api = from_kubeconfig(kubeconfig(tmp_path, tls_server[0], {"token": "t"}))
    with pytest.raises(SlipwayError, match=r"does not answer .*CERTIFICATE_VERIFY_FAILED"):
        api.get("/")


def test_credentials_from_a_program(server: str, tmp_path: Path):
    code = "import json, os; print(json.dumps({'status': {'token': os.environ['WHO']}}))"
    helper = {"command": sys.executable, "args": ["-c", code], "env": [{"name": "WHO", "value": "me"}]}
    assert from_kubeconfig(kubeconfig(tmp_path, server, {"exec": helper})).get("/")["authorization"] == "Bearer me"


@pytest.mark.parametrize(
    ("helper", "reason"),
    [
        ({"command": "no-such-program"}, "No such file"),
        (
            {"command": sys.executable, "args": ["-c", "import sys; sys.exit('SSO session expired')"]},
            "SSO session expired",
        ),
        ({"command": sys.executable, "args": ["-c", "print('{}')"]}, "status"),
    ],
)
def test_a_program_that_gives_none(helper: dict[str, Any], reason: str, server: str, tmp_path: Path):
    with pytest.raises(SlipwayError, match=f"gave no Kubernetes credentials: .*{reason}"):
        from_kubeconfig(kubeconfig(tmp_path, server, {"exec": helper}))


def test_what_is_not_there_is_none_and_what_is_refused_is_said(server: str):
    api = KubernetesApi(server)
    assert api.get("/missing") is None
    with pytest.raises(SlipwayError, match="answered 403 for /forbidden: no") as refused:
        api.get("/forbidden")
    assert "log in" in refused.value.hint


def test_a_server_that_is_gone():
    with pytest.raises(SlipwayError, match=r"http://127\.0\.0\.1:1 does not answer") as refused:
        KubernetesApi("http://127.0.0.1:1").get("/")
    assert refused.value.code == "kubernetes-unreachable"


def test_contexts_by_name(tmp_path: Path):
    path = kubeconfig(tmp_path, "http://x", {})
    assert contexts(path) == ["one", "two"]
    with pytest.raises(SlipwayError, match="has no 'three' among its contexts"):
        from_kubeconfig(path, "three")


@pytest.mark.parametrize("content", ["a: [", "just text", ""])
def test_a_file_that_is_no_kubeconfig(content: str, tmp_path: Path):
    path = tmp_path / "config"
    path.write_text(content)
    with pytest.raises(SlipwayError, match="is not"):
        from_kubeconfig(path)
    with pytest.raises(SlipwayError, match="cannot be read"):
        from_kubeconfig(tmp_path / "absent")
