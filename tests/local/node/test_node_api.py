import json
import shutil
import subprocess

import httpx2
import pytest
from local_cluster import container, deployment, job, pod, script, service

from local.node import fields, patches
from local.node.errors import ApiError
from local.node.objects import parse_selector, selector_matches

integration = pytest.mark.integration
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"


def config_map(name, **data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def refused(response):
    body = response.json()
    assert body["kind"] == "Status"
    assert body["code"] == response.status_code
    return response.status_code, body["reason"], body["message"]


@integration
def test_crud_with_the_codes_of_the_real_api(shared_node):
    made = shared_node.request("POST", CONFIG_MAPS, config_map("a", x="1"))
    assert made.status_code == 201
    meta = made.json()["metadata"]
    assert meta.keys() >= {"uid", "creationTimestamp", "resourceVersion", "generation"}

    assert refused(shared_node.request("POST", CONFIG_MAPS, config_map("a"))) == (
        409, "AlreadyExists", 'configmaps "a" already exists')  # fmt: skip
    assert refused(shared_node.request("GET", f"{CONFIG_MAPS}/none")) == (
        404,
        "NotFound",
        'configmaps "none" not found',
    )

    stale = made.json() | {"data": {"x": "2"}}
    assert shared_node.request("PUT", f"{CONFIG_MAPS}/a", stale).status_code == 200
    assert refused(shared_node.request("PUT", f"{CONFIG_MAPS}/a", stale))[:2] == (409, "Conflict")

    headers = {"Content-Type": "application/merge-patch+json"}
    patched = shared_node.request("PATCH", f"{CONFIG_MAPS}/a", {"data": {"x": None, "y": "3"}}, headers=headers)
    assert patched.json()["data"] == {"y": "3"}
    assert shared_node.request("DELETE", f"{CONFIG_MAPS}/a").status_code == 200
    assert shared_node.request("GET", f"{CONFIG_MAPS}/a").status_code == 404


@integration
@pytest.mark.parametrize(
    ("item", "what"),
    [
        (config_map("Upper"), 'metadata.name: Invalid value: "Upper"'),
        (config_map("n", x=1), "data.x: Invalid value: must be text"),
        (
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"k": "%"}},
            "data.k: Invalid value: must be base64",
        ),
        (deployment("d"), "spec.template.spec.containers: Required value"),
        (deployment("d", container(image="")), "spec.template.spec.containers[0].image: Required value"),
        (deployment("d", container(), container()), 'spec.template.spec.containers[1].name: Duplicate value: "web"'),
        (deployment("d", container(), replicas=-1), "spec.replicas: Invalid value: -1"),
        (
            deployment("d", container(volumeMounts=[{"name": "v", "mountPath": "/v"}])),
            'volumeMounts[0].name: Not found: "v"',
        ),
        (service("s", ports=[{"port": 0}]), "spec.ports[0].port: Invalid value: 0"),
        (job("j", script(""), policy="Always"), "spec.template.spec.restartPolicy: Required value"),
        (job("j", script(""), completionMode="Indexed"), "spec.completions: Required value"),
    ],
)
def test_invalid_objects_are_refused_by_field(shared_node, item, what):
    item = json.loads(json.dumps(item))
    item["metadata"].pop("namespace", None)
    group = {"Deployment": "apis/apps/v1", "Job": "apis/batch/v1"}.get(item["kind"], "api/v1")
    path = f"/{group}/namespaces/default/{item['kind'].lower()}s"
    code, reason, message = refused(shared_node.request("POST", path, item))
    assert (code, reason) == (422, "Invalid")
    assert what in message


@integration
def test_immutable_fields(shared_node):
    shared_node.apply(deployment("fixed", container(), replicas=0))
    changed = deployment("fixed", container(), replicas=0)
    changed["spec"]["selector"] = {"matchLabels": {"app": "fixed", "more": "1"}}
    changed["spec"]["template"]["metadata"]["labels"]["more"] = "1"
    with pytest.raises(Exception, match=r"spec.selector: Invalid value: field is immutable"):
        shared_node.apply(changed)


@integration
def test_unknown_kinds_and_namespaces_are_named(shared_node):
    assert refused(shared_node.request("GET", "/apis/example.com/v1/widgets"))[0] == 404
    item = config_map("a") | {"metadata": {"name": "a"}}
    answer = refused(shared_node.request("POST", "/api/v1/namespaces/nowhere/configmaps", item))
    assert answer == (404, "NotFound", 'namespaces "nowhere" not found')


@integration
def test_a_definition_makes_its_kind_known_and_its_objects_are_stored(shared_node):
    names = {"kind": "Widget", "plural": "widgets"}
    spec = {"group": "example.org", "scope": "Namespaced", "names": names, "versions": [{"name": "v1"}]}
    shared_node.apply(
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": "widgets.example.org"},
            "spec": spec,
        },
        {
            "apiVersion": "example.org/v1",
            "kind": "Widget",
            "metadata": {"name": "w", "namespace": "default"},
            "spec": {"size": 1},
        },
    )
    assert shared_node.get("Widget", "w", api_version="example.org/v1")["spec"] == {"size": 1}


@integration
def test_only_the_token_opens_the_api(shared_node):
    url = f"https://127.0.0.1:{shared_node.port}"
    with httpx2.Client(verify=False, trust_env=False) as stranger:
        assert stranger.get(f"{url}/healthz").text == "ok"
        for headers in ({}, {"Authorization": "Bearer wrong"}):
            assert stranger.get(f"{url}/api/v1/secrets", headers=headers).status_code == 401


@integration
def test_selectors_choose(shared_node):
    for name, tier in (("s1", "a"), ("s2", "b"), ("s3", "b")):
        item = config_map(name)
        item["metadata"]["labels"] = {"tier": tier, "suite": "selectors"}
        shared_node.request("POST", CONFIG_MAPS, item)

    def names(**query):
        return [i["metadata"]["name"] for i in shared_node.request("GET", CONFIG_MAPS, params=query).json()["items"]]

    assert names(labelSelector="suite=selectors,tier!=a") == ["s2", "s3"]
    assert names(labelSelector="suite in (selectors),tier notin (b)") == ["s1"]
    assert names(fieldSelector="metadata.name=s2") == ["s2"]
    assert refused(shared_node.request("GET", CONFIG_MAPS, params={"labelSelector": "a==b=c"}))[0] == 400
    assert refused(shared_node.request("GET", CONFIG_MAPS, params={"fieldSelector": "spec.x=1"}))[0] == 400


@integration
def test_a_watch_sees_what_happens_from_the_version_it_names(shared_node):
    listed = shared_node.request("GET", CONFIG_MAPS).json()["metadata"]["resourceVersion"]
    shared_node.request("POST", CONFIG_MAPS, config_map("watched", x="1"))
    shared_node.request("DELETE", f"{CONFIG_MAPS}/watched")
    query = {
        "watch": "true",
        "resourceVersion": listed,
        "timeoutSeconds": "1",
        "fieldSelector": "metadata.name=watched",
    }
    with shared_node.cluster.client.stream("GET", CONFIG_MAPS, params=query) as stream:
        events = [json.loads(line) for line in stream.iter_lines()]
    assert [e["type"] for e in events] == ["ADDED", "DELETED"]


@integration
def test_dry_run_keeps_nothing(shared_node):
    assert shared_node.request("POST", CONFIG_MAPS, config_map("dry"), params={"dryRun": "All"}).status_code == 201
    assert shared_node.request("GET", f"{CONFIG_MAPS}/dry").status_code == 404


@integration
def test_a_namespace_takes_everything_along(shared_node):
    shared_node.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "brief"}},
        {**config_map("a"), "metadata": {"name": "a", "namespace": "brief"}},
    )
    shared_node.until(lambda: shared_node.get("ServiceAccount", "default", "brief"))
    running = deployment("web", container(), replicas=1)
    running["metadata"]["namespace"] = "brief"
    shared_node.apply(running)
    shared_node.until(lambda: shared_node.pods(namespace="brief"))
    shared_node.request("DELETE", "/api/v1/namespaces/brief")
    shared_node.until(lambda: shared_node.request("GET", "/api/v1/namespaces/brief").status_code == 404)
    assert shared_node.pods(namespace="brief") == []


@integration
def test_foreground_deletion_waits_for_what_is_owned_and_orphans_stay(shared_node):
    shared_node.apply(deployment("owner", container(), replicas=1))
    shared_node.until(lambda: shared_node.pods("app=owner"))
    path = "/apis/apps/v1/namespaces/default/deployments/owner"
    shared_node.request("DELETE", path, {"propagationPolicy": "Foreground"})
    live = shared_node.get("Deployment", "owner", api_version="apps/v1")
    assert live is None or live["metadata"]["finalizers"] == ["foregroundDeletion"]
    shared_node.until(lambda: shared_node.get("Deployment", "owner", api_version="apps/v1") is None)
    assert shared_node.pods("app=owner") == []

    shared_node.apply(deployment("gone", container(), replicas=1))
    shared_node.until(lambda: shared_node.pods("app=gone"))
    shared_node.request("DELETE", "/apis/apps/v1/namespaces/default/deployments/gone", {"propagationPolicy": "Orphan"})
    shared_node.until(lambda: shared_node.get("Deployment", "gone", api_version="apps/v1") is None)
    assert len(shared_node.pods("app=gone")) == 1


@integration
def test_a_pod_needs_its_service_account(shared_node):
    item = pod("p", container(), serviceAccountName="nobody")
    item["metadata"].pop("namespace")
    answer = refused(shared_node.request("POST", "/api/v1/namespaces/default/pods", item))
    assert answer[:2] == (403, "Forbidden")
    assert 'service account "nobody" not found' in answer[2]


@integration
@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not on this machine")
def test_kubectl_talks_to_it(shared_node, tmp_path):
    config = tmp_path / "kubeconfig"
    config.write_text(json.dumps(shared_node.kubeconfig))

    def kubectl(*arguments):
        done = subprocess.run(
            ["kubectl", "--kubeconfig", config, *arguments], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    manifest = tmp_path / "web.json"
    manifest.write_text(json.dumps(deployment("by-kubectl", container())))
    kubectl("apply", "--server-side", "--validate=false", "-f", manifest)
    assert "successfully rolled out" in kubectl("rollout", "status", "deployment/by-kubectl", "--timeout=20s")
    kubectl("rollout", "restart", "deployment/by-kubectl")
    kubectl("rollout", "status", "deployment/by-kubectl", "--timeout=20s")
    kubectl("scale", "deployment/by-kubectl", "--replicas=1")
    assert "serving" in kubectl("logs", "deployment/by-kubectl")
    assert "by-kubectl" in kubectl("describe", "deployment", "by-kubectl")
    kubectl("delete", "deployment", "by-kubectl", "--cascade=foreground")


# pure parts


def applied(*manifests, managers=None, force=False):
    item = None
    for index, manifest in enumerate(manifests):
        wanted = {"apiVersion": "v1", "kind": "Thing", "metadata": {"name": "t"}, **manifest}
        item = patches.applied(item, wanted, (managers or ["me"] * 9)[index], force=force)
    return {k: v for k, v in item.items() if k not in {"apiVersion", "kind", "metadata"}}


def test_apply_removes_what_its_manager_no_longer_says():
    first = {"spec": {"a": 1, "b": {"c": 2}, "containers": [{"name": "x", "image": "1"}, {"name": "y", "image": "1"}]}}
    second = {"spec": {"a": 1, "containers": [{"name": "y", "image": "2"}]}}
    assert applied(first, second) == {"spec": {"a": 1, "containers": [{"name": "y", "image": "2"}]}}


def test_apply_removes_whole_items_whatever_they_hold():
    items = [{"name": f"n{i}", "value": "v", "valueFrom": {"a": {"b": i}}} for i in range(20)]
    assert applied({"env": items}, {"other": 1}) == {"other": 1}
    assert applied({"env": items[:2]}, {"env": items[1:2]}) == {"env": items[1:2]}
    kept = applied({"env": items[:1]}, {"env": [{"name": "n0", "more": 1}]}, {}, managers=["me", "you", "me"])
    assert kept == {"env": [{"name": "n0", "more": 1}]}


def test_apply_leaves_alone_what_others_own_and_refuses_to_take_it_without_force():
    mine, theirs = {"spec": {"a": 1}}, {"spec": {"b": 2}}
    assert applied(mine, theirs, {"spec": {}}, managers=["me", "you", "me"]) == {"spec": {"b": 2}}
    with pytest.raises(ApiError, match=r'conflicts with "me": .spec.a'):
        applied(mine, {"spec": {"a": 2}}, managers=["me", "you"])
    assert applied(mine, {"spec": {"a": 2}}, managers=["me", "you"], force=True) == {"spec": {"a": 2}}


def test_apply_keeps_what_became_empty_on_purpose():
    assert applied({"v": {"emptyDir": {"medium": "Memory"}}}, {"v": {"emptyDir": {}}}) == {"v": {"emptyDir": {}}}
    assert applied({"v": {"emptyDir": {}}}, {"v": {"emptyDir": {"medium": "Memory"}}}) == {
        "v": {"emptyDir": {"medium": "Memory"}}
    }


def test_field_sets_survive_their_written_form():
    item = {
        "spec": {"ports": [{"port": 80, "name": "a"}, {"port": 80, "protocol": "UDP"}], "list": [1, 2]},
        "metadata": {"labels": {"a.b/c": "d"}},
    }
    paths = set(fields.managed(item))
    assert set(fields.decode(json.loads(json.dumps(fields.encode(paths))))) == paths
    assert len(paths) == 8


def test_strategic_patches_merge_lists_by_key():
    before = {
        "spec": {"containers": [{"name": "a", "image": "1", "args": ["x"]}, {"name": "b", "image": "1"}], "args": [1]}
    }
    patch = {"spec": {"containers": [{"name": "a", "image": "2"}, {"name": "b", "$patch": "delete"}], "args": [2]}}
    after = patches.patched(before, patch, patches.STRATEGIC)
    assert after == {"spec": {"containers": [{"name": "a", "image": "2", "args": ["x"]}], "args": [2]}}


@pytest.mark.parametrize(
    ("text", "labels", "chosen"),
    [
        ("a=b", {"a": "b"}, True),
        ("a==b,c!=d", {"a": "b", "c": "d"}, False),
        ("a in (b, c)", {"a": "c"}, True),
        ("a notin (b)", {}, True),
        ("a", {"a": ""}, True),
        ("!a", {"a": ""}, False),
        ("", {"x": "y"}, True),
    ],
)
def test_selector_strings(text, labels, chosen):
    assert selector_matches(parse_selector(text), labels) is chosen
