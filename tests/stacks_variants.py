"""Environments that are allowed and unusual: each must build, and be rehearsed."""

from typing import Any

REGION = "eu-west-1"
ACCOUNT = "123456789012"
CERTIFICATE = f"arn:aws:acm:{REGION}:{ACCOUNT}:certificate/5b1f0e6a-0000-4000-8000-000000000002"
SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:sign-in-a1b2c3"
BATCH = {"schedule": "0 2 * * *", "input": "s3://example-flights/tomorrow/"}
INGRESS = {"host": "a.example.com", "certificate_arn": CERTIFICATE, "allowed_cidrs": ["0.0.0.0/0"], "public": True}
OIDC = {
    "issuer": "https://id.example.com",
    "authorization_endpoint": "https://id.example.com/authorize",
    "token_endpoint": "https://id.example.com/token",
    "user_info_endpoint": "https://id.example.com/me",
    "client_secret_arn": SECRET,
}
EXISTING = {
    "network": {
        "existing": {
            "vpc_id": "vpc-0a1b2c3d4e5f60718",
            "private_subnet_ids": ["subnet-0a1b2c3d4e5f60711", "subnet-0a1b2c3d4e5f60712", "subnet-0a1b2c3d4e5f60713"],
            "public_subnet_ids": ["subnet-0a1b2c3d4e5f60714", "subnet-0a1b2c3d4e5f60715"],
        }
    },
    "cluster": {"existing": {"name": "shared", "node_role_name": "nodes", "scaler_role_name": "keda"}},
}
KAFKA = f"arn:aws:kafka:{REGION}:{ACCOUNT}:cluster/theirs/5b1f0e6a-0000-4000-8000-000000000003-2"

VARIANTS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "longest name": ("dev", {}, {"a" * 39 + "b": {"rest": {}, "batch": BATCH, "stream": {}, "retraining": {}}}),
    "only batch": ("dev", {}, {"nightly": {"batch": BATCH}}),
    "monthly batch": ("dev", {}, {"monthly": {"batch": BATCH | {"schedule": "0 2 1 * *"}}}),
    "only a Kafka stream": ("dev", {}, {"events": {"stream": {"source": "kafka", "kafka": {"topic": "flights"}}}}),
    "their Kafka": (
        "dev",
        {},
        {"events": {"stream": {"source": "kafka", "kafka": {"topic": "flights", "cluster_arn": KAFKA}}}},
    ),
    "their brokers": (
        "dev",
        {},
        {"events": {"stream": {"source": "kafka", "kafka": {"topic": "flights", "brokers": ["b.example.com:9093"]}}}},
    ),
    "Kinesis": ("dev", {}, {"events": {"stream": {"source": "kinesis"}}}),
    "GPU": (
        "dev",
        {"pools": {"gpu": {"hardware": "gpu", "families": ["g6"]}}},
        {"vision": {"rest": {"pool": "gpu", "resources": {"gpus": 1, "memory": "8Gi"}}}},
    ),
    "existing VPC and cluster": ("dev", EXISTING, {"a": {"rest": {}, "stream": {}}}),
    "no NAT": ("dev", {"network": {"nat": "none", "interface_endpoints": ["secretsmanager"]}}, {"a": {"rest": {}}}),
    "nodes of Karpenter": ("dev", {"cluster": {"auto_mode": False}}, {"a": {"rest": {}}}),
    "sign-in": ("dev", {}, {"a": {"rest": {"ingress": INGRESS | {"auth": {"oidc": OIDC}}}}}),
    "no service": ("dev", {}, {}),
    "twenty services": (
        "prod",
        {},
        {f"service-{number:02}": {"rest": {}, "batch": BATCH, "stream": {}} for number in range(20)},
    ),
}
"""Name → environment whose platform it has, what of that is otherwise, services."""


def tree_of(platform: dict[str, Any], variant: str) -> dict[str, Any]:
    """The config of a variant, given its environment's own platform."""
    _, otherwise, services = VARIANTS[variant]
    if "existing" in otherwise.get("network", {}):
        platform = {key: value for key, value in platform.items() if key not in {"network", "cluster"}}
    return {"platform": platform | otherwise, "services": services}
