"""Gives every pod its worker, from creation (or the node's start) to deletion (or its stop)."""

import asyncio
import logging
import shutil

from local.node import leftovers
from local.node.objects import Object, drop_condition, is_deleting, name_of, namespace_of, set_condition, uid_of
from local.node.pods.images import ContainerProblemError
from local.node.pods.logs import LogFiles
from local.node.pods.ports import Ports
from local.node.pods.worker import Drained, PodWorker
from local.node.settings import NodeSettings
from local.node.store import Change, Store

log = logging.getLogger(__name__)

HOUSEKEEPING_SECONDS = 10.0
ENDED = {"Succeeded", "Failed"}


class Kubelet:
    """All pods of the node."""

    def __init__(self, store: Store, settings: NodeSettings, logs: LogFiles, ports: Ports, drained: Drained) -> None:
        self._store, self._settings, self._logs, self._ports, self._drained = store, settings, logs, ports, drained
        self._kind = store.kind("v1", "Pod")
        self._workers: dict[str, PodWorker] = {}
        self._stopping = False
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """End what an earlier daemon left behind and bring up the pods that it had."""
        ended = leftovers.end(self._settings.folder)
        if ended:
            log.warning("ended %d processes of pods whose daemon died", ended)
        pods = list(self._store.select(self._kind))
        self._forget_folders({uid_of(p) for p in pods})
        for pod in pods:
            self._resume(pod)
        self._store.listen(self._on_change)
        self._tasks = [asyncio.create_task(self._housekeeping())]

    async def stop(self) -> None:
        """End all processes; the pods stay, to be brought up by the next start."""
        self._stopping = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*(w.stop() for w in self._workers.values()))
        leftovers.end(self._settings.folder)

    def _resume(self, pod: Object) -> None:
        namespace, name = namespace_of(pod), name_of(pod)
        if is_deleting(pod):
            self._store.remove(self._kind, namespace, name)
            return
        phase = pod.get("status", {}).get("phase")
        if phase in ENDED:
            return
        if phase == "Running" and pod["spec"].get("restartPolicy") == "Never":
            # Its processes ended with the node, and it is not one to be restarted: whoever owns it makes another.
            self._store.change(self._kind, namespace, name, _disrupted, report=True)
            return
        self._store.change(self._kind, namespace, name, _starting_again, report=True)
        self._begin(self._store.get(self._kind, namespace, name))

    def _begin(self, pod: Object) -> None:
        worker = PodWorker(self._store, pod, self._settings, self._logs, self._ports, self._drained)
        self._workers[uid_of(pod)] = worker
        worker.done.add_done_callback(lambda task: self._ended(uid_of(pod), namespace_of(pod), task))

    def _ended(self, uid: str, namespace: str, task: asyncio.Task[None]) -> None:
        if self._stopping:
            return
        self._workers.pop(uid, None)
        if not task.cancelled() and task.exception() is not None:
            log.error("the worker of a pod failed", exc_info=task.exception())
        self._logs.prune(namespace, {name_of(p) for p in self._store.select(self._kind, namespace)})

    def _on_change(self, change: Change) -> None:
        if self._stopping:
            return
        kind = change.ref.kind.kind
        if kind in {"ConfigMap", "Secret"} and change.type == "MODIFIED":
            self._show_again(kind, change.ref.namespace, change.ref.name)
        if kind != "Pod":
            return
        pod = change.object
        worker = self._workers.get(uid_of(pod))
        if change.type == "ADDED":
            self._begin(pod)
        elif change.type == "MODIFIED" and is_deleting(pod):
            if worker is not None:
                worker.delete()
            else:
                # It had ended before this start of the node. Not from here: the writer is not done with it.
                asyncio.get_running_loop().call_soon(self._remove_ended, pod)

    def _remove_ended(self, pod: Object) -> None:
        shutil.rmtree(self._settings.folder / "pods" / uid_of(pod), ignore_errors=True)
        self._store.remove(self._kind, namespace_of(pod), name_of(pod))

    def _show_again(self, kind: str, namespace: str, name: str) -> None:
        for pod in self._store.select(self._kind, namespace):
            worker = self._workers.get(uid_of(pod))
            if worker is not None and worker.volumes.shows(kind, name):
                try:
                    worker.volumes.prepare()
                except (ContainerProblemError, OSError) as error:
                    log.warning("volumes of pod %s are not up to date: %s", name_of(pod), error)

    def _forget_folders(self, uids: set[str]) -> None:
        folder = self._settings.folder / "pods"
        for path in folder.iterdir() if folder.is_dir() else ():
            if path.name not in uids:
                shutil.rmtree(path, ignore_errors=True)

    async def _housekeeping(self) -> None:
        while True:
            await asyncio.sleep(HOUSEKEEPING_SECONDS)
            try:
                await asyncio.to_thread(self._logs.rotate)
            except OSError as error:
                log.warning("logs cannot be rotated: %s", error)


def _disrupted(pod: Object) -> None:
    status = pod["status"]
    status |= {"phase": "Failed", "reason": "NodeRestarted", "message": "the local node was stopped while it ran"}
    set_condition(status, "Ready", False, "PodFailed")
    set_condition(status, "ContainersReady", False, "PodFailed")
    set_condition(status, "DisruptionTarget", True, "TerminationByKubelet", "the local node was stopped")


def _starting_again(pod: Object) -> None:
    status = pod.setdefault("status", {})
    status["phase"] = "Pending"
    set_condition(status, "Ready", False, "ContainersNotReady", "the local node was started again")
    drop_condition(status, "DisruptionTarget")
