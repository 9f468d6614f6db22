"""Messages of an SQS queue: hidden from others while they are worked on, deleted when they are safe."""

import asyncio
import base64
import contextlib
import re
import time
from collections.abc import Sequence
from typing import Any

from serving.settings import Settings
from serving.stream.aws import Aws, AwsError, each, must
from serving.stream.source import Message, SourceError, message_id

_POLL_SECONDS = 3
"""How long a request for messages waits for the first; the end of a worker may wait as long."""
_BATCH = 10
"""Most messages of one request."""
_REQUESTS = 8
"""Most requests at once."""
_GONE = {"ReceiptHandleIsInvalid", "MessageNotInflight", "InvalidParameterValue"}
"""The message is another worker's by now, or deleted: there is nothing left to do for it."""
_KEY = re.compile(r"[A-Za-z0-9._-]{1,100}")
"""An idempotency key that a producer may choose."""


class SqsSource:
    """The queue of `settings`. The more messages a request brings, the more requests are made at once."""

    behind = 0.0

    def __init__(self, aws: Aws, settings: Settings) -> None:
        self._aws, self._url = aws, settings.stream_queue_url or ""
        self._hidden_seconds = settings.stream_hidden_seconds
        self._requests = 1
        self._held: dict[str, float] = {}
        """Receipt of each message in hand -> when it was last hidden."""
        self._keeping: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Look whether the queue is there."""
        asked = self._aws.call("sqs", "get_queue_attributes", QueueUrl=self._url, AttributeNames=["QueueArn"])
        await must(asked, "SLIPWAY_STREAM_QUEUE_URL", self._url, "sqs:GetQueueAttributes on it")
        self._keeping = asyncio.get_running_loop().create_task(self._keep_hidden())

    async def fetch(self, room: int) -> list[Message]:
        """Messages as they come: SQS keeps no order."""
        requests = min(self._requests, -(-room // _BATCH))
        # One request alone waits for messages; more are made only while there are plenty, and do not.
        seconds = _POLL_SECONDS if requests == 1 else 0
        answers = await each([lambda: self._receive(min(room, _BATCH), seconds)] * requests)
        found = [message for messages in answers for message in messages]
        if len(found) >= requests * _BATCH:
            self._requests = min(_REQUESTS, 2 * self._requests)
        elif len(found) < requests * _BATCH / 2:
            self._requests = max(1, self._requests // 2)
        return found

    async def acknowledge(self, messages: Sequence[Message]) -> None:
        """Delete them."""
        await self._in_batches("delete_message_batch", [{"ReceiptHandle": each_.handle} for each_ in messages])
        for message in messages:
            self._held.pop(message.handle, None)

    async def release(self, messages: Sequence[Message]) -> None:
        """Show them to others at once."""
        await self._hide([message.handle for message in messages], 0)

    async def close(self) -> None:
        """Stop keeping messages hidden."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)

    async def _receive(self, most: int, seconds: int) -> list[Message]:
        answer = await self._aws.call(
            "sqs",
            "receive_message",
            QueueUrl=self._url,
            MaxNumberOfMessages=most,
            WaitTimeSeconds=seconds,
            VisibilityTimeout=self._hidden_seconds,
            MessageSystemAttributeNames=["SentTimestamp"],
            MessageAttributeNames=["idempotency_key", "encoding"],
        )
        now = time.monotonic()
        messages = [_message(each_) for each_ in answer.get("Messages", ())]
        self._held |= {message.handle: now for message in messages}
        return messages

    async def _keep_hidden(self) -> None:
        """Prolong what has been in hand for a third of its time, so that two tries may fail."""
        while True:
            await asyncio.sleep(self._hidden_seconds / 6)
            now = time.monotonic()
            due = [handle for handle, since in self._held.items() if now - since > self._hidden_seconds / 3]
            try:
                await self._hide(due, self._hidden_seconds)
            except SourceError:
                continue
            self._held |= {handle: now for handle in due if handle in self._held}

    async def _hide(self, handles: list[str], seconds: int) -> None:
        entries = [{"ReceiptHandle": handle, "VisibilityTimeout": seconds} for handle in handles]
        await self._in_batches("change_message_visibility_batch", entries)

    async def _in_batches(self, method: str, entries: list[dict[str, Any]]) -> None:
        """Call for ten at a time, several calls at once; what no longer is this worker's is let go."""
        batches = [entries[start : start + _BATCH] for start in range(0, len(entries), _BATCH)]
        answers = await each([lambda batch=batch: self._batch(method, batch) for batch in batches])
        failed = [one for answer in answers for one in answer.get("Failed", ()) if one.get("Code") not in _GONE]
        if failed:
            raise AwsError(f"sqs: {failed[0].get('Code')}: {failed[0].get('Message', '')}", failed[0].get("Code", ""))

    async def _batch(self, method: str, entries: list[dict[str, Any]]) -> Any:
        numbered = [{"Id": str(number), **entry} for number, entry in enumerate(entries)]
        return await self._aws.call("sqs", method, QueueUrl=self._url, Entries=numbered)


def _message(given: dict[str, Any]) -> Message:
    attributes = {name: value.get("StringValue", "") for name, value in given.get("MessageAttributes", {}).items()}
    body: bytes = given["Body"].encode()
    # A dead letter that was moved back to the queue is what it was before, by its key too.
    if attributes.get("encoding") == "base64":
        with contextlib.suppress(ValueError):
            body = base64.b64decode(body, validate=True)
    key = attributes.get("idempotency_key", "")
    return Message(
        id=key if _KEY.fullmatch(key) else message_id(f"sqs:{given['MessageId']}"),
        place=given["MessageId"],
        body=body,
        at=int(given["Attributes"]["SentTimestamp"]) / 1000,
        handle=given["ReceiptHandle"],
    )
