"""KMS: keys and their aliases."""

from local.aws.api import Api, Call
from local.aws.definition import Scope
from local.aws.names import Names
from local.aws.tagging import Tags
from local.provider.values import Props


def _rotate(scope: Scope, facts: Props) -> None:
    client, key = scope.client("kms"), {"KeyId": facts["keyId"]}
    if not facts.get("enableKeyRotation"):
        client.disable_key_rotation(**key)
    elif period := facts.get("rotationPeriodInDays"):
        client.enable_key_rotation(**key, RotationPeriodInDays=int(period))
    else:
        client.enable_key_rotation(**key)


def _enable(scope: Scope, facts: Props) -> None:
    client = scope.client("kms")
    (client.disable_key if facts.get("isEnabled") is False else client.enable_key)(KeyId=facts["keyId"])


def _after_make(scope: Scope, facts: Props) -> None:
    if facts.get("enableKeyRotation"):
        _rotate(scope, facts)
    if facts.get("isEnabled") is False:
        _enable(scope, facts)


def _change(scope: Scope, facts: Props) -> None:
    if {"enableKeyRotation", "rotationPeriodInDays"} & facts["__changed"]:
        _rotate(scope, facts)
    if "isEnabled" in facts["__changed"]:
        _enable(scope, facts)


TYPES = (
    Api(
        "aws:kms/key:Key",
        id="{keyId}",
        service="kms",
        make=Call("create_key", result="KeyMetadata"),
        after_make=(_after_make,),
        find=(
            Call("describe_key", result="KeyMetadata"),
            Call("get_key_policy", keys={"PolicyName": "default"}),
            Call("get_key_rotation_status"),
        ),
        gone=lambda found: found["keyState"] == "PendingDeletion",
        change=(
            Call("update_key_description"),
            Call("put_key_policy", keys={"PolicyName": "default"}),
            _change,
        ),
        remove=Call("schedule_key_deletion", keys={"PendingWindowInDays": "{deletionWindowInDays}"}),
        names=Names(
            renames={"Enabled": "isEnabled", "KeyRotationEnabled": "enableKeyRotation", "KeyState": "keyState"}
        ),
        facts=("keyState",),
        tags=Tags("KeyId", "{keyId}", list="list_resource_tags"),
        replace_on=("keyUsage", "customerMasterKeySpec", "customKeyStoreId", "multiRegion", "xksKeyId"),
        outputs={
            "bypassPolicyLockoutSafetyCheck": False,
            "deletionWindowInDays": 30,
            "isEnabled": True,
            "multiRegion": False,
        },
    ),
    Api(
        "aws:kms/alias:Alias",
        id="{name}",
        service="kms",
        make=Call("create_alias"),
        find=(Call("list_aliases", result="Aliases", select=("AliasName", "{name}")),),
        change=(Call("update_alias"),),
        remove=Call("delete_alias"),
        names=Names("Alias"),
        replace_on=("name", "namePrefix"),
        outputs={
            "arn": "arn:{partition}:kms:{region}:{account}:{name}",
            "targetKeyArn": "arn:{partition}:kms:{region}:{account}:key/{targetKeyId}",
        },
        volatile=("targetKeyArn",),
    ),
)
