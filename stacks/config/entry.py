"""A service's first entry in a stack's file, written from what a model package says about itself."""

from collections.abc import Sequence
from io import StringIO
from typing import Any, cast

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

from stacks.config.mistakes import NAMESPACE

SCHEMA_LINE = "# yaml-language-server: $schema=./schema.json"
SERVICES = f"{NAMESPACE}:services"
_WIDTH = 110
_INDENT = 6


def entry(name: str, model: str, comment: Sequence[str]) -> CommentedMap:
    """An online service with its defaults, and its signature as a comment above them."""
    service = CommentedMap()
    if model != name:
        service["model"] = _flow({"name": model})
    service["rest"] = _flow({})
    first = "model" if model != name else "rest"
    service.yaml_set_comment_before_after_key(first, before="\n".join(comment), indent=_INDENT)
    return service


def with_entry(text: str, name: str, service: CommentedMap) -> str:
    """A stack file's text with one more service and the schema line on top; all else as it was.

    Raises:
        KeyError: the service is there already.
    """
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096  # a long line of the user's stays one line
    document: Any = yaml.load(text)
    config = cast("dict[str, Any]", document["config"])
    services = config.setdefault(SERVICES, CommentedMap())
    if name in services:
        raise KeyError(name)
    services[name] = service
    out = StringIO()
    yaml.dump(document, out)
    written = out.getvalue()
    return written if "yaml-language-server:" in written else f"{SCHEMA_LINE}\n{written}"


def _flow(values: dict[str, Any]) -> CommentedMap:
    inline = CommentedMap(values)
    inline.fa.set_flow_style()
    return inline


def signature(task: str, features: Sequence[str], outputs: Sequence[str]) -> list[str]:
    """`classification: carrier, origin, … → probability`, broken into comment lines."""
    lines = [f"{task}:"]
    for word in [*(f"{name}," for name in features[:-1]), *features[-1:], "→", ", ".join(outputs)]:
        if len(lines[-1]) + len(word) > _WIDTH:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines
