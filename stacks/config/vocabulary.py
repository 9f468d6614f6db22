"""The words of a config: one alias a concept, each with the sentence that answers a wrong value."""

import re
from datetime import UTC, datetime
from enum import StrEnum
from ipaddress import IPv4Network
from typing import Annotated, Any
from urllib.parse import urlsplit

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, BeforeValidator, Field, Strict, WithJsonSchema
from pydantic_core import PydanticCustomError

from stacks.config.kinds import Number, Says, SensitiveText, Text, Whole, expected


def arn(service: str, resource: str, what: str, *, kind: type[Text] = Text) -> Text:
    """ARNs of one kind: `resource` is the pattern of the last part, `what` names it with its article."""
    example = re.sub(r"\[.*?\][+*]|\.\+", "…", resource).replace("\\", "")
    region = "" if service == "iam" else "[a-z0-9-]+"
    return kind(
        rf"arn:aws[a-z-]*:{service}:{region}:\d{{12}}:{resource}",
        f"the ARN of {what}, arn:aws:{service}:{'' if service == 'iam' else '<region>'}:<account>:{example}",
    )


def _network(value: Any) -> str:
    try:
        network = IPv4Network(value) if isinstance(value, str) and "/" in value else None
    except ValueError as error:
        hint = ": its last bits must be zero" if "host bits" in str(error) else ""
        raise expected(f"an IPv4 network such as 10.0.0.0/16{hint}") from None
    if network is None:
        raise expected("an IPv4 network such as 10.0.0.0/16")
    return str(network)


def _cron(value: Any) -> str:
    fields = value.split() if isinstance(value, str) else []
    if len(fields) != 5:
        raise expected('five cron fields such as "0 2 * * *" (minute hour day month weekday)')
    schedule = " ".join(fields)
    try:
        parsed = CronSim(schedule, datetime(2024, 1, 1, tzinfo=UTC))
        next(parsed)
    except CronSimError as error:
        wrong = str(error).removeprefix("Bad ")
        raise expected(f"a cron schedule (minute hour day month weekday) with a valid {wrong}") from None
    except StopIteration:
        raise expected("a cron schedule that comes around (the day exists in no such month)") from None
    special = [item for item in (*parsed.days, *parsed.weekdays) if not isinstance(item, int) or item < 0]
    if special or (fields[4].strip("0123456789") == "" and int(fields[4]) > 6):
        raise expected("a cron schedule as Kubernetes reads it (no L, W or #; Sunday is 0)")
    return schedule


def _quantity(value: Any) -> Any:
    """Lets `cpu: 2` and `cpu: 0.5` stand for the texts that Kubernetes has for them."""
    return f"{value:g}" if isinstance(value, int | float) and not isinstance(value, bool) else value


def _https(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme != "https" or not parts.hostname:
        raise expected("an address that starts with https://")
    return value


_NAME = r"[a-z](?:-?[a-z0-9])*"

ServiceName = Annotated[str, Text(_NAME, "1 to 40 of a-z, 0-9 and single hyphens, a letter first", 40)]
"""What `components.naming` makes names of; within it, the limits of AWS and Kubernetes hold for any of these."""
ModelName = Annotated[str, Text(_NAME, "1 to 40 of a-z, 0-9 and single hyphens, a letter first", 40)]
ModelVersion = Annotated[
    str, Text(r"[a-z0-9][a-z0-9.-]{0,31}", "1 to 32 of a-z, 0-9, dot and hyphen, a letter or digit first")
]
Digest = Annotated[str, Text(r"sha256:[0-9a-f]{64}", "sha256: and 64 hex digits (`slipway models` prints them)")]
PoolName = Annotated[str, Text(_NAME, "1 to 20 of a-z, 0-9 and single hyphens, a letter first", 20)]
ColumnName = Annotated[str, Text(r"[a-z_][a-z0-9_]{0,62}", "1 to 63 of a-z, 0-9 and _, a letter or _ first")]
MetricName = Annotated[str, Text(r"[a-z][a-z0-9_]{0,62}", "1 to 63 of a-z, 0-9 and _, a letter first")]
GroupName = Annotated[str, Text(_NAME, "1 to 40 of a-z, 0-9 and single hyphens, a letter first", 40)]

Region = Annotated[str, Text(r"[a-z]{2}(?:-[a-z]+)+-\d", "an AWS region such as eu-west-1")]
UNKNOWN_REGION = "xx-unknown-1"
"""Stands in for a wrong region while the rest of a config is checked."""
Account = Annotated[str, Text(r"\d{12}", 'an AWS account number of 12 digits, in quotes ("123456789012")')]
TagKey = Annotated[
    str, Text(r"(?:[b-zB-Z]|[aA](?:[^wW]|[wW][^sS]))[A-Za-z0-9 .:/=+@_-]{0,124}", "a tag's name, not starting with aws")
]
TagValue = Annotated[
    str, Text(r"[A-Za-z0-9 .:/=+@_-]{0,256}", "a tag's text: letters, digits, blanks and . : / = + @ _ -")
]
Cidr = Annotated[str, BeforeValidator(_network), Says("an IPv4 network such as 10.0.0.0/16")]
EndpointService = Annotated[
    str, Text(r"[a-z0-9][a-z0-9.-]{1,60}", "an AWS service as VPC endpoints name it, such as ecr.dkr or secretsmanager")
]
VpcId = Annotated[str, Text(r"vpc-[0-9a-f]{8,17}", "the id of a VPC such as vpc-0a1b2c3d")]
SubnetId = Annotated[str, Text(r"subnet-[0-9a-f]{8,17}", "the id of a subnet such as subnet-0a1b2c3d")]
KeyArn = Annotated[str, arn("kms", r"key/[0-9a-f-]+", "a KMS key")]
CertificateArn = Annotated[str, arn("acm", r"certificate/[0-9a-f-]+", "an ACM certificate")]
SecretArn = Annotated[str, arn("secretsmanager", r"secret:.+", "a Secrets Manager secret", kind=SensitiveText)]
RoleArn = Annotated[str, arn("iam", r"role/.+", "an IAM role")]
RoleName = Annotated[str, Text(r"[A-Za-z0-9+=,.@_-]{1,64}", "an IAM role's name, not its ARN")]
OidcProviderArn = Annotated[str, arn("iam", r"oidc-provider/.+", "an IAM OIDC provider")]
TopicArn = Annotated[str, arn("sns", r"[A-Za-z0-9_-]+", "an SNS topic")]
KinesisArn = Annotated[str, arn("kinesis", r"stream/[a-zA-Z0-9_.-]+", "a Kinesis stream")]
KafkaArn = Annotated[str, arn("kafka", r"cluster/.+", "an MSK cluster")]
ImageRepository = Annotated[
    str,
    Text(r"[a-z0-9.-]+(?::\d+)?(?:/[a-z0-9._-]+)+", "an image's repository such as registry.example.com/serving"),
]
ImageReference = Annotated[
    str,
    Text(
        r"[a-z0-9.-]+(?::\d+)?(?:/[a-z0-9._-]+)+(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}|@sha256:[0-9a-f]{64})",
        "an image with its tag or digest such as registry.example.com/trainer:1.4.0",
    ),
]
ImageTag = Annotated[str, Text(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", "an image's tag such as 1.4.0")]
BucketName = Annotated[str, Text(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "an S3 bucket's name")]
InputPlace = Annotated[
    str,
    Text(
        r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](?:/.*)?|[A-Za-z0-9][A-Za-z0-9._=/{}-]*",
        "a place in S3 such as s3://bucket/prefix/, or a prefix of the warehouse bucket such as inputs/flights/",
    ),
]
Hostname = Annotated[
    str, Text(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}", "a host's name such as api.example.com")
]
HttpsUrl = Annotated[str, AfterValidator(_https), Says("an address that starts with https://")]
Broker = Annotated[str, Text(r"[A-Za-z0-9.-]+:\d{1,5}", "a Kafka broker such as broker-1.example.com:9092")]
KafkaTopic = Annotated[str, Text(r"[A-Za-z0-9._-]{1,200}", "a Kafka topic's name")]
Email = Annotated[str, Text(r"[^@\s]+@[^@\s.]+(?:\.[^@\s.]+)+", "an e-mail address")]
GithubRepository = Annotated[
    str,
    Text(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})/[A-Za-z0-9._-]{1,100}", "a GitHub repository such as acme/platform"),
]
Branch = Annotated[str, Text(r"[A-Za-z0-9._/-]{1,200}", "a branch's name such as main")]

Flag = Annotated[bool, Strict()]
Cron = Annotated[str, BeforeValidator(_cron), Says('five cron fields such as "0 2 * * *"')]
Cpu = Annotated[
    str,
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "number", "exclusiveMinimum": 0}]}),
    Text(r"[1-9]\d{0,4}m|[1-9]\d{0,2}|\d{1,2}\.\d{1,3}", "a share of CPU such as 500m, 0.5 or 2"),
    BeforeValidator(_quantity),
]
Memory = Annotated[str, Text(r"[1-9]\d{0,5}(?:Mi|Gi)", "a size of memory such as 512Mi or 2Gi")]
Port = Annotated[int, Whole(1024, 65535)]
Days = Annotated[int, Whole(1, 3653, "days")]
Hours = Annotated[int, Whole(1, 24 * 90, "hours")]
Minutes = Annotated[int, Whole(1, 7 * 24 * 60, "minutes")]
Percent = Annotated[float, Number(0, 100, "percent")]
Usd = Annotated[float, Number(0, 10_000_000, "US dollars")]
Count = Annotated[int, Whole(1, 1000)]


class Nat(StrEnum):
    """How private subnets reach the internet."""

    NONE = "none"
    SINGLE = "single"
    PER_ZONE = "per_zone"


class KubernetesVersion(StrEnum):
    """The Kubernetes versions whose objects are checked in this repository."""

    V1_33 = "1.33"
    V1_34 = "1.34"
    V1_35 = "1.35"


class Hardware(StrEnum):
    """What a pool's machines have."""

    CPU = "cpu"
    GPU = "gpu"


class Capacity(StrEnum):
    """How machines are bought."""

    ON_DEMAND = "on_demand"
    SPOT = "spot"


class Approval(StrEnum):
    """Who lets a change in."""

    MANUAL = "manual"
    AUTOMATIC = "automatic"


class Source(StrEnum):
    """Where a stream's events come from."""

    SQS = "sqs"
    KINESIS = "kinesis"
    KAFKA = "kafka"


class FileFormat(StrEnum):
    """How a batch's input is written."""

    PARQUET = "parquet"
    CSV = "csv"
    JSON_LINES = "jsonl"


class Reason(StrEnum):
    """What starts a retraining."""

    DRIFT = "drift"
    QUALITY = "quality"
    SCHEDULE = "schedule"


class Metric(StrEnum):
    """How good predictions are, once their labels are known."""

    AUC = "auc"
    ACCURACY = "accuracy"
    F1 = "f1"
    MAE = "mae"
    RMSE = "rmse"


class ColumnType(StrEnum):
    """What a feature group's column holds."""

    TEXT = "string"
    WHOLE = "bigint"
    NUMBER = "double"
    BOOLEAN = "boolean"


CPU_FAMILIES = frozenset(
    (
        "c5",
        "c5a",
        "c6a",
        "c6i",
        "c7a",
        "c7i",
        "c8i",
        "m5",
        "m5a",
        "m6a",
        "m6i",
        "m7a",
        "m7i",
        "m8i",
        "r5",
        "r5a",
        "r6a",
        "r6i",
        "r7a",
        "r7i",
        "r8i",
        "t3",
        "t3a",
    )
)
GPU_FAMILIES = frozenset(("g4dn", "g5", "g6", "g6e", "gr6", "p3", "p4d", "p4de", "p5", "p5e", "p5en", "p6-b200"))
"""x86 machines only: the serving image is built for one architecture."""


def _family(value: Any) -> str:
    if value not in CPU_FAMILIES | GPU_FAMILIES:
        raise PydanticCustomError("family", "an EC2 instance family", {"known": sorted(CPU_FAMILIES | GPU_FAMILIES)})
    return str(value)


InstanceFamily = Annotated[
    str,
    BeforeValidator(_family),
    Says("an EC2 instance family such as m7i"),
    Field(json_schema_extra={"enum": [*sorted(CPU_FAMILIES), *sorted(GPU_FAMILIES)]}),
]
