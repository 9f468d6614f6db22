"""MSK: serverless Kafka. The emulation has no brokers: the addresses are well-formed and lead nowhere."""

from collections.abc import Callable, Mapping
from typing import Any

from local.aws.api import Api, Call
from local.aws.definition import digest
from local.aws.names import Names
from local.aws.session import Session
from local.aws.tagging import Tags
from local.provider.values import Props

_BROKERS = "boot-{0:.8}.c1.kafka-serverless.{1}.amazonaws.com:9098"


def _with_brokers(found: Props) -> Props:
    arn = str(found["arn"])
    uuid = arn.rsplit("/", 1)[-1]
    return {**found, "clusterUuid": uuid, "bootstrapBrokersSaslIam": _BROKERS.format(digest(arn), arn.split(":")[3])}


def _bootstrap_brokers(session: Session, args: Mapping[str, Any]) -> Props:
    arn = str(args["clusterArn"])
    brokers = _BROKERS.format(digest(arn), arn.split(":")[3])
    return {"id": arn, "clusterArn": arn, "region": session.settings.region, "bootstrapBrokersSaslIam": brokers}


FUNCTIONS: Mapping[str, Callable[[Session, Mapping[str, Any]], Props]] = {
    "aws:msk/getBootstrapBrokers:getBootstrapBrokers": _bootstrap_brokers
}

TYPES = (
    Api(
        "aws:msk/serverlessCluster:ServerlessCluster",
        id="{arn}",
        service="kafka",
        make=Call("create_cluster_v2", within="Serverless"),
        find=(
            Call("describe_cluster_v2", result="ClusterInfo"),
            Call("describe_cluster_v2", result="ClusterInfo.Serverless"),
        ),
        remove=Call("delete_cluster"),
        names=Names(renames={"ClusterArn": "arn"}),
        adapt=_with_brokers,
        tags=Tags("ResourceArn"),
        autoname="clusterName",
        replace_on=("clusterName", "clientAuthentication", "vpcConfigs"),
    ),
)
