"""EC2's functions."""

from collections.abc import Mapping
from typing import Any

from local.aws.errors import ClientError, is_missing
from local.aws.session import ACCOUNT, PARTITION, Session
from local.provider.values import Props


def get_vpc(session: Session, args: Mapping[str, Any]) -> Props:
    """A VPC of the emulation. One that a program says exists elsewhere is taken at its word, with a usual range."""
    region = args.get("region") or session.settings.region
    client: Any = session.client("ec2", region)
    found: dict[str, Any]
    try:
        found = client.describe_vpcs(VpcIds=[args["id"]])["Vpcs"][0]
    except ClientError as error:
        if not is_missing(error):
            raise
        found = {"CidrBlock": "10.0.0.0/16"}
    return {
        "id": args["id"],
        "arn": f"arn:{PARTITION}:ec2:{region}:{ACCOUNT}:vpc/{args['id']}",
        "cidrBlock": found["CidrBlock"],
        "default": found.get("IsDefault", False),
        "enableDnsHostnames": True,
        "enableDnsSupport": True,
        "instanceTenancy": "default",
        "ownerId": ACCOUNT,
        "region": region,
        "state": "available",
    }
