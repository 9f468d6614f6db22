"""Where data lives: the key, the four buckets, and the tables that make them an event store and a warehouse."""

from typing import NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from components import key_policy, tables
from components.buckets import PURPOSES, Purpose, bucket_policy, lifecycle_rules
from components.naming import Limit, bucket_name, identifier, named
from components.place import Place, place_of


class DataStoreArgs(TypedDict):
    """What a DataStore is given."""

    environment: str
    """Environment name; part of every name."""
    protected: NotRequired[bool]
    """Keep the data whatever happens to the stack: nothing that holds data can be deleted by the engine, and a bucket
    with objects in it refuses to go. Default False: `destroy` empties the buckets and removes all."""
    kms_key_arn: NotRequired[pulumi.Input[str]]
    """An existing symmetric key to encrypt with; its policy must let CloudWatch Logs, EventBridge, CloudWatch alarms
    and Budgets use it (see `components.key_policy`). Without one, a rotating key is made."""
    capture_retention_days: NotRequired[int]
    """Days that captured predictions are kept. Default 400: a year and the comparison with the year before."""
    outcomes_retention_days: NotRequired[int]
    """Days that labels and business results are kept. Default: for ever; they cannot be had again."""
    warehouse_retention_days: NotRequired[int]
    """Days that results of batch runs are kept. Default: for ever."""
    old_versions_days: NotRequired[int]
    """Days that an overwritten or deleted object can be brought back. Default 30."""
    scan_limit_gib: NotRequired[int]
    """Most GiB that one Athena query may scan before it is cancelled. Default 100."""
    tags: NotRequired[dict[str, pulumi.Input[str]]]
    """Tags on everything that takes tags."""


class DataStore(pulumi.ComponentResource):
    """The data storage, the event store and the warehouse of one environment.

    Four buckets (`models`, `capture`, `outcomes`, `warehouse`), each private, TLS 1.2 or newer only, encrypted with
    one customer-managed key, owner-enforced, with a lifecycle; a Glue database whose tables are projected onto them;
    an Athena workgroup that encrypts its results and stops a query that scans too much.
    """

    kms_key_arn: pulumi.Output[str]
    """ARN of the key that encrypts the environment's data."""
    models_bucket: pulumi.Output[str]
    """Bucket of the model packages."""
    capture_bucket: pulumi.Output[str]
    """Bucket of the captured predictions (the event store)."""
    outcomes_bucket: pulumi.Output[str]
    """Bucket of the labels and business results."""
    warehouse_bucket: pulumi.Output[str]
    """Bucket of the batch results, offline features and query results."""
    database: pulumi.Output[str]
    """Glue database of the tables."""
    workgroup: pulumi.Output[str]
    """Athena workgroup to query with."""

    def __init__(self, name: str, args: DataStoreArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:index:DataStore", name, {**args}, opts)
        self._name = name
        self._args = args
        self._environment = args["environment"]
        self._protected = args.get("protected", False)
        place = place_of(self)

        self.kms_key_arn = pulumi.Output.from_input(args.get("kms_key_arn") or self._key(place))
        self.models_bucket = self._bucket("models", place)
        self.capture_bucket = self._bucket("capture", place)
        self.outcomes_bucket = self._bucket("outcomes", place)
        self.warehouse_bucket = self._bucket("warehouse", place)

        database = aws.glue.CatalogDatabase(
            f"{name}-database",
            name=identifier("slipway", self._environment),
            description=f"Slipway's event store and warehouse of {self._environment}.",
            tags=args.get("tags"),
            opts=self._holds_data(),
        )
        self.database = database.name
        for table, bucket in (
            (tables.CAPTURE, self.capture_bucket),
            (tables.OUTCOMES, self.outcomes_bucket),
            (tables.PREDICTIONS, self.warehouse_bucket),
        ):
            tables.register_table(
                f"{name}-{table.name}-table", table, self.database, bucket, pulumi.ResourceOptions(parent=self)
            )
        self.workgroup = self._workgroup().name
        self.register_outputs(
            {
                "kms_key_arn": self.kms_key_arn,
                "models_bucket": self.models_bucket,
                "capture_bucket": self.capture_bucket,
                "outcomes_bucket": self.outcomes_bucket,
                "warehouse_bucket": self.warehouse_bucket,
                "database": self.database,
                "workgroup": self.workgroup,
            }
        )

    def _holds_data(self) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self, protect=self._protected)

    def _key(self, place: Place) -> pulumi.Output[str]:
        key = aws.kms.Key(
            f"{self._name}-key",
            description=f"Slipway {self._environment}: data, queues, logs and alarms.",
            enable_key_rotation=True,
            # 30 days (the longest) to notice that data cannot be read any more; 7 (the shortest) where it may go.
            deletion_window_in_days=30 if self._protected else 7,
            policy=key_policy.environment_key(place),
            tags=self._args.get("tags"),
            opts=self._holds_data(),
        )
        aws.kms.Alias(
            f"{self._name}-key-alias",
            name=f"alias/slipway-{self._environment}",
            target_key_id=key.key_id,
            opts=pulumi.ResourceOptions(parent=self),
        )
        return key.arn

    def _bucket(self, purpose: Purpose, place: Place) -> pulumi.Output[str]:
        """A bucket and its settings; the name comes from the last of them, so that who uses it waits for all."""
        rules = PURPOSES[purpose]
        name = f"{self._name}-{purpose}"
        mine = pulumi.ResourceOptions(parent=self)
        bucket = aws.s3.Bucket(
            name,
            bucket=pulumi.Output.all(place.account, place.region).apply(
                lambda known: bucket_name(self._environment, purpose, known[0], known[1])
            ),
            force_destroy=not self._protected,
            tags=self._args.get("tags"),
            opts=self._holds_data(),
        )
        private = aws.s3.BucketPublicAccessBlock(
            f"{name}-private",
            bucket=bucket.id,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=mine,
        )
        owned = aws.s3.BucketOwnershipControls(
            f"{name}-ownership", bucket=bucket.id, rule={"object_ownership": "BucketOwnerEnforced"}, opts=mine
        )
        encrypted = aws.s3.BucketServerSideEncryptionConfiguration(
            f"{name}-encryption",
            bucket=bucket.id,
            rules=[
                {
                    "apply_server_side_encryption_by_default": {
                        "sse_algorithm": "aws:kms",
                        "kms_master_key_id": self.kms_key_arn,
                    },
                    "bucket_key_enabled": True,
                }
            ],
            opts=mine,
        )
        settings: list[pulumi.Resource] = [private, owned, encrypted]
        if rules.versioned:
            settings.append(
                aws.s3.BucketVersioning(
                    f"{name}-versioning",
                    bucket=bucket.id,
                    versioning_configuration={"status": "Enabled"},
                    opts=mine,
                )
            )
        retention: dict[Purpose, int | None] = {
            "capture": self._args.get("capture_retention_days", 400),
            "outcomes": self._args.get("outcomes_retention_days"),
            "warehouse": self._args.get("warehouse_retention_days"),
        }
        lifecycle = lifecycle_rules(rules, retention.get(purpose), self._args.get("old_versions_days", 30))
        # S3 refuses two changes of one bucket at a time now and then (409): the last two wait for the others.
        last = pulumi.ResourceOptions(parent=self, depends_on=settings)
        settings.append(
            aws.s3.BucketLifecycleConfiguration(f"{name}-lifecycle", bucket=bucket.id, rules=lifecycle, opts=last)
        )
        settings.append(
            aws.s3.BucketPolicy(
                f"{name}-tls-only", bucket=bucket.id, policy=bucket_policy(bucket.arn, place.account), opts=last
            )
        )
        return pulumi.Output.all(bucket.bucket, *[setting.urn for setting in settings]).apply(lambda known: known[0])

    def _workgroup(self) -> aws.athena.Workgroup:
        return aws.athena.Workgroup(
            f"{self._name}-workgroup",
            name=named(self._environment, limit=Limit.ATHENA_WORKGROUP),
            description=f"Queries on Slipway's tables of {self._environment}.",
            force_destroy=not self._protected,
            configuration={
                "enforce_workgroup_configuration": True,
                "publish_cloudwatch_metrics_enabled": True,
                "bytes_scanned_cutoff_per_query": self._args.get("scan_limit_gib", 100) * 1024**3,
                "engine_version": {"selected_engine_version": "Athena engine version 3"},
                "result_configuration": {
                    "output_location": self.warehouse_bucket.apply(lambda bucket: f"s3://{bucket}/athena-results/"),
                    "encryption_configuration": {"encryption_option": "SSE_KMS", "kms_key_arn": self.kms_key_arn},
                },
            },
            tags=self._args.get("tags"),
            opts=pulumi.ResourceOptions(parent=self),
        )
