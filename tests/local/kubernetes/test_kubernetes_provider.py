import json
import os
import signal
import threading
import time

import httpx2
import pytest
from local_cluster import TestNode, container, deployment, env, job, script, service

from local.kubernetes import checking, sdk_types
from local.kubernetes.provider import KubernetesProvider
from local.provider.errors import CancelledError, InitFailedError, InvalidError, ProviderError, UnknownTypeError
from local.provider.resource import Call
from local.provider.values import UNKNOWN

integration = pytest.mark.integration
DEPLOYMENT = "kubernetes:apps/v1:Deployment"
SERVICE = "kubernetes:core/v1:Service"
CONFIG_MAP = "kubernetes:core/v1:ConfigMap"


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    running = TestNode(tmp_path_factory.mktemp("node"))
    yield running
    running.stop()


@pytest.fixture
def provider(node):
    made = KubernetesProvider()
    made.configure({"kubeconfig": json.dumps(node.kubeconfig)})
    yield made
    made.close()


def call(token, name="res", **more):
    return Call(urn=f"urn:pulumi:s::p::{token}::{name}", name=name, token=token, seed=b"1", **more)


def create(provider, token, inputs, name="res", **more):
    kind, made = provider.resource_type(token), call(token, name, **more)
    return kind.create(made, kind.check(made, {}, inputs))


def changes(provider, token, old, new):
    """Changed paths, and which of them force a replacement."""
    from local.provider import diff

    kind = provider.resource_type(token)
    found = kind.diff(call(token), old, old, new)
    replacing = [diff.text(c.path) for c in found if diff.any_matches(c.path, kind.replace_on)]
    return [diff.text(c.path) for c in found], replacing


# what the program wrote


def refused(provider, token, inputs):
    kind = provider.resource_type(token)
    with pytest.raises(InvalidError) as caught:
        kind.check(call(token), {}, inputs)
    return [f.reason for f in caught.value.failures]


@integration
def test_misspelt_and_mistyped_properties_are_refused_by_path_all_at_once(provider):
    item = deployment("d", container(imagePullPolcy="Always", stdin="yes"), replicas="2")
    item["spec"]["template"]["spec"]["containers"][0]["ports"][0]["containerPort"] = "80"
    item["specs"] = {}
    del item["spec"]["selector"]
    at = "spec.template.spec.containers[0]"
    assert sorted(refused(provider, DEPLOYMENT, item)) == [
        "Deployment res: spec.replicas must be a whole number, got text",
        "Deployment res: spec.selector is required by DeploymentSpec",
        f"Deployment res: {at}.imagePullPolcy is not a property of Container; did you mean imagePullPolicy?",
        f"Deployment res: {at}.ports[0].containerPort must be a whole number, got text",
        f"Deployment res: {at}.stdin must be true or false, got text",
        "Deployment res: specs is not a property of Deployment; did you mean spec?",
    ]


@integration
def test_custom_resources_are_checked_where_all_objects_are_alike(provider):
    token = "kubernetes:karpenter.sh/v1:NodePool"
    item = {"metadata": {"name": "p", "lables": {}}, "spec": {"whatever": 1}}
    assert refused(provider, token, item) == [
        "NodePool res: metadata.lables is not a property of ObjectMeta; did you mean labels?"
    ]


@integration
def test_a_secret_value_is_never_in_a_message(provider):
    found = refused(provider, "kubernetes:core/v1:Secret", {"metadata": {"name": "s"}, "immutable": "hush-hush"})
    assert found == ["Secret res: immutable must be true or false, got text"]


@integration
@pytest.mark.parametrize(
    ("token", "message"),
    [
        ("kubernetes:apps/v1:Deploymnt", "did you mean Deployment?"),
        ("kubernetes:extensions/v1beta1:StatefulSet", "did you mean apps/v1"),
        ("kubernetes:helm.sh/v3:Chart", "is not supported on this machine"),
        ("kubernetes:apps/v1:DeploymentPatch", "is not supported on this machine"),
    ],
)
def test_unknown_types_are_refused_by_name(provider, token, message):
    with pytest.raises(UnknownTypeError, match=r"kubernetes:") as caught:
        provider.resource_type(token)
    assert message in str(caught.value)


def test_every_kind_of_the_local_node_that_the_sdk_has_can_be_read_from_it():
    from local.node.kinds import Kinds

    for kind in Kinds():
        module = f"{kind.group or 'core'}/{kind.version}"
        if kind.group.endswith(".k8s.io") or "." not in kind.group:
            of = sdk_types.resource_type(module, kind.kind)
            if of is None:
                assert kind.kind == "Event" or kind.group in {"elbv2.k8s.aws"}, kind
                continue
            assert "metadata" in sdk_types.properties(of), kind


def test_the_types_of_the_sdk_are_read_as_they_are():
    of = sdk_types.TypeName("core/v1", "ContainerPortArgs")
    found = sdk_types.properties(of)
    assert found["containerPort"].required
    assert found["containerPort"].types == ("int",)
    assert not found["hostIP"].required
    metadata = sdk_types.properties(sdk_types.resource_type("apps/v1", "Deployment"))["metadata"]
    assert metadata.reference == sdk_types.TypeName("meta/v1", "ObjectMetaArgs")
    port = sdk_types.properties(sdk_types.TypeName("core/v1", "ServicePortArgs"))["targetPort"]
    assert set(port.types) == {"int", "str"}
    assert list(checking.failures(of, {"containerPort": UNKNOWN, "name": UNKNOWN})) == []


@integration
def test_provider_arguments_that_would_be_ignored_are_refused(provider):
    with pytest.raises(InvalidError) as caught:
        provider.check_config({"renderYamlToDirectory": "x", "enableServerSideApply": "false", "namespace": "n"})
    assert [f.property for f in caught.value.failures] == ["renderYamlToDirectory", "enableServerSideApply"]


@integration
def test_names_are_made_once_and_kept(provider):
    kind = provider.resource_type(CONFIG_MAP)
    first = kind.check(call(CONFIG_MAP, "Conf"), {}, {"data": {}})
    name = first["metadata"]["name"]
    assert name.startswith("conf-")
    assert len(name) == len("conf-") + 8
    assert first["metadata"]["namespace"] == "default"
    assert kind.check(call(CONFIG_MAP, "Conf"), first, {"data": {"a": "b"}})["metadata"]["name"] == name
    assert not kind.delete_before_replace(first, first)
    chosen = kind.check(call(CONFIG_MAP), {}, {"metadata": {"name": "mine"}})
    assert kind.delete_before_replace(chosen, chosen)
    moved = kind.check(call(CONFIG_MAP), {}, {"metadata": {"name": "other"}})
    assert not kind.delete_before_replace(chosen, moved)


# differences


@integration
def test_changes_are_paths_and_immutable_ones_replace(provider):
    old, new = deployment("a", container()), deployment("b", container(image="x/answering:2"), replicas=3)
    old["metadata"]["name"] = new["metadata"]["name"]
    paths, replacing = changes(provider, DEPLOYMENT, old, new)
    assert "spec.template.spec.containers[0].image" in paths
    assert "spec.replicas" in paths
    assert replacing == ["spec.selector.matchLabels.app"]

    assert changes(provider, "kubernetes:batch/v1:Job", job("j", script("a")), job("j", script("b")))[1] == [
        "spec.template.spec.containers[0].args[0]"
    ]
    assert changes(provider, SERVICE, service("s", clusterIP="10.0.0.1"), service("s", clusterIP="10.0.0.2"))[1] == [
        "spec.clusterIP"
    ]
    moved = service("s")
    moved["metadata"]["namespace"] = "other"
    assert changes(provider, SERVICE, service("s"), moved)[1] == ["metadata.namespace"]
    maps = {"metadata": {"name": "m"}, "data": {"a": "1"}}, {"metadata": {"name": "m"}, "data": {"a": "2"}}
    assert changes(provider, CONFIG_MAP, *maps)[1] == ["data.a"]
    provider.configure({"enableConfigMapMutable": "true"})
    assert changes(provider, CONFIG_MAP, *maps)[1] == []


# what the cluster does


@integration
def test_a_deployment_is_created_when_it_is_ready_and_updated_when_the_new_pods_are(provider, node):
    made = create(provider, DEPLOYMENT, deployment("life", container(env=env(ANSWER="one"))))
    assert made.id == "default/life"
    assert made.outputs["status"]["availableReplicas"] == 2
    assert "managedFields" not in made.outputs["metadata"]
    create(provider, SERVICE, service("life"))
    assert httpx2.get(node.url("life"), trust_env=False).text.startswith("one ")

    kind = provider.resource_type(DEPLOYMENT)
    new = deployment("life", container(env=env(ANSWER="two")))
    kind.update(call(DEPLOYMENT), made.id, made.outputs, {}, new)
    assert {httpx2.get(node.url("life"), trust_env=False).text[:3] for _ in range(6)} == {"two"}

    live = kind.read(call(DEPLOYMENT), made.id, made.outputs)
    assert kind.diff(call(DEPLOYMENT), new, live, kind.inputs_of(live, new)) == []
    node.request(
        "PATCH",
        "/apis/apps/v1/namespaces/default/deployments/life",
        {"spec": {"replicas": 1}},
        headers={"Content-Type": "application/merge-patch+json"},
    )
    drifted = kind.inputs_of(kind.read(call(DEPLOYMENT), made.id, live), new)
    assert [c.path for c in kind.diff(call(DEPLOYMENT), new, live, drifted)] == [("spec", "replicas")]

    kind.delete(call(DEPLOYMENT), made.id, live)
    assert kind.read(call(DEPLOYMENT), made.id, live) is None
    assert node.pods("app=life") == []
    kind.delete(call(DEPLOYMENT), made.id, live)  # gone already: no error


@integration
def test_a_crashing_pod_fails_the_rollout_at_once_in_its_own_words(provider, node):
    begun = time.monotonic()
    with pytest.raises(InitFailedError) as caught:
        create(provider, DEPLOYMENT, deployment("bad", container(env=env(CRASH="1"))))
    assert time.monotonic() - begun < 5
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("Deployment default/bad: container web of pod bad-")
    assert "exited with code 7; the last 2 lines of its log: (waited for: 0 of 2 new pods are available)" in lines[0]
    assert [line.strip() for line in lines[1:]] == ["about to fail", "no such model"]
    assert caught.value.id == "default/bad"
    assert caught.value.outputs["metadata"]["name"] == "bad"

    # The next run mends it: old pods that failed are no reason to fail again.
    kind = provider.resource_type(DEPLOYMENT)
    kind.update(call(DEPLOYMENT), "default/bad", caught.value.outputs, {}, deployment("bad", container()))
    kind.delete(call(DEPLOYMENT), "default/bad", {})


@integration
def test_a_failing_init_container_is_heard_too(provider):
    init = [script("print('digest mismatch'); raise SystemExit(4)", "fetch")]
    with pytest.raises(InitFailedError, match=r"container fetch of pod init-.* exited with code 4"):
        create(provider, DEPLOYMENT, deployment("init", container(), initContainers=init))
    provider.resource_type(DEPLOYMENT).delete(call(DEPLOYMENT), "default/init", {})


@integration
def test_an_image_that_cannot_run_is_named(provider):
    with pytest.raises(InitFailedError, match=r"cannot start: ErrImagePull: .*does not know image redis:7"):
        create(provider, DEPLOYMENT, deployment("image", container(image="redis:7")))
    provider.resource_type(DEPLOYMENT).delete(call(DEPLOYMENT), "default/image", {})


@integration
def test_a_wait_ends_in_time_or_with_the_run(provider, node, tmp_path):
    marker = tmp_path / "unready"
    marker.touch()
    item = deployment("never", container(env=env(UNREADY_FILE=str(marker))), replicas=1)
    with pytest.raises(InitFailedError, match=r"is not ready after 0.5 s: 0 of 1 new pods are available"):
        create(provider, DEPLOYMENT, item, timeout=0.5)
    item["metadata"]["annotations"] = {"pulumi.com/timeoutSeconds": "1"}
    with pytest.raises(InitFailedError, match="is not ready after 1 s"):
        create(provider, DEPLOYMENT, item)
    stop = threading.Event()
    threading.Timer(0.5, stop.set).start()
    del item["metadata"]["annotations"]
    with pytest.raises(CancelledError):
        create(provider, DEPLOYMENT, item, cancelled=stop)
    item["metadata"]["annotations"] = {"pulumi.com/skipAwait": "true"}
    assert create(provider, DEPLOYMENT, item).id == "default/never"


@integration
def test_a_service_waits_for_somebody_to_answer_unless_it_has_no_selector(provider, node):
    arrived = []
    waiting = threading.Thread(target=lambda: arrived.append(create(provider, SERVICE, service("lonely"))))
    waiting.start()
    time.sleep(0.5)
    assert arrived == []
    node.apply(deployment("lonely", container(), replicas=1))
    waiting.join()
    assert arrived[0].outputs["metadata"]["annotations"]["slipway.dev/local-ports"]
    assert create(
        provider, SERVICE, service("name", type="ExternalName", externalName="example.org", ports=None, selector=None)
    ).id


@integration
def test_a_taken_port_fails_the_service_in_one_line(provider):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(InitFailedError) as caught:
            create(provider, SERVICE, service("wants", {"slipway.dev/local-port": str(port)}))
    assert f"port {port}" in str(caught.value)
    assert f"pid {os.getpid()}" in str(caught.value)


@integration
def test_a_job_is_waited_for_and_its_failure_told(provider):
    token = "kubernetes:batch/v1:Job"
    made = create(provider, token, job("good", script("pass")))
    assert made.outputs["status"]["succeeded"] == 1
    with pytest.raises(InitFailedError, match=r"Job default/worse failed: .*\n    out of luck"):
        create(provider, token, job("worse", script("print('out of luck'); raise SystemExit(1)"), backoffLimit=0))


@integration
def test_what_is_only_stored_is_not_waited_for(provider):
    ingress = {
        "metadata": {"name": "i"},
        "spec": {"defaultBackend": {"service": {"name": "s", "port": {"number": 80}}}},
    }
    assert create(provider, "kubernetes:networking.k8s.io/v1:Ingress", ingress).id == "default/i"
    pool = {"metadata": {"name": "pool"}, "spec": {"limits": {"cpu": "10"}}}
    assert create(provider, "kubernetes:karpenter.sh/v1:NodePool", pool).id == "pool"


@integration
def test_secrets_keep_what_was_written_and_show_drift(provider, node):
    token = "kubernetes:core/v1:Secret"
    inputs = {"metadata": {"name": "keys"}, "stringData": {"k": "hush"}}
    made = create(provider, token, inputs)
    kind = provider.resource_type(token)
    live = kind.read(call(token), made.id, {**made.outputs, "stringData": inputs["stringData"]})
    checked = kind.check(call(token), {}, inputs)
    assert kind.diff(call(token), checked, live, kind.inputs_of(live, checked)) == []
    node.request(
        "PATCH",
        "/api/v1/namespaces/default/secrets/keys",
        {"data": {"k": "b3RoZXI="}},
        headers={"Content-Type": "application/merge-patch+json"},
    )
    live = kind.read(call(token), made.id, live)
    assert [c.path for c in kind.diff(call(token), checked, live, kind.inputs_of(live, checked))] == [
        ("stringData", "k")
    ]


@integration
def test_what_the_api_refuses_is_one_line(provider):
    with pytest.raises(ProviderError) as caught:
        create(provider, DEPLOYMENT, deployment("D", container()))
    assert str(caught.value).startswith('Deployment res: the Kubernetes API refused it: Deployment.apps "D" is invalid')
    assert "\n" not in str(caught.value)


def test_no_api_is_one_line_that_says_what_to_do(node):
    provider = KubernetesProvider()
    config = json.loads(json.dumps(node.kubeconfig))
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    provider.configure({"kubeconfig": json.dumps(config)})
    with pytest.raises(
        ProviderError, match=r"no answer from the Kubernetes API at https://127.0.0.1:1 .*`slipway up` starts it"
    ):
        create(provider, CONFIG_MAP, {"data": {}})
    provider.close()
    provider.configure({"kubeconfig": "/no/such/file"})
    with pytest.raises(ProviderError, match="kubeconfig /no/such/file cannot be used"):
        create(provider, CONFIG_MAP, {"data": {}})


@integration
def test_a_killed_pod_does_not_end_a_wait_for_another_template(provider, node):
    made = create(provider, DEPLOYMENT, deployment("kill", container(env=env(ANSWER="one")), replicas=1))
    create(provider, SERVICE, service("kill"))
    os.kill(int(httpx2.get(node.url("kill"), trust_env=False).text.split()[1]), signal.SIGKILL)
    kind = provider.resource_type(DEPLOYMENT)
    kind.update(
        call(DEPLOYMENT), made.id, made.outputs, {}, deployment("kill", container(env=env(ANSWER="two")), replicas=1)
    )
    assert httpx2.get(node.url("kill"), trust_env=False).text.startswith("two ")


# what a cloud's program has besides objects

RELEASE = "kubernetes:helm.sh/v3:Release"
KEDA = {"name": "keda", "chart": "keda", "version": "2.19.0", "namespace": "keda", "createNamespace": True}


def test_a_helm_release_is_checked_against_the_sdk(provider):
    kind = provider.resource_type(RELEASE)
    with pytest.raises(InvalidError) as caught:
        kind.check(call(RELEASE), {}, {"chrat": "keda"})
    assert [f.reason for f in caught.value.failures] == [
        "Release res: chrat is not a property of Release; did you mean chart?",
        "Release res: chart is required by Release",
    ]


@integration
def test_a_helm_release_is_written_down_as_helm_does_and_says_so(provider):
    warned = []
    kind, made = provider.resource_type(RELEASE), call(RELEASE, warn=warned.append)
    inputs = kind.check(made, {}, {**KEDA, "values": {"operator": {"replicaCount": 2}}})
    created = kind.create(made, inputs)
    assert created.id == "keda/keda"
    assert warned == ["the chart keda is not installed on this machine: the release is only written down"]
    assert kind.inputs_of(kind.read(made, created.id, {}), {}) == inputs
    changed = kind.update(made, created.id, created.outputs, inputs, {**inputs, "version": "2.20.0"})
    assert changed["status"]["version"] == "2.20.0"
    kind.delete(made, created.id, changed)
    assert kind.read(made, created.id, {}) is None


@integration
def test_the_kubeconfig_of_an_emulated_cluster_leads_to_this_node_with_its_own_token(node, tmp_path, monkeypatch):
    (tmp_path / "kubeconfig").write_text(json.dumps(node.kubeconfig))
    cluster = node.kubeconfig["clusters"][0]["cluster"]
    daemon = {"kubernetes_endpoint": cluster["server"], "kubeconfig": str(tmp_path / "kubeconfig")}
    (tmp_path / "daemon.json").write_text(json.dumps(daemon))
    asks = {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": "no-such-command",
            "interactiveMode": "Never",
        }
    }
    of_eks = {**node.kubeconfig, "users": [{"name": node.kubeconfig["users"][0]["name"], "user": asks}]}
    monkeypatch.setenv("SLIPWAY_LOCAL", str(tmp_path / "daemon.json"))
    made = KubernetesProvider()
    made.configure({"kubeconfig": json.dumps(of_eks)})
    assert (
        create(made, CONFIG_MAP, {"metadata": {"name": "through-eks"}, "data": {"a": "b"}}).id == "default/through-eks"
    )
    made.close()
