"""A program of one's own, made of the components: what it makes in a VPC and a cluster that are there."""

import json
import runpy
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pulumi
import pytest
from pulumi_mocks import Provision, provision

PROGRAM = Path(__file__).resolve().parents[2] / "examples" / "compose" / "__main__.py"
CONFIG = {
    "model": json.dumps({"name": "flight-delay", "version": "1", "digest": "sha256:" + "a" * 64}),
    "vpc": json.dumps({"vpc_id": "vpc-1", "private_subnet_ids": ["subnet-1", "subnet-2"]}),
    "cluster": "theirs",
    "input": "s3://their-flights/tomorrow/",
}

__all__ = ["provision"]


@pytest.fixture
def config() -> Iterator[None]:
    # Mocks call their project `test`.
    pulumi.runtime.set_all_config({f"test:{key}": value for key, value in CONFIG.items()}, [])
    yield
    pulumi.runtime.set_all_config({}, [])


def test_it_is_short():
    assert len(PROGRAM.read_text().splitlines()) < 40


def test_it_scores_in_batches_and_makes_neither_network_nor_cluster(config: None, provision: Provision):
    made = provision(lambda: runpy.run_path(str(PROGRAM)))
    components = Counter(r.typ.rpartition(":")[2] for r in made.resources.values() if r.typ.startswith("slipway:"))
    assert components.keys() >= {"DataStore", "ModelRegistry", "Monitoring", "Network", "Cluster", "BatchScoring"}
    below = {name for name, resource in made.resources.items() if resource.parent in {"vpc", "eks"}}
    assert below == {"eks-kubernetes"}
    (job,) = made.of_type("kubernetes:batch/v1:CronJob")
    (container,) = job.inputs["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    variables = {variable["name"]: variable.get("value") for variable in container["env"]}
    assert variables["SLIPWAY_BATCH_INPUT"] == CONFIG["input"]
    assert variables["SLIPWAY_MODEL_DIGEST"] == "sha256:" + "a" * 64


def test_a_preview_shows_the_same(config: None, provision: Provision):
    applied = provision(lambda: runpy.run_path(str(PROGRAM)))
    previewed = provision(lambda: runpy.run_path(str(PROGRAM)), preview=True)
    assert previewed.types() == applied.types()
