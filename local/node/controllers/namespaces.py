"""Namespaces: each gets its `default` ServiceAccount, and takes everything in it along when it is deleted."""

from collections.abc import Iterable

from local.node.controllers.loop import Controller, Key
from local.node.objects import Object, is_deleting, items_of, name_of
from local.node.store import Change

FINALIZER = "kubernetes"


class Namespaces(Controller):
    """Looks after Namespaces."""

    kind = ("v1", "Namespace")

    def concerned(self, change: Change) -> Iterable[Key]:
        """The namespace itself, and a namespace of which something went away."""
        if change.type == "DELETED" and change.ref.namespace:
            return [("", change.ref.namespace)]
        return super().concerned(change)

    def reconcile(self, namespace: str, name: str) -> float | None:
        """Make the account of a new one; empty a deleted one and let it go."""
        del namespace
        item = self.store.find(self.mine, "", name)
        if item is None:
            return
        if not is_deleting(item):
            self._account(name)
            return
        self.store.change(self.mine, "", name, _terminating)
        left = [(ref, o) for ref, o in self.store.everything() if ref.namespace == name and ref.kind.kind != "Event"]
        for ref, content in left:
            if not is_deleting(content):
                self.resources.delete(ref.kind, name, ref.name)
        if not any(ref.namespace == name and ref.kind.kind != "Event" for ref, _ in self.store.everything()):
            for event in list(self.store.select(self.store.kind("v1", "Event"), name)):
                self.store.remove(self.store.kind("v1", "Event"), name, name_of(event))
            self.store.change(self.mine, "", name, _release)

    def _account(self, name: str) -> None:
        kind = self.store.kind("v1", "ServiceAccount")
        if self.store.find(kind, name, "default") is None:
            self.resources.create(kind, name, {"metadata": {"name": "default"}}, "slipway-local")


def _terminating(item: Object) -> None:
    item.setdefault("status", {})["phase"] = "Terminating"


def _release(item: Object) -> None:
    item["metadata"]["finalizers"] = [f for f in items_of(item["metadata"], "finalizers") if f != FINALIZER]
