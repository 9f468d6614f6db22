"""Everything that can be provisioned, as the engine would see it: each environment, and configs that go to the edges.

The programs run under mocks whose ARNs look like AWS's own, so that documents can be held to the service reference.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_mocks import ACCOUNT, REGION, Made, Recorder, mocked_engine

from stacks.config.check import check
from stacks.config.environments import Environment
from stacks.config.loader import CHECKOUT
from stacks.config.source import read
from stacks.platform import build

RELEASED = {"version": "2026.11-rc.1", "digest": "sha256:" + "a" * 64}
SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:keys-a1b2c3"
CERTIFICATE = f"arn:aws:acm:{REGION}:{ACCOUNT}:certificate/5b1f0e6a-0000-4000-8000-000000000002"
ARNS: Mapping[str, tuple[str, str]] = {
    "aws:cloudwatch/eventBus:EventBus": ("events", "event-bus/{name}"),
    "aws:cloudwatch/eventRule:EventRule": ("events", "rule/{eventBusName}/{name}"),
    "aws:cloudwatch/logGroup:LogGroup": ("logs", "log-group:{name}"),
    "aws:dynamodb/table:Table": ("dynamodb", "table/{name}"),
    "aws:ecr/repository:Repository": ("ecr", "repository/{name}"),
    "aws:kinesis/stream:Stream": ("kinesis", "stream/{name}"),
    "aws:kms/key:Key": ("kms", "key/00000000-0000-4000-8000-000000000001"),
    "aws:msk/serverlessCluster:ServerlessCluster": (
        "kafka",
        "cluster/{clusterName}/00000000-0000-4000-8000-000000000002",
    ),
    "aws:sns/topic:Topic": ("sns", "{name}"),
    "aws:sqs/queue:Queue": ("sqs", "{name}"),
}
"""Type -> service and last part of its ARNs; those without region stand in `AwsLike`."""
IDS = {"aws:ec2/subnet:Subnet": "subnet", "aws:ec2/vpc:Vpc": "vpc", "aws:ec2/securityGroup:SecurityGroup": "sg"}
"""Type -> how its ids begin."""

ANSWERS: Mapping[str, dict[str, Any]] = {
    "aws:secretsmanager/getSecretVersion:getSecretVersion": {
        "secretString": json.dumps({"clientID": "slipway", "clientSecret": "known-to-this-test"})
    },
    "aws:msk/getBootstrapBrokers:getBootstrapBrokers": {"bootstrapBrokersSaslIam": "b-1.example.com:9098"},
}


class _Named(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "default"


class AwsLike(Recorder):
    """Answers with ARNs of the form that each service has."""

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        identity, outputs = super().new_resource(args)
        if args.typ in IDS:
            identity = f"{IDS[args.typ]}-{hashlib.sha256(args.name.encode()).hexdigest()[:17]}"
            outputs["id"] = identity
        inputs = _Named(args.inputs)
        if args.typ == "aws:s3/bucket:Bucket":
            outputs["arn"] = f"arn:aws:s3:::{inputs['bucket']}"
        elif args.typ == "aws:iam/role:Role":
            outputs["arn"] = f"arn:aws:iam::{ACCOUNT}:role/{inputs['name']}"
        elif args.typ == "aws:iam/openIdConnectProvider:OpenIdConnectProvider":
            outputs["arn"] = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{str(inputs['url']).removeprefix('https://')}"
        elif args.typ in ARNS:
            service, form = ARNS[args.typ]
            outputs["arn"] = f"arn:aws:{service}:{REGION}:{ACCOUNT}:{form.format_map(inputs)}"
        return identity, outputs

    def call(self, args: pulumi.runtime.MockCallArgs) -> dict[str, Any]:
        return ANSWERS.get(args.token) or super().call(args)


@dataclass(frozen=True)
class World:
    """One config and everything that it makes."""

    name: str
    resources: Mapping[str, Made]

    def of_type(self, typ: str) -> list[Made]:
        return [made for made in self.resources.values() if made.typ == typ]


def tree_of(environment: Environment) -> dict[str, Any]:
    """The environment's file, with every model released: only then there are pods."""
    tree = deepcopy(read(CHECKOUT, environment).tree)
    for service in tree["services"].values():
        service["model"] = {**service.get("model", {}), **RELEASED}
    return tree


def edges() -> Iterator[tuple[str, Environment, dict[str, Any]]]:
    """Configs that use what the environments' files do not."""
    prod = tree_of(Environment.PROD)
    ingress = {"certificate_arn": CERTIFICATE, "allowed_cidrs": ["10.0.0.0/8", "192.168.0.0/16"]}
    oidc = {
        "issuer": "https://id.example.com",
        "authorization_endpoint": "https://id.example.com/authorize",
        "token_endpoint": "https://id.example.com/token",
        "user_info_endpoint": "https://id.example.com/me",
        "client_secret_arn": SECRET,
    }
    model = {"name": "flight-delay", **RELEASED}
    prod["services"] |= {
        "vision": {
            "model": model,
            "rest": {
                "pool": "gpu",
                "resources": {"cpu": "4", "memory": "16Gi", "gpus": 1},
                "replicas": {"min": 2, "max": 2},
                "ingress": {**ingress, "host": "vision.example.com", "public": True, "auth": {"oidc": oidc}},
            },
            "retraining": {"on": ["schedule"], "schedule": "0 3 * * 0"},
        },
        "nightly": {
            "model": model,
            "batch": {"schedule": "*/30 1-5 * * *", "input": "s3://example-in", "format": "csv"},
        },
        "monthly": {"model": model, "batch": {"schedule": "0 4 1 * 1", "input": "s3://example-in"}},
        "clicks": {"model": model, "stream": {"source": "kinesis", "replicas": {"min": 0, "max": 30}}},
        "orders": {
            "model": model,
            "stream": {"source": "kafka", "kafka": {"topic": "orders", "output_topic": "scores"}},
        },
        "waiting": {"rest": {"ingress": {**ingress, "host": "waiting.example.com"}}, "stream": {}},
    }
    yield "every pattern", Environment.PROD, prod

    own_nodes = tree_of(Environment.PROD)
    own_nodes["platform"]["cluster"]["auto_mode"] = False
    yield "own Karpenter", Environment.PROD, own_nodes

    existing = tree_of(Environment.STAGING)
    existing["platform"]["network"] = {
        "existing": {
            "vpc_id": "vpc-0a1b2c3d",
            "private_subnet_ids": ["subnet-0a1b2c3d", "subnet-0a1b2c3e"],
            "public_subnet_ids": ["subnet-0a1b2c3f"],
        }
    }
    existing["platform"]["cluster"] = {
        "existing": {"name": "theirs", "node_role_name": "their-nodes", "scaler_role_name": "their-keda"}
    }
    existing["platform"]["data"] = {"kms_key_arn": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/0-1"}
    existing["platform"]["image"] = {"repository": "registry.example.com/serving", "digest": "sha256:" + "b" * 64}
    existing["services"]["clicks"] = {
        "model": model,
        "stream": {
            "source": "kinesis",
            "kinesis": {"stream_arn": f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/clicks"},
        },
    }
    cluster = f"arn:aws:kafka:{REGION}:{ACCOUNT}:cluster/theirs/00000000-0000-4000-8000-000000000003-1"
    for name, kafka in {"orders": {"cluster_arn": cluster}, "visits": {"brokers": ["b-1.example.com:9098"]}}.items():
        existing["services"][name] = {"model": model, "stream": {"source": "kafka", "kafka": {"topic": name, **kafka}}}
    yield "what exists", Environment.STAGING, existing


def provisioned(name: str, environment: Environment, tree: Mapping[str, Any]) -> World:
    """The world of one config, which must be valid."""
    config, mistakes = check(environment, tree)
    assert config, mistakes
    with mocked_engine(AwsLike) as provision:
        return World(name, provision(lambda: build(config)).resources)


def worlds() -> list[World]:
    """Every environment as its file has it, before and after the first release, and the edges."""
    configs = [
        *((environment.value, environment, tree_of(environment)) for environment in Environment),
        ("prod, nothing released", Environment.PROD, read(CHECKOUT, Environment.PROD).tree),
        *edges(),
    ]
    return [provisioned(*config) for config in configs]
