"""ModelRegistry: immutable images, a group a model, approvals that reach the environment's bus."""

import json

import pytest

from components.model_registry import ModelRegistry, image_lifecycle, model_group_name

KEY = "arn:aws:kms:eu-west-1:123456789012:key/1"


@pytest.fixture
def make(provision):
    return lambda **how: provision(
        lambda: ModelRegistry("registry", {"environment": "dev", "models": ["flights"], "kms_key_arn": KEY, **how})
    )


def test_registers_exactly_these(make):
    made = make()
    assert made.types() == {
        "registry": "slipway:index:ModelRegistry",
        "registry-images": "aws:ecr/repository:Repository",
        "registry-images-lifecycle": "aws:ecr/lifecyclePolicy:LifecyclePolicy",
        "registry-flights-versions": "aws:sagemaker/modelPackageGroup:ModelPackageGroup",
        "registry-bus": "aws:cloudwatch/eventBus:EventBus",
        "registry-approvals-role": "aws:iam/role:Role",
        "registry-approvals-policy": "aws:iam/rolePolicy:RolePolicy",
        "registry-approvals-rule": "aws:cloudwatch/eventRule:EventRule",
        "registry-approvals-target": "aws:cloudwatch/eventTarget:EventTarget",
    }
    assert {m.parent for m in made.resources.values()} == {"", "registry"}


def test_images_are_immutable_scanned_and_encrypted(make):
    images = make().resources["registry-images"].inputs
    assert images["name"] == "slipway-dev/serving"
    assert images["imageTagMutability"] == "IMMUTABLE"
    assert images["imageScanningConfiguration"] == {"scanOnPush": True}
    assert images["encryptionConfigurations"] == [{"encryptionType": "KMS", "kmsKey": KEY}]


def test_an_existing_repository_is_taken(provision, settled):
    made = []
    spec = {"environment": "dev", "models": [], "kms_key_arn": KEY, "image_repository_url": "ghcr.io/us/serving"}
    recorded = provision(lambda: made.append(ModelRegistry("registry", spec)))
    assert not recorded.of_type("aws:ecr/repository:Repository")
    assert settled(made[0].image_repository) == "ghcr.io/us/serving"
    assert settled(made[0].image_repository_arn) is None


def test_approvals_are_forwarded_to_the_environments_bus_and_nothing_else_is_allowed(make):
    made = make().resources
    pattern = made["registry-approvals-rule"].json("eventPattern")
    assert pattern["detail"] == {"ModelPackageGroupName": [{"prefix": "slipway-dev-"}]}
    bus = "arn:aws:cloudwatch:eu-west-1:123456789012:slipway-dev"
    assert made["registry-approvals-target"].inputs["arn"] == bus
    (statement,) = made["registry-approvals-policy"].json("policy")["Statement"]
    assert (statement["Action"], statement["Resource"]) == (["events:PutEvents"], [bus])


@pytest.mark.parametrize("protected", [True, False])
def test_what_is_registered_is_kept_when_protected(make, protected):
    made = make(protected=protected).resources
    assert made["registry-images"].protect is made["registry-flights-versions"].protect is protected
    assert made["registry-images"].inputs["forceDelete"] is not protected


def test_groups_by_model(provision, settled):
    made = []
    spec = {"environment": "dev", "models": ["a", "b"], "kms_key_arn": KEY}
    provision(lambda: made.append(ModelRegistry("registry", spec)))
    assert settled(made[0].model_groups) == {"a": "slipway-dev-a", "b": "slipway-dev-b"}
    assert model_group_name("dev", "a") == "slipway-dev-a"


def test_a_model_name_that_cannot_be_is_refused(make):
    with pytest.raises(ValueError, match="model 'Flights': expected 1-40"):
        make(models=["Flights"])


def test_the_lifecycle_keeps_the_newest():
    untagged, rest = json.loads(image_lifecycle(7))["rules"]
    assert untagged["selection"]["tagStatus"] == "untagged"
    assert rest["selection"] == {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 7}
