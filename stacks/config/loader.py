"""The two ways to a `StackConfig`: from a stack's file, and from the engine inside the program."""

import json
import os
from pathlib import Path
from typing import Any

from stacks.config.check import check
from stacks.config.environments import Environment
from stacks.config.keys import near_miss
from stacks.config.mistakes import ConfigError, render
from stacks.config.model import StackConfig
from stacks.config.releases import overlaid, read_releases
from stacks.config.source import KEYS, Source, read

CHECKOUT = Path(__file__).resolve().parents[2]


def project_root() -> Path:
    """The checkout whose `.slipway` counts: `SLIPWAY_ROOT`, or the one that this file lies in."""
    return Path(os.environ.get("SLIPWAY_ROOT") or CHECKOUT)


def environment_named(name: str) -> Environment:
    """The environment of that name.

    Raises:
        ConfigError: there is none.
    """
    try:
        return Environment(name)
    except ValueError:
        near = near_miss(name, Environment)
        hint = f"did you mean {near}?" if near else f"known are {', '.join(Environment)}"
        raise ConfigError(f"there is no environment {name}", [hint]) from None


def from_file(environment: Environment, root: Path | None = None) -> StackConfig:
    """The config in `stacks/Pulumi.<environment>.yaml` of the checkout at `root`, for `local` with what was released.

    Raises:
        ConfigError: with every mistake.
    """
    return located(environment, root)[0]


def located(environment: Environment, root: Path | None = None) -> tuple[StackConfig, Source]:
    """`from_file` with the file itself, which knows where each key stands."""
    root = root or project_root()
    source = read(root, environment)
    return _resolved(environment, source, source.tree, root), source


def from_pulumi(root: Path | None = None) -> StackConfig:
    """The config that the engine hands to the running program, located in the stack's file where that has it.

    Raises:
        ConfigError: with every mistake.
    """
    import pulumi

    environment = environment_named(pulumi.get_stack())
    root = root or project_root()
    config = pulumi.Config("slipway")
    tree: dict[str, Any] = {}
    for key in KEYS:
        text = config.get(key)
        if text is not None:
            tree[key] = _parsed(text)
    try:
        source = read(CHECKOUT, environment)
    except ConfigError:  # the engine may have its config from elsewhere
        source = Source(Path("stacks") / f"Pulumi.{environment}.yaml")
    return _resolved(environment, source, tree, root)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text  # a plain value where a section belongs: `check` says so


def _resolved(environment: Environment, source: Source, tree: Any, root: Path) -> StackConfig:
    if environment is Environment.LOCAL:
        tree = overlaid(tree, read_releases(root))
    config, mistakes = check(environment, tree, source.secret)
    if config is None or source.mistakes:
        raise render(environment, [*source.mistakes, *mistakes], source.file, source.lines)
    return config
