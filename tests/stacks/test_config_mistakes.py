# ruff: noqa: E501 - messages as they are printed
"""Every mistake gets its line, and only that line."""

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from stacks_mistakes import BASE, MISTAKES, edited

from stacks.config.check import check
from stacks.config.environments import Environment
from stacks.config.mistakes import render
from stacks.config.source import parse


@pytest.mark.parametrize("environment", list(BASE))
def test_what_the_mistakes_start_from_has_none(environment: str):
    assert check(Environment(environment), YAML(typ="safe").load(BASE[environment]))[1] == []


@pytest.mark.parametrize(("environment", "path", "value", "expected"), MISTAKES)
def test_each_mistake_has_its_own_line(environment: str, path: str, value: Any, expected: str):
    """`expected` starts at the edited key; with a path of its own (`services.…`) it is about another one."""
    config, mistakes = check(Environment(environment), edited(BASE[environment], path, value))
    if not expected.startswith(("services.", "platform.")):
        expected = f"{path}{expected}" if expected[0] in ".[" else f"{path}: {expected}"
    error = render(environment, mistakes, Path("f"), {})
    assert [line.removeprefix("f: slipway:") for line in error.lines] == [expected]
    assert config is None


def test_mistakes_of_every_kind_are_reported_together_with_their_lines():
    text = """\
config:
  slipway:platform:
    region: Ireland
    account: "123456789012"
    network: {zones: 2, nat: per_zone}
    clutser: {}
    alarms: {email: oncall@example.com}
  slipway:services:
    flight-delay:
      rest:
        replicas:
          min: 1
          max: many
        slo: {p95_ms: -1}
    flight-delay:
      batch: {schedule: never, input: s3://lake/in/}
      stream: {replicas: {min: 5, max: 2}}
  slipway:servces: {}
"""
    source = parse(text, Path("stacks/Pulumi.prod.yaml"))
    _, mistakes = check(Environment.PROD, source.tree)
    assert (
        str(render("prod", [*source.mistakes, *mistakes], source.file, source.lines))
        == """\
9 mistakes in the config of prod:
  stacks/Pulumi.prod.yaml:2: slipway:platform.budget: is required in prod; give it monthly_usd
  stacks/Pulumi.prod.yaml:3: slipway:platform.region: must be an AWS region such as eu-west-1, got "Ireland"
  stacks/Pulumi.prod.yaml:5: slipway:platform.network.zones: must be 3 in prod, got 2
  stacks/Pulumi.prod.yaml:6: slipway:platform.clutser: unknown key; did you mean cluster?
  stacks/Pulumi.prod.yaml:12: slipway:services.flight-delay.rest.replicas.min: must be at least 2 in prod, got 1
  stacks/Pulumi.prod.yaml:13: slipway:services.flight-delay.rest.replicas.max: must be a whole number from 1 to 1000, got "many"
  stacks/Pulumi.prod.yaml:14: slipway:services.flight-delay.rest.slo.p95_ms: must be a number of milliseconds above 0 and up to 60000, got -1
  stacks/Pulumi.prod.yaml:15: slipway:services.flight-delay: is there twice, first on line 9; keep one
  stacks/Pulumi.prod.yaml:18: slipway:servces: unknown key; did you mean slipway:services?"""
    )


def test_secrets_are_never_shown():
    text = """\
config:
  slipway:platform:
    region: {secure: v1:abc:def}
    budget: {monthly_usd: {secure: v1:abc:def}}
  slipway:services:
    flight-delay: {rest: {ingress: {host: a.example.com, auth: {api_keys_arn: hunter2}}}}
"""
    source = parse(text, Path("f"))
    # What the engine hands to the program: decrypted.
    tree: dict[str, Any] = {**source.tree, "platform": {"region": "hunter2", "budget": {"monthly_usd": "hunter2"}}}
    _, mistakes = check(Environment.DEV, tree, source.secret)
    error = render("dev", mistakes, source.file, source.lines)
    assert "hunter2" not in str(error)
    assert len(error.lines) == 5
