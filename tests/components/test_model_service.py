"""ModelService: what it registers, with which hardening."""

import json

import pytest
from pulumi.runtime import rpc

from components.model_service import ModelService, ModelServiceArgs
from components.pod import ResourcesArgs

DIGEST = "sha256:" + "ab" * 32
KEY = "arn:aws:kms:eu-west-1:123456789012:key/1"
CERTIFICATE = "arn:aws:acm:eu-west-1:123456789012:certificate/1"
LONGEST = "a" + "b" * 38 + "c"


def args(**more) -> ModelServiceArgs:
    resources: ResourcesArgs = {"cpu": "500m", "memory": "512Mi"}
    return {
        "environment": "staging",
        "service": "flight-delay",
        "image": "registry/serving@sha256:1",
        "models_bucket": "models",
        "kms_key_arn": KEY,
        "replicas": {"min": 2, "max": 6},
        "resources": resources,
        "model": {"name": "flights", "version": "7", "digest": DIGEST},
        "cluster_name": "cluster",
        **more,
    }


def without_model(**more) -> ModelServiceArgs:
    made = args(**more)
    del made["model"]
    return made


def ingress(**more):
    return {
        "certificate_arn": CERTIFICATE,
        "allowed_cidrs": ["10.0.0.0/8"],
        "subnet_cidrs": ["10.1.0.0/16"],
        **more,
    }


OIDC = {
    "issuer": "https://id.example",
    "authorization_endpoint": "https://id.example/auth",
    "token_endpoint": "https://id.example/token",
    "user_info_endpoint": "https://id.example/me",
    "client_secret_arn": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:sign-in",
}


@pytest.fixture
def make(provision):
    return lambda spec, **how: provision(lambda: ModelService("flight", spec), **how)


def pod_of(made):
    return made.resources["flight-deployment"].inputs["spec"]["template"]["spec"]


def test_registers_exactly_these(make):
    assert make(args()).types() == {
        "flight": "slipway:index:ModelService",
        "flight-ns": "slipway:index:ServiceNamespace",
        "flight-ns-namespace": "kubernetes:core/v1:Namespace",
        "flight-ns-default-deny": "kubernetes:networking.k8s.io/v1:NetworkPolicy",
        "flight-service-account": "kubernetes:core/v1:ServiceAccount",
        "flight-role": "aws:iam/role:Role",
        "flight-policy": "aws:iam/rolePolicy:RolePolicy",
        "flight-pod-identity": "aws:eks/podIdentityAssociation:PodIdentityAssociation",
        "flight-network-policy": "kubernetes:networking.k8s.io/v1:NetworkPolicy",
        "flight-service": "kubernetes:core/v1:Service",
        "flight-disruption-budget": "kubernetes:policy/v1:PodDisruptionBudget",
        "flight-deployment": "kubernetes:apps/v1:Deployment",
        "flight-scaling": "kubernetes:autoscaling/v2:HorizontalPodAutoscaler",
    }


def test_everything_is_a_child_of_the_component(make):
    made = make(args(ingress=ingress(oidc=OIDC)))
    parents = {m.name: m.parent for m in made.resources.values()}
    assert parents.pop("flight") == ""
    assert parents.pop("flight-ns-namespace") == parents.pop("flight-ns-default-deny") == "flight-ns"
    assert set(parents.values()) == {"flight"}


def test_names_and_labels_are_those_of_the_architecture_page(make):
    made = make(args()).resources
    assert made["flight-ns-namespace"].inputs["metadata"]["name"] == "slipway-flight-delay"
    for resource in ("deployment", "service", "service-account", "scaling", "disruption-budget", "network-policy"):
        meta = made[f"flight-{resource}"].inputs["metadata"]
        assert (meta["name"], meta["namespace"]) == ("flight-delay-rest", "slipway-flight-delay")
        assert meta["labels"] == {
            "app.kubernetes.io/name": "flight-delay",
            "app.kubernetes.io/component": "rest",
            "app.kubernetes.io/part-of": "slipway",
            "app.kubernetes.io/managed-by": "pulumi",
            "slipway.dev/environment": "staging",
        }
    pod = made["flight-deployment"].inputs["spec"]["template"]["metadata"]
    assert pod["labels"]["slipway.dev/model-version"] == "7"
    assert pod["annotations"]["slipway.dev/model-digest"] == DIGEST


def test_the_pod_is_hardened_and_fetches_its_model_first(make):
    pod = pod_of(make(args()))
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "runAsGroup": 10001,
        "fsGroup": 10001,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    (fetch,), (main,) = pod["initContainers"], pod["containers"]
    for container in (fetch, main):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        }
        assert container["resources"]["requests"] == container["resources"]["limits"]
    assert (fetch["args"], main["args"]) == (["fetch"], ["rest"])
    mounts = {m["name"]: m for m in main["volumeMounts"]}
    assert mounts["model"] == {"name": "model", "mountPath": "/var/slipway/model", "readOnly": True}
    assert {v["name"] for v in pod["volumes"]} == {"model", "spool", "tmp"}


def test_the_model_reaches_the_pod_by_variables_alone(make):
    main = pod_of(make(args()))["containers"][0]
    variables = {v["name"]: v["value"] for v in main["env"]}
    assert variables["SLIPWAY_MODEL_URI"] == f"s3://models/flights/{'ab' * 32}.tar.gz"
    assert variables["SLIPWAY_MODEL_VERSION"] == "7"
    assert variables["SLIPWAY_DRAIN_SECONDS"] == "20"
    assert variables["AWS_REGION"] == "eu-west-1"


def test_a_service_without_a_model_waits_with_everything_else_there(make):
    made = make(without_model(ingress=ingress()))
    assert not {"flight-deployment", "flight-scaling"} & set(made.resources)
    assert {"flight-service", "flight-role", "flight-ingress", "flight-disruption-budget"} <= set(made.resources)
    for name in ("flight-service", "flight-ingress"):
        assert made.resources[name].inputs["metadata"]["annotations"]["pulumi.com/skipAwait"] == "true"


def test_a_rolling_update_never_has_fewer_pods(make):
    deployment = make(args()).resources["flight-deployment"]
    assert deployment.inputs["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": "25%"}
    assert deployment.ignore_changes == ["spec.replicas"]
    assert {"flight-pod-identity", "flight-policy", "flight-service-account"} <= set(deployment.depends_on)


def test_a_fixed_number_of_replicas_has_no_autoscaler(make):
    made = make(args(replicas={"min": 2, "max": 2}))
    assert "flight-scaling" not in made.resources
    assert made.resources["flight-deployment"].ignore_changes == []


def test_requests_a_second_are_scaled_by_keda(make):
    made = make(args(replicas={"min": 2, "max": 6, "requests_per_second": 50}))
    scaling = made.resources["flight-scaling"]
    assert scaling.typ == "kubernetes:keda.sh/v1alpha1:ScaledObject"
    assert [t["type"] for t in scaling.inputs["spec"]["triggers"]] == ["cpu", "metrics-api"]
    url = scaling.inputs["spec"]["triggers"][1]["metadata"]["url"]
    assert url == "http://flight-delay-rest.slipway-flight-delay.svc.cluster.local:8080/metrics"


def test_drain_grace_and_deregistration_fit(make):
    made = make(args(ingress=ingress(), drain_seconds=40)).resources
    pod = made["flight-deployment"].inputs["spec"]["template"]["spec"]
    assert pod["containers"][0]["lifecycle"] == {"preStop": {"sleep": {"seconds": 15}}}
    assert pod["terminationGracePeriodSeconds"] == 67
    attributes = made["flight-ingress"].inputs["metadata"]["annotations"][
        "alb.ingress.kubernetes.io/target-group-attributes"
    ]
    assert "deregistration_delay.timeout_seconds=55" in attributes


def test_ingress_is_internal_and_tls_only(make):
    made = make(args(ingress=ingress()))
    annotations = made.resources["flight-ingress"].inputs["metadata"]["annotations"]
    alb = {key.removeprefix("alb.ingress.kubernetes.io/"): value for key, value in annotations.items()}
    assert alb["scheme"] == "internal"
    assert json.loads(alb["listen-ports"]) == [{"HTTPS": 443}]
    assert alb["certificate-arn"] == CERTIFICATE
    assert alb["inbound-cidrs"] == "10.0.0.0/8"
    assert "TLS13-1-2" in alb["ssl-policy"]
    paths = made.resources["flight-ingress"].inputs["spec"]["rules"][0]["http"]["paths"]
    assert [(p["path"], p["backend"]["service"]["name"]) for p in paths] == [
        ("/inference.GRPCInferenceService", "flight-delay-grpc"),
        ("/", "flight-delay-rest"),
    ]


def test_a_public_service_without_authentication_is_refused(make):
    with pytest.raises(ValueError, match="public ingress needs authentication"):
        make(args(ingress=ingress(public=True)))


@pytest.mark.parametrize("how", [{"api_keys_secret_arn": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:k"}, {}])
def test_a_public_service_with_authentication_faces_the_internet(make, how):
    oidc = {} if how else {"oidc": OIDC}
    made = make(args(ingress=ingress(public=True, **oidc), **how))
    annotations = made.resources["flight-ingress"].inputs["metadata"]["annotations"]
    assert annotations["alb.ingress.kubernetes.io/scheme"] == "internet-facing"


def test_the_oidc_client_secret_is_fetched_in_the_cluster(make):
    """Neither a preview nor the state has it: the program says where it is, and an operator brings it."""
    made = make(args(ingress=ingress(oidc=OIDC))).resources
    store, client = made["flight-oidc-store"].inputs, made["flight-oidc-client"].inputs
    assert store["spec"]["provider"]["aws"] == {"service": "SecretsManager", "region": "eu-west-1"}
    assert client["spec"]["secretStoreRef"] == {"kind": store["kind"], "name": store["metadata"]["name"]}
    assert {one["secretKey"]: one["remoteRef"] for one in client["spec"]["data"]} == {
        key: {"key": OIDC["client_secret_arn"], "property": key} for key in ("clientID", "clientSecret")
    }
    annotations = made["flight-ingress"].inputs["metadata"]["annotations"]
    asked = json.loads(annotations["alb.ingress.kubernetes.io/auth-idp-oidc"])
    assert asked["secretName"] == client["spec"]["target"]["name"]
    (rule,) = made["flight-oidc-reader"].inputs["rules"]
    assert (rule["resourceNames"], rule["verbs"]) == ([asked["secretName"]], ["get"])
    assert not [one for one in made.values() if one.typ.endswith(":Secret")]


def test_the_runtime_reads_the_api_keys_itself_and_nobody_else_sees_them(make):
    keys = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:keys"
    made = make(args(api_keys_secret_arn=keys))
    variables = {v["name"]: v["value"] for v in pod_of(made)["containers"][0]["env"]}
    assert variables["SLIPWAY_API_KEYS_SECRET"] == keys
    statements = made.resources["flight-policy"].json("policy")["Statement"]
    assert {"Effect": "Allow", "Action": ["secretsmanager:GetSecretValue"], "Resource": [keys]} in statements
    assert not made.of_type("kubernetes:core/v1:Secret")


def test_outcomes_are_taken_where_there_is_a_bucket_for_them(make):
    made = make(args(outcomes_bucket="outcomes"))
    variables = {v["name"]: v["value"] for v in pod_of(made)["containers"][0]["env"]}
    assert variables["SLIPWAY_OUTCOMES_URI"] == "s3://outcomes/flight-delay/"
    statements = made.resources["flight-policy"].json("policy")["Statement"]
    assert ["arn:aws:s3:::outcomes/flight-delay/*"] in [s["Resource"] for s in statements]


def test_the_role_reads_its_own_model_and_nothing_else(make):
    made = make(args(capture_bucket="capture"))
    statements = made.resources["flight-policy"].json("policy")["Statement"]
    allowed = {action: s["Resource"] for s in statements for action in s["Action"]}
    assert allowed == {
        "kms:Decrypt": [KEY],
        "kms:GenerateDataKey": [KEY],
        "s3:GetObject": ["arn:aws:s3:::models/flights/*"],
        "s3:ListBucket": ["arn:aws:s3:::models"],
        "s3:AbortMultipartUpload": ["arn:aws:s3:::capture/flight-delay/*"],
        "s3:PutObject": ["arn:aws:s3:::capture/flight-delay/*"],
    }


def test_only_the_service_account_of_its_namespace_may_assume_the_role(make):
    trust = make(args()).resources["flight-role"].json("assumeRolePolicy")["Statement"][0]
    assert trust["Principal"] == {"Service": "pods.eks.amazonaws.com"}
    assert trust["Condition"]["StringEquals"] == {
        "aws:SourceAccount": "123456789012",
        "aws:RequestTag/kubernetes-namespace": "slipway-flight-delay",
        "aws:RequestTag/kubernetes-service-account": "flight-delay-rest",
    }


def test_a_gpu_service_asks_for_gpus_tolerates_the_taint_and_names_its_pool(make):
    pod = pod_of(make(args(resources={"cpu": "4", "memory": "16Gi", "gpus": 1}, pool="gpu")))
    assert pod["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert "nvidia.com/gpu" not in pod["initContainers"][0]["resources"]["limits"]
    assert {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"} in pod["tolerations"]
    assert pod["nodeSelector"] == {"slipway.dev/pool": "gpu"}


def test_pods_accept_traffic_only_from_who_was_named(make):
    made = make(args(ingress=ingress(), client_namespaces=["shop"]))
    spec = made.resources["flight-network-policy"].inputs["spec"]
    sources = [source for rule in spec["ingress"] for source in rule["from"]]
    named = [s["namespaceSelector"]["matchExpressions"][0]["values"] for s in sources if "namespaceSelector" in s]
    assert named == [["keda"], ["shop"]]
    assert [s["ipBlock"]["cidr"] for s in sources if "ipBlock" in s] == ["10.1.0.0/16"]


def test_unknowns_of_a_preview_survive(make, unknown):
    bucket, key = unknown(), unknown()
    made = make(args(models_bucket=bucket, kms_key_arn=key, namespace=unknown()), preview=True)
    assert "flight-deployment" in made.resources
    assert made.resources["flight-policy"].raw["policy"] == rpc.UNKNOWN


def test_names_fit_for_the_longest_service(make):
    made = make(args(service=LONGEST, environment="staging", ingress=ingress()))
    assert len(made.resources["flight-role"].inputs["name"]) <= 64
    annotations = made.resources["flight-ingress"].inputs["metadata"]["annotations"]
    assert len(annotations["alb.ingress.kubernetes.io/load-balancer-name"]) <= 32


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"service": "Flight"}, "service 'Flight': expected 1-40"),
        ({"replicas": {"min": 3, "max": 2}}, "expected 1 <= min <= max, got min 3, max 2"),
        ({"model": {"name": "m", "version": "7", "digest": "abc"}}, "digest 'abc': expected sha256:"),
        ({"model": {"name": "m", "version": "A 7", "digest": DIGEST}}, "version 'A 7': expected 1-32"),
        ({"ingress": ingress(allowed_cidrs=[])}, "expected at least one CIDR"),
        ({"ingress": ingress(allowed_cidrs=["10.0.0.1/8"])}, "has host bits set"),
    ],
)
def test_wrong_input_is_refused_in_one_line(make, wrong, message):
    with pytest.raises(ValueError, match=message) as refused:
        make(args(**wrong))
    assert "\n" not in str(refused.value)
