"""What drives the controllers: objects that changed are looked at again, one at a time, until nothing is left to do."""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable

from local.node.errors import ApiError
from local.node.objects import controller_of, name_of, namespace_of
from local.node.resources import Resources
from local.node.store import Change

log = logging.getLogger(__name__)

RETRY_SECONDS = 1.0

Key = tuple[str, str]
"""Namespace and name."""


class Controller(ABC):
    """Brings one kind of object to what its spec says, from whatever state it finds."""

    kind: tuple[str, str]
    """apiVersion and kind it looks after."""

    def __init__(self, resources: Resources) -> None:
        self.resources = resources
        self.store = resources.store
        self.mine = self.store.kind(*self.kind)

    @abstractmethod
    def reconcile(self, namespace: str, name: str) -> float | None:
        """Do what is to be done now for one object (which may be gone); seconds after which to look again, if any."""

    def initial(self) -> Iterable[Key]:
        """The objects to look at when the node starts: all of its kind."""
        return [(namespace_of(item), name_of(item)) for item in self.store.select(self.mine)]

    def concerned(self, change: Change) -> Iterable[Key]:
        """The objects to look at after a change: the changed one, or the one that controls it."""
        if change.ref.kind == self.mine:
            return [(change.ref.namespace, change.ref.name)]
        owner = controller_of(change.object)
        if owner is not None and owner["kind"] == self.mine.kind:
            return [(change.ref.namespace, owner["name"])]
        return []


class ControlLoop:
    """One controller's queue: a key that waits is not queued twice, and a failed look is repeated."""

    def __init__(self, controller: Controller) -> None:
        self._controller = controller
        self._waiting: dict[Key, None] = {}
        self._wake = asyncio.Event()
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Look at everything once and at every change from now on."""
        store = self._controller.store
        store.listen(lambda change: self._add(self._controller.concerned(change)))
        self._add(self._controller.initial())
        self._task = asyncio.create_task(self._work(), name=type(self._controller).__name__)

    async def stop(self) -> None:
        """Look at nothing any more."""
        for timer in self._timers.values():
            timer.cancel()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def _add(self, keys: Iterable[Key]) -> None:
        for key in keys:
            self._waiting[key] = None
        if self._waiting:
            self._wake.set()

    async def _work(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                key = next(iter(self._waiting))
                del self._waiting[key]
                self._look(key)
                await asyncio.sleep(0)

    def _look(self, key: Key) -> None:
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
        try:
            again = self._controller.reconcile(*key)
        except ApiError as error:
            log.warning("%s %s/%s: %s", self._controller.mine.kind, *key, error.message)
            again = RETRY_SECONDS
        except Exception:
            log.exception("%s %s/%s", self._controller.mine.kind, *key)
            again = RETRY_SECONDS
        if again is not None:
            loop = asyncio.get_running_loop()
            self._timers[key] = loop.call_later(max(again, 0.01), lambda: self._add([key]))
