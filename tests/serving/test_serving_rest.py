"""A real server process, asked over HTTP."""

import http.client
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from serving_packages import score
from serving_process import Server

pytestmark = pytest.mark.integration

NO_VERSION_2 = "no model 'delay' version '2' here; this server has delay version 1"
ROW = {"carrier": "UA", "temp": 2, "wind": 4}


def test_predictions_by_feature_name(server: Server) -> None:
    reply = server.post("/predict", {"rows": [ROW, {"carrier": "AA", "temp": -3.0}]})
    assert (reply.status, reply.headers["slipway-model-version"]) == (200, "1")
    answer = reply.json
    assert (answer["model_name"], answer["model_version"]) == ("delay", "1")
    first, second = answer["predictions"]
    assert first["probability"] == pytest.approx(score("UA", 2, 4), abs=1e-6)
    assert second["probability"] == pytest.approx(score("AA", -3, 7), abs=1e-6)
    assert [first["label"], second["label"]] == ["late", "on_time"]
    assert first["prediction_id"][:-2] == second["prediction_id"][:-2]
    assert first["prediction_id"] != second["prediction_id"]
    ids = {server.post("/predict", {"rows": [ROW]}).json["predictions"][0]["prediction_id"] for _ in range(20)}
    assert len(ids) == 20


@pytest.mark.parametrize("base", ["/v2/models/delay", "/v2/models/delay/versions/1", "/v2/models/%64elay/"])
def test_the_v2_protocol(server: Server, base: str) -> None:
    metadata = server.get(base).json
    assert metadata["name"] == "delay"
    assert metadata["versions"] == ["1"]
    assert metadata["inputs"] == [
        {"name": "carrier", "datatype": "BYTES", "shape": [-1, 1]},
        {"name": "weather", "datatype": "FP32", "shape": [-1, 2]},
    ]
    assert server.get(base.rstrip("/") + "/ready").json["model_version"] == "1"
    assert server.get("/v2").json["name"] == "slipway"
    assert server.get("/v2/health/live").status == server.get("/v2/health/ready").status == 200
    question = {
        "id": "mine",
        "inputs": [
            {"name": "carrier", "shape": [2, 1], "datatype": "BYTES", "data": ["UA", "AA"]},
            {"name": "weather", "shape": [2, 2], "datatype": "FP32", "data": [[2, 4], [1, 1]]},
        ],
    }
    reply = server.post(base.rstrip("/") + "/infer", question)
    assert reply.headers["slipway-model-version"] == "1"
    assert reply.json["id"] == "mine"
    assert reply.json["outputs"][0]["data"] == pytest.approx([score("UA", 2, 4), score("AA", 1, 1)], abs=1e-6)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "message"),
    [
        ("POST", "/predict", b"{", 400, "not JSON: Input data was truncated"),
        ("POST", "/predict", b'{"rows": []}', 400, "rows: expected at least one row"),
        ("POST", "/predict", b'{"rows": [{"temp": 1}]}', 400, "rows[0].carrier: missing"),
        ("POST", "/predict", b'{"rows": [{"carrier": "AA", "tmp": 1}]}', 400, "rows[0].tmp: unknown"),
        ("POST", "/predict", json.dumps({"rows": [ROW] * 51}).encode(), 413, "rows: at most 50 in one request, got 51"),
        ("POST", "/predict", b" " * 100_001, 413, "the body is larger than the 100000 bytes that are allowed"),
        ("GET", "/predict", None, 405, "GET is not for this path, only POST"),
        ("GET", "/nothing", None, 404, "no such path: /nothing; /docs lists them"),
        ("GET", "/v2/models/x", None, 404, "no model 'x' here; this server has delay version 1"),
        (
            "GET",
            "/v2/models/delay/versions/2",
            None,
            404,
            "no model 'delay' version '2' here; this server has delay version 1",
        ),
        ("POST", "/v2/models/delay/infer", b"{}", 400, "inputs: missing"),
    ],
)
def test_what_is_wrong_is_said_in_one_shape(
    server: Server, method: str, path: str, body: bytes | None, status: int, message: str
) -> None:
    reply = server.ask(method, path, body, {})
    assert (reply.status, reply.json) == (status, {"error": message})
    assert reply.headers["slipway-model-version"] == "1"


def test_a_compressed_body_is_refused_and_a_method_named(server: Server) -> None:
    for path in ("/predict", "/v2/models/delay/infer"):
        assert server.ask("POST", path, b"x", {"Content-Encoding": "gzip"}).status == 415
    assert server.ask("PUT", "/predict", b"", {}).headers["allow"] == "POST"


def test_metrics_count_what_was_asked(server: Server) -> None:
    def count(line: str) -> float:
        found = [each for each in server.get("/metrics").body.decode().splitlines() if each.startswith(line + " ")]
        return float(found[0].rsplit(" ", 1)[1])

    asked = 'slipway_requests_total{protocol="rest",route="predict",code="200"}'
    refused = 'slipway_requests_total{protocol="rest",route="predict",code="400"}'
    before = count(asked), count(refused)
    server.post("/predict", {"rows": [ROW]})
    server.post("/predict", {"rows": [{}]})
    assert (count(asked), count(refused)) == (before[0] + 1, before[1] + 1)
    assert server.get("/metrics").headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"


def test_the_description_names_every_path_and_its_examples_work(server: Server) -> None:
    document = server.get("/openapi.json").json
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("example")
            content = None if body is None else json.dumps(body).encode()
            assert server.ask(method.upper(), path, content, {}).status == 200, path
    page = server.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert b"/v2/models/delay/infer" in page.body
    assert b"http" not in page.body.replace(b"<!doctype html>", b"")


def test_head_has_no_body(server: Server) -> None:
    assert server.raw(b"HEAD /v2 HTTP/1.1\r\nConnection: close\r\n\r\n").endswith(b"\r\n\r\n")


def test_pipelined_requests_are_answered_in_order(server: Server) -> None:
    wanted = [b"/v2", b"/predict", b"/nothing", b"/v2/health/live"] * 50
    body = json.dumps({"rows": [ROW]}).encode()
    requests = [
        b"POST /predict HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        if path == b"/predict"
        else b"GET %b HTTP/1.1\r\n\r\n" % path
        for path in wanted
    ]
    received = server.raw(b"".join(requests) + b"GET /v2 HTTP/1.1\r\nConnection: close\r\n\r\n")
    marks = {
        b"/v2": b'"extensions"',
        b"/predict": b'"predictions"',
        b"/nothing": b'"error"',
        b"/v2/health/live": b'"live"',
    }
    bodies = [part.split(b"\r\n\r\n", 1)[1] for part in received.split(b"HTTP/1.1 ")[1:]]
    assert [marks[path] in body for path, body in zip(wanted, bodies, strict=False)] == [True] * 200
    assert len(bodies) == 201


def test_a_chunked_body_in_pieces_and_expect_continue(server: Server) -> None:
    body = json.dumps({"rows": [ROW]}).encode()
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n")
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        for byte in body:
            connection.sendall(b"1\r\n%c\r\n" % byte)
        connection.sendall(b"0\r\n\r\n")
        assert connection.recv(10_000).startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_half_closed_client_still_gets_its_answer(server: Server) -> None:
    body = json.dumps({"rows": [ROW]}).encode()
    request = b"POST /predict HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    assert server.raw(request, half_close=True).startswith(b"HTTP/1.1 200 OK\r\n")
    assert server.raw(request[:-5], half_close=True) == b""


def test_an_old_client_and_one_that_wants_another_protocol(server: Server) -> None:
    assert b"Connection: close" in server.raw(b"GET /v2 HTTP/1.0\r\n\r\n")
    assert b"Connection: keep-alive" in server.raw(b"GET /v2 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    upgrade = b"GET /v2 HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n"
    assert server.raw(upgrade + b"GET /v2 HTTP/1.1\r\nConnection: close\r\n\r\n").count(b"HTTP/1.1 200 OK") == 2


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"\x00\xff\xfe" * 100, 400),
        (b"GET /v2 HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"POST /predict HTTP/1.1\r\nContent-Length: -5\r\n\r\n", 400),
        (b"POST /predict HTTP/1.1\r\nContent-Length: 1000000000\r\n\r\n", 413),
        (b"POST /predict HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFF\r\n" + b"x" * 200_000, 413),
        (b"GET /v2 HTTP/1.1\r\n" + b"A: b\r\n" * 20_000, 431),
        (b"GET /" + b"x" * 100_000, 431),
    ],
)
def test_what_is_no_request_is_refused_and_the_connection_closed(server: Server, content: bytes, status: int) -> None:
    received = server.raw(content)
    assert received.startswith(b"HTTP/1.1 %d " % status)
    assert b"Connection: close" in received
    assert received.count(b"HTTP/1.1 ") == 1


def test_a_client_that_keeps_sending_too_much_can_read_why(server: Server) -> None:
    """An HTTP library that sends its whole body before it reads gets the 413, not a connection reset."""
    reply = server.ask("POST", "/predict", b"x" * 3_000_000, {})
    assert reply.status == 413


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.sampled_from(["/predict", "/v2/models/delay/infer"]),
    body=st.binary(max_size=300)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.sampled_from(["rows", "inputs", "carrier", "temp", "x"]), inner)
        ),
    ).map(lambda value: json.dumps(value).encode()),
)
def test_malformed_bodies_never_make_a_500(server: Server, path: str, body: bytes) -> None:
    reply = server.ask("POST", path, body, {})
    assert reply.status in {200, 400, 413}
    assert isinstance(reply.json, dict)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(start=st.binary(max_size=20), cut=st.integers(0, 100), end=st.binary(max_size=60))
def test_malformed_requests_never_make_a_500(server: Server, start: bytes, cut: int, end: bytes) -> None:
    whole = b'POST /predict HTTP/1.1\r\nContent-Length: 29\r\nHost: x\r\n\r\n{"rows": [{"carrier": "AA"}]}'
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall(start + whole[: len(whole) * cut // 100] + end)
        connection.shutdown(socket.SHUT_WR)
        received = b""
        while chunk := _receive(connection):
            received += chunk
    assert b"HTTP/1.1 5" not in received


def _receive(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65536)
    except ConnectionResetError:
        return b""


def test_many_clients_at_once_get_their_own_answers(server: Server) -> None:
    def client(number: int) -> list[tuple[float, float]]:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        pairs: list[tuple[float, float]] = []
        for i in range(50):
            row: dict[str, Any] = {"carrier": "DL", "temp": number / 10, "wind": i / 10}
            connection.request("POST", "/predict", json.dumps({"rows": [row]}))
            answer = json.loads(connection.getresponse().read())
            pairs.append((answer["predictions"][0]["probability"], score("DL", number / 10, i / 10)))
        connection.close()
        return pairs

    with ThreadPoolExecutor(16) as pool:
        for pairs in pool.map(client, range(16)):
            for found, expected in pairs:
                assert found == pytest.approx(expected, abs=1e-6)


def test_it_still_answers_and_holds_no_more_memory(server: Server) -> None:
    import psutil

    process = psutil.Process(server.process.pid)
    body = json.dumps({"rows": [ROW] * 50}).encode()
    for _ in range(200):
        server.post("/predict", body)
    before = process.memory_info().rss
    for _ in range(300):
        server.post("/predict", body)
        server.raw(b"POST /predict HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n") if _ % 100 == 0 else None
    assert process.memory_info().rss - before < 5_000_000
    until = time.monotonic() + 5
    while process.num_fds() > 40 and time.monotonic() < until:
        time.sleep(0.1)
    assert process.num_fds() <= 40
