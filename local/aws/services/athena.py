"""Athena: workgroups and what is kept in them."""

from local.aws.api import Api, Call
from local.aws.names import Names
from local.aws.tagging import Tags

_ARN = "arn:{partition}:athena:{region}:{account}"

TYPES = (
    Api(
        "aws:athena/workgroup:Workgroup",
        id="{name}",
        service="athena",
        make=Call("create_work_group"),
        find=(Call("get_work_group", result="WorkGroup", keys={"WorkGroup": "{name}"}),),
        change=(Call("update_work_group", keys={"WorkGroup": "{name}"}),),
        remove=Call("delete_work_group", keys={"WorkGroup": "{name}", "RecursiveDeleteOption": "{forceDestroy}"}),
        names=Names(
            renames={
                "ConfigurationUpdates": "configuration",
                "ResultConfigurationUpdates": "resultConfiguration",
                "KmsKey": "kmsKeyArn",
            }
        ),
        tags=Tags("ResourceARN", f"{_ARN}:workgroup/{{name}}"),
        autoname="name",
        replace_on=("name",),
        outputs={"arn": f"{_ARN}:workgroup/{{name}}", "forceDestroy": False},
    ),
    Api(
        "aws:athena/namedQuery:NamedQuery",
        id="{namedQueryId}",
        service="athena",
        make=Call("create_named_query"),
        find=(Call("get_named_query", result="NamedQuery"),),
        remove=Call("delete_named_query"),
        names=Names(renames={"QueryString": "query", "NamedQueryId": "namedQueryId"}),
        facts=("namedQueryId",),
        autoname="name",
        replace_on=("name", "database", "query", "workgroup", "description"),
    ),
    Api(
        "aws:athena/dataCatalog:DataCatalog",
        id="{name}",
        service="athena",
        make=Call("create_data_catalog"),
        find=(Call("get_data_catalog", result="DataCatalog"),),
        change=(Call("update_data_catalog"),),
        remove=Call("delete_data_catalog"),
        tags=Tags("ResourceARN", f"{_ARN}:datacatalog/{{name}}"),
        autoname="name",
        replace_on=("name",),
        outputs={"arn": f"{_ARN}:datacatalog/{{name}}"},
    ),
)
