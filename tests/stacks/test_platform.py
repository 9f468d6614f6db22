"""What each environment is made of, as a reviewer reads it, and that the composition keeps its promises."""

import json
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pulumi_mocks import Provision, Recorder

from stacks.config.check import check
from stacks.config.environments import Environment
from stacks.config.loader import CHECKOUT
from stacks.config.model import StackConfig
from stacks.config.source import read
from stacks.platform import build

SNAPSHOTS = Path(__file__).parent / "snapshots"


def config_of(environment: Environment) -> StackConfig:
    """The environment's file alone: what this checkout happens to have released does not count."""
    config, mistakes = check(environment, read(CHECKOUT, environment).tree)
    assert config, mistakes
    return config


@pytest.fixture
def made(provision: Provision) -> Callable[[Environment], Recorder]:
    """An environment's resources; the programs are run once for all tests."""
    return lambda environment: (
        RUNS.get(environment) or RUNS.setdefault(environment, provision(lambda: build(config_of(environment))))
    )


RUNS: dict[Environment, Recorder] = {}


def tree(recorder: Recorder) -> str:
    """The resources as an indented list: each below its parent, in the order of their names."""
    made = recorder.resources.values()
    below: dict[str, list[str]] = {}
    for resource in made:
        below.setdefault(resource.parent, []).append(resource.name)
    lines: list[str] = []

    def write(name: str, depth: int) -> None:
        kind = recorder.resources[name].typ.removeprefix("slipway:index:")
        lines.append(f"{'  ' * depth}{name}  ({kind})")
        for child in sorted(below.get(name, [])):
            write(child, depth + 1)

    for name in sorted(below[""]):
        write(name, 0)
    counts = Counter(resource.typ.split(":")[0] for resource in made)
    total = ", ".join(f"{counts[name]} {name}" for name in sorted(counts))
    return "\n".join([f"{len(lines)} resources: {total}", "", *lines, ""])


@pytest.mark.parametrize("environment", list(Environment))
def test_resources_of_an_environment_are_the_reviewed_ones(
    environment: Environment, made: Callable[[Environment], Recorder]
):
    """After a change that is meant: `SNAPSHOTS=write make test`, and read the difference."""
    found = tree(made(environment))
    file = SNAPSHOTS / f"{environment}.txt"
    if os.environ.get("SNAPSHOTS") == "write":
        file.parent.mkdir(exist_ok=True)
        file.write_text(found)
    assert file.read_text() == found


@pytest.mark.parametrize("environment", list(Environment))
def test_a_preview_shows_every_resource(
    environment: Environment, provision: Provision, made: Callable[[Environment], Recorder]
):
    """Nothing hides behind a value that a preview does not know yet."""
    previewed = provision(lambda: build(config_of(environment)), preview=True)
    assert previewed.types() == made(environment).types()


RELEASED = {"name": "flight-delay", "version": "7", "digest": "sha256:" + "a" * 64}


def test_a_released_version_reaches_the_pods_and_the_outputs(provision: Provision, settled: Any):
    config = config_of(Environment.PROD)
    service = config.services["flight-delay"]
    released = service.model_copy(update={"model": service.model.model_copy(update=RELEASED)})
    config = config.model_copy(update={"services": {"flight-delay": released}})
    outputs: dict[str, Any] = {}
    released_prod = provision(lambda: outputs.update(build(config)))
    assert {key: outputs["services"]["flight-delay"][key] for key in ("model", "version", "digest")} == {
        "model": "flight-delay",
        "version": "7",
        "digest": RELEASED["digest"],
    }
    pods = released_prod.resources["flight-delay-rest-deployment"].inputs["spec"]["template"]
    assert pods["metadata"]["labels"]["slipway.dev/model-version"] == "7"
    assert settled(outputs["image_repository"]) in pods["spec"]["containers"][0]["image"]


def test_before_the_first_release_there_is_no_deployment_and_no_failure(made: Callable[[Environment], Recorder]):
    prod = made(Environment.PROD)
    assert prod.of_type("kubernetes:apps/v1:Deployment") == []
    assert len(prod.of_type("kubernetes:core/v1:ServiceAccount")) >= 1


def test_only_prod_keeps_its_data_from_the_engine(made: Callable[[Environment], Recorder]):
    buckets = {environment: made(environment).of_type("aws:s3/bucket:Bucket") for environment in Environment}
    assert {environment: {bucket.protect for bucket in found} for environment, found in buckets.items()} == {
        Environment.LOCAL: {False},
        Environment.DEV: {False},
        Environment.STAGING: {False},
        Environment.PROD: {True},
    }
    assert all(bucket.inputs.get("forceDestroy") for bucket in buckets[Environment.DEV])
    assert not any(bucket.inputs.get("forceDestroy") for bucket in buckets[Environment.PROD])


def test_the_provider_refuses_credentials_of_another_account(made: Callable[[Environment], Recorder]):
    provider = made(Environment.PROD).resources["aws"].inputs
    # Providers take nested values as JSON.
    assert json.loads(provider["allowedAccountIds"]) == ["123456789012"]
    assert json.loads(provider["defaultTags"])["tags"]["slipway:environment"] == "prod"
    assert provider["region"] == "eu-west-1"


def test_what_does_not_run_yet_is_told(provision: Provision):
    outputs: dict[Environment, Any] = {}
    for environment in (Environment.LOCAL, Environment.DEV):
        provision(lambda e=environment: outputs.update({e: build(config_of(e))}))
    suspended = {e: found["services"]["flight-delay"]["suspended"] for e, found in outputs.items()}
    assert suspended == {Environment.LOCAL: ["drift"], Environment.DEV: ["drift", "retraining"]}


@pytest.mark.parametrize("environment", [e for e in Environment if e is not Environment.LOCAL])
def test_services_come_after_the_clusters_operators_and_go_before_them(
    environment: Environment, made: Callable[[Environment], Recorder]
):
    """KEDA takes its leave of what it scales, the controller of its load balancers: both must still be there."""
    resources = made(environment).resources
    network = {name for name, one in resources.items() if one.parent == "network"}
    assert network <= set(resources["cluster"].depends_on)
    operators = {"cluster-addons-keda", "cluster-addons-observability", "cluster-addons-ingress-class"}
    pools = {name for name, one in resources.items() if one.typ.endswith(":NodePool")}
    assert pools
    for component in (one for one in resources.values() if one.name.startswith("flight-delay-") and not one.parent):
        assert operators | pools <= set(component.depends_on), component.name
