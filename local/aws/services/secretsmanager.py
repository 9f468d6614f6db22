"""Secrets Manager: secrets and their values."""

from collections.abc import Callable, Mapping
from typing import Any

from local.aws.api import Api, Call
from local.aws.definition import Scope
from local.aws.names import Names
from local.aws.session import Session
from local.aws.tagging import Tags
from local.provider.values import Props


def _delete(scope: Scope, facts: Props) -> None:
    """0 days of recovery: at once, as the provider means it."""
    days = facts.get("recoveryWindowInDays", 30)
    wanted: dict[str, Any] = {"RecoveryWindowInDays": days} if days else {"ForceDeleteWithoutRecovery": True}
    scope.client("secretsmanager").delete_secret(SecretId=facts["arn"], **wanted)


def _put_policy(scope: Scope, facts: Props) -> None:
    if facts.get("policy") and "policy" in facts.get("__changed", {"policy"}):
        client = scope.client("secretsmanager")
        client.put_resource_policy(SecretId=facts["arn"], ResourcePolicy=facts["policy"])


def _get_version(session: Session, args: Mapping[str, Any]) -> Props:
    """The value of a secret, as `aws.secretsmanager.get_secret_version`."""
    asked = {"VersionId": args.get("versionId"), "VersionStage": args.get("versionStage")}
    client = session.client("secretsmanager", args.get("region"))
    found = client.get_secret_value(
        SecretId=args["secretId"], **{key: value for key, value in asked.items() if value is not None}
    )
    return {
        "id": f"{args['secretId']}|{found['VersionId']}",
        "arn": found["ARN"],
        "createdDate": found["CreatedDate"].strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": args.get("region") or session.settings.region,
        "secretId": args["secretId"],
        "secretString": found.get("SecretString", ""),
        "secretBinary": "",
        "versionId": found["VersionId"],
        "versionStage": args.get("versionStage") or "AWSCURRENT",
        "versionStages": found["VersionStages"],
    }


FUNCTIONS: Mapping[str, Callable[[Session, Mapping[str, Any]], Props]] = {
    "aws:secretsmanager/getSecretVersion:getSecretVersion": _get_version
}

TYPES = (
    Api(
        "aws:secretsmanager/secret:Secret",
        id="{arn}",
        service="secretsmanager",
        make=Call("create_secret"),
        after_make=(_put_policy,),
        find=(Call("describe_secret", keys={"SecretId": "{arn}"}),),
        gone=lambda found: "deletedDate" in found,
        change=(Call("update_secret", keys={"SecretId": "{arn}"}), _put_policy),
        remove=_delete,
        facts=("deletedDate",),
        tags=Tags("SecretId", list=""),
        autoname="name",
        replace_on=("name", "namePrefix"),
        outputs={"forceOverwriteReplicaSecret": False, "recoveryWindowInDays": 30},
    ),
    Api(
        "aws:secretsmanager/secretVersion:SecretVersion",
        id="{secretId}|{versionId}",
        service="secretsmanager",
        make=Call("put_secret_value"),
        find=(Call("get_secret_value", keys={"VersionId": "{versionId}"}),),
        # Its stages are taken from it by the next version, and it goes with its secret.
        remove=None,
        names=Names(renames={"ARN": "arn"}),
        replace_on=("secretId", "secretString", "secretBinary"),
    ),
)
