"""Feature groups as an environment has them, and what was ever pushed to them."""

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from release.environment import Deployed, Environment, open_environment, read_deployed
from release.errors import SlipwayError

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class FeatureGroup:
    """A feature group: where its rows are kept, and their one schema."""

    name: str
    table: str
    """DynamoDB table of the online rows."""
    prefix: str
    """Where the offline rows begin in the warehouse bucket, ending in `/`."""
    key: str
    event_time: str
    columns: dict[str, str]
    """Column -> Glue type, key and event time included."""
    ttl_hours: int | None
    schema: str
    """Digest of the schema, which both tables carry."""


def feature_group(deployed: Deployed, environment: Environment, name: str) -> FeatureGroup:
    """The group called `name`; an unknown one is refused with those that there are."""
    groups: dict[str, dict[str, Any]] = deployed.outputs.get("feature_groups") or {}
    if name in groups:
        given = groups[name]
        return FeatureGroup(
            name=name,
            table=given["table"],
            prefix=given["prefix"],
            key=given["key"],
            event_time=given["event_time"],
            columns=dict(given["columns"]),
            ttl_hours=given["ttl_hours"] and int(given["ttl_hours"]),
            schema=given["schema"],
        )
    from difflib import get_close_matches

    near = get_close_matches(name, groups, n=1)
    there = f"it has {', '.join(sorted(groups))}" if groups else "it has none"
    hint = f"did you mean {near[0]!r}?" if near else "groups are `slipway:platform.feature_groups` of its config"
    raise SlipwayError(
        "unknown-feature-group", f"there is no feature group {name!r} in {environment.name}: {there}", hint, exit_code=2
    )


def offline_rows(group: str, env: str = "local", *, first: date | None = None, last: date | None = None) -> "pa.Table":
    """Every row that was ever pushed to a feature group of an environment, oldest first, for a training set.

    `first` and `last` are days, both included, outside which rows need not be read. A row that was pushed twice is
    there once.

    Raises:
        SlipwayError: there is no such group, or the warehouse cannot be read.
    """
    import pyarrow as pa
    from botocore.exceptions import BotoCoreError, ClientError
    from pyarrow import parquet

    from release.aws import explained, s3

    environment = open_environment(env)
    deployed = read_deployed(environment)
    found = feature_group(deployed, environment, group)
    bucket, client = deployed.require("warehouse_bucket", environment), s3(environment)
    tables = [offline_schema(found).empty_table()]
    try:
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=found.prefix):
            for entry in page.get("Contents", []):
                key = entry.get("Key", "")
                day = key.removeprefix(f"{found.prefix}date=")[:10]
                if (first and day < first.isoformat()) or (last and day > last.isoformat()):
                    continue
                body = client.get_object(Bucket=bucket, Key=key)["Body"].read()
                tables.append(parquet.read_table(pa.BufferReader(body)).cast(offline_schema(found)))
    except (ClientError, BotoCoreError) as error:
        raise explained(error, environment, f"reading feature group {group}") from error
    rows = pa.concat_tables(tables)
    once = rows.group_by(rows.column_names, use_threads=False).aggregate([])
    return once.sort_by([(found.event_time, "ascending"), (found.key, "ascending")])


def offline_schema(group: FeatureGroup) -> "pa.Schema":
    """How the group's rows lie in Parquet."""
    import pyarrow as pa

    types = {
        "string": pa.string(),
        "bigint": pa.int64(),
        "double": pa.float64(),
        "boolean": pa.bool_(),
        "timestamp": pa.timestamp("us"),
    }
    return pa.schema([(name, types[kind]) for name, kind in group.columns.items()])
