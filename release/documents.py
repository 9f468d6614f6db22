"""JSON documents: small state files that are replaced in one step, and the shapes of what comes from elsewhere."""

import json
import os
from pathlib import Path
from typing import Any, cast

from release.errors import SlipwayError


def as_object(value: Any) -> dict[str, Any] | None:
    """`value` when it is a JSON object, else None."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def as_list(value: Any) -> list[Any] | None:
    """`value` when it is a JSON list, else None."""
    return cast("list[Any]", value) if isinstance(value, list) else None


def part(document: Any, *path: str) -> dict[str, Any]:
    """The object at `path` in a document; empty where there is none."""
    found = as_object(document)
    for name in path:
        found = as_object(found.get(name)) if found else None
    return found or {}


def parts(document: Any, *path: str) -> list[dict[str, Any]]:
    """The list of objects at `path` (at least one name) in a document; empty where there is none."""
    items = as_list(part(document, *path[:-1]).get(path[-1]))
    return [found for item in items or [] if (found := as_object(item)) is not None]


def read_object(path: Path) -> dict[str, Any] | None:
    """A small state file's content, a JSON object; None when the file is not there."""
    try:
        content = as_object(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise SlipwayError(
            "broken-state-file", f"{path} is not valid JSON ({error})", "run: slipway doctor, which says how to mend it"
        ) from error
    if content is None:
        raise SlipwayError("broken-state-file", f"{path} holds no JSON object", "run: slipway doctor")
    return content


def write_json(path: Path, value: Any, mode: int = 0o644) -> None:
    """Replace a small state file in one step: a reader sees the old content or the new, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", encoding="utf-8") as file:
            json.dump(value, file, indent=1)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
