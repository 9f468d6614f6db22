"""StreamScoring: three sources, one worker; what fails is kept, who falls behind is noticed."""

import json

import pytest
from components_samples import PAGE, TICKET, stream_scoring

from components.kafka import kafka_arn
from components.stream_scoring import StreamScoring

MSK = "arn:aws:kafka:eu-west-1:123456789012:cluster/theirs/uuid-1"


@pytest.fixture
def make(provision):
    return lambda **more: provision(lambda: StreamScoring("flight", stream_scoring(**more)))


def variables(made):
    container = made.resources["flight-deployment"].inputs["spec"]["template"]["spec"]["containers"][0]
    return {v["name"]: v["value"] for v in container["env"]}


def trigger(made):
    return made.resources["flight-scaling"].inputs["spec"]["triggers"][0]


def allowed(made, policy="flight-policy"):
    statements = made.resources[policy].json("policy")["Statement"]
    return {(action, arn) for s in statements for action in s["Action"] for arn in s["Resource"]}


def test_sqs_registers_exactly_these(make):
    assert make(namespace="slipway-flight-delay").types() == {
        "flight": "slipway:index:StreamScoring",
        "flight-queue": "aws:sqs/queue:Queue",
        "flight-queue-policy": "aws:sqs/queuePolicy:QueuePolicy",
        "flight-dead-letters": "aws:sqs/queue:Queue",
        "flight-dead-letters-policy": "aws:sqs/queuePolicy:QueuePolicy",
        "flight-dead-letters-source": "aws:sqs/redriveAllowPolicy:RedriveAllowPolicy",
        "flight-service-account": "kubernetes:core/v1:ServiceAccount",
        "flight-role": "aws:iam/role:Role",
        "flight-policy": "aws:iam/rolePolicy:RolePolicy",
        "flight-pod-identity": "aws:eks/podIdentityAssociation:PodIdentityAssociation",
        "flight-network-policy": "kubernetes:networking.k8s.io/v1:NetworkPolicy",
        "flight-deployment": "kubernetes:apps/v1:Deployment",
        "flight-scaling": "kubernetes:keda.sh/v1alpha1:ScaledObject",
        "flight-scaler-policy": "aws:iam/rolePolicy:RolePolicy",
        "flight-stream-lag-alarm": "aws:cloudwatch/metricAlarm:MetricAlarm",
        "flight-stream-backlog-alarm": "aws:cloudwatch/metricAlarm:MetricAlarm",
        "flight-stream-dead-letters-alarm": "aws:cloudwatch/metricAlarm:MetricAlarm",
    }


def test_the_queue_is_encrypted_speaks_tls_and_keeps_what_failed(make):
    made = make(attempts=3).resources
    for name in ("flight-queue", "flight-dead-letters"):
        assert made[name].inputs["kmsMasterKeyId"].startswith("arn:aws:kms:")
        assert made[name].inputs["messageRetentionSeconds"] == 1_209_600
        assert made[f"{name}-policy"].json("policy")["Statement"][0]["Effect"] == "Deny"
    redrive = made["flight-queue"].json("redrivePolicy")
    assert redrive["maxReceiveCount"] == 3
    assert redrive["deadLetterTargetArn"].endswith("slipway-staging-flight-delay-stream-failed")


def test_the_scaler_may_read_the_backlog_and_no_message(make):
    made = make()
    assert {action for action, _ in allowed(made, "flight-scaler-policy")} == {"sqs:GetQueueAttributes"}
    assert trigger(made)["metadata"]["queueLength"] == "100"


def test_a_worker_takes_from_its_queue_and_only_adds_to_its_dead_letters(make):
    queue = {action for action, arn in allowed(make()) if arn.endswith("-stream")}
    failed = {action for action, arn in allowed(make()) if arn.endswith("-stream-failed")}
    assert "sqs:SendMessage" not in queue
    assert failed == {"sqs:SendMessage"}


def test_kinesis_makes_a_stream_that_sizes_itself_and_remembers_progress(make):
    made = make(source="kinesis")
    stream = made.resources["flight-stream"].inputs
    assert stream["streamModeDetails"] == {"streamMode": "ON_DEMAND"}
    assert (stream["encryptionType"], stream["retentionPeriod"]) == ("KMS", 72)
    assert made.resources["flight-checkpoints"].inputs["hashKey"] == "shard"
    assert variables(made)["SLIPWAY_STREAM_CHECKPOINTS"] == "slipway-staging-flight-delay-checkpoints"
    assert trigger(made)["type"] == "aws-kinesis-stream"


def test_an_existing_stream_is_taken(make):
    arn = "arn:aws:kinesis:eu-west-1:123456789012:stream/theirs"
    made = make(source="kinesis", kinesis={"stream_arn": arn})
    assert not made.of_type("aws:kinesis/stream:Stream")
    assert variables(made)["SLIPWAY_STREAM_NAME"] == "theirs"
    assert ("kinesis:GetRecords", arn) in allowed(made)


def test_an_existing_msk_cluster_is_taken_with_iam(make):
    made = make(source="kafka", kafka={"topic": "flights", "output_topic": "delays", "cluster_arn": MSK})
    assert not made.of_type("aws:msk/serverlessCluster:ServerlessCluster")
    assert variables(made)["SLIPWAY_STREAM_BROKERS"] == "b-1.theirs:9098,b-2.theirs:9098"
    assert variables(made)["SLIPWAY_STREAM_SECURITY"] == "iam"
    assert trigger(made)["metadata"]["sasl"] == "aws_msk_iam"
    topic = MSK.replace(":cluster/", ":topic/")
    assert ("kafka-cluster:ReadData", f"{topic}/flights") in allowed(made)
    assert ("kafka-cluster:WriteData", f"{topic}/delays") in allowed(made)
    assert ("kafka-cluster:WriteData", f"{topic}/flights") not in allowed(made)


def test_brokers_outside_aws_need_no_permission_but_their_port(make):
    made = make(source="kafka", kafka={"topic": "flights", "brokers": ["kafka-1.example.com:9093"]})
    assert not [action for action, _ in allowed(made) if action.startswith("kafka")]
    assert "flight-scaler-policy" not in made.resources
    egress = made.resources["flight-network-policy"].inputs["spec"]["egress"]
    assert {"ports": [{"protocol": "TCP", "port": 9093}]} in egress


def test_msk_serverless_is_closed_to_all_but_the_nodes(make):
    network = {"vpc_id": "vpc-1", "subnet_ids": ["subnet-1"], "client_security_group_id": "sg-nodes"}
    made = make(source="kafka", kafka={"topic": "flights", "network": network}).resources
    rule = made["flight-brokers-from-nodes"].inputs
    assert (rule["referencedSecurityGroupId"], rule["fromPort"], rule["toPort"]) == ("sg-nodes", 9098, 9098)
    assert made["flight-kafka"].inputs["clientAuthentication"] == {"sasl": {"iam": {"enabled": True}}}


@pytest.mark.parametrize(
    ("how", "namespace", "threshold"),
    [
        ({"source": "sqs"}, "AWS/SQS", 45),
        ({"source": "kinesis"}, "AWS/Kinesis", 45_000),
        ({"source": "kafka", "kafka": {"topic": "t", "brokers": ["b:9093"]}}, "Slipway", 45),
    ],
)
def test_falling_behind_pages(make, how, namespace, threshold):
    alarm = make(max_lag_seconds=45, **how).resources["flight-stream-lag-alarm"].inputs
    assert (alarm["namespace"], alarm["threshold"], alarm["alarmActions"]) == (namespace, threshold, [PAGE])


def test_a_dead_letter_makes_a_ticket(make):
    alarm = make().resources["flight-stream-dead-letters-alarm"].inputs
    assert alarm["dimensions"] == {"QueueName": "slipway-staging-flight-delay-stream-failed"}
    assert (alarm["threshold"], alarm["alarmActions"]) == (0, [TICKET])


def test_workers_follow_the_backlog_unless_their_number_is_fixed(make):
    assert make().resources["flight-deployment"].ignore_changes == ["spec.replicas"]
    fixed = make(replicas={"min": 2, "max": 2})
    assert "flight-scaling" not in fixed.resources
    assert fixed.resources["flight-deployment"].ignore_changes == []


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"source": "rabbit"}, "stream source 'rabbit': expected one of sqs, kinesis, kafka"),
        ({"source": "kafka"}, "with kafka also its topic"),
        ({"source": "kafka", "kafka": {"topic": "t"}}, "expected network, cluster_arn or brokers, got none"),
        ({"replicas": {"min": 0, "max": 0}}, "expected 0 <= min <= max and max of 1 or more"),
    ],
)
def test_wrong_input_is_refused_in_one_line(make, wrong, message):
    with pytest.raises(ValueError, match=message) as refused:
        make(**wrong)
    assert "\n" not in str(refused.value)


def test_a_topics_arn_is_derived_from_its_clusters():
    assert kafka_arn(MSK, "group", "g") == "arn:aws:kafka:eu-west-1:123456789012:group/theirs/uuid-1/g"


def test_every_value_of_a_trigger_is_text(make):
    for how in ({}, {"source": "kinesis"}, {"source": "kafka", "kafka": {"topic": "t", "cluster_arn": MSK}}):
        assert {type(value) for value in trigger(make(**how))["metadata"].values()} == {str}
        json.dumps(trigger(make(**how)))
