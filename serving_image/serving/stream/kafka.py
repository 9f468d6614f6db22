"""Records of a Kafka topic, as a member of a consumer group; predictions go to another topic where one is set.

Offsets are committed only for what is safe. When partitions are about to move to another worker, what is in hand is
finished first, so that the other one begins where this one ended.
"""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol, cast

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener
from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import (
    AuthenticationFailedError,
    CommitFailedError,
    GroupAuthorizationFailedError,
    IllegalStateError,
    KafkaError,
    TopicAuthorizationFailedError,
)

from serving.exits import CommandError, Exit
from serving.logs import Log
from serving.settings import Settings
from serving.stream.score import Scored
from serving.stream.source import Message, SourceError, message_id

_POLL_SECONDS = 1
_HANDOVER_SECONDS = 20
"""How long partitions that move wait for what is in hand of them."""
_LONGEST_WAIT_SECONDS = 3600
"""How long a worker that waits for the event store may fetch nothing and stay in its group."""
_LOOPBACK = ("127.0.0.1:", "localhost:", "[::1]:")


class Consumer(Protocol):
    """What is used of an AIOKafkaConsumer."""

    def subscribe(self, topics: Sequence[str], listener: Any) -> None:
        """Join the group's share of some topics."""
        ...

    async def start(self) -> None:
        """Connect."""
        ...

    async def stop(self) -> None:
        """Leave the group."""
        ...

    async def getmany(self, *, timeout_ms: int, max_records: int) -> Mapping[Any, Sequence[Any]]:
        """Records by partition."""
        ...

    async def commit(self, offsets: Mapping[Any, int]) -> None:
        """Remember the next offset of each partition."""
        ...

    def assignment(self) -> Iterable[Any]:
        """The partitions that are this member's."""
        ...

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        """Partitions of a topic; None when there is no such topic."""
        ...


class KafkaSource:
    """The partitions of the topic of `settings` that the group gives to this worker."""

    behind = 0.0

    def __init__(self, settings: Settings, log: Log, consumer: Consumer | None = None) -> None:
        self._settings, self._log = settings, log
        self._topic = settings.stream_topic or ""
        self._consumer = consumer
        self._in_hand = 0
        self._handing_over = False
        self._settled = asyncio.Event()

    async def open(self) -> None:
        """Join the group."""
        if self._consumer is None:
            self._consumer = _consumer(self._settings)
        consumer = self._consumer
        consumer.subscribe([self._topic], listener=_Listener(self))
        where = f"SLIPWAY_STREAM_BROKERS: {self._settings.stream_brokers}"
        try:
            await self._start(consumer)
        except (AuthenticationFailedError, GroupAuthorizationFailedError, TopicAuthorizationFailedError) as error:
            raise CommandError(Exit.DENIED, f"{where}: {error!r}") from None
        except (KafkaError, OSError) as error:
            raise CommandError(Exit.UNAVAILABLE, f"{where}: {error!r}") from None

    async def fetch(self, room: int) -> list[Message]:
        """Records of all partitions, each partition's in order."""
        if self._handing_over:
            await asyncio.sleep(0.05)
            return []
        async with _as_source_errors():
            answer = await self._open_consumer.getmany(timeout_ms=_POLL_SECONDS * 1000, max_records=room)
        mine = set(self._open_consumer.assignment())
        messages = [_message(each, record) for each, found in answer.items() if each in mine for record in found]
        self._in_hand += len(messages)
        return messages

    async def acknowledge(self, messages: Sequence[Message]) -> None:
        """Commit the offset after the last of each partition that is still this worker's."""
        mine = set(self._open_consumer.assignment())
        offsets = {message.handle[0]: message.handle[1] + 1 for message in messages if message.handle[0] in mine}
        if offsets:
            try:
                async with _as_source_errors():
                    await self._open_consumer.commit(offsets)
            except _MovedError:
                self._log.warning("partitions moved to another worker, which reads some records again")
        self._in_hand -= len(messages)
        self._settle()

    async def release(self, messages: Sequence[Message]) -> None:
        """They come again, for their offsets are not committed."""
        self._in_hand -= len(messages)
        self._settle()

    async def close(self) -> None:
        """Leave the group, so that others get the partitions at once."""
        if self._consumer is not None:
            async with _as_source_errors():
                await self._consumer.stop()

    async def hand_over(self) -> None:
        """Finish what is in hand before partitions move, within a time that the group allows."""
        self._handing_over = True
        self._settled.clear()
        self._settle()
        try:
            async with asyncio.timeout(_HANDOVER_SECONDS):
                await self._settled.wait()
        except TimeoutError:
            self._log.warning(f"{self._in_hand} messages in hand will be read again by another worker")

    def go_on(self, partitions: Iterable[Any]) -> None:
        """Read what is this worker's now."""
        self._handing_over = False
        self._log.info("reading partitions", partitions=sorted(each.partition for each in partitions))

    async def _start(self, consumer: Consumer) -> None:
        try:
            await consumer.start()
            if consumer.partitions_for_topic(self._topic) is None:
                raise CommandError(Exit.NOT_FOUND, f"SLIPWAY_STREAM_TOPIC: {self._topic}: there is no such topic")
        except BaseException:
            await consumer.stop()
            raise

    @property
    def _open_consumer(self) -> Consumer:
        assert self._consumer is not None  # noqa: S101 - `open` comes first
        return self._consumer

    def _settle(self) -> None:
        if self._in_hand <= 0:
            self._settled.set()


class OutputTopic:
    """The topic that predictions go to besides the event store, each with its message's key."""

    def __init__(self, settings: Settings, topic: str) -> None:
        self._settings, self._topic = settings, topic
        self._producer: Any = None

    async def write(self, scored: Sequence[Scored]) -> None:
        """Send what each message was answered; it is with all replicas when this returns."""
        async with _as_source_errors():
            if self._producer is None:
                producer: Any = AIOKafkaProducer(**_connection(self._settings), enable_idempotence=True)
                await producer.start()
                self._producer = producer
            sent = [
                await self._producer.send(
                    self._topic,
                    msgspec.json.encode({"model_version": each.captured[0].model_version, "predictions": each.answers}),
                    key=each.message.key,
                    headers=[("idempotency_key", each.message.id.encode())],
                )
                for each in scored
            ]
            await asyncio.gather(*sent)


class _MovedError(Exception):
    """The partitions are another member's by now."""


class _Listener(ConsumerRebalanceListener):
    """Coroutines are what the library's documentation allows, though its annotations do not say so."""

    def __init__(self, source: KafkaSource) -> None:
        self._source = source

    async def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:  # noqa: ARG002 # pyright: ignore[reportIncompatibleMethodOverride]
        await self._source.hand_over()

    async def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        self._source.go_on(assigned)


class MskToken(AbstractTokenProvider):
    """Signs in to MSK with the pod's role."""

    async def token(self) -> str:  # pyright: ignore[reportIncompatibleMethodOverride] - see `_Listener`
        """A signed URL, which the brokers ask in the pod's name; valid for 15 minutes."""
        from aws_msk_iam_sasl_signer import MSKAuthTokenProvider

        def sign() -> str:
            import botocore.session

            region: Any = botocore.session.get_session().get_config_variable("region")
            return cast("Any", MSKAuthTokenProvider).generate_auth_token(region)[0]

        return await asyncio.to_thread(sign)


def _consumer(settings: Settings) -> Consumer:
    made: Any = AIOKafkaConsumer(
        **_connection(settings),
        group_id=settings.stream_group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        session_timeout_ms=int(1000 * settings.stream_lease_seconds),
        heartbeat_interval_ms=int(100 * settings.stream_lease_seconds),
        rebalance_timeout_ms=2 * _HANDOVER_SECONDS * 1000,
        max_poll_interval_ms=_LONGEST_WAIT_SECONDS * 1000,
    )
    return made


def _connection(settings: Settings) -> dict[str, Any]:
    brokers = (settings.stream_brokers or "").split(",")
    if settings.stream_security == "none":
        if not all(broker.startswith(_LOOPBACK) for broker in brokers):
            raise CommandError(Exit.CONFIG, "SLIPWAY_STREAM_SECURITY: none is for brokers on loopback only")
        return {"bootstrap_servers": brokers}
    encrypted = {"bootstrap_servers": brokers, "ssl_context": ssl.create_default_context()}
    if settings.stream_security == "tls":
        return {**encrypted, "security_protocol": "SSL"}
    sign_in = {"sasl_mechanism": "OAUTHBEARER", "sasl_oauth_token_provider": MskToken()}
    return {**encrypted, **sign_in, "security_protocol": "SASL_SSL"}


@asynccontextmanager
async def _as_source_errors() -> AsyncGenerator[None]:
    try:
        yield
    except (CommitFailedError, IllegalStateError) as error:
        raise _MovedError(str(error)) from None
    except (KafkaError, OSError) as error:
        raise SourceError(f"kafka: {error!r}") from None


def _message(partition: Any, record: Any) -> Message:
    place = f"{record.topic}/{record.partition}/{record.offset}"
    return Message(
        id=message_id(f"kafka:{place}"),
        place=place,
        body=record.value or b"",
        at=record.timestamp / 1000,
        handle=(partition, record.offset),
        key=record.key,
    )
