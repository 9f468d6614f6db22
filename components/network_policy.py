"""Which traffic a workload's pods may have: rules for NetworkPolicies, each with its reason."""

from collections.abc import Mapping, Sequence

import pulumi
import pulumi_kubernetes as k8s

POD_IDENTITY_AGENT = "169.254.170.23/32"
"""Link-local address of the EKS Pod Identity agent, which listens on port 80."""
METRICS_NAMESPACES = ("keda",)
"""Who scrapes /metrics: KEDA. CloudWatch has its metrics from the log."""

Ingress = k8s.networking.v1.NetworkPolicyIngressRuleArgsDict
Egress = k8s.networking.v1.NetworkPolicyEgressRuleArgsDict
Port = k8s.networking.v1.NetworkPolicyPortArgsDict


def from_namespaces(namespaces: Sequence[str], ports: Sequence[int]) -> Ingress:
    """Traffic from every pod of these namespaces to these ports."""
    return {
        "from_": [
            {
                "namespace_selector": {
                    "match_expressions": [
                        {"key": "kubernetes.io/metadata.name", "operator": "In", "values": list(namespaces)}
                    ]
                }
            }
        ],
        "ports": _tcp(ports),
    }


def from_addresses(cidrs: Sequence[pulumi.Input[str]], ports: Sequence[int]) -> Ingress:
    """Traffic from these addresses (a load balancer with IP targets comes with its own) to these ports."""
    return {"from_": [{"ip_block": {"cidr": cidr}} for cidr in cidrs], "ports": _tcp(ports)}


def to_aws() -> list[Egress]:
    """What every workload needs: names, credentials, and AWS APIs, whose addresses cannot be listed."""
    dns: list[Port] = [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]
    return [
        {"ports": dns},
        {"to": [{"ip_block": {"cidr": POD_IDENTITY_AGENT}}], "ports": _tcp([80])},
        {"ports": _tcp([443])},
    ]


def to_ports(ports: Sequence[int]) -> Egress:
    """Traffic to these ports anywhere: Kafka brokers, whose addresses are learned from each other."""
    return {"ports": _tcp(ports)}


def allow_only(
    name: str,
    namespace: pulumi.Input[str],
    labels: Mapping[str, str],
    selector: Mapping[str, str],
    ingress: Sequence[Ingress],
    egress: Sequence[Egress],
    *,
    resource: str,
    parent: pulumi.Resource,
) -> k8s.networking.v1.NetworkPolicy:
    """The NetworkPolicy `name`: the selected pods have this traffic and no other."""
    return k8s.networking.v1.NetworkPolicy(
        resource,
        metadata={"name": name, "namespace": namespace, "labels": labels},
        spec={
            "pod_selector": {"match_labels": selector},
            "policy_types": ["Ingress", "Egress"],
            "ingress": list(ingress),
            "egress": list(egress),
        },
        opts=pulumi.ResourceOptions(parent=parent),
    )


def _tcp(ports: Sequence[int]) -> list[Port]:
    return [{"protocol": "TCP", "port": port} for port in ports]
