"""Shards of an emulated Kinesis stream, shared among workers by leases in an emulated DynamoDB table."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, cast

import boto3
import pytest
from msgspec import structs
from serving.exits import CommandError, Exit
from serving.logs import Log
from serving.settings import Settings
from serving.stream.aws import Aws
from serving.stream.kinesis import KinesisSource
from serving.stream.leases import SHARD_END, LeaseLostError, Leases, Shard
from serving.stream.source import Message, message_id
from serving_packages import write_package
from stream_support import CAPTURED, Lives, Queue, captured, emulated_aws, rows
from waiting import until

SETTINGS = Settings(stream_name="events", stream_checkpoints="checkpoints", stream_lease_seconds=0.3)
QUIET = Log("error")
NOW = datetime.now(UTC)


@pytest.fixture(autouse=True)
def kinesis() -> Iterator[Any]:
    """A client of a Kinesis where the stream `events` has two shards, beside an empty table `checkpoints`."""
    with emulated_aws():
        client: Any = cast("Any", boto3).client("kinesis")
        client.create_stream(StreamName="events", ShardCount=2)
        boto3.client("dynamodb").create_table(
            TableName="checkpoints",
            KeySchema=[{"AttributeName": "shard", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "shard", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        yield client


def put(client: Any, bodies: list[str], keys: int = 20) -> dict[str, str]:
    """Message id of each record -> its body."""
    records = [{"Data": body.encode(), "PartitionKey": f"key-{i % keys}"} for i, body in enumerate(bodies)]
    answer = client.put_records(StreamName="events", Records=records)["Records"]
    places = (f"kinesis:events/{each['ShardId']}/{each['SequenceNumber']}" for each in answer)
    return {message_id(place): body for place, body in zip(places, bodies, strict=True)}


def go(work: Callable[[Aws], Awaitable[None]]) -> None:
    async def run() -> None:
        aws = Aws()
        try:
            await work(aws)
        finally:
            aws.close()

    asyncio.run(run())


async def read(source: KinesisSource, count: int) -> list[Message]:
    """So many records, however many fetches it takes."""
    found: list[Message] = []
    end = time.monotonic() + 30
    while len(found) < count:
        assert time.monotonic() < end, f"{len(found)} of {count}"
        found += await source.fetch(1000)
    return found


def test_what_was_not_acknowledged_comes_again_with_the_same_ids_in_order(kinesis: Any) -> None:
    sent = put(kinesis, rows(0, 30))

    async def work(aws: Aws) -> None:
        first = KinesisSource(aws, SETTINGS, QUIET)
        await first.open()
        taken = await read(first, 30)
        assert {message.id: message.body.decode() for message in taken} == sent
        shards: dict[str, list[str]] = {}
        for message in taken:
            shards.setdefault(message.place.split("/")[0], []).append(message.place)
        assert len(shards) == 2
        assert all(places == sorted(places, key=lambda place: int(place.split("/")[1])) for places in shards.values())
        done = [message for shard in shards.values() for message in taken if message.place in shard[:5]]
        await first.acknowledge(done)
        await first.close()
        second = KinesisSource(aws, SETTINGS, QUIET)
        await second.open()
        again = await read(second, 20)
        assert {message.id for message in again} == sent.keys() - {message.id for message in done}
        await second.close()

    go(work)


def test_workers_share_shards_and_take_over_those_of_a_dead_one() -> None:
    shards = [Shard(f"s{i}", ()) for i in range(4)]

    async def work(aws: Aws) -> None:
        first, second = (Leases(aws, "checkpoints", 0.3) for _ in range(2))
        await first.balance(shards)
        assert set(first.held) == {"s0", "s1", "s2", "s3"}
        for _ in range(4):  # one is stolen at a time, from a worker that lives
            await second.balance(shards)
            await first.renew()
        assert (len(first.held), len(second.held)) == (2, 2)
        assert not first.held.keys() & second.held.keys()
        mine = next(iter(first.held))
        await first.checkpoint(mine, "17")
        for _ in range(2):  # the first one is silent for longer than a lease
            await second.balance(shards)
            await asyncio.sleep(0.35)
            await second.renew()
        await second.balance(shards)
        assert len(second.held) == 4
        assert second.held[mine].checkpoint == "17"
        with pytest.raises(LeaseLostError):
            await first.checkpoint(mine, "18")
        await first.renew()
        assert first.held == {}
        assert (await second.scan())[mine].checkpoint == "17"
        await second.release()
        assert {row.owner for row in (await second.scan()).values()} == {""}

    go(work)


class Resharded(Aws):
    """AWS whose stream was split and merged: 0 into 1 and 2, those into 3. The emulation never ends a shard."""

    parents: ClassVar = {"s0": [], "s1": ["s0"], "s2": ["s0"], "s3": ["s1", "s2"]}

    async def call(self, service: str, method: str, **arguments: Any) -> Any:
        if method == "list_shards":
            names = ("ParentShardId", "AdjacentParentShardId")
            shards = self.parents.items()
            return {"Shards": [{"ShardId": one, **dict(zip(names, of, strict=False))} for one, of in shards]}
        if method == "get_shard_iterator":
            return {"ShardIterator": f"{arguments['ShardId']} {arguments.get('StartingSequenceNumber', '')}"}
        if method != "get_records":
            return await super().call(service, method, **arguments)
        shard, after = arguments["ShardIterator"].split(" ")
        record = {"SequenceNumber": "1", "Data": b"{}", "ApproximateArrivalTimestamp": NOW, "PartitionKey": "k"}
        answer = {"Records": [] if after else [record], "MillisBehindLatest": 0}
        return answer if after or shard != "s3" else answer | {"NextShardIterator": f"{shard} 1"}


def test_shards_of_a_split_and_a_merge_are_read_after_their_parents() -> None:
    async def work(_: Aws) -> None:
        source = KinesisSource(Resharded(), SETTINGS, QUIET)
        await source.open()
        generations: list[set[str]] = []
        for size in (1, 2, 1):
            found = await read(source, size)
            assert await source.fetch(100) == []  # children wait until what was read of their parents is safe
            generations.append({message.place for message in found})
            await source.acknowledge(found)
        assert generations == [{"s0/1"}, {"s1/1", "s2/1"}, {"s3/1"}]
        kept = await Leases(Aws(), "checkpoints", 1).scan()
        assert {row.shard: row.checkpoint for row in kept.values()} == dict.fromkeys(("s0", "s1", "s2"), SHARD_END) | {
            "s3": "1"
        }
        await source.close()

    go(work)


def test_a_stream_or_table_that_is_not_there_is_named() -> None:
    async def work(aws: Aws) -> None:
        for change, name in (
            ({"stream_name": "other"}, "SLIPWAY_STREAM_NAME: other"),
            ({"stream_checkpoints": "other"}, "SLIPWAY_STREAM_CHECKPOINTS: other"),
        ):
            with pytest.raises(CommandError, match=name) as caught:
                await KinesisSource(aws, structs.replace(SETTINGS, **change), QUIET).open()
            assert caught.value.code == Exit.NOT_FOUND

    go(work)


def test_kills_lose_no_record(kinesis: Any, tmp_path: Path) -> None:
    chance, sent = random.Random(3), dict[str, str]()
    lives = Lives(
        model_dir=write_package(tmp_path / "package"),
        stream_source="kinesis",
        stream_name="events",
        stream_checkpoints="checkpoints",
        stream_lease_seconds=0.3,
        stream_window_seconds=0.05,
        stream_window_messages=10,
        stream_dead_letters_url=Queue("failed").url,
        capture_uri=f"s3://{CAPTURED}/delay/",
    )
    try:
        for life in range(5):
            sent |= put(kinesis, rows(10 * life, 10))
            worker = lives.start()
            time.sleep(chance.uniform(0.2, 0.9))
            lives.end(worker, "kill")
        worker = lives.start()
        until(lambda: {row["prediction_id"] for row in captured()} == {f"{key}-0" for key in sent}, 60)
        lives.end(worker, "term")
    finally:
        lives.close()
    for row in captured():
        assert f'"temp": {dict(row["numeric"])["temp"]}' in sent[row["prediction_id"].removesuffix("-0")]
