"""What the stream core knows of a source: messages to fetch, and to acknowledge once they are safe."""

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol


class SourceError(Exception):
    """A service that is needed does not answer, or not as it should; trying again may help. One line."""


class Message(NamedTuple):
    """One message as it lies in its source."""

    id: str
    """Its idempotency key: the same for every delivery. Row i of it is predicted as `<id>-<i>`."""
    place: str
    """Where it lies, for people: `orders/3/1042` of Kafka, a message id of SQS."""
    body: bytes
    at: float
    """When the source got it, in seconds since 1970."""
    handle: Any
    """What the source needs to acknowledge it."""
    key: bytes | None = None
    """The producer's key, where the source has one; it goes on to the output topic."""


class Source(Protocol):
    """A queue, stream or topic. Everything may raise SourceError; what cannot be mended raises CommandError."""

    @property
    def behind(self) -> float:
        """How old what was not fetched yet is at least, in seconds, where the source says so; else 0."""
        ...

    async def open(self) -> None:
        """Connect. CommandError when there is no such source, or no access to it."""
        ...

    async def fetch(self, room: int) -> list[Message]:
        """At most about `room` messages, in the order in which each shard or partition has them.

        Waits a few seconds for some at most; none is no error.
        """
        ...

    async def acknowledge(self, messages: Sequence[Message]) -> None:
        """These are safe and need not come again: all that were fetched before them of their shards are too."""
        ...

    async def release(self, messages: Sequence[Message]) -> None:
        """These will not be finished here; others should get them soon."""
        ...

    async def close(self) -> None:
        """Disconnect, and let others have what was held."""
        ...


def message_id(identity: str) -> str:
    """The idempotency key of a message: 32 hex digits of the SHA-256 of `<kind of source>:<where it lies>`."""
    return hashlib.sha256(identity.encode()).hexdigest()[:32]
