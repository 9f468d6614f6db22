"""The config comes from a file or from the engine, the same either way; for local, what was released lies over it."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pulumi
import pytest

from stacks.config.environments import Environment
from stacks.config.loader import CHECKOUT, environment_named, from_file, from_pulumi
from stacks.config.mistakes import ConfigError
from stacks.config.model import StackConfig
from stacks.config.releases import RELEASES
from stacks.config.source import read

DIGEST = "sha256:" + "a" * 64
LOCAL = """
config:
  slipway:platform: {region: eu-west-1}
  slipway:services:
    flight-delay: {rest: {}}
    other: {model: {name: shared}, rest: {}}
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "stacks").mkdir()
    (tmp_path / "stacks" / "Pulumi.local.yaml").write_text(LOCAL)
    return tmp_path


def write_releases(root: Path, content: Any) -> None:
    (root / RELEASES).parent.mkdir(parents=True)
    (root / RELEASES).write_text(content if isinstance(content, str) else json.dumps(content))


@pytest.fixture
def engine_config() -> Iterator[None]:
    yield
    pulumi.runtime.set_all_config({}, [])
    pulumi.runtime.reset_options()


@pytest.mark.parametrize("environment", list(Environment))
def test_file_and_engine_give_the_same_config(environment: Environment, engine_config: None, tmp_path: Path):
    shutil.copytree(CHECKOUT / "stacks", tmp_path / "stacks", ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    tree = read(CHECKOUT, environment).tree
    pulumi.runtime.set_all_config({f"slipway:{key}": json.dumps(value) for key, value in tree.items()})
    pulumi.runtime.reset_options(project="slipway", stack=environment.value)
    assert from_pulumi(root=tmp_path) == from_file(environment, tmp_path)


@pytest.mark.parametrize("environment", list(Environment))
def test_every_environment_is_right_and_short(environment: Environment):
    assert isinstance(from_file(environment), StackConfig)
    assert len((CHECKOUT / "stacks" / f"Pulumi.{environment}.yaml").read_text().splitlines()) < 60


def test_without_a_release_the_service_waits(checkout: Path):
    model = from_file(Environment.LOCAL, checkout).services["flight-delay"].model
    assert (model.name, model.version, model.digest) == ("flight-delay", None, None)


def test_a_release_lies_over_the_file(checkout: Path):
    released = {"name": "flight-delay", "version": "2", "digest": DIGEST, "previous": {"version": "1"}}
    write_releases(checkout, {"layout": 1, "services": {"flight-delay": released, "gone": released}})
    config = from_file(Environment.LOCAL, checkout)
    assert config.services["flight-delay"].model.model_dump() == {
        "name": "flight-delay",
        "version": "2",
        "digest": DIGEST,
    }
    assert list(config.services) == ["flight-delay", "other"]


def test_a_service_whose_first_release_was_taken_back_waits_again(checkout: Path):
    taken_back = {"previous": None, "at": "2026-11-01T00:00:00+00:00", "note": "1 rolled back", "verified": False}
    write_releases(checkout, {"layout": 1, "services": {"flight-delay": taken_back}})
    model = from_file(Environment.LOCAL, checkout).services["flight-delay"].model
    assert (model.name, model.version, model.digest) == ("flight-delay", None, None)


def test_a_release_of_another_model_than_the_file_names_is_not_taken(checkout: Path):
    write_releases(checkout, {"layout": 1, "services": {"other": {"name": "other", "version": "2", "digest": DIGEST}}})
    assert from_file(Environment.LOCAL, checkout).services["other"].model.version is None


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "is not valid JSON"),
        ({"layout": 0, "services": {}}, "has layout 0, this version reads layout 1"),
        ([], "has layout None, this version reads layout 1"),
        ({"layout": 1}, "has no services in it"),
        ({"layout": 1, "services": {"a": 1}}, "has no services in it"),
    ],
)
def test_an_unreadable_release_file_is_named_with_what_mends_it(checkout: Path, content: Any, problem: str):
    write_releases(checkout, content)
    with pytest.raises(ConfigError) as caught:
        from_file(Environment.LOCAL, checkout)
    where = ".slipway/local/releases.json"
    assert str(caught.value) == f"{where} {problem}\n  remove {where}; `slipway release` writes it again"


def test_a_mistake_in_a_release_is_found_as_one_of_the_config(checkout: Path):
    wrong = {"name": "flight-delay", "version": "2", "digest": "md5:1"}
    write_releases(checkout, {"layout": 1, "services": {"flight-delay": wrong}})
    with pytest.raises(ConfigError, match=r"flight-delay\.model.digest: must be sha256: and 64 hex digits"):
        from_file(Environment.LOCAL, checkout)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("config: [", "stacks/Pulumi.local.yaml:1: is not valid YAML: "),
        ("config:\n  a: b\n c: d\n", "stacks/Pulumi.local.yaml:3: is not valid YAML: "),
        ("", "1 mistake in the config of local:\n  stacks/Pulumi.local.yaml: slipway:platform: is required"),
        (
            "config: {slipway:platform: 3}",
            "slipway:platform: must be a section (keys below it, or {} for its defaults), got 3",
        ),
        ("config: {slipway:platform: {region: eu-west-1}, slipway:services: [a]}", "services: must be a section (keys"),
        (
            "config: {slipway:platform: {region: eu-west-1}, slipway:services: {a: 1}}",
            "services.a: must be a section (k",
        ),
    ],
)
def test_a_file_that_is_not_a_config_says_what_is_wrong(checkout: Path, text: str, message: str):
    (checkout / "stacks" / "Pulumi.local.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        from_file(Environment.LOCAL, checkout)
    assert message in str(caught.value)


def test_a_missing_file_and_an_unknown_environment_are_errors(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"Pulumi\.prod\.yaml is not there"):
        from_file(Environment.PROD, tmp_path)
    with pytest.raises(ConfigError, match="there is no environment qa\n  known are local, dev, staging, prod"):
        environment_named("qa")


def test_what_the_engine_hands_over_is_located_in_the_file(engine_config: None, tmp_path: Path):
    pulumi.runtime.set_all_config({"slipway:platform": json.dumps({"region": "Ireland"}), "slipway:services": "three"})
    pulumi.runtime.reset_options(project="slipway", stack="local")
    with pytest.raises(ConfigError) as caught:
        from_pulumi(root=tmp_path)
    assert [line.split(": ", 1)[1] for line in caught.value.lines] == [
        'slipway:platform.region: must be an AWS region such as eu-west-1, got "Ireland"',
        'slipway:services: must be a section (keys below it), got "three"',
    ]
    assert all(line.startswith("stacks/Pulumi.local.yaml:") for line in caught.value.lines)
