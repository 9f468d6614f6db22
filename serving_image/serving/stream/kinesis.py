"""Records of a Kinesis stream: every shard is read by one worker, in order, and remembered as far as it is safe."""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from typing import Any

from serving.logs import Log
from serving.settings import Settings
from serving.stream.aws import Aws, AwsError, each, must
from serving.stream.leases import SHARD_END, LeaseLostError, Leases, Shard
from serving.stream.source import Message, SourceError, message_id

_READ_SECONDS = 0.25
"""Between two reads of a shard: Kinesis allows five a second, and somebody else may read too."""
_IDLE_SECONDS = 1.0
"""Between two reads when the last one brought nothing."""
_MOST = 10_000
"""Records of one read (GetRecords, Limit)."""


class KinesisSource:
    """The shards of the stream of `settings` that this worker has a lease on."""

    def __init__(self, aws: Aws, settings: Settings, log: Log) -> None:
        self._aws, self._log = aws, log
        self._stream, self._table = settings.stream_name or "", settings.stream_checkpoints or ""
        self._lease_seconds = settings.stream_lease_seconds
        self._leases = Leases(aws, self._table, settings.stream_lease_seconds)
        self._readers: dict[str, _Reader] = {}
        self._read_at = 0.0
        self._keeping: asyncio.Task[None] | None = None

    @property
    def behind(self) -> float:
        """How far the shard that is furthest behind is, in seconds."""
        return max((reader.behind for reader in self._readers.values()), default=0.0)

    async def open(self) -> None:
        """Look whether stream and table are there, and take the first leases."""
        stream = self._aws.call("kinesis", "describe_stream_summary", StreamName=self._stream)
        await must(stream, "SLIPWAY_STREAM_NAME", self._stream, "kinesis:DescribeStreamSummary on it")
        table = self._aws.call("dynamodb", "scan", TableName=self._table, Limit=1)
        await must(table, "SLIPWAY_STREAM_CHECKPOINTS", self._table, "dynamodb:Scan on it")
        with contextlib.suppress(SourceError):  # it is tried again and again anyway
            await self._leases.balance(await self._shards())
        self._keeping = asyncio.get_running_loop().create_task(self._keep_leases())

    async def fetch(self, room: int) -> list[Message]:
        """Records of all shards that are held, each shard's in order."""
        self._follow_leases()
        await asyncio.sleep(max(0.0, self._read_at - time.monotonic()))
        readers = [reader for reader in self._readers.values() if not reader.ended]
        most = min(_MOST, max(1, room // max(1, len(readers))))
        answers = await each([lambda reader=reader: self._read(reader, most) for reader in readers])
        found = [message for messages in answers for message in messages]
        self._read_at = time.monotonic() + (_READ_SECONDS if found else _IDLE_SECONDS)
        for reader in [reader for reader in self._readers.values() if reader.ended and not reader.in_hand]:
            await self._checkpoint(reader.shard, SHARD_END)
        return found

    async def acknowledge(self, messages: Sequence[Message]) -> None:
        """Remember the last of each shard; a shard that was read to its end is done."""
        last: dict[_Reader, str] = {}
        for message in messages:
            reader, sequence = message.handle
            last[reader] = sequence
        for reader, sequence in last.items():
            if self._readers.get(reader.shard) is reader:
                await self._checkpoint(reader.shard, sequence)
        for message in messages:
            message.handle[0].in_hand -= 1

    async def release(self, messages: Sequence[Message]) -> None:
        """They come again, for they are after the checkpoint."""

    async def close(self) -> None:
        """Give the leases to whoever wants them."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
        await self._leases.release()

    def _follow_leases(self) -> None:
        """One reader for each lease that is held."""
        held = self._leases.held
        for shard in [shard for shard in self._readers if shard not in held]:
            del self._readers[shard]
            self._log.info("a shard is read by another worker now", shard=shard)
        for shard, lease in held.items():
            if shard not in self._readers:
                self._readers[shard] = _Reader(shard, lease.checkpoint)
                self._log.info("reading a shard", shard=shard, after=lease.checkpoint or "its beginning")

    async def _read(self, reader: "_Reader", most: int) -> list[Message]:
        if not reader.iterator:
            start = {"ShardIteratorType": "TRIM_HORIZON"}
            if reader.position:
                start = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": reader.position}
            answer = await self._aws.call(
                "kinesis", "get_shard_iterator", StreamName=self._stream, ShardId=reader.shard, **start
            )
            reader.iterator = answer["ShardIterator"]
        try:
            answer = await self._aws.call("kinesis", "get_records", ShardIterator=reader.iterator, Limit=most)
        except AwsError as error:
            if error.code == "ProvisionedThroughputExceededException":
                return []
            reader.iterator = ""  # it expires after five minutes
            raise
        messages = [self._message(reader, record) for record in answer["Records"]]
        if messages:
            reader.position = messages[-1].handle[1]
        reader.in_hand += len(messages)
        reader.iterator = answer.get("NextShardIterator") or ""
        reader.ended = not reader.iterator
        reader.behind = answer.get("MillisBehindLatest", 0) / 1000
        return messages

    def _message(self, reader: "_Reader", record: dict[str, Any]) -> Message:
        sequence: str = record["SequenceNumber"]
        return Message(
            id=message_id(f"kinesis:{self._stream}/{reader.shard}/{sequence}"),
            place=f"{reader.shard}/{sequence}",
            body=record["Data"],
            at=record["ApproximateArrivalTimestamp"].timestamp(),
            handle=(reader, sequence),
            key=record["PartitionKey"].encode(),
        )

    async def _checkpoint(self, shard: str, sequence: str) -> None:
        try:
            await self._leases.checkpoint(shard, sequence)
        except LeaseLostError:
            self._readers.pop(shard, None)
            self._log.warning("a shard was taken over by another worker, which reads some records again", shard=shard)
            return
        if sequence == SHARD_END:
            self._readers.pop(shard, None)
            self._leases.held.pop(shard, None)
            self._log.info("a shard was read to its end", shard=shard)
            with contextlib.suppress(SourceError):  # its children may be read now
                await self._leases.balance(await self._shards())

    async def _keep_leases(self) -> None:
        """Renew three times in a lease, and look for shards to take once."""
        while True:
            for turn in range(3):
                await asyncio.sleep(self._lease_seconds / 3)
                try:
                    await self._leases.renew()
                    if turn == 2:
                        await self._leases.balance(await self._shards())
                except SourceError as error:
                    self._log.warning(f"the leases cannot be kept up: {error}")

    async def _shards(self) -> list[Shard]:
        found: list[Shard] = []
        which: dict[str, Any] = {"StreamName": self._stream}
        while True:
            answer = await self._aws.call("kinesis", "list_shards", **which)
            for shard in answer["Shards"]:
                parents = (shard.get("ParentShardId"), shard.get("AdjacentParentShardId"))
                found.append(Shard(shard["ShardId"], tuple(parent for parent in parents if parent)))
            if "NextToken" not in answer:
                return found
            which = {"NextToken": answer["NextToken"]}


class _Reader:
    """How far one shard has been read, which is further than what is safe."""

    def __init__(self, shard: str, position: str) -> None:
        self.shard, self.position = shard, position
        self.iterator = ""
        self.ended = False
        self.behind = 0.0
        self.in_hand = 0
        """Records that were fetched and not acknowledged."""
