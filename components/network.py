"""The network of an environment: a VPC over two or three zones, or one that exists already."""

from collections.abc import Sequence
from typing import NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from components.cidr import allocate
from components.flow_logs import flow_logs
from components.place import Place, place_of

NATS = ("none", "single", "per_zone")
REQUIRED_WITHOUT_NAT = ("ec2", "ecr.api", "ecr.dkr", "eks", "eks-auth", "elasticloadbalancing", "logs", "sts")
"""Interface endpoints that nodes and pods cannot do without when private subnets have no way out
(https://docs.aws.amazon.com/eks/latest/userguide/private-clusters.html)."""

_SLOW_TO_GO = pulumi.CustomTimeouts(delete="30m")
"""Load balancers and nodes give their network interfaces back minutes after they are gone."""


class ExistingNetworkArgs(TypedDict):
    """A VPC that is taken as it is."""

    vpc_id: pulumi.Input[str]
    """Its id."""
    private_subnet_ids: Sequence[pulumi.Input[str]]
    """Subnets of at least two zones for nodes and pods, tagged `kubernetes.io/role/internal-elb=1`."""
    public_subnet_ids: NotRequired[Sequence[pulumi.Input[str]]]
    """Subnets for public load balancers, tagged `kubernetes.io/role/elb=1`. Default none."""


class NetworkArgs(TypedDict):
    """What a Network is given."""

    environment: str
    """Environment name; part of every name."""
    cidr: NotRequired[str]
    """Network of the VPC, /16 or smaller. Default `10.0.0.0/16`."""
    zones: NotRequired[int]
    """Availability zones, 2 or 3. Default 2."""
    nat: NotRequired[str]
    """Way out of the private subnets: `none`, `single` gateway, or one `per_zone`. Default `single`."""
    interface_endpoints: NotRequired[Sequence[str]]
    """AWS services reached inside the VPC, such as `ecr.dkr`. Default none; without NAT, those that EKS needs are
    always there (`REQUIRED_WITHOUT_NAT`)."""
    flow_logs: NotRequired[bool]
    """Record who talked to whom. Default True."""
    log_retention_days: NotRequired[int]
    """Days that flow logs are kept. Default 30."""
    kms_key_arn: NotRequired[pulumi.Input[str]]
    """Key that encrypts the flow logs. Default: CloudWatch's own."""
    existing: NotRequired[ExistingNetworkArgs]
    """Take this VPC instead of making one; the other settings are then without effect."""
    tags: NotRequired[dict[str, pulumi.Input[str]]]
    """Tags on everything that takes tags."""


class Network(pulumi.ComponentResource):
    """A VPC with a private and a public subnet in each zone, tagged for load balancer discovery.

    S3 and DynamoDB are reached through gateway endpoints (no NAT charge); the default security group lets nothing
    through; flow logs go to an encrypted log group. With `existing`, nothing is made.
    """

    vpc_id: pulumi.Output[str]
    """Id of the VPC."""
    vpc_cidr: pulumi.Output[str]
    """Its primary network."""
    private_subnet_ids: pulumi.Output[list[str]]
    """Subnets for nodes, pods and internal load balancers, one a zone."""
    public_subnet_ids: pulumi.Output[list[str]]
    """Subnets for NAT gateways and public load balancers, one a zone."""

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:index:Network", name, {**args}, opts)
        self._name = name
        self._args = args
        if args.get("nat", "single") not in NATS:
            raise ValueError(f"network of {args['environment']}: nat: expected one of {', '.join(NATS)}")
        existing = args.get("existing")
        if existing is None:
            self._make(place_of(self))
        else:
            self.vpc_id = pulumi.Output.from_input(existing["vpc_id"])
            found = aws.ec2.get_vpc_output(id=self.vpc_id, opts=pulumi.InvokeOptions(parent=self))
            self.vpc_cidr = found.cidr_block
            self.private_subnet_ids = pulumi.Output.all(*existing["private_subnet_ids"])
            self.public_subnet_ids = pulumi.Output.all(*existing.get("public_subnet_ids", []))
        self.register_outputs(
            {
                "vpc_id": self.vpc_id,
                "vpc_cidr": self.vpc_cidr,
                "private_subnet_ids": self.private_subnet_ids,
                "public_subnet_ids": self.public_subnet_ids,
            }
        )

    def _make(self, place: Place) -> None:
        vpc = aws.ec2.Vpc(
            f"{self._name}-vpc",
            cidr_block=self._args.get("cidr", "10.0.0.0/16"),
            # Both are needed by EKS nodes and by the private names of interface endpoints.
            enable_dns_hostnames=True,
            enable_dns_support=True,
            tags=self._tags(),
            opts=self._mine(),
        )
        # Without rules it lets nothing in or out: whatever forgets to name a group is cut off, not open.
        aws.ec2.DefaultSecurityGroup(
            f"{self._name}-default-group", vpc_id=vpc.id, tags=self._tags("closed default"), opts=self._mine()
        )
        self.vpc_id = vpc.id
        self.vpc_cidr = vpc.cidr_block
        private, public = self._subnets(vpc)
        tables = self._routes(vpc, private, public)
        self._gateway_endpoints(place, tables)
        self._interface_endpoints(place, private)
        if self._args.get("flow_logs", True):
            flow_logs(
                f"{self._name}-flow-logs",
                vpc,
                place,
                environment=self._args["environment"],
                retention_days=self._args.get("log_retention_days", 30),
                kms_key_arn=self._args.get("kms_key_arn"),
                tags=self._args.get("tags"),
                record_tags=self._tags("flow logs"),
                parent=self,
            )
        self.private_subnet_ids = pulumi.Output.all(*[subnet.id for subnet in private])
        self.public_subnet_ids = pulumi.Output.all(*[subnet.id for subnet in public])

    def _subnets(self, vpc: aws.ec2.Vpc) -> tuple[list[aws.ec2.Subnet], list[aws.ec2.Subnet]]:
        """Private and public subnets, in the order of the zones."""
        names = aws.get_availability_zones_output(
            state="available",
            # Local and wavelength zones must be asked for and have neither NAT gateways nor EKS.
            filters=[{"name": "opt-in-status", "values": ["opt-in-not-required"]}],
            opts=pulumi.InvokeOptions(parent=self),
        ).names
        private: list[aws.ec2.Subnet] = []
        public: list[aws.ec2.Subnet] = []
        for index, block in enumerate(allocate(self._args.get("cidr", "10.0.0.0/16"), self._args.get("zones", 2))):
            for kind, cidr, role, made in (
                ("private", block.private, "kubernetes.io/role/internal-elb", private),
                ("public", block.public, "kubernetes.io/role/elb", public),
            ):
                made.append(
                    aws.ec2.Subnet(
                        f"{self._name}-{kind}-{index + 1}",
                        vpc_id=vpc.id,
                        cidr_block=cidr,
                        availability_zone=names[index],
                        map_public_ip_on_launch=False,
                        tags=self._tags(f"{kind} {index + 1}") | {role: "1"},
                        opts=self._mine(custom_timeouts=_SLOW_TO_GO),
                    )
                )
        return private, public

    def _routes(
        self, vpc: aws.ec2.Vpc, private: list[aws.ec2.Subnet], public: list[aws.ec2.Subnet]
    ) -> list[aws.ec2.RouteTable]:
        """Route tables: one for all public subnets, one a private subnet."""
        gateway = aws.ec2.InternetGateway(
            f"{self._name}-internet", vpc_id=vpc.id, tags=self._tags(), opts=self._mine(custom_timeouts=_SLOW_TO_GO)
        )
        out = self._table("public", public)
        aws.ec2.Route(
            f"{self._name}-public-route",
            route_table_id=out.id,
            destination_cidr_block="0.0.0.0/0",
            gateway_id=gateway.id,
            opts=self._mine(),
        )
        nat = self._args.get("nat", "single")
        gateways = [
            self._nat_gateway(index + 1, subnet, gateway)
            for index, subnet in enumerate({"none": [], "single": public[:1], "per_zone": public}[nat])
        ]
        tables = [out]
        for index, subnet in enumerate(private):
            table = self._table(f"private-{index + 1}", [subnet])
            tables.append(table)
            if gateways:
                aws.ec2.Route(
                    f"{self._name}-private-{index + 1}-route",
                    route_table_id=table.id,
                    destination_cidr_block="0.0.0.0/0",
                    nat_gateway_id=gateways[min(index, len(gateways) - 1)].id,
                    opts=self._mine(),
                )
        return tables

    def _table(self, purpose: str, subnets: list[aws.ec2.Subnet]) -> aws.ec2.RouteTable:
        table = aws.ec2.RouteTable(
            f"{self._name}-{purpose}-routes", vpc_id=self.vpc_id, tags=self._tags(purpose), opts=self._mine()
        )
        for index, subnet in enumerate(subnets):
            aws.ec2.RouteTableAssociation(
                f"{self._name}-{purpose}-routes-{index + 1}",
                route_table_id=table.id,
                subnet_id=subnet.id,
                opts=self._mine(),
            )
        return table

    def _nat_gateway(
        self, number: int, subnet: aws.ec2.Subnet, internet: aws.ec2.InternetGateway
    ) -> aws.ec2.NatGateway:
        address = aws.ec2.Eip(
            f"{self._name}-nat-{number}-address", domain="vpc", tags=self._tags(f"nat {number}"), opts=self._mine()
        )
        return aws.ec2.NatGateway(
            f"{self._name}-nat-{number}",
            subnet_id=subnet.id,
            allocation_id=address.allocation_id,
            tags=self._tags(f"nat {number}"),
            # AWS: the VPC's internet gateway must be attached first.
            opts=self._mine(depends_on=[internet]),
        )

    def _gateway_endpoints(self, place: Place, tables: list[aws.ec2.RouteTable]) -> None:
        for service in ("dynamodb", "s3"):
            aws.ec2.VpcEndpoint(
                f"{self._name}-{service}",
                vpc_id=self.vpc_id,
                service_name=pulumi.Output.concat("com.amazonaws.", place.region, ".", service),
                vpc_endpoint_type="Gateway",
                route_table_ids=[table.id for table in tables],
                tags=self._tags(service),
                opts=self._mine(),
            )

    def _interface_endpoints(self, place: Place, subnets: list[aws.ec2.Subnet]) -> None:
        required = REQUIRED_WITHOUT_NAT if self._args.get("nat", "single") == "none" else ()
        services = sorted({*self._args.get("interface_endpoints", ()), *required})
        if not services:
            return
        group = aws.ec2.SecurityGroup(
            f"{self._name}-endpoints",
            vpc_id=self.vpc_id,
            description="AWS services inside the VPC: HTTPS from the VPC",
            tags=self._tags("endpoints"),
            opts=self._mine(custom_timeouts=_SLOW_TO_GO),
        )
        aws.vpc.SecurityGroupIngressRule(
            f"{self._name}-endpoints-https",
            security_group_id=group.id,
            description="HTTPS from the VPC",
            cidr_ipv4=self.vpc_cidr,
            ip_protocol="tcp",
            from_port=443,
            to_port=443,
            opts=self._mine(),
        )
        for service in services:
            aws.ec2.VpcEndpoint(
                f"{self._name}-{service.replace('.', '-')}",
                vpc_id=self.vpc_id,
                service_name=pulumi.Output.concat("com.amazonaws.", place.region, ".", service),
                vpc_endpoint_type="Interface",
                private_dns_enabled=True,
                subnet_ids=[subnet.id for subnet in subnets],
                security_group_ids=[group.id],
                tags=self._tags(service),
                opts=self._mine(),
            )

    def _tags(self, what: str = "") -> dict[str, pulumi.Input[str]]:
        """The caller's tags and a `Name`, which is what the EC2 console shows."""
        label = f"slipway-{self._args['environment']}" + (f" {what}" if what else "")
        return {**self._args.get("tags", {}), "Name": label}

    def _mine(
        self,
        depends_on: Sequence[pulumi.Resource] = (),
        custom_timeouts: pulumi.CustomTimeouts | None = None,
    ) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self, depends_on=list(depends_on), custom_timeouts=custom_timeouts)
