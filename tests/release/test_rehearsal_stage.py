"""The throw-away project of a rehearsal: what is in it, and that nothing of it stays."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import psutil
import pytest
from ruamel.yaml import YAML

from release.cli.main import run
from release.differences import Difference
from release.environment import Environment
from release.errors import SlipwayError
from release.events import Change
from release.rehearse import Report, Step, refuse, vary
from release.stage import FOLDER, forget_the_dead, staged
from stacks.config.environments import Environment as Name
from stacks.config.loader import CHECKOUT, from_file

yaml = YAML(typ="safe")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    root = tmp_path / "a checkout"
    shutil.copytree(CHECKOUT / "stacks", root / "stacks", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(CHECKOUT / "Pulumi.yaml", root)
    return root


def said(lines: list[str]) -> Any:
    return lines.append


@pytest.mark.parametrize("name", list(Name))
def test_a_stage_has_the_config_and_leaves_nothing(checkout: Path, name: Name):
    before = {path: path.read_bytes() for path in checkout.rglob("*") if path.is_file()}
    with staged(Environment(name, checkout), said([])) as stage:
        assert from_file(name, stage.root) == from_file(name, checkout)
        project = yaml.load((stage.root / "Pulumi.yaml").read_text())
        assert (stage.root / project["main"] / "__main__.py").samefile(checkout / "stacks" / "__main__.py")
        assert stage.log_directory == Environment(name, checkout).log_directory
    assert not stage.root.exists()
    after = {path: path.read_bytes() for path in checkout.rglob("*") if path.is_file() and ".slipway" not in path.parts}
    assert after == before


def test_secrets_and_their_provider_stay_behind(checkout: Path):
    file = checkout / "stacks" / "Pulumi.dev.yaml"
    file.write_text(
        "secretsprovider: awskms://alias/x\nencryptedkey: abc\n"
        + file.read_text()
        + "  other:token: {secure: v1:abc:def}\n"
    )
    with staged(Environment("dev", checkout), said([])) as stage:
        content = yaml.load(stage.config_file)
    assert set(content) == {"config"}
    assert content["config"]["other:token"] == "rehearsal"


@pytest.mark.parametrize("name", list(Name))
def test_settings_are_varied_into_valid_ones(checkout: Path, name: Name):
    with staged(Environment(name, checkout), said([])) as stage:
        before = from_file(name, stage.root)
        vary(stage)
        after = from_file(name, stage.root)
    assert after != before
    assert after.services == before.services
    assert after.platform.data.scan_limit_gib != before.platform.data.scan_limit_gib
    assert all(
        pool.max_cpu != before.platform.pools[pool_name].max_cpu for pool_name, pool in after.platform.pools.items()
    )


def test_what_a_killed_rehearsal_left_is_cleared_and_a_living_one_is_not(checkout: Path):
    gone = next(pid for pid in range(2**22 - 1, 1, -1) if not psutil.pid_exists(pid))
    dead = checkout / ".slipway" / FOLDER / f"dev-{gone}"
    alive = checkout / ".slipway" / FOLDER / f"dev-{os.getpid()}"
    reused = checkout / ".slipway" / FOLDER / f"prod-{os.getpid()}"
    for folder in (dead, alive, reused):
        folder.mkdir(parents=True)
    os.utime(reused, (1, 1))  # made long before the process that has its number now
    forget_the_dead(checkout, said([]))
    assert (dead.exists(), alive.exists(), reused.exists()) == (False, True, False)


def test_an_unsteady_environment_is_refused_with_what_differs():
    difference = Difference("spec.replicas", "2", "3", replaces=False)
    change = Change("urn", "change", "ModelService a-rest", "kubernetes:apps/v1:Deployment", "a-rest", [difference])
    refuse("a second `up` would change what the first has made", [])
    with pytest.raises(SlipwayError) as caught:
        refuse("a second `up` would change what the first has made", [change] * 7)
    assert caught.value.message.startswith("a second `up` would change what the first has made (7 resources):")
    assert "  change ModelService a-rest / a-rest: spec.replicas: 2 → 3" in caught.value.message
    assert caught.value.message.endswith("… and 2 more")


def test_the_report_counts_by_component_and_step():
    changes = [Change(f"urn{n}", "create", "Network network", "aws:ec2/vpc:Vpc", f"v{n}") for n in range(3)]
    report = Report(
        "dev", [Step("preview", 1.04, changes), Step("up", 2.0, changes)], {"Network network": (3, 1.96)}, 1
    )
    assert json.loads(json.dumps(report.as_json())) == {
        "environment": "dev",
        "resources": 3,
        "protected": 1,
        "seconds": 3.0,
        "steps": [
            {"step": "preview", "seconds": 1.0, "changes": {"create": 3}},
            {"step": "up", "seconds": 2.0, "changes": {"create": 3}},
        ],
        "components": [{"component": "Network network", "resources": 3, "seconds": 2.0}],
    }


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["rehearse"], "missing argument 'ENV'"),
        (["rehearse", "qa"], "there is no environment 'qa': stacks/ has dev, local, prod, staging"),
        (["config", "check", "qa"], "there is no environment qa\n  known are local, dev, staging, prod"),
        (["config", "dev", "prod"], "expected one environment, got dev prod"),
        (["init", "nothing.tar.gz"], "the package nothing.tar.gz is not a file"),
    ],
)
def test_misuse_is_one_clear_line(checkout: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str):
    monkeypatch.setenv("SLIPWAY_ROOT", str(checkout))
    with pytest.raises(SlipwayError) as caught:
        run(words)
    assert caught.value.message == message


def test_a_wrong_config_ends_a_rehearsal_before_anything_starts(checkout: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SLIPWAY_ROOT", str(checkout))
    file = checkout / "stacks" / "Pulumi.dev.yaml"
    file.write_text(file.read_text().replace("eu-west-1", "Ireland"))
    with pytest.raises(SlipwayError, match="must be an AWS region"):
        run(["rehearse", "dev"])
    assert not (checkout / ".slipway" / FOLDER).exists()
