"""A service's stream from outside: rows put where its worker takes them, and how deep its queues are."""

import http
import http.client
import json
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from release.aws import explained, sqs
from release.documents import part
from release.environment import Daemon, DeployedStream, Environment, read_daemon
from release.errors import SlipwayError

if TYPE_CHECKING:
    from mypy_boto3_sqs.literals import QueueAttributeNameType
    from mypy_boto3_sqs.type_defs import SendMessageBatchRequestEntryTypeDef

_BATCH = 10
"""Most messages of one request (SendMessageBatch)."""
_POLL_SECONDS = 0.2
_COUNTED: Sequence["QueueAttributeNameType"] = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")


def depth(environment: Environment, queue_url: str) -> int | None:
    """Messages of a queue that are not deleted, those that are being worked on included; None when it does not say."""
    if environment.is_local and (daemon := read_daemon(environment)):
        return _emulated_depth(daemon, queue_url)
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        answer = sqs(environment).get_queue_attributes(QueueUrl=queue_url, AttributeNames=_COUNTED)
    except (BotoCoreError, ClientError):
        return None
    return sum(int(count) for count in answer.get("Attributes", {}).values())


def _emulated_depth(daemon: Daemon, queue_url: str) -> int | None:
    """The emulation takes requests without a signature, and so without the half second that botocore takes to load:
    `slipway status` asks this. (SQS's JSON protocol; what the request is for stands in the credential's scope.)
    """
    headers = {
        "Content-Type": "application/x-amz-json-1.0",
        "X-Amz-Target": "AmazonSQS.GetQueueAttributes",
        "Authorization": f"AWS4-HMAC-SHA256 Credential=local/20000101/{daemon.region}/sqs/aws4_request",
    }
    body = json.dumps({"QueueUrl": queue_url, "AttributeNames": _COUNTED})
    connection = http.client.HTTPConnection(urlsplit(daemon.aws_endpoint).netloc, timeout=5)
    try:
        connection.request("POST", "/", body, headers)
        answer = connection.getresponse()
        found = part(json.loads(answer.read()), "Attributes")
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()
    return sum(map(int, found.values())) if answer.status == http.HTTPStatus.OK else None


def send_rows(environment: Environment, stream: DeployedStream, rows: Sequence[dict[str, Any]]) -> int:
    """Put each row into the stream as a message; how many were put.

    Raises:
        SlipwayError: the source takes none from here, or AWS refused some.
    """
    if stream.source != "sqs":
        kind = {"kinesis": "a Kinesis stream", "kafka": "a Kafka topic"}[stream.source]
        raise SlipwayError(
            "not-a-queue", f"events go into {kind} ({stream.url}), which its own producers write to", exit_code=2
        )
    from botocore.exceptions import BotoCoreError, ClientError

    client, sent = sqs(environment), 0
    try:
        for start in range(0, len(rows), _BATCH):
            entries: list[SendMessageBatchRequestEntryTypeDef] = [
                {"Id": str(number), "MessageBody": json.dumps({"rows": [row]})}
                for number, row in enumerate(rows[start : start + _BATCH])
            ]
            answer = client.send_message_batch(QueueUrl=stream.url, Entries=entries)
            sent += len(answer.get("Successful", ()))
            if failed := answer.get("Failed"):
                why = failed[0].get("Message") or failed[0].get("Code")
                raise SlipwayError("not-sent", f"{sent} of {len(rows)} rows were put; then AWS refused one: {why}")
    except (BotoCoreError, ClientError) as error:
        raise explained(error, environment, f"after {sent} of {len(rows)} rows") from error
    return sent


def wait_until_answered(environment: Environment, stream: DeployedStream, timeout_seconds: float) -> float:
    """Wait until the queue is empty; seconds that it took.

    Raises:
        SlipwayError: it is not in time.
    """
    began = time.monotonic()
    while left := depth(environment, stream.url):
        if time.monotonic() - began > timeout_seconds:
            raise SlipwayError(
                "not-answered",
                f"after {timeout_seconds:.0f} s, {left} messages are still in the queue",
                f"see: slipway status{environment.flag()}",
            )
        time.sleep(_POLL_SECONDS)
    return time.monotonic() - began
