import json
import os
import socket

import httpx2
import pytest
from local_cluster import TestNode, container, deployment, env, is_true, service

pytestmark = pytest.mark.integration


def condition(node, name, kind):
    live = node.get("Service", name)
    return next((c for c in live.get("status", {}).get("conditions", []) if c["type"] == kind), None)


@pytest.fixture
def taken():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_the_port_that_is_asked_for_is_had(shared_node):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        free = listener.getsockname()[1]
    shared_node.apply(service("asked", {"slipway.dev/local-port": str(free)}))
    assert shared_node.url("asked") == f"http://127.0.0.1:{free}/"
    assert condition(shared_node, "asked", "slipway.dev/LocalPorts")["status"] == "True"


def test_a_taken_port_makes_the_service_not_ready_and_names_port_and_process(shared_node, taken):
    shared_node.apply(service("wants", {"slipway.dev/local-port": str(taken)}))
    found = shared_node.until(lambda: condition(shared_node, "wants", "slipway.dev/LocalPorts"))
    assert found["status"] == "False"
    assert found["message"].startswith(f"port {taken}, which annotation slipway.dev/local-port asks for, is taken")
    assert f"pid {os.getpid()}" in found["message"]


def test_a_changed_wish_is_followed(shared_node, taken):
    shared_node.apply(service("changes", {"slipway.dev/local-port": str(taken)}))
    shared_node.until(
        lambda: (condition(shared_node, "changes", "slipway.dev/LocalPorts") or {}).get("status") == "False"
    )
    shared_node.apply(service("changes"))
    shared_node.until(lambda: condition(shared_node, "changes", "slipway.dev/LocalPorts")["status"] == "True")


def test_a_port_that_was_taken_meanwhile_is_replaced_with_a_warning(tmp_path):
    first = TestNode(tmp_path)
    first.apply(service("web"))
    port = int(first.url("web").rsplit(":", 1)[1].strip("/"))
    first.stop()
    with socket.create_server(("127.0.0.1", port)):
        second = TestNode(tmp_path)
        try:
            moved = second.until(lambda: condition(second, "web", "slipway.dev/LocalPortsMoved"))
            assert f"was {port}" in moved["message"]
            events = second.cluster.select("v1", "Event", "default")
            assert [e["type"] for e in events if e["reason"] == "PortTaken"] == ["Warning"]
            assert second.url("web") != f"http://127.0.0.1:{port}/"
        finally:
            second.stop()


def test_endpoint_slices_say_who_answers_and_nobody_gets_an_unready_pod(shared_node, tmp_path):
    marker = tmp_path / "unready"
    marker.touch()
    shared_node.apply(
        service("sliced"), deployment("sliced", container(env=env(UNREADY_FILE=str(marker), ANSWER="x")), replicas=1)
    )
    selector = "kubernetes.io/service-name=sliced"

    def ready():
        slices = shared_node.cluster.select("discovery.k8s.io/v1", "EndpointSlice", "default", selector)
        return [e["conditions"]["ready"] for s in slices for e in s["endpoints"] if s["ports"]]

    shared_node.until(lambda: ready() == [False])
    with pytest.raises(httpx2.HTTPError):
        httpx2.get(shared_node.url("sliced"), trust_env=False)
    marker.unlink()
    shared_node.until(lambda: ready() == [True])
    assert httpx2.get(shared_node.url("sliced"), trust_env=False).text.startswith("x ")


def test_a_deleted_service_closes_its_port(shared_node):
    shared_node.apply(service("brief"))
    url = shared_node.url("brief")
    shared_node.request("DELETE", "/api/v1/namespaces/default/services/brief")

    def closed():
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", int(url.rsplit(":", 1)[1].strip("/")))) != 0

    shared_node.until(closed)


def test_several_ports_and_an_unnamed_one(shared_node):
    two = service(
        "two",
        ports=[{"name": "rest", "port": 80, "targetPort": 8080}, {"name": "metrics", "port": 81, "targetPort": "rest"}],
    )
    shared_node.apply(two, deployment("two", container(env=env(ANSWER="2")), replicas=1))
    shared_node.until(lambda: shared_node.pods("app=two") and is_true(shared_node.pods("app=two")[0], "Ready"))
    assert (
        httpx2.get(shared_node.url("two"), trust_env=False).text
        == httpx2.get(shared_node.url("two", "metrics"), trust_env=False).text
    )
    ports = json.loads(shared_node.get("Service", "two")["metadata"]["annotations"]["slipway.dev/local-ports"])
    assert ports.keys() == {"rest", "metrics"}
