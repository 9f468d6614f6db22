"""Names that hold for every service, model and environment name that the config accepts.

AWS and Kubernetes each limit length and characters. A name that would be too long keeps its readable
beginning and ends in a digest of the whole, so that two long names never become the same one.
"""

import hashlib
import re
from enum import IntEnum

PREFIX = "slipway"
"""First word of everything that Slipway names in an account."""

SERVICE_PATTERN = re.compile(r"[a-z][a-z0-9-]{0,38}[a-z0-9]|[a-z]")
"""What a service, model or feature group may be called: 1-40 lower-case letters, digits and hyphens, a letter first
and no hyphen last (a DNS label, as Kubernetes wants it)."""

_LABEL_PATTERN = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
_DIGEST_CHARACTERS = 8


class Limit(IntEnum):
    """Longest name in characters, from each service's API reference."""

    ALB = 32
    CRON_JOB = 52
    S3_BUCKET = 63
    DNS_LABEL = 63
    SAGEMAKER = 63
    IAM_ROLE = 64
    EVENTBRIDGE = 64
    SCHEDULER = 64
    SQS = 80
    EKS_CLUSTER = 100
    BUDGET = 100
    KINESIS = 128
    ATHENA_WORKGROUP = 128
    GLUE = 255
    DYNAMODB = 255
    SNS = 256
    CLOUDWATCH_ALARM = 255
    DASHBOARD = 255
    LOG_GROUP = 512


def fit(name: str, limit: int) -> str:
    """`name` itself when it has at most `limit` characters, else its beginning and a digest of the whole.

    The result ends in a letter or digit whenever `name` does.
    """
    if len(name) <= limit:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:_DIGEST_CHARACTERS]
    return f"{name[: limit - len(digest) - 1].rstrip('-._')}-{digest}"


def named(environment: str, *parts: str, limit: int) -> str:
    """`slipway-<environment>-<parts…>` within `limit` characters."""
    return fit("-".join((PREFIX, environment, *parts)), limit)


def bucket_name(environment: str, purpose: str, account: str, region: str) -> str:
    """A bucket name that no other account or region can hold: `slipway-<env>-<purpose>-<account>-<region>`."""
    return named(environment, purpose, account, region, limit=Limit.S3_BUCKET)


def identifier(*parts: str) -> str:
    """A Glue or Athena identifier: the parts joined by underscores, hyphens replaced, lower case."""
    return fit("_".join(parts).replace("-", "_").lower(), Limit.GLUE)


def label_value(value: str) -> str:
    """`value` as a Kubernetes label value (at most 63 characters, a letter or digit at both ends).

    Values that are valid stay as they are; others keep their valid part and get a digest of the whole.
    """
    if _LABEL_PATTERN.fullmatch(value):
        return value
    kept = re.sub(r"[^A-Za-z0-9_.-]", "-", value).strip("-._")
    digest = hashlib.sha256(value.encode()).hexdigest()[:_DIGEST_CHARACTERS]
    return f"{kept[: Limit.DNS_LABEL - len(digest) - 1].rstrip('-._')}-{digest}".lstrip("-")


def require_name(what: str, name: str) -> str:
    """`name`, when it can be a service, model or feature group name; else a ValueError that says what was expected."""
    if not SERVICE_PATTERN.fullmatch(name):
        raise ValueError(
            f"{what} {name!r}: expected 1-40 lower-case letters, digits or hyphens, beginning with a letter and not "
            "ending in a hyphen; choose another name"
        )
    return name
