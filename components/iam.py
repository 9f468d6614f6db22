"""IAM policy documents, built by typed functions: a grant says what may be done to which resource.

Every grant names its actions and resources. Where a service supports no resource ARNs for an action, the grant that
needs `"*"` stands here with the reason beside it and is narrowed by a condition where one exists.
"""

from collections.abc import Mapping, Sequence
from typing import NotRequired, TypedDict

import pulumi

POLICY_VERSION = "2012-10-17"

Conditions = Mapping[str, Mapping[str, pulumi.Input[str] | Sequence[pulumi.Input[str]]]]
"""Operator -> condition key -> value or values."""


class Statement(TypedDict):
    """One statement of a policy document, in IAM's own JSON keys."""

    Sid: NotRequired[str]
    Effect: str
    Principal: NotRequired[str | Mapping[str, pulumi.Input[str] | Sequence[pulumi.Input[str]]]]
    Action: Sequence[str]
    Resource: NotRequired[Sequence[pulumi.Input[str]]]
    Condition: NotRequired[Conditions]


def document(statements: Sequence[Statement]) -> pulumi.Output[str]:
    """The policy document (JSON) of these statements; unknown ARNs make it unknown, not wrong."""
    return pulumi.Output.json_dumps({"Version": POLICY_VERSION, "Statement": list(statements)})


def allow(
    actions: Sequence[str], resources: Sequence[pulumi.Input[str]], conditions: Conditions | None = None
) -> Statement:
    """Allows `actions` on `resources`, under `conditions` when there are any."""
    statement: Statement = {"Effect": "Allow", "Action": list(actions), "Resource": list(resources)}
    if conditions:
        statement["Condition"] = conditions
    return statement


def trust_service(service: str, account: pulumi.Input[str], conditions: Conditions | None = None) -> pulumi.Output[str]:
    """Lets an AWS service assume the role, for this account only (no confused deputy)."""
    own_account: Conditions = {"StringEquals": {"aws:SourceAccount": account}}
    return document(
        [
            {
                "Effect": "Allow",
                "Principal": {"Service": service},
                "Action": ["sts:AssumeRole"],
                "Condition": {**own_account, **(conditions or {})},
            }
        ]
    )


def trust_pod(namespace: pulumi.Input[str], service_account: str, account: pulumi.Input[str]) -> pulumi.Output[str]:
    """Lets EKS Pod Identity assume the role for one service account of one namespace.

    Pod Identity sets the session tags that the conditions read
    (https://docs.aws.amazon.com/eks/latest/userguide/pod-id-abac.html).
    """
    return document(
        [
            {
                "Effect": "Allow",
                "Principal": {"Service": "pods.eks.amazonaws.com"},
                "Action": ["sts:AssumeRole", "sts:TagSession"],
                "Condition": {
                    "StringEquals": {
                        "aws:SourceAccount": account,
                        "aws:RequestTag/kubernetes-namespace": namespace,
                        "aws:RequestTag/kubernetes-service-account": service_account,
                    }
                },
            }
        ]
    )


def trust_nodes() -> pulumi.Output[str]:
    """Lets EC2 instances assume the role. EC2 states no source account; only this account can attach the role."""
    return document(
        [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": ["sts:AssumeRole"]}],
    )


def trust_control_plane(account: pulumi.Input[str]) -> pulumi.Output[str]:
    """Lets EKS assume the role for clusters of this account; Auto Mode tags its sessions."""
    return document(
        [
            {
                "Effect": "Allow",
                "Principal": {"Service": "eks.amazonaws.com"},
                "Action": ["sts:AssumeRole", "sts:TagSession"],
                "Condition": {"StringEquals": {"aws:SourceAccount": account}},
            }
        ]
    )


def read_objects(bucket_arn: pulumi.Input[str], prefix: str = "") -> list[Statement]:
    """Reads the objects of a bucket below `prefix`, and lists just those."""
    return [
        allow(["s3:GetObject"], [pulumi.Output.concat(bucket_arn, "/", prefix, "*")]),
        allow(["s3:ListBucket"], [bucket_arn], {"StringLike": {"s3:prefix": f"{prefix}*"}}),
    ]


def write_objects(bucket_arn: pulumi.Input[str], prefix: str = "") -> list[Statement]:
    """Writes objects below `prefix`, in parts too; deletes none."""
    return [
        allow(["s3:AbortMultipartUpload", "s3:PutObject"], [pulumi.Output.concat(bucket_arn, "/", prefix, "*")]),
    ]


def delete_objects(bucket_arn: pulumi.Input[str], prefix: str) -> list[Statement]:
    """Deletes objects below `prefix`: for whoever replaces a whole partition."""
    return [allow(["s3:DeleteObject"], [pulumi.Output.concat(bucket_arn, "/", prefix, "*")])]


def decrypt(key_arn: pulumi.Input[str]) -> Statement:
    """Reads what is encrypted with the key."""
    return allow(["kms:Decrypt"], [key_arn])


def encrypt(key_arn: pulumi.Input[str]) -> Statement:
    """Writes what is encrypted with the key. A multipart upload and SQS decrypt the data key again, hence both."""
    return allow(["kms:Decrypt", "kms:GenerateDataKey"], [key_arn])


def read_secret(secret_arn: pulumi.Input[str]) -> Statement:
    """Reads one secret of Secrets Manager."""
    return allow(["secretsmanager:GetSecretValue"], [secret_arn])


def put_events(bus_arn: pulumi.Input[str]) -> Statement:
    """Sends events to one bus."""
    return allow(["events:PutEvents"], [bus_arn])
