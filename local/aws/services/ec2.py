"""EC2: the network. Security group rules have a folder of their own in pulumi-aws: see vpc.py."""

from collections.abc import Callable, Mapping
from typing import Any

from local.aws.api import Call, Step
from local.aws.definition import Definition, Scope
from local.aws.ec2_functions import get_vpc
from local.aws.ec2_parts import EC2_TAGS, arn, by_id, ec2
from local.aws.session import Session
from local.provider.values import Props

_VPC_SWITCHES = {"enableDnsSupport": "EnableDnsSupport", "enableDnsHostnames": "EnableDnsHostnames"}


def _set_vpc_switches(scope: Scope, facts: Props) -> None:
    """EC2 takes one switch a call, and only once the VPC is there."""
    for name, parameter in _VPC_SWITCHES.items():
        if facts.get(name) is not None and name in facts.get("__changed", _VPC_SWITCHES):
            scope.client("ec2").modify_vpc_attribute(VpcId=facts["id"], **{parameter: {"Value": facts[name]}})


def _vpc_switches(scope: Scope, facts: Props) -> Props:
    client = scope.client("ec2")
    return {
        name: client.describe_vpc_attribute(VpcId=facts["id"], Attribute=name)[member]["Value"]
        for name, member in _VPC_SWITCHES.items()
    }


def _default_group(scope: Scope, facts: Props) -> Props:
    return {"defaultSecurityGroupId": _default_group_of(scope, facts["id"])["GroupId"]}


def _default_group_of(scope: Scope, vpc_id: str) -> Any:
    filters = [{"Name": "vpc-id", "Values": [vpc_id]}, {"Name": "group-name", "Values": ["default"]}]
    return scope.client("ec2").describe_security_groups(Filters=filters)["SecurityGroups"][0]


def _set_public_addresses(scope: Scope, facts: Props) -> None:
    if facts.get("mapPublicIpOnLaunch") is not None:
        wanted = {"Value": facts["mapPublicIpOnLaunch"]}
        scope.client("ec2").modify_subnet_attribute(SubnetId=facts["id"], MapPublicIpOnLaunch=wanted)


def _attach(scope: Scope, facts: Props) -> None:
    if facts.get("vpcId"):
        scope.client("ec2").attach_internet_gateway(InternetGatewayId=facts["id"], VpcId=facts["vpcId"])


def _detach(scope: Scope, facts: Props) -> None:
    if facts.get("vpcId"):
        scope.client("ec2").detach_internet_gateway(InternetGatewayId=facts["id"], VpcId=facts["vpcId"])


def _attached_to(scope: Scope, facts: Props) -> Props:
    found = scope.client("ec2").describe_internet_gateways(InternetGatewayIds=[facts["id"]])["InternetGateways"][0]
    return {"vpcId": found["Attachments"][0]["VpcId"]} if found["Attachments"] else {}


def _address_of_nat(scope: Scope, facts: Props) -> Props:
    found = scope.client("ec2").describe_nat_gateways(NatGatewayIds=[facts["id"]])["NatGateways"][0]
    address = found["NatGatewayAddresses"][0]
    return {"allocationId": address.get("AllocationId"), "publicIp": address.get("PublicIp")}


def _let_nothing_out(scope: Scope, facts: Props) -> None:
    """A new group lets everything out; like the real provider, only what the program says is let through."""
    client = scope.client("ec2")
    group = client.describe_security_groups(GroupIds=[facts["id"]])["SecurityGroups"][0]
    _close(client, group)


def _close(client: Any, group: Any) -> None:
    if group["IpPermissions"]:
        client.revoke_security_group_ingress(GroupId=group["GroupId"], IpPermissions=group["IpPermissions"])
    if group["IpPermissionsEgress"]:
        client.revoke_security_group_egress(GroupId=group["GroupId"], IpPermissions=group["IpPermissionsEgress"])


class DefaultGroup(Definition):
    """The security group that every VPC has: taken over and emptied, never made or removed."""

    def create(self, scope: Scope, facts: Props) -> Props:
        """Takes away its rules."""
        group = _default_group_of(scope, facts["vpcId"])
        _close(scope.client("ec2"), group)
        if facts.get("tags"):
            EC2_TAGS.add(scope, "ec2", {"id": group["GroupId"]}, facts["tags"])
        return {"id": group["GroupId"]}

    def read(self, scope: Scope, facts: Props) -> Props | None:
        """It goes with its VPC."""
        filters = [{"Name": "group-id", "Values": [facts["id"]]}]
        groups = scope.client("ec2").describe_security_groups(Filters=filters)["SecurityGroups"]
        if not groups:
            return None
        said = {"name": groups[0]["GroupName"], "description": groups[0]["Description"], "vpcId": groups[0]["VpcId"]}
        return {**said, **arn("security-group")(scope, scope.facts(facts)), "tags": EC2_TAGS.of(scope, "ec2", facts)}

    def update(self, scope: Scope, facts: Props, changed: set[str]) -> None:
        """Only its tags can change."""
        if "tags" in changed:
            EC2_TAGS.become(scope, "ec2", facts, EC2_TAGS.of(scope, "ec2", facts), facts.get("tags") or {})

    def delete(self, scope: Scope, facts: Props) -> None:
        """Leaves it to its VPC."""


class Route(Definition):
    """One route of a table; it has no id of its own in EC2."""

    def create(self, scope: Scope, facts: Props) -> Props:
        """Adds it to its table."""
        scope.client("ec2").create_route(**_which(facts), **_target(facts))
        return {}

    def read(self, scope: Scope, facts: Props) -> Props | None:
        """The table's route to this destination."""
        filters = [{"Name": "route-table-id", "Values": [facts["routeTableId"]]}]
        tables = scope.client("ec2").describe_route_tables(Filters=filters)["RouteTables"]
        routes: list[Any] = tables[0]["Routes"] if tables else []
        wanted = facts["destinationCidrBlock"]
        found = next((route for route in routes if route.get("DestinationCidrBlock") == wanted), None)
        if found is None:
            return None
        said = {name: found.get(member) for name, member in _TARGETS.items()}
        return {**said, "origin": found.get("Origin"), "state": found.get("State")}

    def update(self, scope: Scope, facts: Props, changed: set[str]) -> None:
        """Leads it somewhere else."""
        if changed & _TARGETS.keys():
            scope.client("ec2").replace_route(**_which(facts), **_target(facts))

    def delete(self, scope: Scope, facts: Props) -> None:
        """Takes it out of its table."""
        scope.client("ec2").delete_route(**_which(facts))


_TARGETS = {
    "gatewayId": "GatewayId",
    "natGatewayId": "NatGatewayId",
    "transitGatewayId": "TransitGatewayId",
    "vpcPeeringConnectionId": "VpcPeeringConnectionId",
}


def _which(facts: Props) -> dict[str, str]:
    return {"RouteTableId": facts["routeTableId"], "DestinationCidrBlock": facts["destinationCidrBlock"]}


def _target(facts: Props) -> dict[str, str]:
    return {member: facts[name] for name, member in _TARGETS.items() if facts.get(name)}


def _is_deleted(found: Props) -> bool:
    """EC2 shows some things for a while after they are gone."""
    return found["state"] == "deleted"


_PUBLIC: tuple[Step, ...] = (_set_public_addresses,)

TYPES: tuple[Definition, ...] = (
    ec2(
        "aws:ec2/vpc:Vpc",
        "Vpc",
        "vpc",
        make=Call("create_vpc", result="Vpc"),
        after_make=(_set_vpc_switches,),
        find=by_id("describe_vpcs", "VpcIds", "Vpcs"),
        more=(_vpc_switches, _default_group),
        change=(_set_vpc_switches,),
        remove="delete_vpc",
        replace_on=("cidrBlock", "instanceTenancy"),
    ),
    ec2(
        "aws:ec2/subnet:Subnet",
        "Subnet",
        "subnet",
        make=Call("create_subnet", result="Subnet"),
        after_make=_PUBLIC,
        find=by_id("describe_subnets", "SubnetIds", "Subnets"),
        change=_PUBLIC,
        remove="delete_subnet",
        replace_on=("vpcId", "cidrBlock", "availabilityZone", "availabilityZoneId"),
    ),
    ec2(
        "aws:ec2/internetGateway:InternetGateway",
        "InternetGateway",
        "internet-gateway",
        make=Call("create_internet_gateway", result="InternetGateway"),
        after_make=(_attach,),
        find=by_id("describe_internet_gateways", "InternetGatewayIds", "InternetGateways"),
        more=(_attached_to,),
        before_remove=_detach,
        remove="delete_internet_gateway",
        replace_on=("vpcId",),
    ),
    ec2(
        "aws:ec2/eip:Eip",
        "Allocation",
        "elastic-ip",
        make=Call("allocate_address"),
        find=by_id("describe_addresses", "AllocationIds", "Addresses"),
        more=(lambda _scope, facts: {"allocationId": facts["id"]},),
        remove="release_address",
        replace_on=("domain",),
    ),
    ec2(
        "aws:ec2/natGateway:NatGateway",
        "NatGateway",
        "natgateway",
        make=Call("create_nat_gateway", result="NatGateway"),
        find=Call("describe_nat_gateways", result="NatGateways.0", keys={"NatGatewayIds": "{id}"}),
        gone=_is_deleted,
        facts=("id", "state"),
        more=(_address_of_nat,),
        remove="delete_nat_gateway",
        replace_on=("subnetId", "allocationId", "connectivityType"),
    ),
    ec2(
        "aws:ec2/routeTable:RouteTable",
        "RouteTable",
        "route-table",
        make=Call("create_route_table", result="RouteTable"),
        find=by_id("describe_route_tables", "RouteTableIds", "RouteTables"),
        # Routes are resources of their own; a table also has the VPC's.
        renames={"Routes": "", "PropagatingVgws": ""},
        remove="delete_route_table",
        replace_on=("vpcId",),
    ),
    ec2(
        "aws:ec2/routeTableAssociation:RouteTableAssociation",
        "Association",
        "route-table-association",
        make=Call("associate_route_table"),
        find=Call(
            "describe_route_tables",
            result="RouteTables.0.Associations",
            keys={"Filters": [{"Name": "association.route-table-association-id", "Values": ["{id}"]}]},
            select=("RouteTableAssociationId", "{id}"),
        ),
        remove="disassociate_route_table",
        tagged=False,
        replace_on=("subnetId", "gatewayId", "routeTableId"),
    ),
    Route(
        "aws:ec2/route:Route",
        id="r-{routeTableId}-{destinationCidrBlock}",
        replace_on=("routeTableId", "destinationCidrBlock"),
    ),
    ec2(
        "aws:ec2/vpcEndpoint:VpcEndpoint",
        "VpcEndpoint",
        "vpc-endpoint",
        make=Call("create_vpc_endpoint", result="VpcEndpoint"),
        find=by_id("describe_vpc_endpoints", "VpcEndpointIds", "VpcEndpoints"),
        gone=_is_deleted,
        remove="delete_vpc_endpoints",
        removes_many=True,
        unordered=("routeTableIds", "subnetIds", "securityGroupIds"),
        replace_on=("vpcId", "serviceName", "vpcEndpointType"),
    ),
    ec2(
        "aws:ec2/securityGroup:SecurityGroup",
        "Group",
        "security-group",
        make=Call("create_security_group"),
        after_make=(_let_nothing_out,),
        find=by_id("describe_security_groups", "GroupIds", "SecurityGroups"),
        renames={"GroupName": "name", "IpPermissions": "", "IpPermissionsEgress": ""},
        remove="delete_security_group",
        autoname="name",
        replace_on=("name", "namePrefix", "description", "vpcId"),
    ),
    DefaultGroup("aws:ec2/defaultSecurityGroup:DefaultSecurityGroup", id="{id}", replace_on=("vpcId",)),
    ec2(
        "aws:ec2/flowLog:FlowLog",
        "FlowLog",
        "vpc-flow-log",
        make=Call(
            "create_flow_logs", result="FlowLogIds.0", into="id", keys={"ResourceIds": "{vpcId}", "ResourceType": "VPC"}
        ),
        find=Call("describe_flow_logs", result="FlowLogs.0", keys={"FlowLogIds": "{id}"}),
        renames={"DeliverLogsPermissionArn": "iamRoleArn", "ResourceId": "vpcId"},
        remove="delete_flow_logs",
        removes_many=True,
        replace_on=("vpcId", "trafficType", "logDestination", "logDestinationType", "iamRoleArn", "logFormat"),
    ),
)


FUNCTIONS: Mapping[str, Callable[[Session, Mapping[str, Any]], Props]] = {"aws:ec2/getVpc:getVpc": get_vpc}
