import asyncio
import os
import signal
import threading
import time
import urllib.request

import httpx2
import pytest
from local_cluster import container, deployment, env, is_true, service

pytestmark = pytest.mark.integration


class Load:
    """Requests, each on a connection of its own, as fast as two threads make them; remembers what failed."""

    def __init__(self, url: str, path: str = "") -> None:
        self.answers: list[str] = []
        self.failures: list[str] = []
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(url + path,)) for _ in range(2)]
        for thread in self._threads:
            thread.start()

    def _ask(self, url: str) -> None:
        while not self._end.is_set():
            try:
                with urllib.request.urlopen(url, timeout=10) as answer:
                    self.answers.append(answer.read().decode())
            except OSError as error:
                self.failures.append(repr(error))
            time.sleep(0.002)

    def stop(self) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()


def rolled_out(node, name):
    live = node.get("Deployment", name, api_version="apps/v1")
    status = live.get("status", {})
    counts = [status.get(k) for k in ("replicas", "updatedReplicas", "availableReplicas")]
    return counts == [live["spec"]["replicas"]] * 3 and status["observedGeneration"] == live["metadata"]["generation"]


def test_a_rolling_update_fails_no_request(node):
    node.apply(service("web"), deployment("web", container(env=env(ANSWER="one"))))
    node.until(lambda: rolled_out(node, "web"))
    load = Load(node.url("web"))
    time.sleep(0.3)

    for answer in ("two", "three"):
        changed = deployment("web", container(env=env(ANSWER=answer, START_SECONDS="0.3")))
        changed["spec"]["template"]["spec"]["containers"][0]["lifecycle"] = {"preStop": {"sleep": {"seconds": 1}}}
        node.apply(changed)
        node.until(lambda: rolled_out(node, "web"))
    node.until(lambda: load.answers[-1].startswith("three"))
    node.until(lambda: len(node.pods("app=web")) == 2)
    load.stop()

    assert load.failures == []
    assert len(load.answers) > 100
    kinds = [a.split()[0] for a in load.answers]
    assert kinds[0] == "one"
    assert {"one", "two", "three"} == set(kinds)


def test_requests_in_flight_are_answered_by_the_pod_that_is_going(node):
    node.apply(service("web"), deployment("web", container(env=env(ANSWER="one")), replicas=1))
    node.until(lambda: rolled_out(node, "web"))
    answers = []
    url = node.url("web")
    slow = threading.Thread(target=lambda: answers.append(httpx2.get(url + "slow", trust_env=False).text))
    slow.start()
    time.sleep(0.2)
    node.apply(deployment("web", container(env=env(ANSWER="two")), replicas=1))
    slow.join()
    assert answers[0].startswith("one ")
    node.until(lambda: rolled_out(node, "web"))


def test_a_pod_that_never_gets_ready_stops_the_rollout_and_takes_no_traffic(node, tmp_path):
    node.apply(service("web"), deployment("web", container(env=env(ANSWER="one"))))
    node.until(lambda: rolled_out(node, "web"))
    marker = tmp_path / "unready"
    marker.touch()
    broken = deployment("web", container(env=env(ANSWER="two", UNREADY_FILE=str(marker))))
    broken["spec"]["progressDeadlineSeconds"] = 1
    node.apply(broken)

    def stalled():
        conditions = node.get("Deployment", "web", api_version="apps/v1")["status"]["conditions"]
        return [c for c in conditions if c["type"] == "Progressing" and c["reason"] == "ProgressDeadlineExceeded"]

    node.until(stalled)
    live = node.get("Deployment", "web", api_version="apps/v1")
    assert is_true(live, "Available")
    assert live["status"]["availableReplicas"] == 2
    assert {httpx2.get(node.url("web"), trust_env=False).text.split()[0] for _ in range(10)} == {"one"}

    marker.unlink()  # and on it goes
    node.until(lambda: rolled_out(node, "web"))


def test_going_back_uses_the_old_replica_set_again(node):
    first = deployment("web", container(env=env(ANSWER="one")), replicas=1)
    node.apply(first)
    node.until(lambda: rolled_out(node, "web"))
    node.apply(deployment("web", container(env=env(ANSWER="two")), replicas=1))
    node.until(lambda: rolled_out(node, "web"))
    node.apply(first)
    node.until(lambda: rolled_out(node, "web"))
    live = node.get("Deployment", "web", api_version="apps/v1")
    assert live["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "3"
    assert len(node.cluster.select("apps/v1", "ReplicaSet", "default")) == 2


def test_recreate_never_runs_old_and_new_together(node):
    node.apply(deployment("web", container(env=env(ANSWER="one")), replicas=1, strategy={"type": "Recreate"}))
    node.until(lambda: rolled_out(node, "web"))
    seen = []
    node.apply(deployment("web", container(env=env(ANSWER="two")), replicas=1, strategy={"type": "Recreate"}))

    def done():
        seen.append(len(node.pods("app=web")))
        return rolled_out(node, "web") and len(node.pods("app=web")) == 1

    node.until(done)
    assert max(seen) == 1


def test_scaling_down_and_up(node):
    node.apply(deployment("web", container(), replicas=3))
    node.until(lambda: rolled_out(node, "web"))
    node.apply(deployment("web", container(), replicas=1))
    node.until(lambda: len(node.pods("app=web")) == 1 and rolled_out(node, "web"))
    node.apply(deployment("web", container(), replicas=0))
    node.until(lambda: node.pods("app=web") == [])


def test_a_killed_pod_is_noticed_at_once_and_started_again(node):
    node.apply(service("web"), deployment("web", container(env=env(ANSWER="one")), replicas=1))
    node.until(lambda: rolled_out(node, "web"))
    pid = int(httpx2.get(node.url("web"), trust_env=False).text.split()[1])
    killed = time.monotonic()
    os.kill(pid, signal.SIGKILL)

    def said():
        status = node.pods("app=web")[0]["status"]["containerStatuses"][0]
        ended = status["lastState"].get("terminated") or status["state"].get("terminated")
        return ended and ended["exitCode"] == 137

    node.until(said, 2)
    assert time.monotonic() - killed < 2
    node.until(lambda: rolled_out(node, "web"))
    assert int(httpx2.get(node.url("web"), trust_env=False).text.split()[1]) != pid
    assert node.pods("app=web")[0]["status"]["containerStatuses"][0]["restartCount"] == 1


def test_connections_are_spread_over_the_ready_pods(node):
    node.apply(service("web"), deployment("web", container(env=env(ANSWER="one"))))
    node.until(lambda: rolled_out(node, "web"))
    url = node.url("web")
    pids = [httpx2.get(url, trust_env=False).text for _ in range(8)]
    assert sorted(pids.count(p) for p in set(pids)) == [4, 4]


def test_a_large_answer_and_a_half_closed_connection_pass_the_proxy():
    async def main():
        from local.node.proxy import Backend, Frontend, Open

        async def answer(reader, writer):
            asked = await reader.read()
            writer.write(b"x" * 5_000_000 + asked)
            writer.close()
            await writer.wait_closed()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        connections = Open()
        front = Frontend(lambda: [Backend("pod", port)], connections)
        listener = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        free = listener.sockets[0].getsockname()[1]
        listener.close()
        await front.listen(free)
        reader, writer = await asyncio.open_connection("127.0.0.1", free)
        writer.write(b"hello")
        writer.write_eof()
        got = await reader.read()
        writer.close()
        front.close()
        server.close()
        await connections.drained("pod", 2)
        return got

    assert asyncio.run(main())[-6:] == b"xhello"
