"""Environments rehearsed through the real engine, from the command line; the unusual ones by `make soak`."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from stacks_variants import VARIANTS, tree_of

from stacks.config.loader import CHECKOUT

pytestmark = pytest.mark.integration
STEPS = ["preview", "up", "again", "change", "refresh", "destroy"]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The program and the configs in a folder of their own, with a space in its path."""
    root = tmp_path / "a checkout"
    shutil.copytree(CHECKOUT / "stacks", root / "stacks", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(CHECKOUT / "Pulumi.yaml", root)
    return root


def rehearse(checkout: Path, *words: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "release.cli", "rehearse", *words, "--json"],
        cwd=checkout,
        env=os.environ | {"SLIPWAY_ROOT": str(checkout)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert list((checkout / ".slipway" / "rehearsal").iterdir()) == []
    return json.loads(done.stdout)


def steps(report: dict[str, Any]) -> dict[str, dict[str, int]]:
    return {step["step"]: step["changes"] for step in report["steps"]}


@pytest.mark.timeout(600)
def test_prod_comes_up_changes_and_goes(checkout: Path):
    """What dev and staging have, prod has too: it stands for them here, `make soak` rehearses each."""
    report = rehearse(checkout, "prod")
    assert report["resources"] > 120
    found = steps(report)
    assert list(found) == [*STEPS[:-1], "let go", "destroy"]
    assert found["up"] == {"create": report["resources"]}
    assert found["again"] == {}
    assert set(found["change"]) == {"change"}
    assert found["destroy"] == {"delete": report["resources"]}
    assert report["protected"] > 0
    assert sum(part["resources"] for part in report["components"]) == report["resources"]


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("environment", ["local", "dev", "staging"])
def test_every_environment_comes_up_changes_and_goes(checkout: Path, environment: str):
    report = rehearse(checkout, environment)
    assert list(steps(report)) == STEPS
    assert report["protected"] == 0


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_comes_up_changes_and_goes(checkout: Path, variant: str):
    environment = VARIANTS[variant][0]
    file = checkout / "stacks" / f"Pulumi.{environment}.yaml"
    own = YAML(typ="safe").load(file)["config"]["slipway:platform"]
    config = {f"slipway:{key}": value for key, value in tree_of(own, variant).items()}
    file.write_text(json.dumps({"config": config}))  # JSON is YAML
    assert steps(rehearse(checkout, environment))["destroy"]
