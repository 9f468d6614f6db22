"""Where model versions and the images that run them are registered, and the bus that tells about them."""

import json
from typing import NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from components import events, iam
from components.naming import Limit, named, require_name
from components.outputs import mapping
from components.place import Place, place_of


class ModelRegistryArgs(TypedDict):
    """What a ModelRegistry is given."""

    environment: str
    """Environment name; part of every name."""
    models: list[str]
    """Model names: each gets a group of versions. A model that leaves the list loses its group, unless `protected`."""
    kms_key_arn: pulumi.Input[str]
    """Key that encrypts images and events."""
    image_repository_url: NotRequired[pulumi.Input[str]]
    """An existing image repository to take instead of making one."""
    keep_images: NotRequired[int]
    """Newest images that are kept; older ones go. Default 100: more than any rollback goes back."""
    protected: NotRequired[bool]
    """Keep groups and repository whatever happens to the stack. Default False."""
    tags: NotRequired[dict[str, pulumi.Input[str]]]
    """Tags on everything that takes tags."""


class ModelRegistry(pulumi.ComponentResource):
    """The registry of one environment: images in ECR, model versions in SageMaker, events on an EventBridge bus.

    Image tags are immutable and images are scanned when pushed. The approval of a version is state of its group
    (`slipway-<environment>-<model>`); SageMaker tells every change of it on the account's default bus, from where it
    is forwarded to the environment's own.
    """

    image_repository: pulumi.Output[str]
    """URL of the image repository, without a tag."""
    image_repository_arn: pulumi.Output[str | None]
    """ARN of the repository that was made; none when an existing one was given."""
    model_groups: pulumi.Output[dict[str, str]]
    """Model name -> SageMaker model package group."""
    event_bus: pulumi.Output[str]
    """Name of the environment's bus."""
    event_bus_arn: pulumi.Output[str]
    """ARN of the environment's bus."""

    def __init__(self, name: str, args: ModelRegistryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:index:ModelRegistry", name, {**args}, opts)
        self._name = name
        self._args = args
        self._environment = args["environment"]
        self._mine = pulumi.ResourceOptions(parent=self)
        self._kept = pulumi.ResourceOptions(parent=self, protect=args.get("protected", False))

        existing = args.get("image_repository_url")
        if existing is None:
            repository = self._repository()
            self.image_repository = repository.repository_url
            self.image_repository_arn = repository.arn.apply(lambda arn: arn)
        else:
            self.image_repository = pulumi.Output.from_input(existing)
            self.image_repository_arn = pulumi.Output.from_input(None)

        groups = {model: self._group(require_name("model", model)) for model in args["models"]}
        self.model_groups = mapping(groups)

        bus = aws.cloudwatch.EventBus(
            f"{name}-bus",
            name=events.bus_name(self._environment),
            description=f"What happens to the models of {self._environment}.",
            kms_key_identifier=args["kms_key_arn"],
            tags=args.get("tags"),
            opts=self._mine,
        )
        self.event_bus = bus.name
        self.event_bus_arn = bus.arn
        self._forward_approvals(self.event_bus_arn)
        self.register_outputs(
            {
                "image_repository": self.image_repository,
                "image_repository_arn": self.image_repository_arn,
                "model_groups": self.model_groups,
                "event_bus": self.event_bus,
                "event_bus_arn": self.event_bus_arn,
            }
        )

    def _repository(self) -> aws.ecr.Repository:
        repository = aws.ecr.Repository(
            f"{self._name}-images",
            name=image_repository_name(self._environment),
            image_tag_mutability="IMMUTABLE",
            image_scanning_configuration={"scan_on_push": True},
            encryption_configurations=[{"encryption_type": "KMS", "kms_key": self._args["kms_key_arn"]}],
            force_delete=not self._args.get("protected", False),
            tags=self._args.get("tags"),
            opts=self._kept,
        )
        aws.ecr.LifecyclePolicy(
            f"{self._name}-images-lifecycle",
            repository=repository.name,
            policy=image_lifecycle(self._args.get("keep_images", 100)),
            opts=self._mine,
        )
        return repository

    def _group(self, model: str) -> pulumi.Output[str]:
        return aws.sagemaker.ModelPackageGroup(
            f"{self._name}-{model}-versions",
            model_package_group_name=model_group_name(self._environment, model),
            model_package_group_description=f"Versions of {model} in {self._environment}.",
            tags=self._args.get("tags"),
            opts=self._kept,
        ).model_package_group_name

    def _forward_approvals(self, bus_arn: pulumi.Output[str]) -> None:
        name = f"{self._name}-approvals"
        role = aws.iam.Role(
            f"{name}-role",
            name=named(self._environment, "approvals", limit=Limit.IAM_ROLE),
            description="EventBridge forwards changes of approval to the environment's bus.",
            assume_role_policy=iam.trust_service("events.amazonaws.com", place_of(self).account),
            tags=self._args.get("tags"),
            opts=self._mine,
        )
        allowed = aws.iam.RolePolicy(
            f"{name}-policy", role=role.name, policy=iam.document([iam.put_events(bus_arn)]), opts=self._mine
        )
        rule = aws.cloudwatch.EventRule(
            f"{name}-rule",
            name=named(self._environment, "approvals", limit=Limit.EVENTBRIDGE),
            description=f"Changes of approval of the models of {self._environment}.",
            event_pattern=events.approval_pattern(self._environment),
            tags=self._args.get("tags"),
            opts=self._mine,
        )
        aws.cloudwatch.EventTarget(
            f"{name}-target",
            rule=rule.name,
            target_id="environment-bus",
            arn=bus_arn,
            role_arn=role.arn,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[allowed]),
        )


def image_repository_name(environment: str) -> str:
    """Name of the environment's image repository; the last part is what the local node knows the runtime by."""
    return f"slipway-{environment}/serving"


def model_group_name(environment: str, model: str) -> str:
    """Name of a model's SageMaker model package group."""
    return named(environment, model, limit=Limit.SAGEMAKER)


def image_lifecycle(keep: int) -> str:
    """ECR lifecycle policy (JSON): untagged images go after two weeks, all but the newest `keep` at once."""
    rules: list[dict[str, object]] = [
        {
            "rulePriority": 1,
            "description": "untagged images",
            "selection": {
                "tagStatus": "untagged",
                "countType": "sinceImagePushed",
                "countUnit": "days",
                "countNumber": 14,
            },
            "action": {"type": "expire"},
        },
        {
            "rulePriority": 2,
            "description": f"all but the newest {keep}",
            "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": keep},
            "action": {"type": "expire"},
        },
    ]
    return json.dumps({"rules": rules})


def candidate_statements(group: str, place: Place, *, automatic: bool) -> list[iam.Statement]:
    """Registering candidates in one model package group; approving them only where approval is automatic.

    The status of a new version is a condition of its own (`sagemaker:ModelApprovalStatus`): without automatic
    approval a version that is registered as approved is refused.
    """
    group_arn = place.arn("sagemaker", f"model-package-group/{group}")
    versions = place.arn("sagemaker", f"model-package/{group}/*")
    statements = [
        iam.allow(
            ["sagemaker:CreateModelPackage"],
            [group_arn, versions],
            {"StringEquals": {"sagemaker:ModelApprovalStatus": "PendingManualApproval"}},
        ),
        iam.allow(["sagemaker:DescribeModelPackageGroup"], [group_arn]),
        iam.allow(["sagemaker:AddTags", "sagemaker:DescribeModelPackage", "sagemaker:ListModelPackages"], [versions]),
    ]
    if automatic:
        statements.append(iam.allow(["sagemaker:UpdateModelPackage"], [versions]))
    return statements
