"""Names, descriptions, tags, labels and networks hold for whatever the config accepts."""

from collections.abc import Iterator
from copy import deepcopy
from ipaddress import IPv4Network
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pulumi_mocks import Made
from validity.limits import MODELLED, WRITTEN, wrong
from validity.worlds import RELEASED, World, provisioned, tree_of

from stacks.config import vocabulary as v
from stacks.config.check import check
from stacks.config.environments import Environment
from stacks.config.kinds import Text

PROD, DEV = tree_of(Environment.PROD), tree_of(Environment.DEV)
AS_FOUND = settings(
    deadline=None,
    phases=[Phase.explicit, Phase.generate],  # a platform is made anew for each example: a smaller one is not worth it
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
CERTIFICATE = "arn:aws:acm:eu-west-1:123456789012:certificate/0f3a"


def accepted(alias: Any) -> st.SearchStrategy[str]:
    """Every text that an alias of the vocabulary takes, the longest ones often."""
    (kind,) = (part for part in get_args(alias) if isinstance(part, Text))
    longest = kind.longest or 1000
    texts = st.from_regex(kind.pattern, fullmatch=True).filter(lambda text: len(text) <= longest)
    return texts | texts.filter(lambda text: len(text) > 12)


def service(number: int, names: dict[str, str]) -> dict[str, Any]:
    """A service with everything that gets a name of it."""
    source = ("sqs", "kinesis", "kafka")[number % 3]
    return {
        "model": {"name": names["model"], **RELEASED},
        "rest": {
            "pool": names["pool"],
            "ingress": {
                "host": f"s{number}.example.com",
                "certificate_arn": CERTIFICATE,
                "allowed_cidrs": ["10.0.0.0/8"],
            },
        },
        "batch": {"schedule": "0 2 * * *", "input": "s3://lake/in/"},
        "stream": {"source": source} | ({"kafka": {"topic": names["topic"]}} if source == "kafka" else {}),
        "features": [names["group"]],
        "retraining": {"on": ["drift", "schedule"], "schedule": "0 3 * * 0"},
        "business_metrics": {names["metric"]: {"min": 1, "max": 5000}},
    }


@st.composite
def configs(draw: st.DrawFn) -> dict[str, Any]:
    """Prod's platform with services, models, pools, feature groups, metrics and topics of any name."""
    tree = deepcopy(PROD)
    names = {
        "model": draw(accepted(v.ModelName)),
        "pool": draw(accepted(v.PoolName)),
        "group": draw(accepted(v.GroupName)),
        "metric": draw(accepted(v.MetricName)),
        "topic": draw(accepted(v.KafkaTopic)),
    }
    columns = draw(st.lists(accepted(v.ColumnName), min_size=3, max_size=3, unique=True))
    key, event_time, feature = columns
    tree["platform"]["pools"] = {names["pool"]: {"families": ["m7i"]}}
    tree["platform"]["feature_groups"] = {
        names["group"]: {"key": key, "event_time": event_time, "features": {feature: "double"}}
    }
    services = draw(st.lists(accepted(v.ServiceName), min_size=3, max_size=3, unique=True))
    tree["services"] = {name: service(number, names) for number, name in enumerate(services)}
    return tree


def problems(world: World) -> set[str]:
    return {problem for made in world.resources.values() for problem in wrong(made)}


def test_names_of_every_environment(worlds: list[World]):
    assert {world.name: problems(world) for world in worlds if problems(world)} == {}


def test_every_limit_is_met_by_something(worlds: list[World]):
    """A type or property that is no longer there leaves its limit behind."""
    there = {(made.typ, key) for world in worlds for made in world.resources.values() for key in made.inputs}
    assert (MODELLED.keys() | WRITTEN.keys()) - there <= NOT_IN_ANY_WORLD


NOT_IN_ANY_WORLD = {
    ("aws:cloudwatch/logMetricFilter:LogMetricFilter", "name"),
    ("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule", "description"),
}


@given(configs())
@settings(AS_FOUND, max_examples=3)
def test_names_hold_for_whatever_the_config_accepts(tree: dict[str, Any]):
    assert problems(provisioned("any names", Environment.PROD, tree)) == set()


def made(typ: str, **inputs: Any) -> Made:
    return Made("one", typ, inputs, "", protect=False, depends_on=[], ignore_changes=[], raw={})


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (made("aws:iam/role:Role", name="r" * 65), "is not 1 to 64"),
        (made("aws:iam/role:Role", description="a — b"), "one.description"),
        (made("aws:sqs/queue:Queue", name="q.fifo.fifo"), "is not up to 80"),
        (made("aws:s3/bucket:Bucket", bucket="Upper"), "is not up to 63"),
        (made("aws:ec2/securityGroup:SecurityGroup", description="the cluster's"), "is not up to 255"),
        (made("aws:new/thing:Thing", name="x"), "is in no list here"),
        (made("aws:sqs/queue:Queue", tags={"aws:one": "x"}), "tag 'aws:one'"),
        (made("aws:sqs/queue:Queue", tags={"one": "a, b"}), "tag 'one': 'a, b'"),
        (made("kubernetes:batch/v1:CronJob", metadata={"name": "c" * 53}), "up to 52"),
        (made("kubernetes:core/v1:Service", metadata={"name": "a.b"}), "no DNS label"),
        (made("kubernetes:core/v1:Service", metadata={"labels": {"a": "-b"}}), "label 'a': '-b'"),
        (
            made(
                "kubernetes:networking.k8s.io/v1:Ingress",
                metadata={"annotations": {"alb.ingress.kubernetes.io/load-balancer-name": "l" * 33}},
            ),
            "load balancer",
        ),
    ],
)
def test_a_wrong_name_is_found(bad: Made, says: str):
    assert any(says in problem for problem in wrong(bad))


networks = st.builds(
    lambda address, length: str(IPv4Network((address, length), strict=False)),
    st.ip_addresses(v=4).map(int)
    | st.sampled_from([int(IPv4Network(n).network_address) for n in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")]),
    st.integers(8, 28),
)


def usable_by_aws(cidr: str, service_cidr: str) -> Iterator[str]:
    """What CreateVpc and CreateCluster would refuse."""
    vpc, services = IPv4Network(cidr), IPv4Network(service_cidr)
    if not 16 <= vpc.prefixlen <= 28:
        yield f"a VPC is a /16 to a /28, not {vpc}"
    private = [IPv4Network(n) for n in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")]
    if not any(services.subnet_of(network) for network in private) or not 12 <= services.prefixlen <= 24:
        yield f"Services are in a private /12 to /24, not {services}"
    if vpc.overlaps(services):
        yield f"{vpc} and {services} overlap"


@given(networks, networks, st.sampled_from([2, 3]))
@settings(AS_FOUND, max_examples=100)
def test_networks_that_the_config_accepts_are_taken_by_aws(cidr: str, service_cidr: str, zones: int):
    tree = deepcopy(DEV)
    tree["platform"]["network"] = {"cidr": cidr, "zones": zones}
    tree["platform"]["cluster"] = {"service_cidr": service_cidr}
    config, mistakes = check(Environment.DEV, tree)
    assert bool(config) != bool(mistakes)
    if config:
        assert list(usable_by_aws(cidr, service_cidr)) == []


@pytest.mark.parametrize("cidr", ["10.0.0.0/16", "10.16.4.0/22"])
@pytest.mark.parametrize("zones", [2, 3])
def test_subnets_of_the_largest_and_the_smallest_network(cidr: str, zones: int):
    tree = deepcopy(DEV)
    tree["platform"]["network"] = {"cidr": cidr, "zones": zones}
    subnets = [
        IPv4Network(made.inputs["cidrBlock"])
        for made in provisioned(cidr, Environment.DEV, tree).of_type("aws:ec2/subnet:Subnet")
    ]
    assert len(subnets) == 2 * zones
    assert all(subnet.subnet_of(IPv4Network(cidr)) and 16 <= subnet.prefixlen <= 28 for subnet in subnets)
    assert not any(one.overlaps(other) for i, one in enumerate(subnets) for other in subnets[:i])
