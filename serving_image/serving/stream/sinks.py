"""Where results go: predictions to the event store, what cannot be predicted to the dead-letter queue."""

import asyncio
import base64
import os
import re
import time
from collections.abc import Sequence
from urllib.parse import urlsplit

from serving.stream.aws import Aws, each
from serving.stream.score import Scored

_BODY_BYTES = 180_000
"""What fits into an SQS message of 256 KiB as base64, beside its attributes."""
_NOT_TEXT = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What SQS takes neither in a message nor in an attribute (SendMessage, MessageBody)."""


class EventStore:
    """One Parquet object a window, below `uri`; it is there when `write` returns."""

    def __init__(self, aws: Aws, uri: str) -> None:
        self._aws, self._place = aws, urlsplit(uri)

    async def write(self, scored: Sequence[Scored]) -> None:
        """Write the predictions of a window."""
        for key, body in await asyncio.to_thread(self._files, scored):
            await self._aws.call("s3", "put_object", Bucket=self._place.netloc, Key=key, Body=body)

    def _files(self, scored: Sequence[Scored]) -> list[tuple[str, bytes]]:
        from serving.event_store import by_hour, key_below, parquet  # a third of a second, after the worker is ready

        name = f"{time.time_ns():020d}-{os.urandom(4).hex()}"
        rows = [row for each_ in scored for row in each_.captured]
        return [
            (key_below(self._place, partition, f"stream-{name}-{len(group)}.parquet"), parquet(group, "stream"))
            for partition, group in by_hour(rows)
        ]


class DeadLetters:
    """The SQS queue for messages that are refused: as they came, with the reason as an attribute."""

    def __init__(self, aws: Aws, url: str, source: str, model_version: str) -> None:
        self._aws, self._url = aws, url
        self._fixed = {"source": source, "model_version": model_version}

    async def write(self, scored: Sequence[Scored]) -> None:
        """Send each; attributes: reason, place, idempotency_key, source, model_version, and encoding where not text."""
        await each([lambda one=one: self._send(one) for one in scored])

    async def _send(self, refused: Scored) -> None:
        message = refused.message
        body, encoding = as_text(message.body)
        about = {
            **self._fixed,
            **encoding,
            "reason": refused.refused[:1000],
            "place": message.place,
            "idempotency_key": message.id,
        }
        attributes = {
            name: {"DataType": "String", "StringValue": _NOT_TEXT.sub("?", value)} for name, value in about.items()
        }
        await self._aws.call("sqs", "send_message", QueueUrl=self._url, MessageBody=body, MessageAttributes=attributes)


def as_text(body: bytes) -> tuple[str, dict[str, str]]:
    """A message as SQS can hold it, and what was done to it: `encoding: base64`, `cut: <bytes it had>`."""
    about: dict[str, str] = {}
    if len(body) > _BODY_BYTES:
        about["cut"] = str(len(body))
        body = body[:_BODY_BYTES]
    try:
        text = body.decode()
    except UnicodeDecodeError:
        text = ""
    if not text or _NOT_TEXT.search(text):
        return base64.b64encode(body).decode() or "-", {**about, "encoding": "base64"}
    return text, about
