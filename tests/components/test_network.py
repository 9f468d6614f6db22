"""Network: what it registers. Mocks cannot tell whether AWS takes the combination: `slipway rehearse` goes further."""

import pytest

from components.network import REQUIRED_WITHOUT_NAT, Network

KEY = "arn:aws:kms:eu-west-1:123456789012:key/1"


@pytest.fixture
def make(provision):
    return lambda **more: provision(lambda: Network("net", {"environment": "dev", **more}))


def names_of(made, typ):
    return sorted(one.name for one in made.of_type(typ))


def test_two_zones_with_one_nat_gateway_by_default(make):
    made = make()
    assert {one.parent for one in made.resources.values() if one.name != "net"} == {"net"}
    assert names_of(made, "aws:ec2/subnet:Subnet") == ["net-private-1", "net-private-2", "net-public-1", "net-public-2"]
    assert names_of(made, "aws:ec2/natGateway:NatGateway") == ["net-nat-1"]
    assert names_of(made, "aws:ec2/vpcEndpoint:VpcEndpoint") == ["net-dynamodb", "net-s3"]
    routes = {one.name: one.inputs for one in made.of_type("aws:ec2/route:Route")}
    assert routes["net-public-route"]["gatewayId"] == "net-internet-id"
    assert [routes[f"net-private-{zone}-route"]["natGatewayId"] for zone in (1, 2)] == ["net-nat-1-id"] * 2


def test_subnets_carry_the_tags_that_load_balancers_look_for_and_give_no_public_addresses(make):
    subnets = {one.name: one.inputs for one in make(zones=3).of_type("aws:ec2/subnet:Subnet")}
    assert [subnets[f"net-private-{zone}"]["tags"]["kubernetes.io/role/internal-elb"] for zone in (1, 2, 3)] == [
        "1"
    ] * 3
    assert [subnets[f"net-public-{zone}"]["tags"]["kubernetes.io/role/elb"] for zone in (1, 2, 3)] == ["1"] * 3
    assert not any(subnet["mapPublicIpOnLaunch"] for subnet in subnets.values())
    zones = {subnet["availabilityZone"] for name, subnet in subnets.items() if "private" in name}
    assert zones == {"eu-west-1a", "eu-west-1b", "eu-west-1c"}


def test_a_nat_gateway_per_zone_is_used_by_its_own_zone(make):
    made = make(nat="per_zone", zones=3)
    routes = {one.name: one.inputs for one in made.of_type("aws:ec2/route:Route")}
    assert [routes[f"net-private-{zone}-route"]["natGatewayId"] for zone in (1, 2, 3)] == [
        "net-nat-1-id",
        "net-nat-2-id",
        "net-nat-3-id",
    ]
    assert {one.inputs["domain"] for one in made.of_type("aws:ec2/eip:Eip")} == {"vpc"}


def test_without_nat_the_services_that_nodes_need_are_reached_inside_the_vpc(make):
    made = make(nat="none", interface_endpoints=["sqs"])
    interface = [
        one.inputs
        for one in made.of_type("aws:ec2/vpcEndpoint:VpcEndpoint")
        if one.inputs["vpcEndpointType"] == "Interface"
    ]
    assert {endpoint["serviceName"] for endpoint in interface} == {
        f"com.amazonaws.eu-west-1.{service}" for service in (*REQUIRED_WITHOUT_NAT, "sqs")
    }
    assert all(endpoint["privateDnsEnabled"] and endpoint["securityGroupIds"] for endpoint in interface)
    assert made.of_type("aws:ec2/natGateway:NatGateway") == []
    (rule,) = made.of_type("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")
    assert (rule.inputs["fromPort"], rule.inputs["toPort"], rule.inputs["cidrIpv4"]) == (443, 443, "10.0.0.0/16")


def test_the_default_security_group_is_closed(make):
    (group,) = make().of_type("aws:ec2/defaultSecurityGroup:DefaultSecurityGroup")
    assert "ingress" not in group.inputs
    assert "egress" not in group.inputs


def test_flow_logs_go_to_an_encrypted_log_group_that_only_their_role_writes_to(make):
    made = make(kms_key_arn=KEY, log_retention_days=90)
    group = made.resources["net-flow-logs"].inputs
    assert (group["name"], group["retentionInDays"], group["kmsKeyId"]) == ("/slipway/dev/flow-logs", 90, KEY)
    arn = "arn:aws:cloudwatch:eu-west-1:123456789012:/slipway/dev/flow-logs"
    write, look = made.resources["net-flow-logs-policy"].json("policy")["Statement"]
    assert write["Resource"] == [arn, f"{arn}:*"]
    assert look["Action"] == ["logs:DescribeLogGroups"]
    trust = made.resources["net-flow-logs-role"].json("assumeRolePolicy")["Statement"][0]
    assert trust["Principal"] == {"Service": "vpc-flow-logs.amazonaws.com"}
    assert "net-flow-logs-policy" in made.resources["net-flow-logs-record"].depends_on


def test_flow_logs_can_be_left_out(make):
    made = make(flow_logs=False)
    assert made.of_type("aws:ec2/flowLog:FlowLog") == made.of_type("aws:iam/role:Role") == []


def test_an_existing_vpc_is_taken_and_nothing_is_made(provision, settled):
    taken: list[Network] = []
    made = provision(
        lambda: taken.append(
            Network(
                "net",
                {
                    "environment": "prod",
                    "existing": {"vpc_id": "vpc-12345678", "private_subnet_ids": ["subnet-1", "subnet-2"]},
                },
            )
        )
    )
    assert made.types() == {"net": "slipway:index:Network"}
    assert settled(taken[0].vpc_cidr) == "10.9.0.0/16"
    assert settled(taken[0].private_subnet_ids) == ["subnet-1", "subnet-2"]
    assert settled(taken[0].public_subnet_ids) == []


@pytest.mark.parametrize("flow_logs", [True, False])
def test_a_preview_shows_everything_that_will_be_made(provision, flow_logs):
    spec = {"environment": "dev", "flow_logs": flow_logs}
    assert (
        provision(lambda: Network("net", spec), preview=True).types() == provision(lambda: Network("net", spec)).types()
    )
