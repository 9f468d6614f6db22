"""Rows of a feature group to both of its tables: the offline one keeps all, the online one each entity's newest.

Everything can be done again: an offline file is called by its content, and an online row gives way to newer ones only.
"""

import hashlib
import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from botocore.exceptions import BotoCoreError, ClientError
from pyarrow import parquet

from release.aws import dynamodb, explained, s3
from release.environment import Environment
from release.errors import SlipwayError
from release.feature_groups import FeatureGroup

EXPIRY = "expires_at"
"""Attribute of an online row: the epoch second from which on it answers no more."""
_TYPES = {"string": "S", "bigint": "N", "double": "N", "boolean": "BOOL"}
_THREADS = 8
_CHUNK = 200
"""Rows that a thread writes before it looks whether another has ended."""


@dataclass
class Pushed:
    """What a push did."""

    rows: int = 0
    files: int = 0
    """Offline files written."""
    files_there: int = 0
    """Offline files that an earlier push of the same rows had written."""
    online: int = 0
    """Entities whose online row is now one of these."""
    older: int = 0
    """Entities whose online row was newer and stays."""
    expired: int = 0
    """Entities whose newest row here has outlived the group's TTL already."""

    def as_json(self) -> dict[str, int]:
        """For `--json`."""
        return asdict(self)


def push(
    environment: Environment, group: FeatureGroup, bucket: str, rows: pa.Table, progress: Callable[[str], None]
) -> Pushed:
    """Write checked rows; `progress` hears where it is.

    Raises:
        SlipwayError: AWS refused something, or the tables have another schema. It can be run again.
    """
    pushed = Pushed(rows=rows.num_rows)
    try:
        _check_schema(environment, group)
        _write_offline(environment, group, bucket, rows, pushed, progress)
        _write_online(environment, group, rows, pushed, progress)
    except (ClientError, BotoCoreError) as error:
        raise explained(error, environment, f"pushing to feature group {group.name}") from error
    return pushed


def _check_schema(environment: Environment, group: FeatureGroup) -> None:
    client = dynamodb(environment)
    arn = client.describe_table(TableName=group.table)["Table"].get("TableArn", "")
    tags = {tag["Key"]: tag["Value"] for tag in client.list_tags_of_resource(ResourceArn=arn).get("Tags", [])}
    found = tags.get("slipway:schema")
    if found != group.schema:
        raise SlipwayError(
            "schema-differs",
            f"table {group.table} has schema {found}, feature group {group.name} was deployed with {group.schema}",
            f"run: slipway up{environment.flag()}",
        )


def _write_offline(
    environment: Environment,
    group: FeatureGroup,
    bucket: str,
    rows: pa.Table,
    pushed: Pushed,
    progress: Callable[[str], None],
) -> None:
    client = s3(environment)
    days = _by_day(rows, group)
    for number, (day, part) in enumerate(days, 1):
        progress(f"offline: day {number} of {len(days)}")
        key = f"{group.prefix}date={day}/{_content_name(part)}.parquet"
        if client.list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1).get("KeyCount"):
            pushed.files_there += 1
            continue
        sink = pa.BufferOutputStream()
        parquet.write_table(part, sink, compression="zstd")
        client.put_object(Bucket=bucket, Key=key, Body=sink.getvalue().to_pybytes())
        pushed.files += 1


def _by_day(rows: pa.Table, group: FeatureGroup) -> list[tuple[str, pa.Table]]:
    """The rows of each day, in an order of their own, so that the same rows always make the same file."""
    ordered = rows.sort_by([(group.event_time, "ascending"), (group.key, "ascending")])
    moments: list[Any] = ordered[group.event_time].to_pylist()
    days = [moment.date().isoformat() for moment in moments]
    starts = [place for place, day in enumerate(days) if place == 0 or day != days[place - 1]]
    ends = [*starts[1:], len(days)]
    return [(days[start], ordered.slice(start, end - start)) for start, end in zip(starts, ends, strict=True)]


def _content_name(part: pa.Table) -> str:
    """A digest of the values, not of the Parquet bytes, which may differ from version to version."""
    seen = hashlib.sha256()
    for batch in part.to_batches(max_chunksize=10_000):
        seen.update(json.dumps(batch.to_pylist(), default=str, sort_keys=True).encode())
    return seen.hexdigest()[:32]


def _write_online(
    environment: Environment, group: FeatureGroup, rows: pa.Table, pushed: Pushed, progress: Callable[[str], None]
) -> None:
    newest: dict[Any, dict[str, Any]] = {}
    for row in rows.sort_by([(group.event_time, "ascending")]).to_pylist():
        newest[row[group.key]] = row
    items = [item for row in newest.values() if (item := online_item(group, row)) is not None]
    pushed.expired = len(newest) - len(items)
    client, lock, ended = dynamodb(environment), threading.Lock(), threading.Event()

    def write(part: list[dict[str, Any]]) -> None:
        written = 0
        for item in part:
            if ended.is_set():
                return
            written += _put(client, group, item)
        with lock:
            pushed.online += written
            pushed.older += len(part) - written
            progress(f"online: {pushed.online + pushed.older} of {len(items)} entities")

    parts = [items[start : start + _CHUNK] for start in range(0, len(items), _CHUNK)]
    with ThreadPoolExecutor(_THREADS) as threads:
        futures = [threads.submit(write, part) for part in parts]
        try:
            for future in wait(futures, return_when=FIRST_EXCEPTION).done:
                future.result()
        finally:
            ended.set()  # whatever it was that ended the wait, the others need not go on


def _put(client: Any, group: FeatureGroup, item: dict[str, Any]) -> bool:
    """Put an online row unless a newer one is there; one of the same time is replaced, so that it can be corrected."""
    try:
        client.put_item(
            TableName=group.table,
            Item=item,
            ConditionExpression="attribute_not_exists(#time) OR #time <= :time",
            ExpressionAttributeNames={"#time": group.event_time},
            ExpressionAttributeValues={":time": item[group.event_time]},
        )
    except client.exceptions.ConditionalCheckFailedException:
        return False
    return True


def online_item(group: FeatureGroup, row: dict[str, Any]) -> dict[str, Any] | None:
    """A row as DynamoDB's item, its event time in microseconds since 1970; None once it has expired."""
    moment: datetime = row[group.event_time].replace(tzinfo=UTC)
    seconds = int(moment.timestamp())
    item: dict[str, Any] = {group.event_time: {"N": str(seconds * 1_000_000 + moment.microsecond)}}
    if group.ttl_hours is not None:
        expires = seconds + 3600 * group.ttl_hours
        if expires <= time.time():
            return None
        item[EXPIRY] = {"N": str(expires)}
    for name, kind in group.columns.items():
        if name != group.event_time and row[name] is not None:
            item[name] = {_TYPES[kind]: row[name] if kind in {"string", "boolean"} else repr(row[name])}
    return item
