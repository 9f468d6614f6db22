"""A resolved config, written so that it teaches: each key with its value, where that comes from, and why."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from textwrap import wrap
from typing import Any, cast

from pydantic import BaseModel

from stacks.config.keys import Path, field_at, reason_of
from stacks.config.mistakes import NAMESPACE, address
from stacks.config.model import StackConfig
from stacks.config.releases import RELEASES
from stacks.config.source import KEYS, Source

WIDTH = 100


@dataclass(frozen=True)
class Entry:
    """One key of a resolved config."""

    path: Path
    value: Any
    """As YAML and JSON have it; `...` for a section, whose keys follow."""
    source: str
    """`stacks/Pulumi.dev.yaml:12`, the file of releases, or `default`."""
    default: Any
    """What it would be without the file; `...` where it has to be given."""
    reason: str

    def as_json(self) -> dict[str, Any]:
        """The entry for programs."""
        given = {"key": address(self.path), "value": self.value, "source": self.source, "reason": self.reason}
        return given if self.default is ... else given | {"default": self.default}


def resolved(config: StackConfig) -> dict[str, Any]:
    """The whole config as plain values, what is absent left out."""
    return config.model_dump(mode="json", include=set(KEYS), exclude_none=True)


def explain(config: StackConfig, source: Source) -> Iterator[Entry]:
    """Every key of a config, sections before their keys, in the order of the model."""
    for key in KEYS:
        yield from _below((key,), getattr(config, key), source)


def _below(path: Path, value: Any, source: Source) -> Iterator[Entry]:
    field = field_at(StackConfig, path)
    reason = reason_of(field) if field else ""
    if isinstance(value, BaseModel):
        yield Entry(path, ..., _origin(path, source), ..., reason)
        for name in type(value).model_fields:
            yield from _below((*path, name), getattr(value, name), source)
    elif isinstance(value, Mapping) and value:
        yield Entry(path, ..., _origin(path, source), ..., reason)
        for name, item in cast("Mapping[str, Any]", value).items():
            yield from _below((*path, name), item, source)
    else:
        default = plain(field.get_default(call_default_factory=False)) if field and not field.is_required() else ...
        yield Entry(path, plain(value), _origin(path, source, value), default, reason)


def _origin(path: Path, source: Source, value: Any = None) -> str:
    if path in source.lines:
        return f"{source.file}:{source.lines[path]}"
    if path[2:] in {("model", "version"), ("model", "digest")} and value is not None:
        return str(RELEASES)
    return "named like its service" if path[2:] == ("model", "name") else "default"


def plain(value: Any) -> Any:
    """`value` as JSON has it."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_none=True)
    if isinstance(value, tuple | list):
        return [plain(item) for item in cast("tuple[Any, ...]", value)]
    return str(value) if isinstance(value, str) else value


def as_yaml(entries: Iterable[Entry], *, explained: bool) -> Iterator[str]:
    """The entries as lines of YAML; explained, with the reason above each key, and source and default behind it."""
    listed = list(entries)
    filled = {e.path[:end] for e in listed if e.value is not None and e.value is not ... for end in range(len(e.path))}
    for entry in listed:
        indent = "  " * (len(entry.path) - 1)
        name = f"{NAMESPACE}:{entry.path[0]}" if not indent else str(entry.path[-1])
        if explained:
            yield from (f"{indent}# {line}" for line in wrap(entry.reason, max(WIDTH - len(indent) - 2, 40)))
        if entry.value is ...:
            yield f"{indent}{name}:" if entry.path in filled else f"{indent}{name}: {{}}"
        elif entry.value is not None:
            yield f"{indent}{name}: {scalar(entry.value)}{f'  # {_note(entry)}' if explained else ''}"
        elif explained:  # written out, an absent key would be refused
            yield f"{indent}# {name}: absent"


def _note(entry: Entry) -> str:
    given = entry.source != "default" and entry.default is not ...
    return f"{entry.source}, default {scalar(entry.default)}" if given else entry.source


def scalar(value: Any) -> str:
    """A value as one would write it on the line of its key."""
    if value is None:
        return "absent"
    if isinstance(value, list):
        return f"[{', '.join(scalar(item) for item in cast('list[Any]', value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}: {scalar(v)}" for k, v in cast("dict[str, Any]", value).items()) + "}"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"{value:g}" if isinstance(value, float) else str(value)
    text = str(value)
    return text if _PLAIN.fullmatch(text) and text not in _WORDS else json.dumps(text, ensure_ascii=False)


_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9._/@+-]*(?::[A-Za-z0-9._/@+-]+)*|\d+m|\d+[MG]i")
_WORDS = {"true", "false", "yes", "no", "on", "off", "null"}
"""What YAML takes for a text without quotes, and what some of its readers do not."""
