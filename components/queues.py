"""SQS queues, each with a queue for what failed: encrypted, TLS only, and closed to other accounts."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components import iam
from components.iam import Statement
from components.naming import Limit, named

KEPT_SECONDS = 14 * 86_400
"""SQS keeps a message for 14 days at most (CreateQueue, MessageRetentionPeriod)."""
_FIFO = ".fifo"


@dataclass(frozen=True)
class Queue:
    """A queue and its dead-letter queue, as made by `queue`."""

    queue: aws.sqs.Queue
    dead_letters: aws.sqs.Queue


def queue_name(environment: str, service: str, purpose: str, *, fifo: bool = False) -> str:
    """Name of a queue; a first-in-first-out one must end in `.fifo`."""
    ending = _FIFO if fifo else ""
    return named(environment, service, purpose, limit=Limit.SQS - len(ending)) + ending


def queue(
    resource: str,
    environment: str,
    service: str,
    purpose: str,
    *,
    kms_key_arn: pulumi.Input[str],
    attempts: int,
    visibility_seconds: int,
    tags: dict[str, pulumi.Input[str]] | None,
    parent: pulumi.Resource,
    fifo: bool = False,
) -> Queue:
    """Makes the queue `slipway-<environment>-<service>-<purpose>` and its dead-letter queue.

    A message that is not deleted within `visibility_seconds` is delivered again; after `attempts` deliveries it moves
    to the dead-letter queue, which takes messages from this queue only and keeps them for 14 days.
    """
    mine = pulumi.ResourceOptions(parent=parent)
    failed = dead_letter_queue(
        resource, environment, service, purpose, kms_key_arn=kms_key_arn, tags=tags, parent=parent, fifo=fifo
    )
    made = aws.sqs.Queue(
        f"{resource}-queue",
        name=queue_name(environment, service, purpose, fifo=fifo),
        fifo_queue=fifo or None,
        content_based_deduplication=fifo or None,
        kms_master_key_id=kms_key_arn,
        message_retention_seconds=KEPT_SECONDS,
        # Long polling: a consumer waits for messages instead of asking again and again.
        receive_wait_time_seconds=20,
        visibility_timeout_seconds=visibility_seconds,
        redrive_policy=pulumi.Output.json_dumps({"deadLetterTargetArn": failed.arn, "maxReceiveCount": attempts}),
        tags=tags,
        opts=mine,
    )
    aws.sqs.RedriveAllowPolicy(
        f"{resource}-dead-letters-source",
        queue_url=failed.url,
        redrive_allow_policy=pulumi.Output.json_dumps(
            {"redrivePermission": "byQueue", "sourceQueueArns": [made.arn]},
        ),
        opts=mine,
    )
    return Queue(made, failed)


def dead_letter_queue(
    resource: str,
    environment: str,
    service: str,
    purpose: str,
    *,
    kms_key_arn: pulumi.Input[str],
    tags: dict[str, pulumi.Input[str]] | None,
    parent: pulumi.Resource,
    fifo: bool = False,
) -> aws.sqs.Queue:
    """A queue that only keeps what failed; its policy refuses plain HTTP."""
    made = aws.sqs.Queue(
        f"{resource}-dead-letters",
        name=queue_name(environment, service, f"{purpose}-failed", fifo=fifo),
        fifo_queue=fifo or None,
        kms_master_key_id=kms_key_arn,
        message_retention_seconds=KEPT_SECONDS,
        tags=tags,
        opts=pulumi.ResourceOptions(parent=parent),
    )
    queue_policy(f"{resource}-dead-letters", made, [], parent)
    return made


def queue_policy(
    resource: str, queue: aws.sqs.Queue, allowed: Sequence[Statement], parent: pulumi.Resource
) -> aws.sqs.QueuePolicy:
    """The queue's policy: `allowed`, and no plain HTTP. A queue has one policy, so this is called once for each."""
    refusal: Statement = {
        "Sid": "RefusePlainHttp",
        "Effect": "Deny",
        "Principal": "*",
        "Action": ["sqs:*"],
        "Resource": [queue.arn],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return aws.sqs.QueuePolicy(
        f"{resource}-policy",
        queue_url=queue.url,
        policy=iam.document([refusal, *allowed]),
        opts=pulumi.ResourceOptions(parent=parent),
    )


def consume(queue_arn: pulumi.Input[str]) -> Statement:
    """Takes messages from the queue, keeps them hidden while it works, and deletes them."""
    return iam.allow(
        ["sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"],
        [queue_arn],
    )


def send(queue_arn: pulumi.Input[str]) -> Statement:
    """Puts messages on the queue."""
    return iam.allow(["sqs:SendMessage"], [queue_arn])


def read_backlog(queue_arn: pulumi.Input[str]) -> Statement:
    """Reads how many messages wait: what KEDA scales by."""
    return iam.allow(["sqs:GetQueueAttributes"], [queue_arn])
