"""A tree as YAML gives it becomes a `StackConfig`, or the list of everything that is wrong with it."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any, cast

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from stacks.config.environment_rules import ENVIRONMENT_RULES
from stacks.config.environments import Environment
from stacks.config.keys import Path
from stacks.config.mistakes import Mistake, from_pydantic
from stacks.config.model import StackConfig
from stacks.config.rules import RULES
from stacks.config.vocabulary import UNKNOWN_REGION


def check(
    environment: Environment, tree: Mapping[str, Any], secret: frozenset[Path] = frozenset()
) -> tuple[StackConfig | None, list[Mistake]]:
    """The config in `tree` (`{"platform": …, "services": …}`) with its mistakes; None when there is any.

    A wrong value is reported and then left out, so that the rules between keys still see all the rest; what they say
    about something left out is not reported, being a consequence. Values at or below a path of `secret` are not shown.
    """
    rest: dict[str, Any] = {"environment": environment.value, **deepcopy(dict(tree))}
    found = list(_empty(rest))
    for mistake in found:
        _remove(rest, mistake.path)
    config: StackConfig | None = None
    while config is None:
        try:
            config = StackConfig.model_validate(rest)
        except ValidationError as error:
            new = [
                from_pydantic(StackConfig, entry, secret=_under(entry["loc"], secret))
                for entry in _causes(error.errors(include_url=False))
            ]
            found += [mistake for mistake in new if not _consequence(mistake, found)]
            removed = [_leave_out(rest, mistake.path) for mistake in new]
            if not any(removed):
                return None, found
    rules = (*RULES, *ENVIRONMENT_RULES[environment])
    by_rules = [m for rule in rules for m in rule(config) if not _consequence(m, found)]
    found += by_rules
    return (None if found else config), found


def _causes(errors: list[ErrorDetails]) -> list[ErrorDetails]:
    """`errors` without what pydantic adds to them: about names that we derived, about lists with wrong entries."""
    return [
        entry
        for entry in errors
        if not (
            (entry["loc"][2:] == ("model", "name") and entry["input"] == entry["loc"][1])
            or (entry["type"] == "too_short" and any(e["loc"][:-1] == entry["loc"] for e in errors))
        )
    ]


def _under(path: Path, parents: frozenset[Path]) -> bool:
    return any(path[:end] in parents for end in range(len(path) + 1))


def _consequence(mistake: Mistake, found: list[Mistake]) -> bool:
    """Whether `mistake` is about a place that is wrong already, above or below it."""
    return any(
        mistake.path[: len(known.path)] == known.path or known.path[: len(mistake.path)] == mistake.path
        for known in found
    )


def _empty(tree: Any, at: Path = ()) -> Iterator[Mistake]:
    """Keys without a value: YAML reads them as null, a person means defaults or forgot something."""
    if isinstance(tree, Mapping):
        for name, value in cast("Mapping[str, Any]", tree).items():
            yield from _empty(value, (*at, name))
    elif isinstance(tree, list):
        for index, value in enumerate(cast("list[Any]", tree)):
            yield from _empty(value, (*at, index))
    elif tree is None:
        yield Mistake(at, "has no value; give it one, write {} for a section with its defaults, or remove the line")


def _leave_out(tree: dict[str, Any], path: Path) -> bool:
    """`_remove`, but for the region: without it there is no platform, and its other mistakes could not be seen."""
    platform: Any = tree.get("platform")
    if path == ("platform", "region") and isinstance(platform, dict):
        platform["region"] = UNKNOWN_REGION
        return True
    return _remove(tree, path)


def _remove(tree: dict[str, Any], path: Path) -> bool:
    """Takes out what stands at `path`; for what is missing or in a list, the section or list that cannot be used."""
    parent: dict[Any, Any] = tree
    for depth, step in enumerate(path):
        below = parent.get(step)
        if depth == len(path) - 1 or not isinstance(below, dict):
            if step in parent:
                del parent[step]
                return True
            return depth > 0 and _remove(tree, path[:depth])
        parent = cast("dict[Any, Any]", below)
    return False
