"""Glue: the catalog's databases and tables."""

from local.aws.api import Api, Call
from local.aws.tagging import Tags

_ARN = "arn:{partition}:glue:{region}:{account}"

TYPES = (
    Api(
        "aws:glue/catalogDatabase:CatalogDatabase",
        id="{catalogId}:{name}",
        service="glue",
        make=Call("create_database", within="DatabaseInput"),
        find=(Call("get_database", result="Database"),),
        change=(Call("update_database", within="DatabaseInput"),),
        remove=Call("delete_database"),
        tags=Tags("ResourceArn", f"{_ARN}:database/{{name}}", list="get_tags"),
        autoname="name",
        replace_on=("name", "catalogId", "targetDatabase", "federatedDatabase"),
        outputs={"catalogId": "{account}", "arn": f"{_ARN}:database/{{name}}"},
    ),
    Api(
        "aws:glue/catalogTable:CatalogTable",
        id="{catalogId}:{databaseName}:{name}",
        service="glue",
        make=Call("create_table", within="TableInput"),
        find=(Call("get_table", result="Table"),),
        change=(Call("update_table", within="TableInput"),),
        remove=Call("delete_table"),
        autoname="name",
        replace_on=("name", "databaseName", "catalogId", "partitionIndices", "openTableFormatInput"),
        outputs={
            "catalogId": "{account}",
            "arn": f"{_ARN}:table/{{databaseName}}/{{name}}",
        },
    ),
)
