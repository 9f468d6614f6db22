"""EKS. The emulation's clusters know no Auto Mode, access entries, add-ons or Pod Identity: they are only kept here."""

import base64
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from local.aws import records
from local.aws.definition import Scope, digest
from local.aws.session import ACCOUNT, PARTITION, Session
from local.aws.stored import Stored
from local.provider.values import Props

_KEPT = "the emulation has no such API; no node, add-on or identity comes of it"
_ARN = "arn:{partition}:eks:{region}:{account}"


class Cluster(Stored):
    """A cluster whose API server is the local node's: what a program puts into it is really accepted there."""

    def create(self, scope: Scope, facts: Props) -> Props:
        """Writes it down, with the node's address."""
        return super().create(scope, facts | _node() | _network(scope, facts))


def _node() -> Props:
    """Endpoint and certificate authority of the node, from the kubeconfig beside the daemon's file."""
    path = Path(os.environ.get("SLIPWAY_LOCAL", "")).parent / "kubeconfig"
    try:
        found: dict[str, Any] = json.loads(path.read_text())["clusters"][0]["cluster"]
    except (OSError, ValueError, LookupError):
        none = base64.b64encode(b"no node").decode()
        return {"endpoint": "https://127.0.0.1:1", "certificateAuthority": {"data": none}}
    authority = found["certificate-authority-data"]
    return {"endpoint": found["server"], "certificateAuthority": {"data": authority}}


def _network(scope: Scope, facts: Props) -> Props:
    """EKS adds a security group, and says in which VPC the subnets are."""
    known = scope.facts(facts)
    config = {
        **facts["vpcConfig"],
        "clusterSecurityGroupId": f"sg-{known['digest'][:17]}",
        "vpcId": "vpc-of-the-subnets",
    }
    return {"vpcConfig": config}


TYPES = (
    Cluster(
        "aws:eks/cluster:Cluster",
        id="{name}",
        stored="the local node stands in for it: no control plane, nodes or load balancers come of it",
        autoname="name",
        replace_on=(
            "name",
            "roleArn",
            "bootstrapSelfManagedAddons",
            "kubernetesNetworkConfig.serviceIpv4Cidr",
            "kubernetesNetworkConfig.ipFamily",
            "accessConfig.bootstrapClusterCreatorAdminPermissions",
            "encryptionConfig",
        ),
        outputs={"arn": f"{_ARN}:cluster/{{name}}", "status": "ACTIVE", "platformVersion": "eks.1"},
        made=(("createdAt", "2026-01-01T00:00:00Z"),),
    ),
    Stored(
        "aws:eks/addon:Addon",
        id="{clusterName}:{addonName}",
        stored=_KEPT,
        replace_on=("clusterName", "addonName"),
        outputs={"arn": f"{_ARN}:addon/{{clusterName}}/{{addonName}}/{{digest}}"},
    ),
    Stored(
        "aws:eks/accessEntry:AccessEntry",
        id="{clusterName}:{principalArn}",
        stored=_KEPT,
        replace_on=("clusterName", "principalArn", "type"),
        outputs={"accessEntryArn": f"{_ARN}:access-entry/{{clusterName}}/{{digest}}"},
    ),
    Stored(
        "aws:eks/accessPolicyAssociation:AccessPolicyAssociation",
        id="{clusterName}#{principalArn}#{policyArn}",
        stored=_KEPT,
        replace_on=("clusterName", "principalArn", "policyArn", "accessScope"),
    ),
    Stored(
        "aws:eks/podIdentityAssociation:PodIdentityAssociation",
        id="{associationId}",
        stored=_KEPT,
        replace_on=("clusterName", "namespace", "serviceAccount"),
        made=(("associationId", "a-{digest}"),),
        outputs={"associationArn": f"{_ARN}:podidentityassociation/{{clusterName}}/{{associationId}}"},
    ),
    Stored(
        "aws:eks/nodeGroup:NodeGroup",
        id="{clusterName}:{nodeGroupName}",
        stored=_KEPT,
        autoname="nodeGroupName",
        replace_on=("clusterName", "nodeGroupName", "nodeRoleArn", "subnetIds", "amiType", "instanceTypes"),
        outputs={"arn": f"{_ARN}:nodegroup/{{clusterName}}/{{nodeGroupName}}/{{digest}}", "status": "ACTIVE"},
    ),
)


def _get_cluster(session: Session, args: Mapping[str, Any]) -> Props:
    """A cluster that was made here; for one that a program says exists elsewhere the local node stands in."""
    name, region = str(args["name"]), args.get("region") or session.settings.region
    record = records.load("aws:eks/cluster:Cluster", name)
    made = record.properties if record else _node()
    config: Props = made.get("vpcConfig") or {"clusterSecurityGroupId": f"sg-{digest(name)[:17]}", "subnetIds": []}
    return {
        "id": name,
        "name": name,
        "arn": f"arn:{PARTITION}:eks:{region}:{ACCOUNT}:cluster/{name}",
        "certificateAuthorities": [made["certificateAuthority"]],
        "endpoint": made["endpoint"],
        "region": region,
        "roleArn": made.get("roleArn", f"arn:{PARTITION}:iam::{ACCOUNT}:role/{name}"),
        "status": "ACTIVE",
        "tags": made.get("tags", {}),
        "version": made.get("version", ""),
        "vpcConfig": config,
    }


FUNCTIONS: Mapping[str, Callable[[Session, Mapping[str, Any]], Props]] = {"aws:eks/getCluster:getCluster": _get_cluster}
