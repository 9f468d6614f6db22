"""Unusual environments are composed of what they need and of nothing else."""

from collections.abc import Callable

import pytest
from pulumi_mocks import CALLS, Provision, Recorder
from stacks_variants import SECRET, VARIANTS, tree_of

from stacks.config.check import check
from stacks.config.environments import Environment
from stacks.config.loader import CHECKOUT
from stacks.config.source import read
from stacks.platform import build

Build = Callable[[str], Recorder]


@pytest.fixture
def variant(provision: Provision) -> Build:
    def made(name: str) -> Recorder:
        environment = Environment(VARIANTS[name][0])
        config, mistakes = check(environment, tree_of(dict(read(CHECKOUT, environment).tree["platform"]), name))
        assert config, mistakes
        return provision(lambda: build(config), preview=True)

    return made


def components(recorder: Recorder) -> set[str]:
    return {made.typ.rsplit(":", 1)[1] for made in recorder.resources.values() if made.typ.startswith("slipway:")}


def test_only_batch_has_no_server_and_no_queue(variant: Build):
    made = variant("only batch")
    assert components(made) >= {"BatchScoring", "ServiceMonitoring"}
    assert components(made).isdisjoint({"ModelService", "StreamScoring", "Retraining"})
    assert made.of_type("aws:sqs/queue:Queue") == []


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("only a Kafka stream", {"aws:msk/serverlessCluster:ServerlessCluster"}),
        ("their Kafka", set()),
        ("their brokers", set()),
        ("Kinesis", {"aws:kinesis/stream:Stream"}),
    ],
)
def test_a_stream_has_the_source_that_it_asks_for(variant: Build, name: str, source: set[str]):
    made = variant(name)
    sources = {"aws:msk/serverlessCluster:ServerlessCluster", "aws:kinesis/stream:Stream"}
    assert sources & set(made.types().values()) == source


def test_a_gpu_service_has_its_pool(variant: Build):
    made = variant("GPU")
    assert made.resources["pool-gpu-pool"].inputs["spec"]["limits"]["nvidia.com/gpu"] == "4"


def test_what_exists_is_not_made(variant: Build):
    made = variant("existing VPC and cluster")
    types = set(made.types().values())
    assert types.isdisjoint({"aws:ec2/vpc:Vpc", "aws:eks/cluster:Cluster", "kubernetes:helm.sh/v3:Release"})
    assert made.resources["pool-spot-nodes"].inputs["spec"]["role"] == "nodes"


def test_without_nat_there_is_no_way_out_but_endpoints(variant: Build):
    made = variant("no NAT")
    assert made.of_type("aws:ec2/natGateway:NatGateway") == []
    services = {endpoint.inputs["serviceName"] for endpoint in made.of_type("aws:ec2/vpcEndpoint:VpcEndpoint")}
    assert {"com.amazonaws.eu-west-1.ecr.dkr", "com.amazonaws.eu-west-1.secretsmanager"} <= services


@pytest.mark.parametrize("name", ["longest name", "nodes of Karpenter", "no service"])
def test_others_are_composed(variant: Build, name: str):
    assert {"DataStore", "ModelRegistry", "Network", "Cluster"} <= components(variant(name))


def test_nothing_of_a_sign_in_is_read_but_by_the_operator(variant: Build):
    made = variant("sign-in").resources
    (statement,) = made["cluster-addons-secrets-policy"].json("policy")["Statement"]
    assert (statement["Action"], statement["Resource"]) == (["secretsmanager:GetSecretValue"], [SECRET])
    assert made["cluster-addons-external-secrets"].inputs["version"]
    assert not [call for call in CALLS if "secretsmanager" in call]  # the program would have failed at it


def test_without_a_sign_in_there_is_no_operator_for_secrets(variant: Build):
    assert "cluster-addons-external-secrets" not in variant("only batch").resources
