"""One schema for a feature group, from which both its online table and its offline table are derived."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import NotRequired, TypedDict

import pulumi

from components.iam import Statement, allow
from components.place import Place
from components.tables import Table

TYPES = {"string": "S", "bigint": "N", "double": "N", "boolean": "BOOL"}
"""Glue type -> DynamoDB type."""
KEY_TYPES = ("string", "bigint")
"""Types that DynamoDB takes as a key and that are equal when they look equal (a double may not be)."""
EXPIRY = "expires_at"
"""Online attribute with the epoch second after which DynamoDB deletes the row."""

_COLUMN = re.compile(r"[a-z_][a-z0-9_]{0,62}")


class FeatureGroupArgs(TypedDict):
    """Features of one kind of entity."""

    key: str
    """Column that names the entity; one of `features`, or a string when it is not listed there."""
    features: dict[str, str]
    """Column -> Glue type: `string`, `bigint`, `double` or `boolean`."""
    event_time: NotRequired[str]
    """Column that says when the values became known. Default `event_time`."""
    ttl_hours: NotRequired[int]
    """How long a row answers online. Default: until it is overwritten."""


class OnlineTableArgs(TypedDict):
    """Where a service looks a group's features up."""

    table: pulumi.Input[str]
    """DynamoDB table."""
    key: str
    """Column that names the entity."""
    key_type: str
    """Glue type of that column: `string` or `bigint`."""


def online_table(group: str, spec: FeatureGroupArgs, table: pulumi.Input[str]) -> OnlineTableArgs:
    """What a service is told about the group, whose online table is `table`."""
    return {"table": table, "key": spec["key"], "key_type": columns(group, spec)[spec["key"]]}


def lookup_variables(tables: Mapping[str, OnlineTableArgs]) -> dict[str, pulumi.Input[str]]:
    """What tells the runtime about the groups that it may look up."""
    return {"SLIPWAY_FEATURE_TABLES": pulumi.Output.json_dumps(tables)} if tables else {}


def lookup_grants(place: Place, tables: Mapping[str, OnlineTableArgs]) -> list[Statement]:
    """What a pod needs to look features up in these tables."""
    arns = [place.arn("dynamodb", pulumi.Output.concat("table/", each["table"])) for each in tables.values()]
    return [allow(["dynamodb:BatchGetItem"], arns)] if arns else []


def columns(group: str, spec: FeatureGroupArgs) -> dict[str, str]:
    """All columns of the group, key first, then event time, then the features: the one schema of both stores.

    Raises:
        ValueError: a column name or type that one of the stores cannot have.
    """
    event_time = spec.get("event_time", "event_time")
    key_type = spec["features"].get(spec["key"], "string")
    features = {name: kind for name, kind in spec["features"].items() if name not in {spec["key"], event_time}}
    for name, kind in {spec["key"]: key_type, **features}.items():
        if not _COLUMN.fullmatch(name) or name in {"date", EXPIRY}:
            raise ValueError(
                f"feature group {group}: column {name!r}: expected 1-63 of a-z, 0-9 and _, a letter or _ first, and "
                f"neither 'date' nor '{EXPIRY}'"
            )
        if kind not in TYPES:
            raise ValueError(f"feature group {group}: {name}: expected one of {', '.join(TYPES)}, got {kind!r}")
    if key_type not in KEY_TYPES:
        raise ValueError(f"feature group {group}: key {spec['key']}: expected {' or '.join(KEY_TYPES)}, got {key_type}")
    return {spec["key"]: key_type, event_time: "timestamp", **features}


def schema_digest(group: str, spec: FeatureGroupArgs) -> str:
    """Twelve hex digits that are equal on both stores as long as they agree."""
    return hashlib.sha256(json.dumps(columns(group, spec)).encode()).hexdigest()[:12]


def offline_table(group: str, spec: FeatureGroupArgs) -> Table:
    """The offline table: every value that a row ever had, by date of its event time."""
    return Table(
        name=f"features_{group.replace('-', '_')}",
        description=f"Feature group {group}: history, for training sets joined as of a point in time.",
        columns=columns(group, spec),
        hourly=False,
        prefix=f"features/{group}/",
        by_service=False,
    )
