"""What holds for each bucket: versioning, lifecycle, and the policy that refuses weak transport."""

from dataclasses import dataclass
from typing import Literal

import pulumi
import pulumi_aws as aws

from components import iam

Purpose = Literal["models", "capture", "outcomes", "warehouse"]

DAYS_BEFORE_COLD = 90
"""Drift and quality windows look back days or weeks; older objects move to infrequent access (which bills 30 days)."""


@dataclass(frozen=True)
class BucketRules:
    """How the objects of one bucket live."""

    versioned: bool
    """An overwritten or deleted object can be brought back for a while."""
    cools: bool = False
    """Objects move to infrequent access after `DAYS_BEFORE_COLD`."""
    data_prefix: str = ""
    """What retention applies to; the rest of the bucket is kept."""
    results_prefix: str | None = None
    """Prefix of query results, which anybody can have again by asking again; gone after a week."""


PURPOSES: dict[Purpose, BucketRules] = {
    # What runs in production must be there for a rollback.
    "models": BucketRules(versioned=True),
    # Written once under unique names, much of it: a version of each would only cost.
    "capture": BucketRules(versioned=False, cools=True),
    # Labels cannot be had again.
    "outcomes": BucketRules(versioned=True, cools=True),
    # A batch run that is repeated replaces its partition.
    "warehouse": BucketRules(versioned=True, data_prefix="predictions/", results_prefix="athena-results/"),
}


def lifecycle_rules(
    rules: BucketRules, expire_after_days: int | None, old_versions_days: int
) -> list[aws.s3.BucketLifecycleConfigurationRuleArgsDict]:
    """The lifecycle of a bucket.

    Args:
        rules: how its objects live.
        expire_after_days: days after which the data expires; None keeps it.
        old_versions_days: days that an overwritten or deleted version can be brought back.
    """
    made: list[aws.s3.BucketLifecycleConfigurationRuleArgsDict] = [
        {
            "id": "abandoned-uploads",
            "status": "Enabled",
            "filter": {"prefix": ""},
            "abort_incomplete_multipart_upload": {"days_after_initiation": 7},
        }
    ]
    if rules.versioned:
        made.append(
            {
                "id": "old-versions",
                "status": "Enabled",
                "filter": {"prefix": ""},
                "noncurrent_version_expiration": {"noncurrent_days": old_versions_days},
                "expiration": {"expired_object_delete_marker": True},
            }
        )
    # S3 refuses a transition on or after the day of the expiration.
    if rules.cools and (expire_after_days is None or expire_after_days > DAYS_BEFORE_COLD):
        made.append(
            {
                "id": "cool",
                "status": "Enabled",
                "filter": {"prefix": ""},
                "transitions": [{"days": DAYS_BEFORE_COLD, "storage_class": "STANDARD_IA"}],
            }
        )
    if expire_after_days is not None:
        made.append(
            {
                "id": "expire",
                "status": "Enabled",
                "filter": {"prefix": rules.data_prefix},
                "expiration": {"days": expire_after_days},
            }
        )
    if rules.results_prefix is not None:
        made.append(
            {
                "id": "query-results",
                "status": "Enabled",
                "filter": {"prefix": rules.results_prefix},
                "expiration": {"days": 7},
            }
        )
    return made


def bucket_policy(bucket_arn: pulumi.Input[str], account: pulumi.Input[str]) -> pulumi.Output[str]:
    """Refuses plain HTTP and TLS below 1.2 to everybody, and everything to principals outside the account.

    AWS services that act for the account (`aws:PrincipalIsAWSService`) are not principals of an account.
    """
    everything: list[pulumi.Input[str]] = [bucket_arn, pulumi.Output.concat(bucket_arn, "/*")]
    return iam.document(
        [
            {
                "Sid": "RefusePlainHttp",
                "Effect": "Deny",
                "Principal": "*",
                "Action": ["s3:*"],
                "Resource": everything,
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            },
            {
                "Sid": "RefuseOldTls",
                "Effect": "Deny",
                "Principal": "*",
                "Action": ["s3:*"],
                "Resource": everything,
                "Condition": {"NumericLessThan": {"s3:TlsVersion": "1.2"}},
            },
            {
                "Sid": "RefuseOtherAccounts",
                "Effect": "Deny",
                "Principal": "*",
                "Action": ["s3:*"],
                "Resource": everything,
                "Condition": {
                    "StringNotEquals": {"aws:PrincipalAccount": account},
                    "BoolIfExists": {"aws:PrincipalIsAWSService": "false"},
                },
            },
        ]
    )
