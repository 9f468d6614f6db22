"""How workers share the shards of a Kinesis stream: one row a shard in a DynamoDB table, every change conditional.

A row has `shard` (key), `owner`, `counter`, `checkpoint` (the last sequence number that is safe, or `SHARD_END`) and
`parents`. An owner raises `counter` again and again; a row whose counter has stood still for the lease's time, by the
clock of the one who looks, is taken over. Each change states the owner or the counter that it has seen, so that of two
workers one wins, and who has lost a shard learns it at the next renewal or checkpoint. Shards that came out of a split
or a merge are read when their parents have been read to the end, so that order within a key is kept.
"""

import os
import time
from collections.abc import Iterable
from typing import Any, NamedTuple

from serving.stream.aws import Aws, AwsError, each

SHARD_END = "SHARD_END"
_CONFLICT = "ConditionalCheckFailedException"


class Shard(NamedTuple):
    """A shard as Kinesis lists it."""

    id: str
    parents: tuple[str, ...]


class Lease(NamedTuple):
    """A row of the table."""

    shard: str
    owner: str
    counter: int
    checkpoint: str
    """Empty while nothing is safe yet."""
    parents: tuple[str, ...]


class LeaseLostError(Exception):
    """A shard is another worker's by now."""


class Leases:
    """The leases of one worker in `table`; `held` are those that it has, as far as it knows."""

    def __init__(self, aws: Aws, table: str, lease_seconds: float) -> None:
        self._aws, self._table, self._seconds = aws, table, lease_seconds
        self.worker = f"{os.environ.get('HOSTNAME', 'worker')}-{os.urandom(4).hex()}"
        self.held: dict[str, Lease] = {}
        self._seen: dict[str, tuple[int, float]] = {}
        """Shard -> the counter that was last seen, and when it was seen first."""

    async def scan(self) -> dict[str, Lease]:
        """Every row, by shard."""
        found: dict[str, Lease] = {}
        start: dict[str, Any] = {}
        while True:
            answer = await self._aws.call("dynamodb", "scan", TableName=self._table, ConsistentRead=True, **start)
            found |= {row["shard"]["S"]: _lease(row) for row in answer["Items"]}
            if "LastEvaluatedKey" not in answer:
                return found
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

    async def balance(self, shards: Iterable[Shard]) -> None:
        """Add rows of new shards, forget those of shards that are no more, take what is free or more than fair."""
        listed, rows = {shard.id: shard for shard in shards}, await self.scan()
        if new := [one for id_, one in listed.items() if id_ not in rows]:
            await each([lambda one=one: self._add(one) for one in new])
            rows = await self.scan()
        ended = [row for id_, row in rows.items() if id_ not in listed and row.checkpoint == SHARD_END]
        await each([lambda row=row: self._forget(row) for row in ended])
        rows = {id_: row for id_, row in rows.items() if id_ in listed}
        ready = [row for row in rows.values() if _is_ready(row, rows, listed)]
        now = time.monotonic()
        for row in rows.values():
            if self._seen.get(row.shard, (-1, 0.0))[0] != row.counter:
                self._seen[row.shard] = (row.counter, now)
        free = [row for row in ready if not row.owner or now - self._seen[row.shard][1] > self._seconds]
        others: dict[str, list[Lease]] = {}
        for row in ready:
            if row not in free and row.owner != self.worker:
                others.setdefault(row.owner, []).append(row)
        fair = -(-len(ready) // (len(others) + 1))
        wanted = [row for row in free if row.shard not in self.held][: max(0, fair - len(self.held))]
        if not wanted and not free and others and len(self.held) < fair:
            # One at a time, from who has most: two that steal at once do not make it worse than it was.
            most = max(others.values(), key=len)
            wanted = most[:1] if len(most) > len(self.held) + 1 else []
        await each([lambda row=row: self._take(row) for row in wanted])

    async def renew(self) -> None:
        """Show that this worker lives; leases that were lost are no longer held."""
        await each([lambda lease=lease: self._renew(lease) for lease in list(self.held.values())])

    async def checkpoint(self, shard: str, sequence: str) -> None:
        """Everything up to `sequence` is safe.

        Raises:
            LeaseLostError: the shard is another worker's; what was read of it is read again there.
        """
        await self._change(shard, "SET #value = :value", {"checkpoint": sequence})

    async def release(self) -> None:
        """Let others have what this worker holds, at once."""
        for shard in list(self.held):
            try:
                await self._change(shard, "SET #value = :value", {"owner": ""})
            except LeaseLostError:
                continue
            self.held.pop(shard, None)

    async def _change(self, shard: str, update: str, value: dict[str, str]) -> None:
        lease = self.held.get(shard)
        if lease is None:
            raise LeaseLostError(shard)
        ((name, new),) = value.items()
        names = {"#value": name, "#owner": "owner"}
        try:
            await self._update(shard, update, "#owner = :me", names, {":value": new, ":me": self.worker})
        except AwsError as error:
            if error.code != _CONFLICT:
                raise
            self.held.pop(shard, None)
            raise LeaseLostError(shard) from None
        if name == "checkpoint" and shard in self.held:
            self.held[shard] = self.held[shard]._replace(checkpoint=new)

    async def _renew(self, lease: Lease) -> None:
        names, values = {"#counter": "counter", "#owner": "owner"}, {":one": 1, ":me": self.worker}
        try:
            await self._update(lease.shard, "SET #counter = #counter + :one", "#owner = :me", names, values)
        except AwsError as error:
            if error.code != _CONFLICT:
                raise
            self.held.pop(lease.shard, None)

    async def _add(self, shard: Shard) -> None:
        item = {
            "shard": {"S": shard.id},
            "owner": {"S": ""},
            "counter": {"N": "0"},
            "checkpoint": {"S": ""},
            "parents": {"L": [{"S": parent} for parent in shard.parents]},
        }
        await self._quietly(
            self._aws.call(
                "dynamodb",
                "put_item",
                TableName=self._table,
                Item=item,
                ConditionExpression="attribute_not_exists(#shard)",
                ExpressionAttributeNames={"#shard": "shard"},
            )
        )

    async def _take(self, row: Lease) -> None:
        names = {"#owner": "owner", "#counter": "counter"}
        values: dict[str, str | int] = {":me": self.worker, ":seen": row.counter, ":next": row.counter + 1}
        update = self._update(row.shard, "SET #owner = :me, #counter = :next", "#counter = :seen", names, values)
        if await self._quietly(update):
            self.held[row.shard] = row._replace(owner=self.worker, counter=row.counter + 1)

    async def _forget(self, row: Lease) -> None:
        await self._aws.call("dynamodb", "delete_item", TableName=self._table, Key={"shard": {"S": row.shard}})

    async def _update(
        self, shard: str, update: str, condition: str, names: dict[str, str], values: dict[str, Any]
    ) -> Any:
        return await self._aws.call(
            "dynamodb",
            "update_item",
            TableName=self._table,
            Key={"shard": {"S": shard}},
            UpdateExpression=update,
            ConditionExpression=condition,
            ExpressionAttributeNames=names,
            ExpressionAttributeValues={
                name: {"N": str(value)} if isinstance(value, int) else {"S": value} for name, value in values.items()
            },
        )

    async def _quietly(self, call: Any) -> bool:
        """Whether a conditional change was made; another worker being first is no error."""
        try:
            await call
        except AwsError as error:
            if error.code != _CONFLICT:
                raise
            return False
        return True


def _is_ready(row: Lease, rows: dict[str, Lease], listed: dict[str, Shard]) -> bool:
    """Whether a shard may be read: it is not at its end, and its parents are, or are no more."""
    if row.checkpoint == SHARD_END:
        return False
    return all(
        parent not in listed or (parent in rows and rows[parent].checkpoint == SHARD_END) for parent in row.parents
    )


def _lease(row: dict[str, Any]) -> Lease:
    return Lease(
        shard=row["shard"]["S"],
        owner=row["owner"]["S"],
        counter=int(row["counter"]["N"]),
        checkpoint=row["checkpoint"]["S"],
        parents=tuple(parent["S"] for parent in row["parents"]["L"]),
    )
