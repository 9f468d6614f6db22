"""What is wrong with a config, in the words of a colleague: one line a mistake, all of them in one message."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import PurePath
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from stacks.config.keys import Path, field_at, near_miss, suggestion
from stacks.config.kinds import SENSITIVE

NAMESPACE = "slipway"
_LONGEST_SHOWN = 60
_FAMILIES_SHOWN = 8


@dataclass(frozen=True)
class Mistake:
    """One wrong thing: the path from `platform` or `services` on, and what to do about it."""

    path: Path
    message: str


class ConfigError(Exception):
    """A config cannot be used. `str` is the whole message, a line for each mistake."""

    def __init__(self, title: str, lines: Iterable[str]) -> None:
        self.title = title
        self.lines = tuple(lines)
        super().__init__("\n".join((title, *(f"  {line}" for line in self.lines))))


def render(environment: str, found: Iterable[Mistake], file: PurePath, lines: Mapping[Path, int]) -> ConfigError:
    """All mistakes as one error, each with file and line (of the nearest thing that is there), in the file's order."""
    located = sorted({(line_of(mistake.path, lines), address(mistake.path), mistake.message) for mistake in found})
    count = f"{len(located)} mistakes" if len(located) > 1 else "1 mistake"
    return ConfigError(
        f"{count} in the config of {environment}:",
        (f"{file}{f':{line}' if line else ''}: {where}: {message}" for line, where, message in located),
    )


def line_of(path: Path, lines: Mapping[Path, int]) -> int:
    """Line of `path`, or of the nearest parent that the file has; 0 when it has none."""
    return next((lines[path[:end]] for end in range(len(path), 0, -1) if path[:end] in lines), 0)


def address(path: Path) -> str:
    """`("services", "a", "replicas", "min")` as `slipway:services.a.replicas.min`."""
    return f"{NAMESPACE}:" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")


def from_pydantic(root: type[BaseModel], error: ErrorDetails, *, secret: bool = False) -> Mistake:
    """A mistake from an entry of `ValidationError.errors()`. With `secret`, no value is shown."""
    path: Path = tuple(step for step in error["loc"] if step != "[key]")
    if "[key]" in error["loc"]:
        return Mistake(path, f"the name must be {error['msg']}, got {shown(path[-1])}")
    hidden = secret or error["type"] == SENSITIVE
    return Mistake(
        path, _sentence(root, path, error, "something else (not shown: it may be a secret)" if hidden else "")
    )


def _sentence(root: type[BaseModel], path: Path, error: ErrorDetails, instead: str) -> str:
    """What is wrong; `instead` stands for a value that is not shown."""
    context, value = error.get("ctx", {}), error["input"]
    got = f"got {instead or shown(value)}"
    match error["type"]:
        case "extra_forbidden":
            text = f"unknown key; {suggestion(root, path)}".removesuffix("; ")
        case "missing":
            field = field_at(root, path)
            what = (field.description or "").split(". ")[0].rstrip(".") if field else ""
            lower = what if what[1:2].isupper() else what[:1].lower() + what[1:]
            text = f"is required{f' ({lower})' if lower else ''}"
        case "enum":
            choices = str(context["expected"]).replace(" or ", ", ").replace("'", "")
            near = near_miss(str(value), choices.split(", ")) if isinstance(value, str) and not instead else None
            text = f"must be one of {choices}, {got}{_did_you_mean(near)}{'' if instead else _quotes(value, '')}"
        case "family":
            text = _family(value, context["known"], got)
        case "too_short":
            least = context["min_length"]
            text = f"must have at least {least} {'entry' if least == 1 else 'entries'}, has {context['actual_length']}"
        case "too_long":
            text = f"must have at most {context['max_length']} entries, has {context['actual_length']}"
        case kind:
            sentence = _PLAIN.get(kind, error["msg"])
            text = f"must be {sentence}, {got}{'' if instead else _quotes(value, sentence)}"
    return text


_PLAIN = {
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "model_type": "a section (keys below it, or {} for its defaults)",
    "model_attributes_type": "a section (keys below it, or {} for its defaults)",
    "dict_type": "a section (keys below it)",
    "tuple_type": "a list such as [a, b]",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a number",
}
"""Sentences for the errors of pydantic's own types; all others are ours and carry their sentence."""


def shown(value: Any) -> str:
    """A value as YAML would show it, shortened; a section or list by its kind only."""
    if value is None:
        return "nothing"
    if isinstance(value, Mapping):
        return "a section"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, Enum):
        return str(value.value)
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}… ({len(str(value))} characters)"


def _did_you_mean(near: str | None) -> str:
    return f"; did you mean {near}?" if near else ""


def _quotes(value: Any, sentence: str) -> str:
    """The commonest slip of YAML: a number in quotes, or a text that reads as a number without them."""
    wants_number = "number" in sentence or sentence.startswith("one of")
    if isinstance(value, str) and wants_number and value.strip().replace(".", "", 1).lstrip("-").isdecimal():
        return "; remove the quotes"
    if isinstance(value, str) and sentence == "true or false" and value.lower() in {"true", "false", "yes", "no"}:
        return "; remove the quotes"
    if (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and not wants_number
        and sentence != "true or false"
    ):
        return "; write it in quotes" if not sentence.startswith("a section") else ""
    return ""


def _family(value: Any, known: list[str], got: str) -> str:
    near = near_miss(str(value).split(".")[0], known)
    if isinstance(value, str) and "." in value and near:
        return f"must be an instance family without a size, {got}; write {near}"
    examples = ", ".join(known[:_FAMILIES_SHOWN])
    return f"must be an x86 instance family known here, {got}{_did_you_mean(near) or f'; such as {examples}'}"
