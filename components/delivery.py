"""Deployments from GitHub Actions without long-lived keys: who may preview, who may deploy, who may push images."""

from typing import NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from components import iam
from components.iam import Statement
from components.naming import Limit, named
from components.place import Place, place_of

ISSUER = "token.actions.githubusercontent.com"
"""GitHub's token issuer
(https://docs.github.com/actions/how-tos/secure-your-work/security-harden-deployments/oidc-in-aws)."""

_PUSH = [
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:CompleteLayerUpload",
    "ecr:DescribeImages",
    "ecr:GetDownloadUrlForLayer",
    "ecr:InitiateLayerUpload",
    "ecr:PutImage",
    "ecr:UploadLayerPart",
]
_MANAGE_ROLES = [
    "iam:AttachRolePolicy",
    "iam:CreateRole",
    "iam:DeleteRole",
    "iam:DeleteRolePolicy",
    "iam:DetachRolePolicy",
    "iam:PutRolePolicy",
    "iam:TagRole",
    "iam:UntagRole",
    "iam:UpdateAssumeRolePolicy",
    "iam:UpdateRole",
    "iam:UpdateRoleDescription",
]


class DeliveryArgs(TypedDict):
    """What a Delivery is given."""

    environment: str
    """Environment name, also of the GitHub environment when `approval` is `manual`."""
    repository: str
    """GitHub repository, `owner/name`."""
    branch: NotRequired[str]
    """Branch whose jobs may push images, and deploy when nobody has to approve. Default `main`."""
    approval: NotRequired[str]
    """`manual`: only jobs of the GitHub environment of this name may deploy, which waits for its reviewers;
    `automatic`: any job of the branch. Default `manual`."""
    image_repository_arn: NotRequired[pulumi.Input[str]]
    """Image repository that may be pushed to. Default: none, and no role to push is made."""
    provider_arn: NotRequired[pulumi.Input[str]]
    """The account's OIDC provider for GitHub, of which there can be only one. Default: it is made."""
    state_bucket: NotRequired[pulumi.Input[str]]
    """Bucket of the Pulumi state: previews may read it. Default: previews read no bucket."""
    state_key_arn: NotRequired[pulumi.Input[str]]
    """Key of the Pulumi state and its secrets: previews may decrypt with it."""
    tags: NotRequired[dict[str, pulumi.Input[str]]]
    """Tags on everything that takes tags."""


class Delivery(pulumi.ComponentResource):
    """GitHub's OIDC provider and three roles, each for the jobs that need it and no others.

    Pull requests may look (configuration, never data); the branch may push images; deployments may change what
    Slipway makes, but neither people's access nor these three roles.
    """

    preview_role_arn: pulumi.Output[str]
    """Role for `pulumi preview` on pull requests."""
    deploy_role_arn: pulumi.Output[str]
    """Role for `pulumi up`."""
    push_role_arn: pulumi.Output[str | None]
    """Role for pushing images; none without an image repository."""

    def __init__(self, name: str, args: DeliveryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:index:Delivery", name, {**args}, opts)
        self._name = name
        self._args = args
        self._mine = pulumi.ResourceOptions(parent=self)
        self._place = place_of(self)
        self._issuer = pulumi.Output.from_input(args.get("provider_arn") or self._make_issuer())

        self.preview_role_arn = self._preview()
        self.deploy_role_arn = self._deploy()
        self.push_role_arn = pulumi.Output.from_input(None)
        if "image_repository_arn" in args:
            self.push_role_arn = self._push(args["image_repository_arn"])
        self.register_outputs(
            {
                "preview_role_arn": self.preview_role_arn,
                "deploy_role_arn": self.deploy_role_arn,
                "push_role_arn": self.push_role_arn,
            }
        )

    def _make_issuer(self) -> pulumi.Output[str]:
        return aws.iam.OpenIdConnectProvider(
            f"{self._name}-github",
            url=f"https://{ISSUER}",
            client_id_lists=["sts.amazonaws.com"],
            tags=self._args.get("tags"),
            opts=self._mine,
        ).arn

    def _role(self, purpose: str, subject: str, description: str) -> aws.iam.Role:
        return aws.iam.Role(
            f"{self._name}-{purpose}-role",
            name=role_name(self._args["environment"], purpose),
            description=description,
            assume_role_policy=trust_github(self._issuer, self._args["repository"], subject),
            # A deployment that makes an EKS cluster takes some 20 minutes; one hour is the least that AWS allows.
            max_session_duration=2 * 3600 if purpose == "deploy" else 3600,
            tags=self._args.get("tags"),
            opts=self._mine,
        )

    def _preview(self) -> pulumi.Output[str]:
        role = self._role("preview", "pull_request", "pulumi preview on pull requests: looks, changes nothing.")
        # Both list and describe; neither reads objects, messages, secrets or logs.
        for policy in ("SecurityAudit", "job-function/ViewOnlyAccess"):
            self._attach(role, "preview", policy)
        statements = state_statements(self._args, self._place)
        if statements:
            aws.iam.RolePolicy(
                f"{self._name}-preview-state", role=role.name, policy=iam.document(statements), opts=self._mine
            )
        return role.arn

    def _deploy(self) -> pulumi.Output[str]:
        environment = self._args["environment"]
        subject = (
            f"environment:{environment}"
            if self._args.get("approval", "manual") == "manual"
            else f"ref:refs/heads/{self._args.get('branch', 'main')}"
        )
        role = self._role("deploy", subject, f"pulumi up of {environment}.")
        # Everything but IAM and Organizations; the document below adds the roles that Slipway makes, and no more.
        self._attach(role, "deploy", "PowerUserAccess")
        aws.iam.RolePolicy(
            f"{self._name}-deploy-iam",
            role=role.name,
            policy=iam.document(deploy_statements(environment, self._place)),
            opts=self._mine,
        )
        return role.arn

    def _push(self, repository_arn: pulumi.Input[str]) -> pulumi.Output[str]:
        role = self._role(
            "push", f"ref:refs/heads/{self._args.get('branch', 'main')}", "Pushes the serving image, and nothing else."
        )
        aws.iam.RolePolicy(
            f"{self._name}-push-policy",
            role=role.name,
            policy=iam.document(
                [
                    iam.allow(_PUSH, [repository_arn]),
                    # GetAuthorizationToken supports no resource ARNs: it is the log-in to the account's registry.
                    iam.allow(["ecr:GetAuthorizationToken"], ["*"]),
                ]
            ),
            opts=self._mine,
        )
        return role.arn

    def _attach(self, role: aws.iam.Role, purpose: str, policy: str) -> None:
        aws.iam.RolePolicyAttachment(
            f"{self._name}-{purpose}-{policy.rpartition('/')[2]}",
            role=role.name,
            policy_arn=pulumi.Output.concat("arn:", self._place.partition, ":iam::aws:policy/", policy),
            opts=self._mine,
        )


def role_name(environment: str, purpose: str) -> str:
    """Name of a delivery role; `deploy_statements` protects all of them by this prefix."""
    return named(environment, "delivery", purpose, limit=Limit.IAM_ROLE)


def trust_github(provider_arn: pulumi.Input[str], repository: str, subject: str) -> pulumi.Output[str]:
    """Lets jobs of one repository with exactly this subject (`pull_request`, `ref:…`, `environment:…`) in."""
    return iam.document(
        [
            {
                "Effect": "Allow",
                "Principal": {"Federated": provider_arn},
                "Action": ["sts:AssumeRoleWithWebIdentity"],
                "Condition": {
                    "StringEquals": {
                        f"{ISSUER}:aud": "sts.amazonaws.com",
                        f"{ISSUER}:sub": f"repo:{repository}:{subject}",
                    }
                },
            }
        ]
    )


def state_statements(args: DeliveryArgs, place: Place) -> list[Statement]:
    """Reading the Pulumi state, as far as it is said where it lies."""
    statements: list[Statement] = []
    if "state_bucket" in args:
        bucket = place.bucket_arn(args["state_bucket"])
        statements += [
            iam.allow(["s3:GetObject"], [pulumi.Output.concat(bucket, "/*")]),
            iam.allow(["s3:ListBucket"], [bucket]),
        ]
    if "state_key_arn" in args:
        statements.append(iam.decrypt(args["state_key_arn"]))
    return statements


def deploy_statements(environment: str, place: Place) -> list[Statement]:
    """What a deployment may do in IAM: manage and pass the environment's own roles, except the delivery roles."""

    def iam_arn(resource: str) -> pulumi.Output[str]:
        return pulumi.Output.concat("arn:", place.partition, ":iam::", place.account, ":", resource)

    own_roles: list[pulumi.Input[str]] = [iam_arn(f"role/slipway-{environment}-*")]
    delivery_roles: list[pulumi.Input[str]] = [iam_arn(f"role/slipway-{environment}-delivery-*")]
    return [
        iam.allow(_MANAGE_ROLES, own_roles),
        iam.allow(["iam:PassRole"], own_roles),
        iam.allow(
            ["iam:GetRole", "iam:GetRolePolicy", "iam:ListAttachedRolePolicies", "iam:ListRolePolicies"], own_roles
        ),
        iam.allow(["iam:ListInstanceProfilesForRole"], own_roles),
        iam.allow(["iam:GetOpenIDConnectProvider"], [iam_arn(f"oidc-provider/{ISSUER}")]),
        {
            # A deployment that could change these roles could give itself any right.
            "Sid": "NotItself",
            "Effect": "Deny",
            "Action": [*_MANAGE_ROLES, "iam:PassRole"],
            "Resource": delivery_roles,
        },
    ]
