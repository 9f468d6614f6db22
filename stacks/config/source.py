"""A stack's file: what it holds, and on which line each key of it stands."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any, cast

from ruamel.yaml import YAML, YAMLError
from ruamel.yaml.error import MarkedYAMLError, StreamMark
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from stacks.config.environments import Environment
from stacks.config.keys import Path, near_miss
from stacks.config.mistakes import NAMESPACE, ConfigError, Mistake

KEYS = ("platform", "services")
"""The project's config keys."""
NOTES = "releases"
"""A key of the project that is no config: what `slipway release` notes about each release, for `rollback`."""


@dataclass(frozen=True)
class Source:
    """One read file."""

    file: FilePath
    """The file, as messages name it: from the checkout on."""
    tree: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What stands below `slipway:platform` and `slipway:services`."""
    lines: Mapping[Path, int] = field(default_factory=dict[Path, int])
    """Line of each key."""
    mistakes: tuple[Mistake, ...] = ()
    """What is wrong with the file itself: a key twice, an unknown `slipway:` key."""
    secret: frozenset[Path] = frozenset()
    """Where the file has encrypted values."""


def stack_file(root: FilePath, environment: Environment) -> FilePath:
    """The file of an environment in the checkout at `root`."""
    return root / "stacks" / f"Pulumi.{environment}.yaml"


def read(root: FilePath, environment: Environment) -> Source:
    """The environment's file.

    Raises:
        ConfigError: it is not there, cannot be read, or is not YAML.
    """
    path = stack_file(root, environment)
    shown = path.relative_to(root)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{shown} is not there", ["write it, or name another environment"]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{shown} cannot be read: {error}", []) from None
    return parse(text, shown)


def parse(text: str, file: FilePath) -> Source:
    """The content of a stack's file.

    Raises:
        ConfigError: it is not YAML.
    """
    yaml = YAML(typ="safe", pure=True)
    yaml.allow_duplicate_keys = True
    try:
        node = cast("Node | None", yaml.compose(text))
        content: Any = yaml.load(text)
    except MarkedYAMLError as error:
        mark = cast("StreamMark | None", error.problem_mark or error.context_mark)
        line = f":{mark.line + 1}" if mark else ""
        raise ConfigError(f"{file}{line}: is not valid YAML: {error.problem or error.context}", []) from None
    except (YAMLError, ValueError) as error:
        raise ConfigError(f"{file}: is not valid YAML: {error}", []) from None
    config: Any = cast("dict[str, Any]", content).get("config") if isinstance(content, dict) else None
    given = cast("dict[str, Any]", config) if isinstance(config, dict) else {}
    tree = {key: given[f"{NAMESPACE}:{key}"] for key in KEYS if f"{NAMESPACE}:{key}" in given}
    lines: dict[Path, int] = {}
    mistakes: list[Mistake] = []
    for found in _walk(_child(node, "config")):
        path = found.path
        if path in lines:
            mistakes.append(Mistake(path, f"is there twice, first on line {lines[path]}; keep one"))
        lines[path] = found.line
    for name in given:
        namespace, _, key = name.partition(":")
        if namespace == NAMESPACE and key not in {*KEYS, NOTES}:
            near = near_miss(key, KEYS)
            hint = f"did you mean {NAMESPACE}:{near}?" if near else f"known here: {', '.join(KEYS)}"
            mistakes.append(Mistake((key,), f"unknown key; {hint}"))
    secret = frozenset(path[:-1] for path in lines if path[-1] == "secure")
    return Source(file, tree, lines, tuple(mistakes), secret)


@dataclass(frozen=True)
class _Found:
    path: Path
    line: int


def _walk(node: Node | None, at: Path = ()) -> Iterator[_Found]:
    if isinstance(node, MappingNode):
        for key, value in cast("list[tuple[Node, Node]]", node.value):
            name = _text(key) if isinstance(key, ScalarNode) else "?"
            path = (*at, name) if at or not name.startswith(f"{NAMESPACE}:") else (name.removeprefix(f"{NAMESPACE}:"),)
            yield _Found(path, _line(key))
            yield from _walk(value, path)
    elif isinstance(node, SequenceNode):
        for index, item in enumerate(cast("list[Node]", node.value)):
            yield _Found((*at, index), _line(item))
            yield from _walk(item, (*at, index))


def _child(node: Node | None, name: str) -> Node | None:
    pairs = cast("list[tuple[Node, Node]]", node.value) if isinstance(node, MappingNode) else []
    return next((value for key, value in pairs if isinstance(key, ScalarNode) and _text(key) == name), None)


def _text(key: ScalarNode) -> str:
    return str(cast("object", key.value))


def _line(node: Node) -> int:
    return cast("StreamMark", node.start_mark).line + 1
