"""DynamoDB: tables."""

from typing import Any

from local.aws.api import Api, Call
from local.aws.definition import Scope
from local.aws.names import Names
from local.aws.tagging import Tags, pairs
from local.provider.values import Props


def _key_schema(facts: Props) -> list[dict[str, str]]:
    keys = [{"AttributeName": facts["hashKey"], "KeyType": "HASH"}]
    return keys + ([{"AttributeName": facts["rangeKey"], "KeyType": "RANGE"}] if facts.get("rangeKey") else [])


def _throughput(facts: Props) -> dict[str, Any]:
    if facts.get("billingMode") == "PAY_PER_REQUEST":
        return {"BillingMode": "PAY_PER_REQUEST"}
    units = {"ReadCapacityUnits": facts.get("readCapacity", 1), "WriteCapacityUnits": facts.get("writeCapacity", 1)}
    return {"BillingMode": "PROVISIONED", "ProvisionedThroughput": units}


def _encryption(facts: Props) -> dict[str, Any]:
    wanted: Props = facts.get("serverSideEncryption") or {}
    if not wanted.get("enabled"):
        return {}
    key = {"KMSMasterKeyId": wanted["kmsKeyArn"]} if wanted.get("kmsKeyArn") else {}
    return {"SSESpecification": {"Enabled": True, "SSEType": "KMS", **key}}


def _stream(facts: Props) -> dict[str, Any]:
    if not facts.get("streamEnabled"):
        return {}
    return {"StreamSpecification": {"StreamEnabled": True, "StreamViewType": facts["streamViewType"]}}


def _index(facts: Props, index: Props) -> dict[str, Any]:
    projection = {"ProjectionType": index["projectionType"]}
    if index.get("nonKeyAttributes"):
        projection["NonKeyAttributes"] = index["nonKeyAttributes"]
    throughput = {key: value for key, value in _throughput({**facts, **index}).items() if key != "BillingMode"}
    return {"IndexName": index["name"], "KeySchema": _key_schema(index), "Projection": projection, **throughput}


def _make(scope: Scope, facts: Props) -> None:
    attributes = [{"AttributeName": item["name"], "AttributeType": item["type"]} for item in facts["attributes"]]
    wanted: list[Props] = facts.get("globalSecondaryIndexes") or []
    indexes = [_index(facts, index) for index in wanted]
    scope.client("dynamodb").create_table(
        TableName=facts["name"],
        AttributeDefinitions=attributes,
        KeySchema=_key_schema(facts),
        **_throughput(facts),
        **_encryption(facts),
        **_stream(facts),
        **({"GlobalSecondaryIndexes": indexes} if indexes else {}),
        DeletionProtectionEnabled=bool(facts.get("deletionProtectionEnabled")),
        TableClass=facts.get("tableClass", "STANDARD"),
        Tags=pairs(facts),
    )


def _switches(scope: Scope, facts: Props) -> None:
    """Point-in-time recovery and expiry have calls of their own, which may only be made when they change."""
    client, changed = scope.client("dynamodb"), facts.get("__changed", facts.keys())
    recovery: Props = facts.get("pointInTimeRecovery") or {}
    expiry: Props = facts.get("ttl") or {}
    if "pointInTimeRecovery" in changed:
        wanted = {"PointInTimeRecoveryEnabled": bool(recovery.get("enabled"))}
        client.update_continuous_backups(TableName=facts["name"], PointInTimeRecoverySpecification=wanted)
    now = client.describe_time_to_live(TableName=facts["name"])["TimeToLiveDescription"]["TimeToLiveStatus"]
    if "ttl" in changed and (expiry.get("enabled", bool(expiry)) != (now == "ENABLED")):
        wanted = {"Enabled": now != "ENABLED", "AttributeName": expiry.get("attributeName", "ttl")}
        client.update_time_to_live(TableName=facts["name"], TimeToLiveSpecification=wanted)


def _change(scope: Scope, facts: Props) -> None:
    changed, client = facts["__changed"], scope.client("dynamodb")
    if changed & {"billingMode", "readCapacity", "writeCapacity"}:
        client.update_table(TableName=facts["name"], **_throughput(facts))
    if "serverSideEncryption" in changed:
        wanted = _encryption(facts) or {"SSESpecification": {"Enabled": False}}
        client.update_table(TableName=facts["name"], **wanted)
    if changed & {"streamEnabled", "streamViewType"}:
        wanted = _stream(facts) or {"StreamSpecification": {"StreamEnabled": False}}
        client.update_table(TableName=facts["name"], **wanted)
    if "deletionProtectionEnabled" in changed:
        wanted = {"DeletionProtectionEnabled": bool(facts.get("deletionProtectionEnabled"))}
        client.update_table(TableName=facts["name"], **wanted)
    _switches(scope, facts)


def _describe(scope: Scope, facts: Props) -> Props:
    table = scope.client("dynamodb").describe_table(TableName=facts["name"])["Table"]
    keys = {key["KeyType"]: key["AttributeName"] for key in table["KeySchema"]}
    found: Props = {
        "name": table["TableName"],
        "arn": table["TableArn"],
        "hashKey": keys["HASH"],
        "rangeKey": keys.get("RANGE"),
        "attributes": [
            {"name": item["AttributeName"], "type": item["AttributeType"]} for item in table["AttributeDefinitions"]
        ],
        "billingMode": table.get("BillingModeSummary", {}).get("BillingMode", "PROVISIONED"),
        "readCapacity": table.get("ProvisionedThroughput", {}).get("ReadCapacityUnits", 0),
        "writeCapacity": table.get("ProvisionedThroughput", {}).get("WriteCapacityUnits", 0),
        "deletionProtectionEnabled": table.get("DeletionProtectionEnabled", False),
        "tableClass": table.get("TableClassSummary", {}).get("TableClass", "STANDARD"),
        "streamEnabled": table.get("StreamSpecification", {}).get("StreamEnabled", False),
        "streamViewType": table.get("StreamSpecification", {}).get("StreamViewType"),
        "streamArn": table.get("LatestStreamArn"),
        "streamLabel": table.get("LatestStreamLabel"),
    }
    if key := table.get("SSEDescription", {}).get("KMSMasterKeyArn"):
        found["serverSideEncryption"] = {"enabled": True, "kmsKeyArn": key}
    return {name: value for name, value in found.items() if value is not None}


def _describe_switches(scope: Scope, facts: Props) -> Props:
    client = scope.client("dynamodb")
    backups = client.describe_continuous_backups(TableName=facts["name"])["ContinuousBackupsDescription"]
    recovery = backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"
    expiry = client.describe_time_to_live(TableName=facts["name"])["TimeToLiveDescription"]
    ttl = {"enabled": expiry["TimeToLiveStatus"] == "ENABLED", "attributeName": expiry.get("AttributeName", "")}
    return {"pointInTimeRecovery": {"enabled": recovery}, "ttl": ttl}


TYPES = (
    Api(
        "aws:dynamodb/table:Table",
        id="{name}",
        service="dynamodb",
        make=_make,
        after_make=(_switches,),
        find=(_describe, _describe_switches),
        change=(_change,),
        remove=Call("delete_table"),
        names=Names("Table"),
        tags=Tags("ResourceArn", list="list_tags_of_resource"),
        autoname="name",
        replace_on=("name", "hashKey", "rangeKey", "localSecondaryIndexes"),
        unordered=("attributes", "globalSecondaryIndexes"),
        volatile=("streamArn", "streamLabel"),
    ),
)
