"""What the plugin remembers on disk about resources, one small file each under `.slipway/local/aws/resources/`.

Two things: who made a name (a run that was interrupted may have made a resource without the engine knowing; the same
resource of the program may then take it over, another one may not), and the properties of types that the emulation has
no API for (`stored`).
"""

import contextlib
import hashlib
import json
import os
import threading
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from local.aws.session import state_folder
from local.provider.errors import ProviderError


@dataclass(frozen=True)
class Record:
    """One resource."""

    token: str
    id: str
    urn: str
    stored: bool = False
    """The emulation does not act on it: these properties are all there is."""
    properties: dict[str, Any] = field(default_factory=dict[str, Any])


def load(token: str, resource_id: str) -> Record | None:
    """The record of a resource, or None."""
    try:
        return Record(**json.loads(_path(token, resource_id).read_text()))
    except FileNotFoundError:
        return None


def save(record: Record) -> None:
    """Writes a record, whole or not at all."""
    path = _path(record.token, record.id)
    partial = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        partial.write_text(json.dumps(asdict(record)))
        partial.replace(path)
    except OSError as error:
        raise ProviderError(f"cannot write {path.parent}: {error.strerror}") from error


def remove(token: str, resource_id: str) -> None:
    """Forgets a resource."""
    with contextlib.suppress(FileNotFoundError, ProviderError):
        _path(token, resource_id).unlink()


def claim(token: str, resource_id: str, urn: str) -> bool:
    """Notes that a resource is about to be made; returns whether the same one had been noted before."""
    try:
        before = load(token, resource_id)
        save(Record(token, resource_id, urn))
    except ProviderError:
        if "SLIPWAY_LOCAL" in os.environ:
            raise
        return False  # a plugin that was started by hand has no place for records, and does without
    return before is not None and before.urn == urn


def _path(token: str, resource_id: str) -> Path:
    service = token.split(":")[1].split("/", maxsplit=1)[0]
    digest = hashlib.sha256(f"{token} {resource_id}".encode()).hexdigest()[:32]
    return state_folder() / "resources" / service / f"{digest}.json"
