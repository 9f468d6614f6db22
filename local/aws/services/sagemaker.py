"""SageMaker: the groups of the model registry."""

from local.aws.api import Api, Call
from local.aws.names import Names
from local.aws.tagging import Tags

TYPES = (
    Api(
        "aws:sagemaker/modelPackageGroup:ModelPackageGroup",
        id="{modelPackageGroupName}",
        service="sagemaker",
        make=Call("create_model_package_group"),
        find=(Call("describe_model_package_group"),),
        remove=Call("delete_model_package_group"),
        names=Names(renames={"ModelPackageGroupArn": "arn"}),
        tags=Tags("ResourceArn", add_call="add_tags", remove_call="delete_tags", list="list_tags"),
        replace_on=("modelPackageGroupName", "modelPackageGroupDescription"),
    ),
    Api(
        "aws:sagemaker/modelPackageGroupPolicy:ModelPackageGroupPolicy",
        id="{modelPackageGroupName}",
        service="sagemaker",
        make=Call("put_model_package_group_policy"),
        find=(Call("get_model_package_group_policy"),),
        change=(Call("put_model_package_group_policy"),),
        remove=Call("delete_model_package_group_policy"),
        replace_on=("modelPackageGroupName",),
    ),
)
