"""The config model as a tree of keys: what may stand where, with its default and its reason.

Suggestions for a mistyped key, `slipway config … --explain` and the reference page all read this one description.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Key:
    """One key of the config."""

    path: tuple[str, ...]
    """Where it stands; `*` for a name that the user chooses, `[]` for an item of a list."""
    section: type[BaseModel] | None
    """The section below it, when it is not a plain value."""
    field: FieldInfo
    """Type, default and docstring."""

    @property
    def reason(self) -> str:
        """What it is and why its default is what it is."""
        return reason_of(self.field)


def reason_of(field: FieldInfo) -> str:
    """A field's docstring, after that of the section which it holds, on one line."""
    below = sections_of(field.annotation)
    return " ".join([*((below[1].__doc__ or "") if below else "").split(), *(field.description or "").split()])


def sections_of(annotation: Any) -> tuple[tuple[str, ...], type[BaseModel]] | None:
    """The section that an annotation holds and the steps to it: `dict[str, Pool]` gives `("*",), Pool`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return (), annotation
    origin, args = get_origin(annotation), get_args(annotation)
    step: tuple[str, ...] = ("*",) if origin is dict else ("[]",) if origin in {tuple, list} else ()
    inner = args[1:] if origin is dict else args
    if origin in {Union, UnionType, dict, tuple, list}:
        for argument in inner:
            if found := sections_of(argument):
                return (*step, *found[0]), found[1]
    elif origin is not None and args:
        return sections_of(args[0])
    return None


def keys(section: type[BaseModel], at: tuple[str, ...] = ()) -> Iterator[Key]:
    """Every key below `section`, in the order of the model, parents before their children."""
    for name, field in section.model_fields.items():
        below = sections_of(field.annotation)
        yield Key((*at, name), below[1] if below else None, field)
        if below:
            yield from keys(below[1], (*at, name, *below[0]))


def section_at(root: type[BaseModel], path: Path) -> type[BaseModel] | None:
    """The section that stands at `path`; None where there is a plain value, or nothing."""
    section = root
    steps = list(path)
    while steps:
        field = section.model_fields.get(str(steps.pop(0)))
        below = sections_of(field.annotation) if field else None
        if below is None or len(steps) < len(below[0]):
            return None
        steps = steps[len(below[0]) :]
        section = below[1]
    return section


def field_at(root: type[BaseModel], path: Path) -> FieldInfo | None:
    """The field whose value stands at `path`; None for an unknown one and for items of lists and maps."""
    section = section_at(root, path[:-1]) if path else None
    return section.model_fields.get(str(path[-1])) if section else None


def suggestion(root: type[BaseModel], path: Path) -> str:
    """What an unknown key at `path` was probably meant to be, or what else may stand there."""
    section, wrong = section_at(root, path[:-1]), str(path[-1])
    if section is None:
        return ""
    if near := near_miss(wrong, section.model_fields):
        return f"did you mean {near}?"
    for start in (section, root):
        homes = [".".join(key.path) for key in keys(start) if key.path[-1] == wrong]
        if homes:
            return f"it belongs at {homes[0].replace('*', '<name>')}"
    return f"known here: {', '.join(section.model_fields)}"


def near_miss(wrong: str, known: Any) -> str | None:
    """The one of `known` that `wrong` is most likely a misspelling of."""
    found = get_close_matches(wrong.lower().replace("-", "_"), [str(word) for word in known], n=1, cutoff=0.6)
    return found[0] if found else None
