"""Texts made of facts, such as `{catalogId}:{name}`: ids, ARNs and parameters."""

import re
import string
from collections.abc import Mapping
from typing import Any

from local.provider.values import UNKNOWN

_FORMATTER = string.Formatter()


def fields(template: str) -> list[str]:
    """The facts that a template needs."""
    return [name.split(".")[0].split("[")[0] for _, name, _, _ in _FORMATTER.parse(template) if name]


def fill(template: str, facts: Mapping[str, Any]) -> str | None:
    """The text, or None while a fact is not there or not known yet."""
    if any(facts.get(name) is None or facts.get(name) is UNKNOWN for name in fields(template)):
        return None
    return template.format_map(facts)


def read(template: str, text: str) -> dict[str, str]:
    """The facts that gave the text, or none when it does not have the form: how an import starts from an id alone."""
    pattern, seen = "", set[str]()
    for literal, name, _, _ in _FORMATTER.parse(template):
        pattern += re.escape(literal)
        if name and name not in seen:
            seen.add(name)
            pattern += f"(?P<{name}>.+?)"
        elif name:
            pattern += f"(?P={name})"
    match = re.fullmatch(pattern, text)
    return match.groupdict() if match else {}
