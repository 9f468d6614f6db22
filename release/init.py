"""A model package's first appearance in a config: the entry of a service for it."""

from dataclasses import dataclass
from pathlib import Path

from release.environment import Environment
from release.errors import SlipwayError


@dataclass(frozen=True)
class Written:
    """What was added to a stack's file."""

    service: str
    text: str
    """The lines that are new."""


def write_entry(environment: Environment, file: Path, service: str | None) -> Written:
    """Add a service for the package in `file` to the environment's config, named like its model unless given.

    Raises:
        SlipwayError: the package is damaged, the service is there already, or the config would not be valid.
    """
    from release.config import check_config
    from release.package import read_package
    from stacks.config.check import check
    from stacks.config.entry import entry, signature, with_entry
    from stacks.config.loader import environment_named
    from stacks.config.mistakes import ConfigError, render
    from stacks.config.source import parse

    check_config(environment)
    manifest = read_package(file).package.manifest
    name = service or manifest.name
    features = [feature.name for feature in manifest.features] or [tensor.name for tensor in manifest.inputs]
    lines = signature(manifest.task, features, [tensor.name for tensor in manifest.outputs])
    path = environment.config_file
    before = path.read_text(encoding="utf-8")
    try:
        after = with_entry(before, name, entry(name, manifest.name, lines))
    except KeyError:
        raise SlipwayError(
            "service-exists",
            f"{path.relative_to(environment.root)} has a service {name!r} already",
            "give another name with --service, or edit the file",
        ) from None
    source = parse(after, path.relative_to(environment.root))
    _, mistakes = check(environment_named(environment.name), source.tree, source.secret)
    if mistakes:
        problem: ConfigError = render(environment.name, mistakes, source.file, source.lines)
        raise SlipwayError("config", str(problem), "nothing was written; give a valid name with --service")
    draft = path.with_name(f".{path.name}.draft")
    draft.write_text(after, encoding="utf-8")
    draft.replace(path)
    new = [line for line in after.splitlines() if line not in before.splitlines()]
    return Written(name, "\n".join(new))
