"""Route 53: zones and records."""

from typing import Any

from local.aws.api import Api, Call
from local.aws.definition import Scope
from local.aws.names import Names
from local.aws.tagging import Tags
from local.provider.values import Props


def _make_zone(scope: Scope, facts: Props) -> Props:
    wanted: dict[str, Any] = {"Name": facts["name"], "CallerReference": facts["digest"]}
    if facts.get("comment"):
        wanted["HostedZoneConfig"] = {"Comment": facts["comment"]}
    answer = scope.client("route53").create_hosted_zone(**wanted)
    return {"zoneId": answer["HostedZone"]["Id"].rsplit("/", 1)[-1]}


def _find_zone(scope: Scope, facts: Props) -> Props:
    answer = scope.client("route53").get_hosted_zone(Id=facts["zoneId"])
    zone = answer["HostedZone"]
    return {
        "zoneId": zone["Id"].rsplit("/", 1)[-1],
        "name": zone["Name"].rstrip("."),
        "comment": zone.get("Config", {}).get("Comment"),
        "nameServers": answer.get("DelegationSet", {}).get("NameServers", []),
    }


def _record(facts: Props) -> dict[str, Any]:
    record: dict[str, Any] = {"Name": facts["name"], "Type": facts["type"]}
    if facts.get("aliases"):
        alias = facts["aliases"][0]
        record["AliasTarget"] = {
            "DNSName": alias["name"],
            "HostedZoneId": alias["zoneId"],
            "EvaluateTargetHealth": alias["evaluateTargetHealth"],
        }
    else:
        record |= {"TTL": facts["ttl"], "ResourceRecords": [{"Value": value} for value in facts["records"]]}
    return record


def _change_record(scope: Scope, facts: Props, action: str) -> None:
    batch = {"Changes": [{"Action": action, "ResourceRecordSet": _record(facts)}]}
    scope.client("route53").change_resource_record_sets(HostedZoneId=facts["zoneId"], ChangeBatch=batch)


def _put_record(scope: Scope, facts: Props) -> None:
    _change_record(scope, facts, "UPSERT")


def _delete_record(scope: Scope, facts: Props) -> None:
    _change_record(scope, facts, "DELETE")


def _find_record(scope: Scope, facts: Props) -> Props | None:
    answer = scope.client("route53").list_resource_record_sets(
        HostedZoneId=facts["zoneId"], StartRecordName=facts["name"], StartRecordType=facts["type"]
    )
    name = facts["name"].rstrip(".")
    for record in answer["ResourceRecordSets"]:
        if (record["Name"].rstrip("."), record["Type"]) == (name, facts["type"]):
            found: Props = {"name": facts["name"], "type": record["Type"], "ttl": record.get("TTL"), "fqdn": name}
            if record.get("ResourceRecords"):
                found["records"] = [item["Value"] for item in record["ResourceRecords"]]
            return {key: value for key, value in found.items() if value is not None}
    return None


TYPES = (
    Api(
        "aws:route53/zone:Zone",
        id="{zoneId}",
        service="route53",
        make=_make_zone,
        find=(_find_zone,),
        change=(Call("update_hosted_zone_comment", keys={"Id": "{zoneId}"}),),
        remove=Call("delete_hosted_zone", keys={"Id": "{zoneId}"}),
        names=Names(),
        tags=Tags(
            "ResourceId",
            "{zoneId}",
            "change_tags_for_resource",
            "change_tags_for_resource",
            result="ResourceTagSet",
            after_create=True,
            more={"ResourceType": "hostedzone"},
        ),
        replace_on=("name", "delegationSetId"),
        outputs={
            "arn": "arn:{partition}:route53:::hostedzone/{zoneId}",
            "comment": "Managed by Pulumi",
            "forceDestroy": False,
        },
    ),
    Api(
        "aws:route53/record:Record",
        id="{zoneId}_{name}_{type}",
        service="route53",
        make=_put_record,
        find=(_find_record,),
        change=(_put_record,),
        remove=_delete_record,
        replace_on=("zoneId", "name", "type", "setIdentifier"),
        unordered=("records",),
    ),
)
