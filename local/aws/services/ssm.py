"""Systems Manager: parameters."""

from local.aws.api import Api, Call
from local.aws.names import Names
from local.aws.tagging import Tags

TYPES = (
    Api(
        "aws:ssm/parameter:Parameter",
        id="{name}",
        service="ssm",
        make=Call("put_parameter"),
        find=(
            Call("get_parameter", result="Parameter", keys={"WithDecryption": True}),
            Call(
                "describe_parameters",
                result="Parameters.0",
                keys={"ParameterFilters": [{"Key": "Name", "Values": ["{name}"]}]},
            ),
        ),
        # Tags are refused where a parameter is overwritten.
        change=(Call("put_parameter", keys={"Overwrite": True}, without=("Tags",)),),
        remove=Call("delete_parameter"),
        names=Names(renames={"ARN": "arn"}),
        tags=Tags(
            "ResourceId",
            "{name}",
            "add_tags_to_resource",
            "remove_tags_from_resource",
            more={"ResourceType": "Parameter"},
        ),
        autoname="name",
        replace_on=("name",),
        volatile=("version",),
        outputs={"tier": "Standard", "dataType": "text"},
    ),
)
