"""The tables of the event store and the warehouse: columns and where their partitions lie.

Partitions are projected (https://docs.aws.amazon.com/athena/latest/ug/partition-projection.html): Athena computes
them from the table's properties, so nothing has to crawl or register what a pod has just written.
"""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

FIRST_DATE = "2024-01-01"
"""Earliest date that a query considers; Slipway did not exist before."""

_PARQUET: aws.glue.CatalogTableStorageDescriptorArgsDict = {
    "input_format": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
    "output_format": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
    "ser_de_info": {"serialization_library": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"},
}
"""How Glue reads Parquet."""


@dataclass(frozen=True)
class Table:
    """A Parquet table of one bucket, partitioned by service and time."""

    name: str
    """Table name, which is also the purpose of its bucket unless `prefix` says otherwise."""
    description: str
    columns: dict[str, str]
    """Column name -> Glue type, in the order of the Parquet schema."""
    hourly: bool
    """Partitioned by hour too, not only by date."""
    prefix: str = ""
    """Where the table begins in its bucket; empty or ending in `/`."""
    by_service: bool = True
    """Partitioned by service before time."""

    @property
    def partitions(self) -> dict[str, str]:
        """Partition key -> Glue type, outermost first."""
        service = {"service": "string"} if self.by_service else {}
        return service | {"date": "string"} | ({"hour": "string"} if self.hourly else {})

    def location(self, bucket: str) -> str:
        """`s3://` address of the whole table."""
        return f"s3://{bucket}/{self.prefix}"

    def projection(self, bucket: str) -> dict[str, str]:
        """Glue table parameters that project the partitions.

        `service` is injected: a query names the service (`WHERE service = '…'`), so it reads no other one's data.
        """
        template = f"{self.location(bucket)}{'${service}/' if self.by_service else ''}date=${{date}}"
        parameters = {
            "EXTERNAL": "TRUE",
            "classification": "parquet",
            "parquet.compression": "ZSTD",
            "projection.enabled": "true",
            "projection.date.type": "date",
            "projection.date.format": "yyyy-MM-dd",
            "projection.date.range": f"{FIRST_DATE},NOW+1DAY",
            "projection.date.interval": "1",
            "projection.date.interval.unit": "DAYS",
        }
        if self.by_service:
            parameters["projection.service.type"] = "injected"
        if self.hourly:
            template += "/hour=${hour}"
            parameters |= {
                "projection.hour.type": "integer",
                "projection.hour.range": "0,23",
                "projection.hour.digits": "2",
            }
        return parameters | {"storage.location.template": f"{template}/"}


_PREDICTION_COLUMNS = {
    "prediction_id": "string",
    "at": "timestamp",
    "model_version": "string",
    "pattern": "string",
    "numeric": "map<string,double>",
    "categorical": "map<string,string>",
    "outputs": "map<string,double>",
}

CAPTURE = Table(
    name="capture",
    description="One row a prediction: the features by name (numeric, categorical), the outputs by name.",
    columns={**_PREDICTION_COLUMNS, "latency_us": "bigint"},
    hourly=True,
)
OUTCOMES = Table(
    name="outcomes",
    description="Labels and business results that arrive after a prediction, joined to it by prediction_id.",
    columns={"prediction_id": "string", "at": "timestamp", "label": "string", "value": "double"},
    hourly=True,
)
PREDICTIONS = Table(
    name="predictions",
    description="Results of batch runs: one object a run, which is there whole or not at all. "
    "`keys` are the input's columns that are no features.",
    columns={**_PREDICTION_COLUMNS, "keys": "map<string,string>"},
    hourly=False,
    prefix="predictions/",
)


def register_table(
    resource: str,
    table: Table,
    database: pulumi.Input[str],
    bucket: pulumi.Input[str],
    opts: pulumi.ResourceOptions,
    parameters: dict[str, str] | None = None,
) -> aws.glue.CatalogTable:
    """Registers `table` over `bucket` in a Glue database, with further `parameters` when given."""
    lies_in = pulumi.Output.from_input(bucket)
    return aws.glue.CatalogTable(
        resource,
        name=table.name,
        database_name=database,
        description=table.description,
        table_type="EXTERNAL_TABLE",
        parameters=lies_in.apply(lambda name: table.projection(name) | (parameters or {})),
        partition_keys=[{"name": key, "type": kind} for key, kind in table.partitions.items()],
        storage_descriptor={
            "columns": [{"name": column, "type": kind} for column, kind in table.columns.items()],
            "location": lies_in.apply(table.location),
            **_PARQUET,
        },
        opts=opts,
    )
