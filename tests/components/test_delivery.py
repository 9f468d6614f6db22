"""Delivery: who may assume which role, and what each may do. What GitHub claims is its documentation's word."""

import pytest

from components.delivery import ISSUER, Delivery

REPOSITORY = "arn:aws:ecr:eu-west-1:123456789012:repository/slipway-prod/serving"


@pytest.fixture
def make(provision):
    return lambda **more: (
        provision(lambda: Delivery("delivery", {"environment": "prod", "repository": "acme/ml", **more})).resources
    )


def subject(made, purpose):
    (statement,) = made[f"delivery-{purpose}-role"].json("assumeRolePolicy")["Statement"]
    assert statement["Action"] == ["sts:AssumeRoleWithWebIdentity"]
    assert statement["Condition"]["StringEquals"][f"{ISSUER}:aud"] == "sts.amazonaws.com"
    return statement["Condition"]["StringEquals"][f"{ISSUER}:sub"]


def test_makes_the_provider_and_a_role_for_each_purpose(make):
    made = make(image_repository_arn=REPOSITORY)
    assert made["delivery-github"].inputs["url"] == f"https://{ISSUER}"
    assert made["delivery-github"].inputs["clientIdLists"] == ["sts.amazonaws.com"]
    assert [name for name in made if name.endswith("-role")] == [
        "delivery-preview-role",
        "delivery-deploy-role",
        "delivery-push-role",
    ]
    assert all(one.parent == "delivery" for one in made.values() if one.name != "delivery")


def test_only_the_right_jobs_get_in(make):
    made = make(image_repository_arn=REPOSITORY, branch="release")
    assert subject(made, "preview") == "repo:acme/ml:pull_request"
    assert subject(made, "deploy") == "repo:acme/ml:environment:prod"
    assert subject(made, "push") == "repo:acme/ml:ref:refs/heads/release"
    assert subject(make(approval="automatic"), "deploy") == "repo:acme/ml:ref:refs/heads/main"


def test_previews_only_look(make):
    made = make()
    attached = {name for name in made if made[name].typ == "aws:iam/rolePolicyAttachment:RolePolicyAttachment"}
    assert attached == {
        "delivery-preview-SecurityAudit",
        "delivery-preview-ViewOnlyAccess",
        "delivery-deploy-PowerUserAccess",
    }
    policy = "arn:aws:iam::aws:policy/job-function/ViewOnlyAccess"
    assert made["delivery-preview-ViewOnlyAccess"].inputs["policyArn"] == policy
    assert "delivery-preview-state" not in made


def test_previews_read_the_state_where_it_is_said_to_lie(make):
    made = make(state_bucket="acme-pulumi", state_key_arn="arn:aws:kms:eu-west-1:123456789012:key/9")
    statements = made["delivery-preview-state"].json("policy")["Statement"]
    assert [(one["Action"], one["Resource"]) for one in statements] == [
        (["s3:GetObject"], ["arn:aws:s3:::acme-pulumi/*"]),
        (["s3:ListBucket"], ["arn:aws:s3:::acme-pulumi"]),
        (["kms:Decrypt"], ["arn:aws:kms:eu-west-1:123456789012:key/9"]),
    ]


def test_a_deployment_can_change_slipways_roles_but_not_the_delivery_roles(make):
    statements = make()["delivery-deploy-iam"].json("policy")["Statement"]
    allowed = [one for one in statements if one["Effect"] == "Allow"]
    assert not any(
        "*" in (resource, action) for one in allowed for resource in one["Resource"] for action in one["Action"]
    )
    (denied,) = [one for one in statements if one["Effect"] == "Deny"]
    assert denied["Resource"] == ["arn:aws:iam::123456789012:role/slipway-prod-delivery-*"]
    assert {"iam:PutRolePolicy", "iam:UpdateAssumeRolePolicy", "iam:PassRole"} <= set(denied["Action"])


def test_pushing_reaches_one_repository(make):
    push, login = make(image_repository_arn=REPOSITORY)["delivery-push-policy"].json("policy")["Statement"]
    assert push["Resource"] == [REPOSITORY]
    assert login["Action"] == ["ecr:GetAuthorizationToken"]
    assert "delivery-push-role" not in make()


def test_an_existing_provider_is_used(make):
    arn = f"arn:aws:iam::123456789012:oidc-provider/{ISSUER}"
    made = make(provider_arn=arn)
    assert "delivery-github" not in made
    assert made["delivery-preview-role"].json("assumeRolePolicy")["Statement"][0]["Principal"] == {"Federated": arn}
