"""SQS queues that survive a restart: the workers that come back with the machine find them.

One file a queue under `durable/sqs/<region>/`, with its settings and tags. What waits in a queue is not kept.
"""

import hashlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from moto.core.exceptions import ServiceException
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.sqs import models as moto_models

from local.emulation.durable import Journal, decode, encode, replace_file

log = logging.getLogger(__name__)
models: Any = moto_models
"""Without moto's types, which forbid to replace a method."""
_CHANGES = ("create_queue", "delete_queue", "set_queue_attributes", "tag_queue", "untag_queue")
"""Calls of moto's that change a queue; its name is the first argument of each."""
_MEASURED = {
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesDelayed",
    "ApproximateNumberOfMessagesNotVisible",
    "CreatedTimestamp",
    "LastModifiedTimestamp",
    "QueueArn",
}
"""Attributes that nobody sets."""


class QueueStore:
    """The folder of all queues."""

    def __init__(self, folder: Path, journal: Journal) -> None:
        self._folder = folder
        self._journal = journal

    def install(self) -> None:
        """Has every change of a queue written down."""
        for name in _CHANGES:
            setattr(models.SQSBackend, name, self._noting(getattr(models.SQSBackend, name)))

    def restore(self) -> int:
        """Brings back every queue, empty; returns how many. A file that cannot be read is left out."""
        found: list[tuple[str, dict[str, Any]]] = []
        for file in sorted(self._folder.glob("*/*.json")):
            try:
                found.append((file.parent.name, decode(file.read_bytes())))
            except (OSError, ValueError) as error:
                log.warning("%s is not a stored queue and is left out: %s", file, error)
        # A queue that names another for its dead letters comes after that.
        for region, record in sorted(found, key=lambda item: "RedrivePolicy" in item[1]["attributes"]):
            backend = models.sqs_backends[DEFAULT_ACCOUNT_ID][region]
            try:
                backend.create_queue(record["name"], record["tags"], **record["attributes"])
            except ServiceException as error:
                log.warning("queue %s cannot be made again: %s", record["name"], error)
        return len(found)

    def _noting(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def noted(backend: Any, name: str, *args: Any, **given: Any) -> Any:
            answer = call(backend, name, *args, **given)
            self._journal.touch(("sqs", backend.region_name, name), lambda: self._write(backend, name))
            return answer

        return noted

    def _write(self, backend: Any, name: str) -> None:
        path = self._folder / backend.region_name / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}.json"
        queue = backend.queues.get(name)
        if queue is None:
            path.unlink(missing_ok=True)
            return
        told: dict[str, Any] = backend.get_queue_attributes(name, ["All"])
        attributes = {key: value for key, value in told.items() if value is not None and key not in _MEASURED}
        replace_file(path, [encode({"name": name, "tags": queue.tags, "attributes": attributes})])
