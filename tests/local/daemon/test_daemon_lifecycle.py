import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from local_cluster import IMAGES, container, deployment, env, is_true, service

from local.kubernetes.cluster import Cluster

pytestmark = pytest.mark.integration


class Checkout:
    """A folder whose daemon the commands start and stop."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.home = root / ".slipway" / "local"

    def run(self, *arguments: str) -> tuple[int, dict]:
        command = [sys.executable, "-m", "local", *arguments, "--root", str(self.root)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=self.root, check=False)
        assert "Traceback" not in done.stderr
        return done.returncode, json.loads(done.stdout)

    def start(self) -> dict:
        code, answer = self.run("start")
        assert code == 0, answer
        return answer

    def cluster(self) -> Cluster:
        return Cluster(str(self.home / "kubeconfig"))

    def web(self) -> tuple[str, int]:
        """A running Deployment behind a Service: its address and the pod's process."""
        cluster = self.cluster()
        command = [sys.executable, "-I", "-S", str(IMAGES / "answering.py")]
        cluster.apply(service("web"))
        image = "registry.test/slipway/serving@sha256:1"
        cluster.apply(deployment("web", container(image=image, command=command, env=env(ANSWER="one")), replicas=1))
        return self.answers(cluster)

    def answers(self, cluster: Cluster) -> tuple[str, int]:
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            pods = cluster.select("v1", "Pod", "default", "app=web")
            live = cluster.get(service("web"))
            ports = json.loads((live["metadata"].get("annotations") or {}).get("slipway.dev/local-ports", "{}"))
            if len(pods) == 1 and is_true(pods[0], "Ready") and ports:
                with socket.create_connection(("127.0.0.1", ports["rest"])) as connection:
                    connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
                    answer = b"".join(iter(lambda: connection.recv(4096), b""))
                cluster.close()
                return f"127.0.0.1:{ports['rest']}", int(answer.split()[-1])
            time.sleep(0.05)
        raise AssertionError("no pod is ready")

    def processes(self) -> list[psutil.Process]:
        """Every process of this user that knows of the folder."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.pid != os.getpid() and str(self.root) in " ".join(
                    [*process.cmdline(), *process.environ().values()]
                ):
                    found.append(process)
            except psutil.Error:
                continue
        return found


@pytest.fixture
def checkout(tmp_path):
    root = tmp_path / "a checkout"  # with a space in its path
    root.mkdir()
    found = Checkout(root)
    yield found
    if found.home.exists():
        found.run("stop", "--forget")
    deadline = time.monotonic() + 5
    while found.processes() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert found.processes() == []


def test_start_answers_with_what_is_needed_and_stop_leaves_nothing(checkout):
    answer = checkout.start()
    assert answer["already_running"] is False
    assert answer["layout"] == 1
    assert Path(answer["env"]["KUBECONFIG"]) == checkout.home / "kubeconfig"
    for name in ("daemon.json", "kubeconfig"):
        assert stat.S_IMODE((checkout.home / name).stat().st_mode) == 0o600
    for plugin in ("pulumi-resource-aws", "pulumi-resource-kubernetes"):
        assert os.access(Path(answer["bin"], plugin), os.X_OK)
    with socket.create_connection(("127.0.0.1", int(answer["aws_endpoint"].rsplit(":", 1)[1]))):
        pass
    address, pod = checkout.web()

    begun = time.monotonic()
    again = checkout.start()
    assert time.monotonic() - begun < 3
    assert again["already_running"] is True
    assert again["pid"] == answer["pid"]
    del again["already_running"]
    assert checkout.run("status")[1] == {"running": True, **again}
    assert json.loads((checkout.home / "daemon.json").read_text()).items() <= again.items()

    assert checkout.run("stop") == (0, {"stopped": True, "forgotten": False})
    assert checkout.processes() == []
    assert not psutil.pid_exists(pod)
    for port in (address, answer["aws_endpoint"], answer["kubernetes_endpoint"]):
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", int(port.rsplit(":", 1)[1]))) != 0
    assert checkout.run("status") == (0, {"running": False})

    back = checkout.start()
    assert back["kubernetes_endpoint"] == answer["kubernetes_endpoint"]
    assert checkout.answers(checkout.cluster())[0] == address
    assert checkout.run("stop", "--forget") == (0, {"stopped": True, "forgotten": True})
    assert [p.name for p in checkout.home.iterdir()] == ["command.lock"]


def test_two_starts_at_once_make_one_daemon(checkout):
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(checkout.start())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({a["pid"] for a in answers}) == 1
    assert sorted(a["already_running"] for a in answers) == [False, True, True]


def test_a_killed_daemon_takes_its_pods_along_and_the_next_start_brings_them_back(checkout):
    first = checkout.start()
    address, pod = checkout.web()
    os.kill(first["pid"], signal.SIGKILL)

    second = checkout.start()
    assert second["pid"] != first["pid"]
    found, other = checkout.answers(checkout.cluster())
    assert found == address
    assert other != pod
    deadline = time.monotonic() + 5
    while psutil.pid_exists(pod) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not psutil.pid_exists(pod)


def test_stop_after_a_killed_daemon_leaves_nothing(checkout):
    first = checkout.start()
    checkout.web()
    os.kill(first["pid"], signal.SIGKILL)
    assert checkout.run("stop")[0] == 0
    assert checkout.processes() == []


def test_the_emulation_is_started_again_when_it_dies(checkout):
    first = checkout.start()
    os.kill(first["children"][0]["pid"], signal.SIGKILL)
    deadline = time.monotonic() + 20
    while (state := checkout.run("status")[1])["children"] == first["children"]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert state["aws_started"] > first["aws_started"]
    assert state["aws_endpoint"] == first["aws_endpoint"]
    with socket.create_connection(("127.0.0.1", int(state["aws_endpoint"].rsplit(":", 1)[1]))):
        pass


def test_a_removed_checkout_takes_its_daemon_along_and_leaves_the_next_one_alone(checkout):
    first = checkout.start()
    _, pod = checkout.web()
    shutil.rmtree(checkout.root)
    checkout.root.mkdir()
    second = checkout.start()
    assert second["pid"] != first["pid"]
    deadline = time.monotonic() + 10
    while any(psutil.pid_exists(pid) for pid in (first["pid"], first["children"][0]["pid"], pod)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert checkout.run("status")[1]["pid"] == second["pid"]
    with socket.create_connection(("127.0.0.1", int(second["aws_endpoint"].rsplit(":", 1)[1]))):
        pass


def test_a_daemon_of_other_code_is_started_again(checkout):
    first = checkout.start()
    state = json.loads((checkout.home / "daemon.json").read_text())
    (checkout.home / "daemon.json").write_text(json.dumps(state | {"code_digest": "0" * 16}))
    second = checkout.start()
    assert second["already_running"] is False
    assert not psutil.pid_exists(first["pid"])
    assert checkout.start()["pid"] == second["pid"]


def test_a_file_of_a_reboot_is_recognised(checkout):
    first = checkout.start()
    stale = (checkout.home / "daemon.json").read_text()
    checkout.run("stop")
    # The pid was given to somebody else, who started at another time.
    (checkout.home / "daemon.json").write_text(stale.replace(str(first["pid"]), str(os.getpid())))
    assert checkout.run("status") == (0, {"running": False})
    assert checkout.start()["already_running"] is False


@pytest.mark.parametrize(("number", "words"), [(0, "an older"), (2, "a newer")])
def test_another_layout_is_one_clear_line(checkout, number, words):
    checkout.home.mkdir(parents=True)
    (checkout.home / "layout.json").write_text(json.dumps({"layout": number}))
    code, answer = checkout.run("start")
    assert (code, answer["code"]) == (1, "layout")
    assert f"written by {words} Slipway (layout {number}, this one reads 1)" in answer["message"]
    assert "python -m local stop --forget" in answer["hint"]
    assert checkout.run("stop", "--forget")[0] == 0
    assert checkout.start()["already_running"] is False


def test_damaged_state_is_named(checkout):
    checkout.home.mkdir(parents=True)
    (checkout.home / "daemon.json").write_text("{")
    code, answer = checkout.run("start")
    assert (code, answer["code"]) == (1, "damaged")
    assert str(checkout.home / "daemon.json") in answer["message"]


def test_a_folder_that_cannot_be_written_is_one_clear_line(checkout):
    (checkout.root / ".slipway").write_text("a file where a folder should be")
    code, answer = checkout.run("start")
    (checkout.root / ".slipway").unlink()
    assert (code, answer["code"]) == (1, "unwritable")
    assert answer["message"].startswith("cannot write ")
    assert answer["hint"]


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("mount") is None, reason="a full disk needs a mount of its own")
def test_a_full_disk_is_one_clear_line(checkout):
    checkout.home.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16k", "none", checkout.home], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        with pytest.raises(OSError, match="No space left"):
            (checkout.home / "ballast").write_bytes(b"x" * 64_000)
        code, answer = checkout.run("start")
        assert (code, answer["code"]) == (1, "unwritable")
        assert "No space left on device" in answer["message"]
    finally:
        subprocess.run(["umount", checkout.home], check=True)
