"""What must hold for every workload of a service, whichever component makes it."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from components_samples import LONGEST, batch_scoring, model_service, retraining, service_monitoring, stream_scoring
from policy_sentry.querying.actions import get_action_data
from pulumi.runtime import rpc
from pulumi_mocks import Recorder, mocked_engine

from components.batch_scoring import BatchScoring
from components.model_service import ModelService
from components.retraining import Retraining
from components.service_monitoring import ServiceMonitoring
from components.stream_scoring import StreamScoring

KAFKA = {
    "topic": "flights",
    "output_topic": "delays",
    "network": {"vpc_id": "vpc-1", "subnet_ids": ["subnet-1", "subnet-2"], "client_security_group_id": "sg-1"},
}
WORKLOADS: dict[str, tuple[type[Any], Callable[..., Any], dict[str, Any]]] = {
    "rest": (
        ModelService,
        model_service,
        {
            "api_keys_secret_arn": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:keys",
            "feature_tables": {
                "carriers": {"table": "slipway-staging-features-carriers", "key": "carrier", "key_type": "string"}
            },
            "replicas": {"min": 2, "max": 6, "requests_per_second": 50},
        },
    ),
    "batch": (BatchScoring, batch_scoring, {}),
    "sqs": (
        StreamScoring,
        stream_scoring,
        {
            "feature_tables": {
                "flights": {"table": "slipway-staging-features-flights", "key": "id", "key_type": "bigint"}
            }
        },
    ),
    "kinesis": (StreamScoring, stream_scoring, {"source": "kinesis"}),
    "kafka": (StreamScoring, stream_scoring, {"source": "kafka", "kafka": KAFKA}),
    "monitor": (ServiceMonitoring, service_monitoring, {}),
    "retrain": (Retraining, retraining, {"approval": "automatic"}),
}
PODS = {
    "kubernetes:apps/v1:Deployment": ("spec", "template"),
    "kubernetes:batch/v1:CronJob": ("spec", "jobTemplate", "spec", "template"),
    "kubernetes:keda.sh/v1alpha1:ScaledJob": ("spec", "jobTargetRef", "template"),
}
NO_RESOURCE_LEVEL = {"cloudwatch:PutMetricData"}
"""Actions for which AWS supports no resource: the only ones that may be allowed on `*`."""


@pytest.fixture(params=WORKLOADS, ids=str)
def make(request, provision) -> Callable[..., Any]:
    """Makes the workload; an argument that is None is left out."""
    component, sample, how = WORKLOADS[request.param]

    def run(preview=False, **more):
        args = {key: value for key, value in sample(**{**how, **more}).items() if value is not None}
        return provision(lambda: component("flight", args), preview=preview)

    return run


@pytest.fixture(scope="module", params=WORKLOADS, ids=str)
def made(request) -> Recorder:
    """The workload as the sample has it."""
    component, sample, how = WORKLOADS[request.param]
    with mocked_engine() as run:
        return run(lambda: component("flight", sample(**how)))


def pods(made) -> Iterator[tuple[str, dict[str, Any]]]:
    for resource in made.resources.values():
        if path := PODS.get(resource.typ):
            template: Any = resource.inputs
            for step in path:
                template = template[step]
            yield resource.name, template


def statements(made) -> Iterator[tuple[str, dict[str, Any]]]:
    for resource in made.resources.values():
        for key in ("policy", "assumeRolePolicy", "policyDocument"):
            if resource.typ.startswith("aws:") and key in resource.inputs:
                for statement in json.loads(resource.inputs[key])["Statement"]:
                    yield f"{resource.name}.{key}", statement


def test_everything_has_the_component_above_it(made):
    parents = {resource.parent for resource in made.resources.values()}
    assert parents == {"", "flight", "flight-ns"}
    assert [r.name for r in made.resources.values() if not r.parent] == ["flight"]
    assert all(name.startswith("flight") for name in made.resources)


def test_every_pod_is_hardened(made):
    found = dict(pods(made))
    assert found
    for template in found.values():
        spec = template["spec"]
        assert spec["automountServiceAccountToken"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in [*spec["initContainers"], *spec["containers"]]:
            locked = container["securityContext"]
            assert (locked["readOnlyRootFilesystem"], locked["allowPrivilegeEscalation"]) == (True, False)
            assert locked["capabilities"] == {"drop": ["ALL"]}
            assert {"cpu", "memory", "ephemeral-storage"} <= set(container["resources"]["limits"])
            assert container["resources"]["limits"] == container["resources"]["requests"]


def test_a_pod_starts_only_when_its_role_is_there(made):
    for name, _ in pods(made):
        needs = set(made.resources[name].depends_on)
        assert {"flight-service-account", "flight-policy", "flight-pod-identity"} <= needs


def test_every_workload_has_a_service_account_and_role_of_its_own(made):
    (_, template), *_ = pods(made)
    account = template["spec"]["serviceAccountName"]
    assert made.resources["flight-service-account"].inputs["metadata"]["name"] == account
    assert made.resources["flight-pod-identity"].inputs["serviceAccount"] == account
    assert account in made.resources["flight-role"].inputs["assumeRolePolicy"]


def test_without_a_model_only_what_runs_it_is_missing(make):
    made, waiting = make(), make(model=None)
    missing = {made.resources[name].typ for name in set(made.resources) - set(waiting.resources)}
    assert missing
    assert missing <= {
        *PODS,
        "kubernetes:keda.sh/v1alpha1:ScaledObject",
    }
    assert set(waiting.resources) < set(made.resources)


def test_policies_name_real_actions_and_never_every_resource(made):
    checked = 0
    for where, statement in statements(made):
        if statement["Effect"] == "Deny":
            continue
        for action in statement["Action"]:
            service, name = action.split(":")
            assert get_action_data(service, name), f"{where}: there is no action {action}"
            checked += 1
        if "assumeRolePolicy" not in where:
            assert "*" not in statement["Resource"] or set(statement["Action"]) <= NO_RESOURCE_LEVEL, where
    assert checked > 4


def test_actions_are_allowed_on_resources_that_they_work_on(made):
    """An ARN of another service, or of a kind that the action does not take, allows nothing."""
    for where, statement in statements(made):
        if statement["Effect"] == "Deny" or "Resource" not in statement:
            continue
        for arn in statement["Resource"]:
            services = {action.split(":")[0] for action in statement["Action"]}
            service = arn.split(":")[2]
            assert services <= {service, *({"kafka-cluster"} if service in {"kafka", "msk"} else set())}, (where, arn)


def test_every_alarm_has_an_action_for_trouble_and_for_its_end(made):
    composites = " ".join(c.inputs["alarmRule"] for c in made.of_type("aws:cloudwatch/compositeAlarm:CompositeAlarm"))
    for alarm in made.resources.values():
        if alarm.typ not in {"aws:cloudwatch/metricAlarm:MetricAlarm", "aws:cloudwatch/compositeAlarm:CompositeAlarm"}:
            continue
        if alarm.inputs.get("name") and f'"{alarm.inputs["name"]}"' in composites:
            assert "alarmActions" not in alarm.inputs, "a part of a composite alarm must not tell on its own"
            continue
        assert alarm.inputs["alarmActions"] == alarm.inputs["okActions"] != []
        assert len(alarm.inputs["alarmDescription"]) > 60


def test_names_fit_for_the_longest_service(make):
    made = make(service=LONGEST)
    limits = {
        "aws:iam/role:Role": 64,
        "aws:sqs/queue:Queue": 80,
        "aws:cloudwatch/eventRule:EventRule": 64,
        "aws:scheduler/schedule:Schedule": 64,
        "aws:kinesis/stream:Stream": 128,
        "aws:cloudwatch/metricAlarm:MetricAlarm": 255,
        "kubernetes:batch/v1:CronJob": 52,
        # A hostname of an indexed pod is the Job's name (the CronJob's and 11 more) and its index.
        "kubernetes:core/v1:Namespace": 63,
        "kubernetes:core/v1:Service": 63,
        "kubernetes:keda.sh/v1alpha1:ScaledJob": 63,
    }
    for resource in made.resources.values():
        if limit := limits.get(resource.typ):
            name = resource.inputs.get("name") or resource.inputs["metadata"]["name"]
            assert len(name) <= limit, (resource.name, name)


def test_unknowns_of_a_preview_survive(make, unknown):
    made = make(preview=True, models_bucket=unknown(), kms_key_arn=unknown(), namespace=unknown())
    assert made.resources["flight-policy"].raw["policy"] == rpc.UNKNOWN
    assert list(pods(made)), "a preview shows the pods"


def test_one_line_says_what_a_bad_name_should_have_been(make):
    with pytest.raises(ValueError, match="service 'Flight_Delay': expected 1-40") as refused:
        make(service="Flight_Delay")
    assert "\n" not in str(refused.value)
