import json
import time

import httpx2
import pytest
from local_cluster import TestNode, container, deployment, env, is_true, pod, script, service

pytestmark = pytest.mark.integration


def phase(node, name):
    live = node.get("Pod", name)
    return live and live.get("status", {}).get("phase")


def status_of(node, name, index=0):
    statuses = node.get("Pod", name).get("status", {}).get("containerStatuses", [])
    return statuses[index] if statuses else {"state": {}, "restartCount": 0}  # the node has not looked at it yet


def log(node, name, **query):
    return node.request("GET", f"/api/v1/namespaces/default/pods/{name}/log", params=query)


def test_init_containers_run_in_order_before_the_others_and_share_volumes(shared_node):
    append = "import os,sys; open(os.environ['SLIPWAY_FILE'], 'a').write(sys.argv[1])"
    mount = {"volumeMounts": [{"name": "work", "mountPath": "/var/work"}], "env": env(SLIPWAY_FILE="/var/work/order")}
    shared_node.apply(
        pod(
            "ordered",
            script("import os; print(open(os.environ['SLIPWAY_FILE']).read())", **mount),
            initContainers=[
                {**script(append, "first", **mount), "args": [append, "a"]},
                {**script(append, "second", **mount), "args": [append, "b"]},
            ],
            volumes=[{"name": "work", "emptyDir": {}}],
            restartPolicy="Never",
        )
    )
    shared_node.until(lambda: phase(shared_node, "ordered") == "Succeeded")
    assert log(shared_node, "ordered").text == "ab\n"
    assert [
        s["state"]["terminated"]["exitCode"]
        for s in shared_node.get("Pod", "ordered")["status"]["initContainerStatuses"]
    ] == [0, 0]


def test_a_failing_init_container_is_tried_again_and_holds_the_pod_back(shared_node, tmp_path):
    marker = tmp_path / "go"
    shared_node.apply(
        pod(
            "held",
            container(),
            initContainers=[script(f"import os,sys; sys.exit(0 if os.path.exists({str(marker)!r}) else 3)", "wait")],
        )
    )

    def tried():
        init = shared_node.get("Pod", "held").get("status", {}).get("initContainerStatuses")
        return init and init[0]["restartCount"] >= 1 and init[0]["lastState"]["terminated"]["exitCode"] == 3

    shared_node.until(tried)
    assert phase(shared_node, "held") == "Pending"
    marker.touch()
    shared_node.until(lambda: is_true(shared_node.get("Pod", "held"), "Ready"))


def test_environment_comes_from_values_objects_fields_and_the_node(shared_node):
    shared_node.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "settings", "namespace": "default"},
            "data": {"LEVEL": "debug", "x": "1"},
        },
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "keys", "namespace": "default"},
            "stringData": {"KEY": "hush"},
        },
        pod(
            "environment",
            script(
                "import os,json; print(json.dumps(dict(os.environ)))",
                env=[
                    {"name": "PLAIN", "value": "a"},
                    {"name": "JOINED", "value": "$(PLAIN)-$(MISSING)-$$(PLAIN)"},
                    {"name": "FROM_MAP", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "LEVEL"}}},
                    {"name": "FROM_SECRET", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "KEY"}}},
                    {
                        "name": "OPTIONAL",
                        "valueFrom": {"secretKeyRef": {"name": "keys", "key": "no", "optional": True}},
                    },
                    {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                    {"name": "LABEL", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
                    {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
                ],
                envFrom=[{"configMapRef": {"name": "settings"}, "prefix": "S_"}],
                ports=[{"name": "grpc", "containerPort": 8081}],
                resources={"limits": {"cpu": "1500m"}},
            ),
            restartPolicy="Never",
        ),
    )
    shared_node.until(lambda: phase(shared_node, "environment") == "Succeeded")
    found = json.loads(log(shared_node, "environment").text)
    assert {
        k: found[k] for k in ("PLAIN", "JOINED", "FROM_MAP", "FROM_SECRET", "NAME", "LABEL", "CPU", "S_LEVEL", "S_x")
    } == {
        "PLAIN": "a",
        "JOINED": "a-$(MISSING)-$(PLAIN)",
        "FROM_MAP": "debug",
        "FROM_SECRET": "hush",
        "NAME": "environment",
        "LABEL": "environment",
        "CPU": "2",
        "S_LEVEL": "debug",
        "S_x": "1",
    }
    assert "OPTIONAL" not in found
    assert found["SLIPWAY_BIND"] == "127.0.0.1"
    assert int(found["SLIPWAY_GRPC_PORT"]) != 8081


def test_the_daemons_credentials_stay_with_it(tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "real-and-secret")
    running = TestNode(tmp_path, environment={"AWS_ENDPOINT_URL": "http://127.0.0.1:1"})
    try:
        running.apply(pod("look", script("import os,json; print(json.dumps(dict(os.environ)))"), restartPolicy="Never"))
        running.until(lambda: phase(running, "look") == "Succeeded")
        found = json.loads(log(running, "look").text)
    finally:
        running.stop()
    assert "AWS_SECRET_ACCESS_KEY" not in found
    assert found["AWS_ENDPOINT_URL"] == "http://127.0.0.1:1"


def test_config_maps_and_secrets_are_files_that_follow_their_objects(shared_node):
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "files", "namespace": "default"},
        "data": {"a.txt": "one"},
    }
    shared_node.apply(
        config,
        pod(
            "reader",
            script(
                "import os,time\nfolder=os.environ['SLIPWAY_FOLDER']\nlast=None\nwhile True:\n"
                "  now=open(folder+'/a.txt').read()\n  if now!=last: print(now, os.listdir(folder), flush=True)\n"
                "  last=now; time.sleep(0.05)",
                env=env(SLIPWAY_FOLDER="/etc/files"),
                volumeMounts=[{"name": "files", "mountPath": "/etc/files"}],
            ),
            volumes=[{"name": "files", "configMap": {"name": "files"}}],
        ),
    )
    shared_node.until(lambda: log(shared_node, "reader").text.startswith("one"))
    shared_node.apply({**config, "data": {"a.txt": "two"}})
    shared_node.until(lambda: "two" in log(shared_node, "reader").text)


def test_a_missing_config_map_is_waited_for_and_named(shared_node):
    shared_node.apply(
        pod(
            "waits",
            container(env=[{"name": "ANSWER", "valueFrom": {"configMapKeyRef": {"name": "later", "key": "k"}}}]),
        )
    )

    def waits():
        state = status_of(shared_node, "waits")["state"].get("waiting", {})
        return state.get("reason") == "CreateContainerConfigError" and state["message"] == 'configmap "later" not found'

    shared_node.until(waits)
    shared_node.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "later", "namespace": "default"},
            "data": {"k": "v"},
        }
    )
    shared_node.until(lambda: is_true(shared_node.get("Pod", "waits"), "Ready"))


def test_an_unknown_image_says_what_is_known(shared_node):
    shared_node.apply(pod("strange", {"name": "c", "image": "docker.io/library/redis:7"}))
    shared_node.until(
        lambda: status_of(shared_node, "strange")["state"].get("waiting", {}).get("reason") == "ErrImagePull"
    )
    message = status_of(shared_node, "strange")["state"]["waiting"]["message"]
    assert "docker.io/library/redis:7" in message
    assert "/answering, /script" in message


def test_a_crashing_container_backs_off_and_keeps_the_previous_log(shared_node):
    shared_node.apply(pod("crashes", container(env=env(CRASH="1"))))

    def backs_off():
        status = status_of(shared_node, "crashes")
        waiting = status["state"].get("waiting", {})
        return waiting.get("reason") == "CrashLoopBackOff" and status["restartCount"] >= 2 and status

    status = shared_node.until(backs_off)
    assert status["lastState"]["terminated"]["exitCode"] == 7
    assert status["lastState"]["terminated"]["reason"] == "Error"
    assert not is_true(shared_node.get("Pod", "crashes"), "Ready")
    assert log(shared_node, "crashes", previous="true", tailLines=1).text == "no such model\n"
    gaps = [
        s
        for s in (shared_node.cluster.select("v1", "Event", "default"))
        if s["reason"] == "BackOff" and s["involvedObject"]["name"] == "crashes"
    ]
    delays = sorted({float(e["message"].split()[1].rstrip("s")) for e in gaps})
    assert delays[:2] == [0.2, 0.4]


def test_readiness_follows_the_probe_in_both_directions(shared_node, tmp_path):
    marker = tmp_path / "unready"
    shared_node.apply(
        pod(
            "probed",
            container(
                env=env(UNREADY_FILE=str(marker)),
                readinessProbe={"httpGet": {"path": "/ready", "port": 8080}, "periodSeconds": 1, "failureThreshold": 1},
            ),
        )
    )
    shared_node.until(lambda: is_true(shared_node.get("Pod", "probed"), "Ready"))
    marker.touch()
    shared_node.until(lambda: not is_true(shared_node.get("Pod", "probed"), "Ready"))
    marker.unlink()
    shared_node.until(lambda: is_true(shared_node.get("Pod", "probed"), "Ready"))
    assert status_of(shared_node, "probed")["restartCount"] == 0


def test_a_failed_liveness_probe_restarts_the_container(shared_node, tmp_path):
    marker = tmp_path / "dead"
    live = {"httpGet": {"path": "/live", "port": "rest"}, "periodSeconds": 1, "failureThreshold": 1}
    shared_node.apply(pod("alive", container(env=env(DEAD_FILE=str(marker)), livenessProbe=live)))
    shared_node.until(lambda: is_true(shared_node.get("Pod", "alive"), "Ready"))
    marker.touch()
    shared_node.until(lambda: status_of(shared_node, "alive")["lastState"])
    marker.unlink()
    shared_node.until(
        lambda: status_of(shared_node, "alive")["restartCount"] >= 1 and status_of(shared_node, "alive")["ready"]
    )


def test_a_startup_probe_gives_a_slow_container_its_time(shared_node):
    probes = {
        "startupProbe": {"tcpSocket": {"port": "rest"}, "periodSeconds": 1, "failureThreshold": 10},
        "livenessProbe": {"tcpSocket": {"port": "rest"}, "periodSeconds": 1, "failureThreshold": 1},
    }
    shared_node.apply(pod("slow", container(env=env(START_SECONDS="1.5"), **probes)))
    shared_node.until(lambda: is_true(shared_node.get("Pod", "slow"), "Ready"))
    assert status_of(shared_node, "slow")["restartCount"] == 0


def test_exec_probes_and_several_containers(shared_node):
    probe = {"exec": {"command": ["sh", "-c", 'test -n "$ANSWER"']}, "periodSeconds": 1}
    side = script("import time; time.sleep(60)", "side", env=env(ANSWER="yes"), readinessProbe=probe)
    shared_node.apply(pod("double", container(), side))
    shared_node.until(lambda: is_true(shared_node.get("Pod", "double"), "Ready"))
    assert [s["name"] for s in shared_node.get("Pod", "double")["status"]["containerStatuses"]] == ["web", "side"]


def test_a_pod_that_ignores_sigterm_is_killed_after_its_grace_time(shared_node):
    stubborn = script("import signal,time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)")
    shared_node.apply(pod("stubborn", stubborn, terminationGracePeriodSeconds=1))
    shared_node.until(lambda: "up" in log(shared_node, "stubborn").text)
    begun = time.monotonic()
    shared_node.request("DELETE", "/api/v1/namespaces/default/pods/stubborn")
    shared_node.until(lambda: shared_node.get("Pod", "stubborn") is None)
    assert 0.8 < time.monotonic() - begun < 4


def test_children_of_a_container_end_with_it(shared_node, tmp_path):
    child = tmp_path / "child"
    text = (
        "import subprocess,sys,time; p=subprocess.Popen([sys.executable,'-c','import time; time.sleep(60)']); "
        f"open({str(child)!r},'w').write(str(p.pid)); time.sleep(60)"
    )
    shared_node.apply(pod("parent", script(text)))
    shared_node.until(lambda: child.exists() and child.read_text())
    shared_node.request("DELETE", "/api/v1/namespaces/default/pods/parent", {"gracePeriodSeconds": 1})
    shared_node.until(lambda: shared_node.get("Pod", "parent") is None)
    import psutil

    pid = int(child.read_text())
    shared_node.until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == "zombie", 3)


def test_the_log_can_be_followed_and_the_pod_reached_through_the_api(shared_node):
    shared_node.apply(pod("followed", container(env=env(ANSWER="hi"))))
    shared_node.until(lambda: is_true(shared_node.get("Pod", "followed"), "Ready"))
    base = "/api/v1/namespaces/default/pods/followed"
    for port in (":rest", ":8080", ""):
        assert shared_node.request("GET", f"{base}{port}/proxy/anything").text.startswith("hi ")
    refused = shared_node.request("GET", f"{base}:nosuch/proxy/")
    assert refused.status_code == 400
    lines = []
    with shared_node.cluster.client.stream("GET", f"{base}/log", params={"follow": "true"}) as stream:
        for line in stream.iter_lines():
            lines.append(line)
            if len(lines) == 1:
                shared_node.request("DELETE", base)
    assert lines == ["serving hi", "drained"]


def test_a_sidecar_starts_before_and_ends_after_the_main_container(shared_node):
    sidecar = {**script("import time; print('side', flush=True); time.sleep(60)", "side"), "restartPolicy": "Always"}
    shared_node.apply(pod("with-sidecar", script("print('main')"), initContainers=[sidecar], restartPolicy="Never"))
    shared_node.until(lambda: phase(shared_node, "with-sidecar") == "Succeeded")


def test_a_service_keeps_its_port_over_a_restart_and_pods_come_back(tmp_path):
    first = TestNode(tmp_path)
    first.apply(service("web"), deployment("web", container(env=env(ANSWER="one")), replicas=1))
    first.until(lambda: first.pods("app=web") and is_true(first.pods("app=web")[0], "Ready"))
    url, name = first.url("web"), first.pods("app=web")[0]["metadata"]["name"]
    first.stop()
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(url, trust_env=False)

    second = TestNode(tmp_path)
    try:
        second.until(lambda: second.pods("app=web") and is_true(second.pods("app=web")[0], "Ready"))
        assert second.pods("app=web")[0]["metadata"]["name"] == name
        assert second.url("web") == url
        assert second.until(lambda: httpx2.get(url, trust_env=False).text).startswith("one ")
    finally:
        second.stop()
