"""Any service name that the config accepts gives names that AWS and Kubernetes accept, each only once."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pulumi_mocks import Made, Provision

from stacks.config.check import check
from stacks.config.environments import Environment
from stacks.config.loader import CHECKOUT
from stacks.config.model import StackConfig
from stacks.config.source import read
from stacks.platform import build

LONGEST = 40
NAMES = ["a", "a" * LONGEST, "a" * (LONGEST - 1) + "b", "x1-" * 13 + "y", "data", "a-rest", "a-rest-rest", "monitoring"]
"""Short, longest, longest but for the last letter, hyphens wherever they may be, and some that look like ours."""

LIMITS = {
    "aws:iam/role:Role": ("name", 64, r"[\w+=,.@-]+"),
    "aws:sqs/queue:Queue": ("name", 80, r"[\w-]+(\.fifo)?"),
    "aws:s3/bucket:Bucket": ("bucket", 63, r"[a-z0-9][a-z0-9-]+[a-z0-9]"),
    "aws:sns/topic:Topic": ("name", 256, r"[\w-]+(\.fifo)?"),
    "aws:sagemaker/modelPackageGroup:ModelPackageGroup": ("modelPackageGroupName", 63, r"[a-zA-Z0-9](-*[a-zA-Z0-9])*"),
    "aws:cloudwatch/metricAlarm:MetricAlarm": ("name", 255, r"[ -~]+"),
    "aws:cloudwatch/dashboard:Dashboard": ("dashboardName", 255, r"[\w-]+"),
    "aws:cloudwatch/eventRule:EventRule": ("name", 64, r"[\w.-]+"),
    "aws:cloudwatch/logGroup:LogGroup": ("name", 512, r"[\w./#-]+"),
    "aws:dynamodb/table:Table": ("name", 255, r"[\w.-]{3,}"),
    "aws:kinesis/stream:Stream": ("name", 128, r"[\w.-]+"),
    "aws:msk/serverlessCluster:ServerlessCluster": ("clusterName", 64, r"[a-zA-Z0-9-]+"),
    "aws:kms/alias:Alias": ("name", 256, r"alias/[\w/-]+"),
    "aws:eks/cluster:Cluster": ("name", 100, r"[a-zA-Z0-9][\w-]*"),
}
"""Input that holds the name, longest name, characters: from each service's API reference."""
ALB = "alb.ingress.kubernetes.io/load-balancer-name"
LABEL = re.compile(r"([A-Za-z0-9]([\w.-]{0,61}[A-Za-z0-9])?)?")
DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


def with_services(environment: Environment, services: dict[str, Any], **platform: Any) -> StackConfig:
    """The environment's own platform with other services."""
    tree = dict(read(CHECKOUT, environment).tree)
    config, mistakes = check(environment, {"platform": tree["platform"] | platform, "services": services})
    assert config, mistakes
    return config


def everything(number: int) -> dict[str, Any]:
    """A service with all patterns; each source of streams in its turn."""
    source = ("sqs", "kinesis", "kafka")[number % 3]
    return {
        "rest": {
            "ingress": {
                "host": f"s{number}.example.com",
                "certificate_arn": "arn:aws:acm:eu-west-1:123456789012:certificate/0f3a",
                "allowed_cidrs": ["10.0.0.0/8"],
            }
        },
        "batch": {"schedule": "0 2 * * *", "input": "s3://lake/in/"},
        "stream": {"source": source} | ({"kafka": {"topic": "events"}} if source == "kafka" else {}),
        "features": ["airport-weather"],
        "retraining": {},
        "business_metrics": {"rebooking_cost_usd": {"max": 5000}},
        "model": {"version": "1", "digest": "sha256:" + "a" * 64},
    }


def names(resource: Made) -> Iterator[tuple[str, int, str]]:
    """Each name that a resource gives, with its limit and characters."""
    if resource.typ in LIMITS:
        key, longest, characters = LIMITS[resource.typ]
        yield resource.inputs[key], longest, characters
    meta = resource.inputs.get("metadata") or {}
    if resource.typ.startswith("kubernetes:") and "name" in meta:
        yield meta["name"], 52 if resource.typ.endswith(":CronJob") else 63, DNS_LABEL.pattern
    if ALB in (meta.get("annotations") or {}):
        yield meta["annotations"][ALB], 32, r"[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?"
    for label in (meta.get("labels") or {}).values():
        yield label, 63, LABEL.pattern


@pytest.mark.parametrize("environment", [Environment.PROD])
def test_services_with_awkward_names(environment: Environment, provision: Provision):
    services = {name: everything(number) for number, name in enumerate(NAMES)}
    made = provision(lambda: build(with_services(environment, services)))
    wrong = [
        (resource.name, name)
        for resource in made.resources.values()
        for name, longest, characters in names(resource)
        if len(name) > longest or not re.fullmatch(characters, name)
    ]
    assert wrong == []
    unchecked = {r.typ for r in made.resources.values() if r.typ.startswith("aws:") and "name" in r.inputs} - set(
        LIMITS
    )
    assert unchecked <= {
        "aws:athena/workgroup:Workgroup",
        "aws:budgets/budget:Budget",
        "aws:cloudwatch/eventBus:EventBus",
        "aws:ecr/repository:Repository",
        "aws:glue/catalogDatabase:CatalogDatabase",
        "aws:glue/catalogTable:CatalogTable",
    }, "a type whose name depends on a service must be in LIMITS"
    physical = Counter(
        (resource.typ, name, (resource.inputs.get("metadata") or {}).get("namespace"))
        for resource in made.resources.values()
        for name, *_ in list(names(resource))[:1]
    )
    assert [key for key, count in physical.items() if count > 1] == []


@given(st.from_regex(r"[a-z](-?[a-z0-9]){0,39}", fullmatch=True) | st.text(max_size=45))
@settings(max_examples=300, deadline=None)
def test_components_take_every_name_that_the_config_takes(name: str):
    from components.naming import require_name

    tree = {"platform": {"region": "eu-west-1"}, "services": {name: {"rest": {}}}}
    config, _ = check(Environment.DEV, tree)
    if config:
        assert require_name("service", name) == name
