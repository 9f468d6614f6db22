"""Retraining: one at a time, no storm, and nothing approved that nobody approved."""

import json

import pytest
from components_samples import TICKET, retraining

from components.retraining import Retraining


@pytest.fixture
def make(provision):
    def run(**more):
        args = {key: value for key, value in retraining(**more).items() if value is not None}
        return provision(lambda: Retraining("flight", args))

    return run


def allowed(made):
    statements = made.resources["flight-policy"].json("policy")["Statement"]
    return {(action, arn) for s in statements for action in s["Action"] for arn in s["Resource"]}


def test_registers_exactly_these(make):
    assert make(namespace="slipway-flight-delay").types() == {
        "flight": "slipway:index:Retraining",
        "flight-requests-queue": "aws:sqs/queue:Queue",
        "flight-requests-queue-policy": "aws:sqs/queuePolicy:QueuePolicy",
        "flight-requests-dead-letters": "aws:sqs/queue:Queue",
        "flight-requests-dead-letters-policy": "aws:sqs/queuePolicy:QueuePolicy",
        "flight-requests-dead-letters-source": "aws:sqs/redriveAllowPolicy:RedriveAllowPolicy",
        "flight-service-account": "kubernetes:core/v1:ServiceAccount",
        "flight-role": "aws:iam/role:Role",
        "flight-policy": "aws:iam/rolePolicy:RolePolicy",
        "flight-pod-identity": "aws:eks/podIdentityAssociation:PodIdentityAssociation",
        "flight-rule": "aws:cloudwatch/eventRule:EventRule",
        "flight-target": "aws:cloudwatch/eventTarget:EventTarget",
        "flight-schedule": "aws:scheduler/schedule:Schedule",
        "flight-schedule-role": "aws:iam/role:Role",
        "flight-schedule-policy": "aws:iam/rolePolicy:RolePolicy",
        "flight-network-policy": "kubernetes:networking.k8s.io/v1:NetworkPolicy",
        "flight-trainer": "kubernetes:keda.sh/v1alpha1:ScaledJob",
        "flight-scaler-policy": "aws:iam/rolePolicy:RolePolicy",
        "flight-retraining-failed-alarm": "aws:cloudwatch/metricAlarm:MetricAlarm",
    }


def test_requests_are_taken_in_order_and_equal_ones_once(make):
    queue = make(deadline_minutes=60).resources["flight-requests-queue"].inputs
    assert queue["name"].endswith(".fifo")
    assert (queue["fifoQueue"], queue["contentBasedDeduplication"]) == (True, True)
    # Hidden for longer than a training takes, or a second trainer would get the same request.
    assert queue["visibilityTimeoutSeconds"] == 60 * 60 + 1800


def test_one_trainer_at_a_time_and_none_until_it_is_let_run(make):
    trainer = make().resources["flight-trainer"].inputs
    assert trainer["metadata"]["annotations"] == {"autoscaling.keda.sh/paused": "true"}
    assert trainer["spec"]["maxReplicaCount"] == 1
    job = trainer["spec"]["jobTargetRef"]
    assert (job["parallelism"], job["completions"], job["backoffLimit"]) == (1, 1, 0)
    spec = job["template"]["spec"]
    assert (spec["restartPolicy"], spec["serviceAccountName"]) == ("Never", "flight-delay-retrain")
    assert "restart_policy" not in json.dumps(trainer), "a custom resource is sent as it is"
    running = make(suspended=False).resources["flight-trainer"].inputs
    assert running["metadata"]["annotations"] == {"autoscaling.keda.sh/paused": "false"}


def test_the_rule_matches_this_services_events_only(make):
    made = make(on=["drift"], schedule=None).resources
    assert made["flight-rule"].json("eventPattern") == {
        "source": [{"prefix": "slipway."}],
        "detail-type": ["Drift Detected"],
        "detail": {"service": ["flight-delay"]},
    }
    assert made["flight-target"].inputs["sqsTarget"] == {"messageGroupId": "flight-delay"}
    refusal, leave = made["flight-requests-queue-policy"].json("policy")["Statement"]
    assert refusal["Effect"] == "Deny"
    assert leave["Condition"]["ArnEquals"]["aws:SourceArn"].endswith("slipway-staging-flight-delay-retraining")
    assert "flight-schedule" not in made


def test_a_schedule_asks_through_the_same_queue(make):
    made = make(on=["schedule"]).resources
    assert "flight-rule" not in made
    schedule = made["flight-schedule"].inputs
    assert schedule["scheduleExpression"] == "cron(0 3 ? * MON *)"
    assert schedule["target"]["sqsParameters"] == {"messageGroupId": "flight-delay"}
    assert json.loads(schedule["target"]["input"]) == {"service": "flight-delay", "reason": "schedule"}


def test_manual_approval_cannot_be_gone_around(make):
    made = make()
    actions = {action for action, _ in allowed(made)}
    assert "sagemaker:UpdateModelPackage" not in actions
    create = next(
        s
        for s in made.resources["flight-policy"].json("policy")["Statement"]
        if "sagemaker:CreateModelPackage" in s["Action"]
    )
    assert create["Condition"] == {"StringEquals": {"sagemaker:ModelApprovalStatus": "PendingManualApproval"}}
    assert "sagemaker:UpdateModelPackage" in {action for action, _ in allowed(make(approval="automatic"))}


def test_the_trainer_adds_packages_of_its_own_model_only(make):
    written = {arn for action, arn in allowed(make()) if action == "s3:PutObject"}
    assert written == {"arn:aws:s3:::models/flights/*"}
    registered = {arn for action, arn in allowed(make()) if action == "sagemaker:CreateModelPackage"}
    assert registered == {
        "arn:aws:sagemaker:eu-west-1:123456789012:model-package-group/slipway-staging-flights",
        "arn:aws:sagemaker:eu-west-1:123456789012:model-package/slipway-staging-flights/*",
    }


def test_a_training_that_failed_makes_a_ticket(make):
    alarm = make().resources["flight-retraining-failed-alarm"].inputs
    assert alarm["alarmActions"] == [TICKET]
    assert alarm["dimensions"]["QueueName"].endswith("-retraining-failed.fifo")


def test_another_image_may_train(make):
    made = make(trainer_image="registry/trainer@sha256:2")
    spec = made.resources["flight-trainer"].inputs["spec"]["jobTargetRef"]["template"]["spec"]
    assert spec["containers"][0]["image"] == "registry/trainer@sha256:2"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"on": []}, "retraining.on: expected one or more of drift, quality, schedule"),
        ({"on": ["boredom"], "schedule": None}, "retraining.on: expected one or more"),
        ({"on": ["drift"]}, "the reason schedule and a schedule go together"),
        ({"approval": "maybe"}, "retraining.approval: expected manual or automatic, got 'maybe'"),
        ({"deadline_minutes": 700}, "retraining.deadline_minutes: expected 1 to 690"),
    ],
)
def test_wrong_input_is_refused_in_one_line(make, wrong, message):
    with pytest.raises(ValueError, match=message) as refused:
        make(**wrong)
    assert "\n" not in str(refused.value)
