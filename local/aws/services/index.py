"""What pulumi-aws has at its top: functions such as `aws.get_caller_identity()`."""

from collections.abc import Callable, Mapping
from typing import Any

from local.aws.session import ACCOUNT, PARTITION, Session
from local.provider.values import Props

Args = Mapping[str, Any]


def caller_identity(_session: Session, _args: Args) -> Props:
    """Who calls: the emulation's one account."""
    return {
        "id": ACCOUNT,
        "accountId": ACCOUNT,
        "arn": f"arn:{PARTITION}:iam::{ACCOUNT}:user/local",
        "userId": "AIDALOCAL",
    }


def region(session: Session, args: Args) -> Props:
    """The provider's region, or the one asked for."""
    name = args.get("region") or args.get("name") or session.settings.region
    return {
        "id": name,
        "name": name,
        "region": name,
        "description": name,
        "endpoint": f"ec2.{name}.amazonaws.com",
    }


def partition(_session: Session, _args: Args) -> Props:
    """The partition of all regions here."""
    return {"id": PARTITION, "partition": PARTITION, "dnsSuffix": "amazonaws.com", "reverseDnsPrefix": "com.amazonaws"}


def availability_zones(session: Session, args: Args) -> Props:
    """The zones of the region, as the emulation has them."""
    name = args.get("region") or session.settings.region
    zones: list[dict[str, str]] = session.client("ec2", name).describe_availability_zones()["AvailabilityZones"]
    excluded: set[str] = {*(args.get("excludeNames") or []), *(args.get("excludeZoneIds") or [])}
    chosen = [zone for zone in zones if not excluded & {zone["ZoneName"], zone["ZoneId"]}]
    return {
        "id": name,
        "region": name,
        "groupNames": [name],
        "names": [zone["ZoneName"] for zone in chosen],
        "zoneIds": [zone["ZoneId"] for zone in chosen],
    }


TYPES = ()

FUNCTIONS: Mapping[str, Callable[[Session, Args], Props]] = {
    "aws:index/getCallerIdentity:getCallerIdentity": caller_identity,
    "aws:index/getRegion:getRegion": region,
    "aws:index/getPartition:getPartition": partition,
    "aws:index/getAvailabilityZones:getAvailabilityZones": availability_zones,
}
