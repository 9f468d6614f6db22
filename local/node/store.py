"""The node's objects: kept in memory, written to disk one file each, and announced to whoever listens.

What the store hands out must not be changed in place: every change goes through `create`, `change` or `delete`, so that
it gets a resourceVersion, reaches the disk and is seen by watchers and controllers.
"""

import copy
import json
import logging
import os
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, cast

from local.node.errors import ApiError, already_exists, gone, not_found
from local.node.kinds import Kind, Kinds
from local.node.objects import Object, is_deleting, name_of, namespace_of, section, selector_matches, timestamp, without

log = logging.getLogger(__name__)

HISTORY = 4096
"""Changes that a watch can start from; a real API server keeps about five minutes of them."""
UNWRITTEN = {"Event"}
DERIVED = {"Pod", "ReplicaSet", "EndpointSlice"}
"""Kinds that a controller makes again: not worth waiting for the disk."""


class Ref(NamedTuple):
    """Where an object is."""

    kind: Kind
    namespace: str
    name: str


@dataclass(frozen=True)
class Change:
    """One change, as watchers see it."""

    version: int
    type: Literal["ADDED", "MODIFIED", "DELETED"]
    ref: Ref
    object: Object


class Store:
    """Every object of the node."""

    def __init__(self, folder: Path, kinds: Kinds) -> None:
        self.kinds = kinds
        self._folder = folder
        self._objects: dict[Kind, dict[tuple[str, str], Object]] = {}
        self._version = 1
        self._history: deque[Change] = deque(maxlen=HISTORY)
        self._listeners: list[Callable[[Change], None]] = []
        self._load()

    # reading ---------------------------------------------------------------------------------------------------------

    @property
    def version(self) -> str:
        """The resourceVersion of the newest change."""
        return str(self._version)

    def kind(self, api_version: str, kind: str) -> Kind:
        """A kind by what an object says. Raises ApiError when it is unknown."""
        found = self.kinds.by_kind(api_version, kind)
        if found is None:
            raise ApiError(404, "NotFound", f'no matches for kind "{kind}" in version "{api_version}"')
        return found

    def find(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """The object, or None."""
        return self._objects.get(kind, {}).get((namespace, name))

    def get(self, kind: Kind, namespace: str, name: str) -> Object:
        """The object. Raises ApiError 404."""
        found = self.find(kind, namespace, name)
        if found is None:
            raise not_found(kind.resource, name)
        return found

    def select(self, kind: Kind, namespace: str = "", selector: Object | None = None) -> Iterator[Object]:
        """The objects of a kind, of one namespace or of all, that a selector (None: all) selects, by name."""
        for (where, _), item in sorted(self._objects.get(kind, {}).items()):
            labels = section(item["metadata"], "labels")
            if (not namespace or where == namespace) and (selector is None or selector_matches(selector, labels)):
                yield item

    def everything(self) -> Iterator[tuple[Ref, Object]]:
        """Every object with its place."""
        for kind, items in list(self._objects.items()):
            for (namespace, name), item in list(items.items()):
                yield Ref(kind, namespace, name), item

    # listening -------------------------------------------------------------------------------------------------------

    def listen(self, callback: Callable[[Change], None]) -> Callable[[], None]:
        """Call back, before the writer goes on, with every change from now on; returns what ends it."""
        self._listeners.append(callback)
        return lambda: self._listeners.remove(callback)

    def since(self, version: int) -> list[Change]:
        """The changes after a resourceVersion. Raises ApiError 410 when they are no longer all kept."""
        oldest = self._history[0].version if self._history else self._version + 1
        if version > self._version or (version < self._version and version + 1 < oldest):
            raise gone(f"too old resource version: {version} ({oldest})")
        return [c for c in self._history if c.version > version]

    # writing ---------------------------------------------------------------------------------------------------------

    def create(self, kind: Kind, item: Object) -> Object:
        """Add an object; it gets its uid, creation time, generation and version. Raises ApiError 409."""
        namespace, name = namespace_of(item), name_of(item)
        if self.find(kind, namespace, name) is not None:
            raise already_exists(kind.resource, name)
        meta = item["metadata"] | {"uid": str(uuid.uuid4()), "creationTimestamp": timestamp(), "generation": 1}
        return self._commit("ADDED", Ref(kind, namespace, name), {**item, "metadata": meta}, durable=True)

    def change(
        self, kind: Kind, namespace: str, name: str, mutate: Callable[[Object], None], *, report: bool = False
    ) -> Object | None:
        """Let `mutate` change a copy of the object and keep the result; None when the object is gone.

        A change outside of metadata and status is a new generation. No difference is no change. `report`: it only says
        what is the case anyway, so it counts even when the disk does not take it.
        """
        before = self.find(kind, namespace, name)
        if before is None:
            return None
        after = copy.deepcopy(before)
        mutate(after)
        if after == before:
            return before
        respecified = without(after, "metadata", "status") != without(before, "metadata", "status")
        if respecified:
            after["metadata"]["generation"] = before["metadata"].get("generation", 0) + 1
        durable = not report and (respecified or without(after, "status") != without(before, "status"))
        result = self._commit("MODIFIED", Ref(kind, namespace, name), after, durable=durable)
        self._finish_deletion(kind, result)
        return result

    def delete(self, kind: Kind, namespace: str, name: str, *, grace: int = 0) -> Object:
        """Delete an object: at once, or when its finalizers and grace period are done. Raises ApiError 404."""
        item = self.get(kind, namespace, name)
        if grace or item["metadata"].get("finalizers"):
            if is_deleting(item) and item["metadata"].get("deletionGracePeriodSeconds", 0) <= grace:
                return item

            def mark(copied: Object) -> None:
                copied["metadata"].setdefault("deletionTimestamp", timestamp())
                copied["metadata"]["deletionGracePeriodSeconds"] = grace

            return cast("Object", self.change(kind, namespace, name, mark))
        return self._remove(kind, item)

    def remove(self, kind: Kind, namespace: str, name: str) -> None:
        """Take an object away that whoever kept it alive is done with; not an error when it is gone."""
        item = self.find(kind, namespace, name)
        if item is not None and not item["metadata"].get("finalizers"):
            self._remove(kind, item)

    def _finish_deletion(self, kind: Kind, item: Object) -> None:
        meta = item["metadata"]
        if is_deleting(item) and not meta.get("finalizers") and not meta.get("deletionGracePeriodSeconds"):
            self._remove(kind, item)

    def _remove(self, kind: Kind, item: Object) -> Object:
        ref = Ref(kind, namespace_of(item), name_of(item))
        path = self._path(ref)
        if path is not None:
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise self._refused(ref, error) from error
        del self._objects[kind][ref.namespace, ref.name]
        return self._announce("DELETED", ref, item)

    def _commit(self, change: Literal["ADDED", "MODIFIED"], ref: Ref, item: Object, *, durable: bool) -> Object:
        item["metadata"]["resourceVersion"] = str(self._version + 1)
        try:
            self._write(ref, item, sync=durable and ref.kind.kind not in DERIVED)
        except OSError as error:
            if durable:
                raise self._refused(ref, error) from error
            log.warning("status of %s %s is not on disk: %s", ref.kind.kind, ref.name, error.strerror)
        self._objects.setdefault(ref.kind, {})[ref.namespace, ref.name] = item
        return self._announce(change, ref, item)

    def _announce(self, change: Literal["ADDED", "MODIFIED", "DELETED"], ref: Ref, item: Object) -> Object:
        self._version += 1
        if change == "DELETED":
            item = {**item, "metadata": {**item["metadata"], "resourceVersion": str(self._version)}}
        if ref.kind.kind == "CustomResourceDefinition" and change != "DELETED":
            self.kinds.define(item)
        made = Change(self._version, change, ref, item)
        self._history.append(made)
        for listener in list(self._listeners):
            listener(made)
        return item

    # the disk --------------------------------------------------------------------------------------------------------

    def _path(self, ref: Ref) -> Path | None:
        if ref.kind.kind in UNWRITTEN:
            return None
        kind = f"{ref.kind.group or 'core'}_{ref.kind.version}_{ref.kind.plural}"
        return self._folder / kind / (ref.namespace or "_") / f"{ref.name}.json"

    def _write(self, ref: Ref, item: Object, *, sync: bool) -> None:
        path = self._path(ref)
        if path is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        new = path.with_name(f".{path.name}.new")
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            json.dump(item, file)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        new.replace(path)

    def _refused(self, ref: Ref, error: OSError) -> ApiError:
        what = f"cannot keep {ref.kind.kind} {ref.name} in {self._folder}: {error.strerror}"
        return ApiError(500, "InternalError", what)

    def _load(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        paths = [p for p in self._folder.glob("*/*/*.json") if not p.name.startswith(".")]
        # Definitions first: the kinds of other objects may stand in them.
        for path in sorted(paths, key=lambda p: not p.parts[-3].endswith("_customresourcedefinitions")):
            try:
                item: Object = json.loads(path.read_text(encoding="utf-8"))
                kind = self.kind(item["apiVersion"], item["kind"])
                self._version = max(self._version, int(item["metadata"]["resourceVersion"]))
                self._objects.setdefault(kind, {})[namespace_of(item), name_of(item)] = item
            except (ValueError, KeyError, TypeError, ApiError) as error:
                damaged = path.with_suffix(".damaged")
                path.replace(damaged)
                log.error("%s cannot be read (%s) and was set aside; `slipway up` makes it again", damaged, error)
            else:
                if kind.kind == "CustomResourceDefinition":
                    self.kinds.define(item)
