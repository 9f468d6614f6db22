"""Kinesis: data streams."""

from local.aws.api import Api, Call
from local.aws.definition import Scope
from local.aws.names import Names
from local.aws.tagging import Tags
from local.provider.values import Props

_SUMMARY = Call("describe_stream_summary", result="StreamDescriptionSummary", keys={"StreamName": "{name}"})


def _settings(scope: Scope, facts: Props) -> None:
    """Retention and encryption have calls of their own, also for a new stream."""
    changed = facts.get("__changed", facts.keys())
    client, stream = scope.client("kinesis"), {"StreamName": facts["name"]}
    if "retentionPeriod" in changed:
        wanted = facts.get("retentionPeriod") or 24
        now = client.describe_stream_summary(**stream)["StreamDescriptionSummary"]["RetentionPeriodHours"]
        if wanted > now:
            client.increase_stream_retention_period(**stream, RetentionPeriodHours=wanted)
        elif wanted < now:
            client.decrease_stream_retention_period(**stream, RetentionPeriodHours=wanted)
    if {"encryptionType", "kmsKeyId"} & set(changed):
        if facts.get("encryptionType") == "KMS":
            client.start_stream_encryption(**stream, EncryptionType="KMS", KeyId=facts["kmsKeyId"])
        elif "__changed" in facts:
            client.stop_stream_encryption(**stream, EncryptionType="KMS", KeyId="alias/aws/kinesis")


TYPES = (
    Api(
        "aws:kinesis/stream:Stream",
        id="{arn}",
        service="kinesis",
        make=Call("create_stream"),
        after_make=(_settings,),
        find=(_SUMMARY,),
        change=(
            Call("update_shard_count", keys={"ScalingType": "UNIFORM_SCALING"}),
            Call("update_stream_mode", keys={"StreamARN": "{arn}"}),
            _settings,
        ),
        remove=Call(
            "delete_stream", keys={"StreamName": "{name}", "EnforceConsumerDeletion": "{enforceConsumerDeletion}"}
        ),
        names=Names(
            "Stream",
            {
                "RetentionPeriodHours": "retentionPeriod",
                "OpenShardCount": "shardCount",
                "TargetShardCount": "shardCount",
                "KeyId": "kmsKeyId",
            },
        ),
        tags=Tags(
            "StreamName",
            "{name}",
            "add_tags_to_stream",
            "remove_tags_from_stream",
            "list_tags_for_stream",
            after_create=True,
        ),
        autoname="name",
        replace_on=("name",),
        outputs={"retentionPeriod": 24, "encryptionType": "NONE", "enforceConsumerDeletion": False},
    ),
)
