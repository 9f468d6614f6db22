"""One pod, from its first volume to its last process."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable

from local.node import events
from local.node.objects import Object, is_deleting, items_of, name_of, namespace_of, section, set_condition, uid_of
from local.node.pods import status
from local.node.pods.container import Container, Surroundings
from local.node.pods.environment import MARKER, build
from local.node.pods.logs import LogFiles
from local.node.pods.ports import Ports, is_free
from local.node.pods.status import ContainerStatus, Phase
from local.node.pods.volumes import Volumes
from local.node.settings import NodeSettings
from local.node.store import Store

log = logging.getLogger(__name__)

PORTS = "slipway.dev/local-ports"
"""Pod annotation: the loopback port of each named container port, as JSON."""

Drained = Callable[[str, float], Awaitable[None]]
"""Waits until no connection to the pod (by uid) is open through a Service, at most so many seconds."""


class PodWorker:
    """Runs one pod."""

    def __init__(
        self, store: Store, pod: Object, settings: NodeSettings, logs: LogFiles, ports: Ports, drained: Drained
    ) -> None:
        self._store, self._settings, self._logs, self._ports = store, settings, logs, ports
        self._kind = store.kind("v1", "Pod")
        self._pod = pod
        self._drained = drained
        self._folder = settings.folder / "pods" / uid_of(pod)
        self.volumes = Volumes(store, pod, self._folder, settings.folder / "claims")
        self._picked: dict[str, int] = {}
        self._stopping = False
        self._deleted = asyncio.Event()
        self._phase: Phase = "Pending"
        self._init = self._containers("initContainers")
        self._main = self._containers("containers")
        self._task = asyncio.create_task(self._run(), name=f"pod {name_of(pod)}")

    # what the node asks of it ----------------------------------------------------------------------------------------

    def delete(self) -> None:
        """The pod was deleted: stop, clean up, take the object away."""
        self._deleted.set()

    async def stop(self) -> None:
        """The node stops: end the processes, keep the pod."""
        if not self._task.done() and not self._deleted.is_set():
            await self._terminate()
            self._task.cancel()
        await asyncio.wait([self._task])
        self._release()

    @property
    def done(self) -> asyncio.Task[None]:
        """Ends when the pod is gone, or its containers have ended for good."""
        return self._task

    # life ------------------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        life = asyncio.create_task(self._live())
        deleted = asyncio.create_task(self._deleted.wait())
        try:
            await asyncio.wait({life, deleted}, return_when=asyncio.FIRST_COMPLETED)
            if not self._deleted.is_set():
                if life.exception() is not None:  # a fault of ours: the pod must still be deletable
                    log.error("pod %s failed in the node", name_of(self._pod), exc_info=life.exception())
                self._release()
                await self._deleted.wait()  # what has ended stays to be looked at
            await self._terminate()
        finally:
            deleted.cancel()
            life.cancel()
            await asyncio.wait({life, deleted})
        self._release()
        await asyncio.to_thread(self.volumes.remove)
        self._store.remove(self._kind, namespace_of(self._pod), name_of(self._pod))

    async def _live(self) -> None:
        """Init containers one after the other, then all containers until they have ended for good."""
        self._publish()
        async with asyncio.TaskGroup() as sidecars:
            tasks: list[asyncio.Task[int]] = []
            for container in self._init:
                if container.restart_policy == "Always":
                    tasks.append(sidecars.create_task(container.keep()))
                    await container.started.wait()
                elif await container.keep() != 0:
                    self._phase = "Failed"
                    break
            else:
                self._phase = "Running"
                for container in self._main:
                    container.status.wait("ContainerCreating")
                codes = await asyncio.gather(*(c.keep() for c in self._main))
                self._phase = "Succeeded" if not any(codes) else "Failed"
            if not self._stopping:
                await self._stop(self._sidecars())
                for task in tasks:
                    task.cancel()
        if not self._stopping:
            self._publish()

    async def _terminate(self) -> None:
        self._stopping = True
        self._publish()
        running = [c for c in self._init if c not in self._sidecars()] + self._main
        await self._stop(running)
        await self._stop(self._sidecars())

    async def _stop(self, containers: list[Container]) -> None:
        grace = self._grace()

        async def drained(limit: float) -> None:
            if self._picked:
                await asyncio.sleep(self._settings.settle)
            await self._drained(uid_of(self._pod), limit)

        await asyncio.gather(*(c.stop(grace, drained) for c in containers))

    def _grace(self) -> float:
        current = self._current()
        asked = current["metadata"].get("deletionGracePeriodSeconds") if current else None
        return float(self._pod["spec"].get("terminationGracePeriodSeconds", 30) if asked is None else asked)

    def _sidecars(self) -> list[Container]:
        return [c for c in self._init if c.restart_policy == "Always"]

    # containers ------------------------------------------------------------------------------------------------------

    def _containers(self, group: str) -> list[Container]:
        report = section(self._pod, "status")
        known = [*items_of(report, "containerStatuses"), *items_of(report, "initContainerStatuses")]
        before: dict[str, Object] = {s["name"]: s for s in known}
        return [self._container(s, before.get(s["name"]), group) for s in items_of(self._pod["spec"], group)]

    def _container(self, spec: Object, before: Object | None, group: str) -> Container:
        where = (namespace_of(self._pod), name_of(self._pod), spec["name"])
        policy: str = self._pod["spec"].get("restartPolicy", "Always")
        if group == "initContainers":
            # An init container is tried again until it succeeds, unless the pod is never restarted.
            policy = spec.get("restartPolicy") or ("Never" if policy == "Never" else "OnFailure")
        return Container(
            spec=spec,
            status=ContainerStatus.of(spec, before),
            settings=self._settings,
            restart_policy=policy,
            surroundings=lambda: self._surroundings(spec),
            open_log=lambda: self._logs.start(*where),
            last_log=lambda: self._logs.tail(*where, lines=80),
            changed=self._publish,
            noted=self._note,
        )

    def _surroundings(self, spec: Object) -> Surroundings:
        """Folders, ports and variables for one run of a container. Raises ContainerProblemError."""
        home = self._folder / "containers" / spec["name"]
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.volumes.prepare()
        mounts = self.volumes.mounts(spec)
        for _, folder in mounts:
            folder.mkdir(parents=True, exist_ok=True)
        named = self._pick(spec)
        numbers = {p["containerPort"]: named[p["name"]] for p in items_of(spec, "ports") if p.get("name")}
        added = {MARKER: str(self._settings.folder.resolve()), **self._settings.environment}
        environment = build(self._store, self._pod, spec, mounts, named, home, added)
        return Surroundings(environment, mounts, {**named, **numbers}, home)

    def _pick(self, spec: Object) -> dict[str, int]:
        """A free port for every named port; the same as in the container's last run where that is still free."""
        named: dict[str, int] = {}
        for port in items_of(spec, "ports"):
            name = port.get("name")
            if not name:
                continue
            held = self._picked.get(name)
            if held is None or not is_free(held):
                if held is not None:
                    self._ports.release(held)
                self._picked[name] = self._ports.take()
            named[name] = self._picked[name]
        return named

    def _release(self) -> None:
        for port in self._picked.values():
            self._ports.release(port)

    # what others see -------------------------------------------------------------------------------------------------

    def _current(self) -> Object | None:
        found = self._store.find(self._kind, namespace_of(self._pod), name_of(self._pod))
        return found if found is not None and uid_of(found) == uid_of(self._pod) else None

    def _publish(self) -> None:
        current = self._current()
        if current is None:
            return
        up = not self._stopping and not is_deleting(current)

        def mutate(pod: Object) -> None:
            pod["spec"].setdefault("nodeName", "local")
            if self._picked:
                annotations = pod["metadata"].setdefault("annotations", {})
                annotations[PORTS] = json.dumps(self._picked)
            report = pod.setdefault("status", {})
            init, main = [c.status for c in self._init], [c.status for c in self._main]
            status.write(report, self._phase, init, main, up=up)
            if not up and not is_deleting(pod):
                set_condition(report, "DisruptionTarget", True, "TerminationByKubelet", "the local node stops")

        self._store.change(self._kind, namespace_of(self._pod), name_of(self._pod), mutate, report=True)

    def _note(self, reason: str, message: str) -> None:
        current = self._current()
        if current is not None:
            events.record(self._store, current, reason, message, warning=reason not in {"Started", "Killing"})
