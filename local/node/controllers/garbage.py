"""What goes when its owner goes: background, foreground and orphan deletion."""

from collections.abc import Callable, Iterable

from local.node.controllers.loop import Controller, Key
from local.node.errors import ApiError
from local.node.kinds import Kind
from local.node.objects import Object, is_deleting, items_of, name_of, namespace_of, uid_of
from local.node.resources import FOREGROUND, Resources
from local.node.store import Change, Ref


class Garbage(Controller):
    """Looks at every object whose owner is gone or going.

    Its keys are (uid of an owner, empty): owners of any kind, also such as are already gone.
    """

    kind = ("v1", "Namespace")  # of any kind, in fact: see `initial` and `concerned`

    def __init__(self, resources: Resources) -> None:
        super().__init__(resources)
        self._owners: dict[str, Ref] = {}

    def initial(self) -> Iterable[Key]:
        """Owners whose deletion had begun when the node stopped."""
        for ref, item in self.store.everything():
            if is_deleting(item):
                self._owners[uid_of(item)] = ref
                yield uid_of(item), ""

    def concerned(self, change: Change) -> Iterable[Key]:
        """The uid of an owner that was deleted, or is being; the owners of what was deleted."""
        keys: list[Key] = []
        if change.type == "DELETED" or is_deleting(change.object):
            self._owners[uid_of(change.object)] = change.ref
            keys.append((uid_of(change.object), ""))
        if change.type == "DELETED":
            keys += [(o["uid"], "") for o in items_of(change.object["metadata"], "ownerReferences")]
        return keys

    def reconcile(self, namespace: str, name: str) -> float | None:
        """Delete, or let go, what the owner with this uid (given as the namespace) owns."""
        del name
        ref = self._owners.get(namespace)
        if ref is None:
            return
        owner = self.store.find(ref.kind, ref.namespace, ref.name)
        if owner is not None and uid_of(owner) != namespace:
            owner = None
        if owner is None:
            for kind, item in self._owned(namespace):
                self._drop(kind, item, namespace)
            del self._owners[namespace]
            return
        finalizers = items_of(owner["metadata"], "finalizers")
        if "orphan" in finalizers:
            for kind, item in self._owned(namespace):
                self._change(kind, item, lambda o: _disown(o, namespace))
            self._change(ref.kind, owner, lambda o: _let_go(o, "orphan"))
        elif FOREGROUND in finalizers:
            owned = self._owned(namespace)
            for kind, item in owned:
                self._drop(kind, item, namespace, policy="Foreground")
            if not self._owned(namespace):
                self._change(ref.kind, owner, lambda o: _let_go(o, FOREGROUND))

    def _owned(self, uid: str) -> list[tuple[Kind, Object]]:
        return [
            (ref.kind, item)
            for ref, item in self.store.everything()
            if any(o["uid"] == uid for o in items_of(item["metadata"], "ownerReferences"))
        ]

    def _drop(self, kind: Kind, item: Object, uid: str, policy: str = "Background") -> None:
        others = [o for o in item["metadata"]["ownerReferences"] if o["uid"] != uid]
        if others:
            self._change(kind, item, lambda o: _disown(o, uid))
        elif not is_deleting(item):
            try:
                self.resources.delete(kind, namespace_of(item), name_of(item), {"propagationPolicy": policy})
            except ApiError as error:
                if error.code != 404:
                    raise

    def _change(self, kind: Kind, item: Object, mutate: Callable[[Object], None]) -> None:
        self.store.change(kind, namespace_of(item), name_of(item), mutate)


def _disown(item: Object, uid: str) -> None:
    item["metadata"]["ownerReferences"] = [o for o in item["metadata"]["ownerReferences"] if o["uid"] != uid]


def _let_go(item: Object, finalizer: str) -> None:
    item["metadata"]["finalizers"] = [f for f in item["metadata"]["finalizers"] if f != finalizer]
