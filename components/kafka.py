"""Kafka as a source of events: MSK Serverless of one's own, an MSK cluster that exists, or any brokers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from components import iam
from components.iam import Statement
from components.naming import named

IAM_PORT = 9098
"""Port of MSK brokers that authenticate by IAM, inside the VPC."""
_MSK_NAME_LIMIT = 64
"""Longest name of an MSK cluster (CreateClusterV2, ClusterName)."""


class KafkaNetworkArgs(TypedDict):
    """Where MSK Serverless is made."""

    vpc_id: pulumi.Input[str]
    """VPC of the brokers."""
    subnet_ids: pulumi.Input[list[str]]
    """Private subnets in two zones or more."""
    client_security_group_id: pulumi.Input[str]
    """Security group of the nodes, which may connect."""


class KafkaArgs(TypedDict):
    """A topic and the cluster it is in."""

    topic: str
    """Topic with the events."""
    output_topic: NotRequired[str]
    """Topic for predictions, besides the event store. Default none."""
    network: NotRequired[KafkaNetworkArgs]
    """Make an MSK Serverless cluster here; needed unless `cluster_arn` or `brokers` say which one to use."""
    cluster_arn: NotRequired[pulumi.Input[str]]
    """An MSK cluster to use, authenticated by IAM."""
    brokers: NotRequired[list[str]]
    """Bootstrap brokers (`host:port`) of a cluster outside MSK, over TLS."""


@dataclass(frozen=True)
class Kafka:
    """A cluster that can be consumed from."""

    brokers: pulumi.Output[str]
    """Bootstrap brokers, joined by commas."""
    cluster_arn: pulumi.Output[str] | None
    """ARN of the MSK cluster; None for brokers of one's own."""
    ports: Sequence[int]

    @property
    def security(self) -> str:
        """How clients authenticate: `iam` or `tls`."""
        return "tls" if self.cluster_arn is None else "iam"


def connect_kafka(
    resource: str,
    environment: str,
    service: str,
    args: KafkaArgs,
    tags: dict[str, pulumi.Input[str]] | None,
    parent: pulumi.Resource,
) -> Kafka:
    """The cluster that `args` says, made when it says none; a ValueError when it says neither which nor where."""
    if brokers := args.get("brokers"):
        ports = sorted({int(broker.rpartition(":")[2]) for broker in brokers})
        return Kafka(pulumi.Output.from_input(",".join(brokers)), None, ports)
    if "cluster_arn" in args:
        arn = pulumi.Output.from_input(args["cluster_arn"])
        found = aws.msk.get_bootstrap_brokers_output(cluster_arn=arn, opts=pulumi.InvokeOptions(parent=parent))
        return Kafka(found.bootstrap_brokers_sasl_iam, arn, [IAM_PORT])
    if "network" not in args:
        raise ValueError(f"service {service}: kafka: expected network, cluster_arn or brokers, got none of them")
    made = _serverless(resource, environment, service, args["network"], tags, parent)
    return Kafka(made.bootstrap_brokers_sasl_iam, made.arn, [IAM_PORT])


def _serverless(
    resource: str,
    environment: str,
    service: str,
    network: KafkaNetworkArgs,
    tags: dict[str, pulumi.Input[str]] | None,
    parent: pulumi.Resource,
) -> aws.msk.ServerlessCluster:
    mine = pulumi.ResourceOptions(parent=parent)
    group = aws.ec2.SecurityGroup(
        f"{resource}-brokers",
        vpc_id=network["vpc_id"],
        description="Kafka brokers: only nodes of the cluster",
        tags=tags,
        opts=mine,
    )
    aws.vpc.SecurityGroupIngressRule(
        f"{resource}-brokers-from-nodes",
        security_group_id=group.id,
        referenced_security_group_id=network["client_security_group_id"],
        description="Kafka over TLS with IAM from nodes of the cluster",
        ip_protocol="tcp",
        from_port=IAM_PORT,
        to_port=IAM_PORT,
        opts=mine,
    )
    return aws.msk.ServerlessCluster(
        f"{resource}-kafka",
        cluster_name=named(environment, service, limit=_MSK_NAME_LIMIT),
        client_authentication={"sasl": {"iam": {"enabled": True}}},
        vpc_configs=[{"subnet_ids": network["subnet_ids"], "security_group_ids": [group.id]}],
        tags=tags,
        opts=mine,
    )


def kafka_arn(cluster_arn: str, kind: str, name: str) -> str:
    """ARN of a `topic` or `group` of an MSK cluster (service authorization reference of kafka-cluster)."""
    return f"{cluster_arn.replace(':cluster/', f':{kind}/', 1)}/{name}"


def consume_topic(cluster_arn: pulumi.Output[str], topic: str, group: str) -> list[Statement]:
    """Reads a topic as member of a consumer group."""
    return [
        iam.allow(["kafka-cluster:Connect"], [cluster_arn]),
        iam.allow(
            ["kafka-cluster:DescribeTopic", "kafka-cluster:ReadData"],
            [cluster_arn.apply(lambda arn: kafka_arn(arn, "topic", topic))],
        ),
        iam.allow(
            ["kafka-cluster:AlterGroup", "kafka-cluster:DescribeGroup"],
            [cluster_arn.apply(lambda arn: kafka_arn(arn, "group", group))],
        ),
    ]


def produce_topic(cluster_arn: pulumi.Output[str], topic: str) -> list[Statement]:
    """Writes to a topic, each record once."""
    return [
        iam.allow(["kafka-cluster:WriteDataIdempotently"], [cluster_arn]),
        iam.allow(
            ["kafka-cluster:DescribeTopic", "kafka-cluster:WriteData"],
            [cluster_arn.apply(lambda arn: kafka_arn(arn, "topic", topic))],
        ),
    ]


def read_lag(cluster_arn: pulumi.Output[str], topic: str, group: str) -> list[Statement]:
    """Reads how far a consumer group is behind: what KEDA scales by."""
    return [
        iam.allow(["kafka-cluster:Connect"], [cluster_arn]),
        iam.allow(["kafka-cluster:DescribeTopic"], [cluster_arn.apply(lambda arn: kafka_arn(arn, "topic", topic))]),
        iam.allow(["kafka-cluster:DescribeGroup"], [cluster_arn.apply(lambda arn: kafka_arn(arn, "group", group))]),
    ]
