"""ECR: repositories and their policies."""

from local.aws.api import Api, Call
from local.aws.names import Names
from local.aws.tagging import Tags

_OF_REPOSITORY = Names(
    renames={"repositoryName": "repository", "lifecyclePolicyText": "policy", "policyText": "policy"}
)

TYPES = (
    Api(
        "aws:ecr/repository:Repository",
        id="{name}",
        service="ecr",
        make=Call("create_repository", result="repository"),
        find=(Call("describe_repositories", result="repositories.0", keys={"repositoryNames": "{name}"}),),
        change=(Call("put_image_scanning_configuration"), Call("put_image_tag_mutability")),
        remove=Call("delete_repository", keys={"force": "{forceDelete}"}),
        names=Names("repository", {"repositoryUri": "repositoryUrl"}),
        tags=Tags("resourceArn"),
        autoname="name",
        replace_on=("name", "encryptionConfigurations"),
        outputs={"imageTagMutability": "MUTABLE"},
    ),
    Api(
        "aws:ecr/lifecyclePolicy:LifecyclePolicy",
        id="{repository}",
        service="ecr",
        make=Call("put_lifecycle_policy"),
        find=(Call("get_lifecycle_policy"),),
        change=(Call("put_lifecycle_policy"),),
        remove=Call("delete_lifecycle_policy"),
        names=_OF_REPOSITORY,
        replace_on=("repository",),
    ),
    Api(
        "aws:ecr/repositoryPolicy:RepositoryPolicy",
        id="{repository}",
        service="ecr",
        make=Call("set_repository_policy"),
        find=(Call("get_repository_policy"),),
        change=(Call("set_repository_policy"),),
        remove=Call("delete_repository_policy"),
        names=_OF_REPOSITORY,
        replace_on=("repository",),
    ),
)
