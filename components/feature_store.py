"""Features kept for lookup by key and for training: one schema, an online and an offline table each."""

from typing import NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from components.features import (
    EXPIRY,
    TYPES,
    FeatureGroupArgs,
    OnlineTableArgs,
    columns,
    offline_table,
    online_table,
    schema_digest,
)
from components.naming import Limit, named, require_name
from components.outputs import mapping
from components.tables import register_table


class FeatureStoreArgs(TypedDict):
    """What a FeatureStore is given."""

    environment: str
    """Environment name; part of every name."""
    groups: dict[str, FeatureGroupArgs]
    """Feature groups by name: 1-40 lower-case letters, digits and hyphens."""
    kms_key_arn: pulumi.Input[str]
    """Key that encrypts the online tables."""
    warehouse_bucket: pulumi.Input[str]
    """Bucket of the offline tables, below `features/<group>/`."""
    database: pulumi.Input[str]
    """Glue database of the offline tables."""
    protected: NotRequired[bool]
    """Keep the tables whatever happens to the stack. Default False."""
    tags: NotRequired[dict[str, pulumi.Input[str]]]
    """Tags on everything that takes tags."""


class FeatureStore(pulumi.ComponentResource):
    """Online tables in DynamoDB (on demand, restorable to any second of 35 days) and their offline tables in Glue.

    Both tables of a group come from one schema and carry its digest: as tag `slipway:schema` and as table parameter
    `slipway.schema`. Who writes rows compares the two.
    """

    online_tables: pulumi.Output[dict[str, str]]
    """Group -> DynamoDB table."""
    online_table_arns: pulumi.Output[dict[str, str]]
    """Group -> ARN of the DynamoDB table, for the roles that read it."""
    offline_tables: pulumi.Output[dict[str, str]]
    """Group -> Glue table."""

    def __init__(self, name: str, args: FeatureStoreArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:index:FeatureStore", name, {**args}, opts)
        self._name = name
        self._args = args
        online = {group: self._online(group, spec) for group, spec in args["groups"].items()}
        offline = {group: self._offline(group, spec) for group, spec in args["groups"].items()}
        self.online_tables = mapping({group: table.name for group, table in online.items()})
        self.online_table_arns = mapping({group: table.arn for group, table in online.items()})
        self.offline_tables = mapping({group: table.name for group, table in offline.items()})
        self.register_outputs(
            {
                "online_tables": self.online_tables,
                "online_table_arns": self.online_table_arns,
                "offline_tables": self.offline_tables,
            }
        )

    def lookup(self, group: str) -> OnlineTableArgs:
        """What a service is told that looks this group's features up."""
        return online_table(group, self._args["groups"][group], self.online_tables.apply(lambda made: made[group]))

    def _options(self) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self, protect=self._args.get("protected", False))

    def _online(self, group: str, spec: FeatureGroupArgs) -> aws.dynamodb.Table:
        key, key_type = next(iter(columns(require_name("feature group", group), spec).items()))
        return aws.dynamodb.Table(
            f"{self._name}-{group}-online",
            name=named(self._args["environment"], "features", group, limit=Limit.DYNAMODB),
            billing_mode="PAY_PER_REQUEST",
            hash_key=key,
            # DynamoDB declares key attributes only; the others are as the schema says because one writer writes them.
            attributes=[{"name": key, "type": TYPES[key_type]}],
            ttl={"attribute_name": EXPIRY, "enabled": True} if "ttl_hours" in spec else None,
            point_in_time_recovery={"enabled": True},
            server_side_encryption={"enabled": True, "kms_key_arn": self._args["kms_key_arn"]},
            deletion_protection_enabled=self._args.get("protected", False),
            tags={**self._args.get("tags", {}), "slipway:schema": schema_digest(group, spec)},
            opts=self._options(),
        )

    def _offline(self, group: str, spec: FeatureGroupArgs) -> aws.glue.CatalogTable:
        return register_table(
            f"{self._name}-{group}-offline",
            offline_table(group, spec),
            self._args["database"],
            self._args["warehouse_bucket"],
            self._options(),
            {"slipway.schema": schema_digest(group, spec)},
        )
