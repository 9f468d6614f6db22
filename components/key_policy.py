"""Who may use the environment's key: the account's own IAM policies, and the AWS services that act for it."""

import pulumi

from components import iam
from components.iam import Statement
from components.place import Place

_USE = ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"]
"""Cryptography, which has an encryption context; `kms:DescribeKey` has none and a condition on it would never hold."""


def environment_key(place: Place) -> pulumi.Output[str]:
    """Key policy of an environment's key.

    The account's root principal hands the decision to IAM (without it nobody could ever change the key). Services are
    let in by name, each only for this account: CloudWatch Logs for its log groups, EventBridge for its buses and for
    encrypted queues and topics behind its rules, CloudWatch alarms and Budgets for encrypted topics, SNS for encrypted
    queues. In a key policy, `Resource: "*"` means this key and no other.
    """
    this_key: list[pulumi.Input[str]] = ["*"]
    own_account: iam.Conditions = {"StringEquals": {"aws:SourceAccount": place.account}}
    statements: list[Statement] = [
        {
            "Sid": "IamDecides",
            "Effect": "Allow",
            "Principal": {"AWS": pulumi.Output.concat("arn:", place.partition, ":iam::", place.account, ":root")},
            "Action": ["kms:*"],
            "Resource": this_key,
        },
        {
            "Sid": "LogGroups",
            "Effect": "Allow",
            "Principal": {"Service": pulumi.Output.concat("logs.", place.region, ".amazonaws.com")},
            "Action": _USE,
            "Resource": this_key,
            # CloudWatch Logs states the log group as encryption context; it sends no aws:SourceAccount.
            "Condition": {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": place.arn("logs", "log-group:*")}},
        },
        {
            "Sid": "MessagesOfServices",
            "Effect": "Allow",
            "Principal": {
                "Service": [
                    "budgets.amazonaws.com",
                    "cloudwatch.amazonaws.com",
                    "events.amazonaws.com",
                    "sns.amazonaws.com",
                ]
            },
            "Action": ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey*"],
            "Resource": this_key,
            "Condition": own_account,
        },
    ]
    return iam.document(statements)
