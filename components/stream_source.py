"""Where a stream's events come from: what SQS, Kinesis and Kafka each need, in one shape for the worker."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from components import iam, kafka, queues
from components.alarms import Alarm, kinesis_alarm, lag_alarm, queue_alarms
from components.iam import Statement
from components.kafka import KafkaArgs
from components.naming import Limit, named
from components.pod import Identity

HIDDEN_SECONDS = 120
"""How long SQS hides a message that a worker has taken; workers prolong it while they are at it."""


class KinesisArgs(TypedDict):
    """A Kinesis stream."""

    stream_arn: NotRequired[pulumi.Input[str]]
    """A stream to use. Without it, one is made that sizes itself."""
    kms_key_arn: NotRequired[pulumi.Input[str]]
    """Key of the stream to use, when it is not the environment's."""


@dataclass(frozen=True)
class Trigger:
    """A KEDA trigger: what the number of workers follows."""

    kind: str
    metadata: dict[str, pulumi.Input[str]]


@dataclass(frozen=True)
class StreamSource:
    """A source that has been made or found."""

    variables: dict[str, pulumi.Input[str]]
    """`SLIPWAY_STREAM_*` variables that the worker needs on top of `SLIPWAY_STREAM_SOURCE`."""
    grants: Sequence[Statement]
    """What the worker may do."""
    trigger: Trigger
    scaler_grants: Sequence[Statement]
    """What KEDA's operator may do."""
    alarms: Sequence[Alarm]
    dead_letters: aws.sqs.Queue
    arn: pulumi.Output[str]
    """ARN of the queue, stream or cluster; empty for brokers outside AWS."""
    url: pulumi.Output[str]
    """Where producers send: queue URL, stream name or brokers."""
    ports: Sequence[int] = field(default_factory=tuple[int, ...])
    """Ports, besides HTTPS, that the worker connects to."""


@dataclass(frozen=True)
class SourceRequest:
    """What every kind of source is made from."""

    resource: str
    identity: Identity
    kms_key_arn: pulumi.Input[str]
    region: pulumi.Input[str]
    attempts: int
    max_lag_seconds: int
    backlog_per_worker: int
    max_workers: int
    tags: dict[str, pulumi.Input[str]] | None
    parent: pulumi.Resource

    def dead_letters(self) -> aws.sqs.Queue:
        """A queue for events that failed, where the source has none of its own."""
        return queues.dead_letter_queue(
            self.resource,
            self.identity.environment,
            self.identity.service,
            "stream",
            kms_key_arn=self.kms_key_arn,
            tags=self.tags,
            parent=self.parent,
        )


def sqs_source(request: SourceRequest) -> StreamSource:
    """An SQS queue with its dead-letter queue."""
    made = queues.queue(
        request.resource,
        request.identity.environment,
        request.identity.service,
        "stream",
        kms_key_arn=request.kms_key_arn,
        attempts=request.attempts,
        visibility_seconds=HIDDEN_SECONDS,
        tags=request.tags,
        parent=request.parent,
    )
    queues.queue_policy(f"{request.resource}-queue", made.queue, [], request.parent)
    return StreamSource(
        variables={
            "SLIPWAY_STREAM_QUEUE_URL": made.queue.url,
            "SLIPWAY_STREAM_DEAD_LETTERS_URL": made.dead_letters.url,
            "SLIPWAY_STREAM_ATTEMPTS": str(request.attempts),
        },
        # The worker puts poison aside itself, with the reason; what it cannot even read, SQS redrives.
        grants=[queues.consume(made.queue.arn), queues.send(made.dead_letters.arn)],
        trigger=Trigger(
            "aws-sqs-queue",
            {
                "queueURL": made.queue.url,
                "queueLength": str(request.backlog_per_worker),
                "awsRegion": request.region,
                "identityOwner": "operator",
            },
        ),
        scaler_grants=[queues.read_backlog(made.queue.arn)],
        alarms=queue_alarms(made.queue.name, request.max_lag_seconds, request.backlog_per_worker * request.max_workers),
        dead_letters=made.dead_letters,
        arn=made.queue.arn,
        url=made.queue.url,
    )


def kinesis_source(request: SourceRequest, args: KinesisArgs) -> StreamSource:
    """A Kinesis stream, and the table in which workers share its shards and remember how far they are."""
    mine = pulumi.ResourceOptions(parent=request.parent)
    environment, service = request.identity.environment, request.identity.service
    if "stream_arn" in args:
        arn = pulumi.Output.from_input(args["stream_arn"])
        stream = arn.apply(lambda known: known.rpartition("/")[2])
    else:
        made = aws.kinesis.Stream(
            f"{request.resource}-stream",
            name=named(environment, service, "stream", limit=Limit.KINESIS),
            stream_mode_details={"stream_mode": "ON_DEMAND"},
            encryption_type="KMS",
            kms_key_id=request.kms_key_arn,
            # Three days: a worker that fails on a Friday night is mended on Monday with nothing lost.
            retention_period=72,
            tags=request.tags,
            opts=mine,
        )
        arn, stream = made.arn, made.name
    progress = aws.dynamodb.Table(
        f"{request.resource}-checkpoints",
        name=named(environment, service, "checkpoints", limit=Limit.DYNAMODB),
        billing_mode="PAY_PER_REQUEST",
        hash_key="shard",
        attributes=[{"name": "shard", "type": "S"}],
        point_in_time_recovery={"enabled": True},
        server_side_encryption={"enabled": True, "kms_key_arn": request.kms_key_arn},
        tags=request.tags,
        opts=mine,
    )
    failed = request.dead_letters()
    grants = [
        iam.allow(
            [
                "kinesis:DescribeStreamSummary",
                "kinesis:GetRecords",
                "kinesis:GetShardIterator",
                "kinesis:ListShards",
            ],
            [arn],
        ),
        iam.allow(
            [
                "dynamodb:DeleteItem",
                "dynamodb:GetItem",
                "dynamodb:PutItem",
                "dynamodb:Scan",
                "dynamodb:UpdateItem",
            ],
            [progress.arn],
        ),
        queues.send(failed.arn),
    ]
    if "kms_key_arn" in args:
        grants.append(iam.decrypt(args["kms_key_arn"]))
    return StreamSource(
        variables={
            "SLIPWAY_STREAM_NAME": stream,
            "SLIPWAY_STREAM_CHECKPOINTS": progress.name,
            "SLIPWAY_STREAM_DEAD_LETTERS_URL": failed.url,
            "SLIPWAY_STREAM_ATTEMPTS": str(request.attempts),
        },
        grants=grants,
        # A shard is read by one worker, so shards are what workers are counted by.
        trigger=Trigger(
            "aws-kinesis-stream",
            {"streamName": stream, "shardCount": "2", "awsRegion": request.region, "identityOwner": "operator"},
        ),
        scaler_grants=[iam.allow(["kinesis:DescribeStreamSummary"], [arn])],
        alarms=[kinesis_alarm(stream, request.max_lag_seconds)],
        dead_letters=failed,
        arn=arn,
        url=stream,
    )


def kafka_source(request: SourceRequest, args: KafkaArgs) -> StreamSource:
    """A Kafka topic, read by the consumer group `slipway-<environment>-<service>`."""
    environment, service = request.identity.environment, request.identity.service
    cluster = kafka.connect_kafka(request.resource, environment, service, args, request.tags, request.parent)
    group = named(environment, service, limit=Limit.GLUE)
    topic = args["topic"]
    failed = request.dead_letters()
    variables: dict[str, pulumi.Input[str]] = {
        "SLIPWAY_STREAM_BROKERS": cluster.brokers,
        "SLIPWAY_STREAM_SECURITY": cluster.security,
        "SLIPWAY_STREAM_TOPIC": topic,
        "SLIPWAY_STREAM_GROUP": group,
        "SLIPWAY_STREAM_DEAD_LETTERS_URL": failed.url,
        "SLIPWAY_STREAM_ATTEMPTS": str(request.attempts),
    }
    trigger: dict[str, pulumi.Input[str]] = {
        "bootstrapServers": cluster.brokers,
        "consumerGroup": group,
        "topic": topic,
        "lagThreshold": str(request.backlog_per_worker),
        # A group that has read nothing yet has everything before it.
        "offsetResetPolicy": "earliest",
        "tls": "enable",
    }
    grants: list[Statement] = [queues.send(failed.arn)]
    scaler: list[Statement] = []
    if cluster.cluster_arn is not None:
        trigger |= {"sasl": "aws_msk_iam", "awsRegion": request.region, "identityOwner": "operator"}
        grants += kafka.consume_topic(cluster.cluster_arn, topic, group)
        scaler += kafka.read_lag(cluster.cluster_arn, topic, group)
    if "output_topic" in args:
        variables["SLIPWAY_STREAM_OUTPUT_TOPIC"] = args["output_topic"]
        if cluster.cluster_arn is not None:
            grants += kafka.produce_topic(cluster.cluster_arn, args["output_topic"])
    return StreamSource(
        variables=variables,
        grants=grants,
        trigger=Trigger("apache-kafka", trigger),
        scaler_grants=scaler,
        alarms=[lag_alarm(request.max_lag_seconds)],
        dead_letters=failed,
        arn=cluster.cluster_arn if cluster.cluster_arn is not None else pulumi.Output.from_input(""),
        url=cluster.brokers,
        ports=cluster.ports,
    )
