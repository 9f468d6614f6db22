"""What the config says about itself: resolved and explained, as a schema for editors, as a page."""

import json
from pathlib import Path

import jsonschema
import pytest
from ruamel.yaml import YAML
from stacks_mistakes import BASE, MISTAKES, edited

from stacks.config.check import check
from stacks.config.entry import entry, signature, with_entry
from stacks.config.environments import Environment
from stacks.config.explain import as_yaml, explain, resolved
from stacks.config.generate import generated
from stacks.config.json_schema import json_schema
from stacks.config.keys import keys
from stacks.config.loader import CHECKOUT, located
from stacks.config.model import StackConfig
from stacks.config.releases import RELEASES
from stacks.config.source import parse

yaml = YAML(typ="safe")


def test_schema_and_page_are_current():
    for file, content in generated(CHECKOUT).items():
        assert file.read_text() == content, "run: python -m stacks.config.generate"


@pytest.mark.parametrize("environment", list(Environment))
def test_what_is_shown_is_a_config_and_the_same_one(environment: Environment):
    config, source = located(environment)
    for explained in (False, True):
        shown = yaml.load("\n".join(as_yaml(explain(config, source), explained=explained)))
        assert {key.removeprefix("slipway:"): value for key, value in shown.items()} == resolved(config)


def test_each_key_is_explained_with_its_source_and_default(tmp_path: Path):
    (tmp_path / "stacks").mkdir()
    text = """\
config:
  slipway:platform: {region: eu-west-1}
  slipway:services:
    flight-delay:
      rest:
        slo: {p95_ms: 100}
"""
    (tmp_path / "stacks" / "Pulumi.local.yaml").write_text(text)
    (tmp_path / RELEASES).parent.mkdir(parents=True)
    released = {"name": "flight-delay", "version": "2", "digest": "sha256:" + "a" * 64}
    (tmp_path / RELEASES).write_text(json.dumps({"layout": 1, "services": {"flight-delay": released}}))
    found = {entry.as_json()["key"]: entry.as_json() for entry in explain(*located(Environment.LOCAL, tmp_path))}
    slo = found["slipway:services.flight-delay.rest.slo.p95_ms"]
    assert (slo["value"], slo["source"], slo["default"]) == (100, "stacks/Pulumi.local.yaml:6", 200)
    assert slo["reason"].startswith("95 of 100 requests are answered within this.")
    sources = {
        key: found[f"slipway:services.flight-delay.{key}"]["source"]
        for key in ("model.version", "model.name", "drift.psi")
    }
    assert sources == {"model.version": str(RELEASES), "model.name": "named like its service", "drift.psi": "default"}


def test_every_key_has_a_reason():
    assert [".".join(key.path) for key in keys(StackConfig) if not key.reason] == []


@pytest.mark.parametrize("environment", list(Environment))
def test_files_name_the_schema_and_keep_to_it(environment: Environment):
    file = CHECKOUT / "stacks" / f"Pulumi.{environment}.yaml"
    assert file.read_text().startswith("# yaml-language-server: $schema=./schema.json\n")
    jsonschema.validate(yaml.load(file.read_text()), json_schema())


def test_an_editor_sees_the_mistakes_that_need_no_other_key():
    """Types, ranges, words and unknown keys; what lies between keys is left to the check."""
    schema = jsonschema.Draft202012Validator(json_schema())
    seen = 0
    for environment, path, value, expected in MISTAKES:
        tree = edited(BASE[environment], path, value)
        wrong = not schema.is_valid({"config": {f"slipway:{key}": section for key, section in tree.items()}})
        by_pydantic = any(
            word in expected for word in ("unknown key", "must be a whole", "must be a number", "must be one of")
        )
        assert wrong or not by_pydantic, (path, value)
        seen += wrong
    assert seen > 30


def test_a_first_entry_is_written_beside_what_is_there():
    before = (CHECKOUT / "stacks" / "Pulumi.dev.yaml").read_text()
    comment = signature("classification", [f"feature_{n}" for n in range(30)], ["probability"])
    after = with_entry(before, "late-flights", entry("late-flights", "flight-delay", comment))
    added = [line for line in after.splitlines() if line not in before.splitlines()]
    assert [line for line in before.splitlines() if line not in after.splitlines()] == []
    assert added[0] == "    late-flights:"
    assert added[1].startswith("      # classification: feature_0, feature_1,")
    assert added[-2:] == ["      model: {name: flight-delay}", "      rest: {}"]
    assert max(map(len, added)) <= 120
    config, mistakes = check(Environment.DEV, parse(after, Path("f")).tree)
    assert mistakes == []
    assert config is not None
    assert config.services["late-flights"].rest is not None


def test_the_schema_line_is_added_once_and_a_service_is_never_overwritten():
    bare = "config:\n  slipway:platform: {region: eu-west-1}\n"
    once = with_entry(bare, "a", entry("a", "a", ["regression: x → y"]))
    twice = with_entry(once, "b", entry("b", "b", ["regression: x → y"]))
    assert twice.count("yaml-language-server") == 1
    assert yaml.load(twice)["config"]["slipway:services"] == {"a": {"rest": {}}, "b": {"rest": {}}}
    with pytest.raises(KeyError):
        with_entry(twice, "a", entry("a", "a", ["regression: x → y"]))
