"""Stream workers on a real Kafka broker: killed, joined by others, ended; and what needs no broker to be seen."""

import asyncio
import base64
import json
import random
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiokafka
import pytest
from kafka_broker import broker
from msgspec import structs
from serving.exits import CommandError, Exit
from serving.logs import Log
from serving.settings import Settings
from serving.stream.kafka import KafkaSource, MskToken
from serving.stream.source import message_id
from serving_packages import write_package
from stream_support import CAPTURED, Lives, Queue, captured, emulated_aws, rows
from waiting import until

SETTINGS = Settings(stream_brokers="127.0.0.1:1", stream_security="none", stream_topic="events", stream_group="group")
kafka: Any = aiokafka


def put(brokers: str, bodies: list[str]) -> dict[str, str]:
    """Id of each record -> its body."""

    async def run() -> dict[str, str]:
        producer = kafka.AIOKafkaProducer(bootstrap_servers=brokers)
        await producer.start()
        try:
            sent: dict[str, str] = {}
            for i, body in enumerate(bodies):
                there = await producer.send_and_wait("events", body.encode(), key=f"key-{i % 5}".encode())
                sent[message_id(f"kafka:events/{there.partition}/{there.offset}")] = body
            return sent
        finally:
            await producer.stop()

    return asyncio.run(run())


def take(brokers: str, topic: str, count: int) -> list[Any]:
    """So many records of a topic, from its beginning."""

    async def run() -> list[Any]:
        consumer = kafka.AIOKafkaConsumer(topic, bootstrap_servers=brokers, auto_offset_reset="earliest")
        await consumer.start()
        try:
            found: list[Any] = []
            async with asyncio.timeout(30):
                while len(found) < count:
                    for records in (await consumer.getmany(timeout_ms=500)).values():
                        found += records
            return found
        finally:
            await consumer.stop()

    return asyncio.run(run())


@pytest.mark.integration
def test_kills_and_rebalances_lose_no_record(tmp_path: Path) -> None:
    """Workers come, go and are killed while records arrive: each is predicted, by one id, and told to the output."""
    chance = random.Random(5)
    with broker(tmp_path) as brokers, emulated_aws():
        failed = Queue("failed")
        sent = put(brokers, [*rows(0, 20), "not json"])
        poison = next(key for key, body in sent.items() if body == "not json")
        lives = Lives(
            model_dir=write_package(tmp_path / "package"),
            stream_source="kafka",
            stream_brokers=brokers,
            stream_security="none",
            stream_topic="events",
            stream_group="group",
            stream_output_topic="predictions",
            stream_window_seconds=0.05,
            stream_lease_seconds=2,
            stream_dead_letters_url=failed.url,
            capture_uri=f"s3://{CAPTURED}/delay/",
        )
        try:
            steady = lives.start()
            for life in range(3):
                worker = lives.start()
                sent |= put(brokers, rows(20 + 10 * life, 10))
                time.sleep(chance.uniform(0.3, 1.0))
                lives.end(worker, ("term", "kill", "term")[life])
            good = {f"{key}-0": body for key, body in sent.items() if key != poison}
            until(lambda: {row["prediction_id"] for row in captured()} >= good.keys(), 90)
            lives.end(steady, "term")
        finally:
            lives.close()
        for row in captured():
            assert f'"temp": {dict(row["numeric"])["temp"]}' in good[row["prediction_id"]]
        assert {letter["idempotency_key"] for letter in failed.take()} == {poison}
        told = take(brokers, "predictions", len(good))
        assert {json.loads(each.value)["predictions"][0]["prediction_id"] for each in told} == good.keys()
        assert {each.key for each in told} == {f"key-{i}".encode() for i in range(5)}


def test_msk_is_asked_with_a_signed_token(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "DEFAULT_REGION": "eu-west-1",
        "ACCESS_KEY_ID": "AKIDEXAMPLE",
        "SECRET_ACCESS_KEY": "s",
    }.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    token = asyncio.run(MskToken().token())
    signed = urlsplit(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode())
    asked = parse_qs(signed.query)
    assert (signed.netloc, asked["Action"]) == ("kafka.eu-west-1.amazonaws.com", ["kafka-cluster:Connect"])
    assert asked["X-Amz-Credential"][0].startswith("AKIDEXAMPLE/")
    assert {"X-Amz-Signature", "X-Amz-Expires"} <= asked.keys()


class FakeConsumer:
    """A group's member in memory. It shows the order of this worker's calls, not what a broker makes of them."""

    def __init__(self) -> None:
        self.committed: dict[Any, int] = {}
        self.assigned = {"p0", "p1"}
        self.records: dict[str, list[Any]] = {}
        self.listener: Any = None

    def subscribe(self, topics: Any, listener: Any) -> None:
        self.listener = listener

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        pass

    async def getmany(self, *, timeout_ms: int, max_records: int) -> Any:
        await asyncio.sleep(0)
        found, self.records = self.records, {}
        return found

    async def commit(self, offsets: Any) -> None:
        self.committed |= offsets

    def assignment(self) -> Any:
        return self.assigned

    def partitions_for_topic(self, topic: str) -> Any:
        return {0, 1} if topic == "events" else None


class Record:
    """A record at an offset of a partition."""

    topic, value, key, timestamp = "events", b"{}", None, 1000

    def __init__(self, partition: int, offset: int) -> None:
        self.partition, self.offset = partition, offset


def test_partitions_are_handed_over_when_what_is_in_hand_is_committed() -> None:
    async def run() -> None:
        consumer = FakeConsumer()
        source = KafkaSource(SETTINGS, Log("error"), consumer)
        await source.open()
        consumer.records = {"p0": [Record(0, 7), Record(0, 8)], "p1": [Record(1, 3)], "p2": [Record(2, 1)]}
        messages = await source.fetch(10)
        assert [message.place for message in messages] == ["events/0/7", "events/0/8", "events/1/3"]
        leaving = asyncio.create_task(consumer.listener.on_partitions_revoked(()))
        await asyncio.sleep(0)
        assert await source.fetch(10) == [], "nothing more is taken while partitions move"
        assert not leaving.done()
        await source.acknowledge(messages[:1])
        assert not leaving.done()
        consumer.assigned = {"p0"}
        await source.acknowledge(messages[1:])
        await leaving
        assert consumer.committed == {"p0": 9}, "another's partition is not committed"
        await consumer.listener.on_partitions_assigned(())
        consumer.records = {"p0": [Record(0, 9)]}
        assert [message.place for message in await source.fetch(10)] == ["events/0/9"]

    asyncio.run(run())


@pytest.mark.parametrize(
    ("change", "consumer", "code", "says"),
    [
        ({"stream_topic": "other"}, FakeConsumer(), Exit.NOT_FOUND, "SLIPWAY_STREAM_TOPIC: other: there is no such"),
        ({"stream_brokers": "broker.example:9092"}, None, Exit.CONFIG, "none is for brokers on loopback only"),
        ({}, None, Exit.UNAVAILABLE, "SLIPWAY_STREAM_BROKERS: 127.0.0.1:1"),
    ],
)
def test_what_cannot_be_reached_is_named(change: dict[str, Any], consumer: Any, code: Exit, says: str) -> None:
    async def run() -> None:
        with pytest.raises(CommandError, match=says) as caught:
            await KafkaSource(structs.replace(SETTINGS, **change), Log("error"), consumer).open()
        assert caught.value.code == code

    asyncio.run(run())
