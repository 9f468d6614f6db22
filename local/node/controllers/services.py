"""Services: a loopback port for each of their ports, and EndpointSlices that say which pods answer there."""

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from local.node import events
from local.node.controllers import endpoints
from local.node.controllers.loop import Controller, Key
from local.node.objects import (
    Object,
    annotations_of,
    drop_condition,
    is_deleting,
    labels_of,
    name_of,
    namespace_of,
    section,
    selector_matches,
    set_condition,
    uid_of,
)
from local.node.pods.ports import Ports, holder
from local.node.proxy import Backend, Frontend, Open
from local.node.resources import Resources
from local.node.store import Change

RETRY_SECONDS = 5.0
"""How often a port that was asked for and is taken is tried again."""
ASKED = "slipway.dev/local-port"
"""Service annotation: the loopback port that its first port (or the one named `rest`) must have."""
READY = "slipway.dev/LocalPorts"
"""Service condition: its loopback ports answer."""
MOVED = "slipway.dev/LocalPortsMoved"
"""Service condition: a port that it had was taken when the node started, so it has another now."""


@dataclass
class _Open:
    uid: str
    asked: str | None
    frontends: dict[str, tuple[int, Frontend]] = field(default_factory=dict[str, tuple[int, Frontend]])
    again_at: float = 0.0


class Services(Controller):
    """Looks after Services."""

    kind = ("v1", "Service")

    def __init__(self, resources: Resources, ports: Ports, connections: Open) -> None:
        super().__init__(resources)
        self._ports, self._connections = ports, connections
        self._pods = self.store.kind("v1", "Pod")
        self._slices = self.store.kind("discovery.k8s.io/v1", "EndpointSlice")
        self._serving: dict[Key, _Open] = {}
        self._opening: dict[Key, asyncio.Task[None]] = {}
        self._backends: dict[tuple[Key, str], list[Backend]] = {}
        # A change must reach the routes before its writer goes on: the controllers' queue would be too late.
        self.store.listen(self._forget_routes)

    def stop(self) -> None:
        """Close every port, and what goes through it."""
        for task in self._opening.values():
            task.cancel()
        for serving in self._serving.values():
            for _, frontend in serving.frontends.values():
                frontend.abort()

    def concerned(self, change: Change) -> Iterable[Key]:
        """A Service itself; the Services of a pod's namespace."""
        if change.ref.kind == self._pods:
            return [(change.ref.namespace, name_of(s)) for s in self.store.select(self.mine, change.ref.namespace)]
        return super().concerned(change)

    def reconcile(self, namespace: str, name: str) -> float | None:
        """Open or close its ports and write its EndpointSlices."""
        key = (namespace, name)
        if key in self._opening:
            return None  # looked at again when that is done
        service = self.store.find(self.mine, namespace, name)
        if service is not None and is_deleting(service):
            service = None
        serving = self._serving.get(key)
        if serving is not None and (service is None or not _is_current(serving, service)):
            self._close(key)
            serving = None
        if service is None:
            return None
        self._write_slices(service)
        if not _is_carried(service) or (serving is not None and serving.frontends.keys() == _labels(service)):
            return None
        if serving is not None and asyncio.get_running_loop().time() < serving.again_at:
            return RETRY_SECONDS
        self._opening[key] = asyncio.create_task(self._open(key, service))
        return RETRY_SECONDS

    # ports -----------------------------------------------------------------------------------------------------------

    def _close(self, key: Key) -> None:
        for port, frontend in self._serving.pop(key).frontends.values():
            frontend.close()
            self._ports.release(port)

    async def _open(self, key: Key, service: Object) -> None:
        """Listen on a port for each of the Service's that has none; on the one it had, where that is free."""
        serving = self._serving.setdefault(key, _Open(uid_of(service), annotations_of(service).get(ASKED)))
        had, moved, problem = _known_ports(service), list[str](), ""
        for index, port in enumerate(service["spec"]["ports"]):
            label = _label(port)
            if label in serving.frontends:
                continue
            wanted = serving.asked if _is_asked(service, index, port) else None
            try:
                number = await self._listen(key, label, wanted, had.get(label))
            except _TakenError as taken:
                problem = str(taken)
                continue
            if label in had and had[label] != number and wanted is None:
                moved.append(f"port {label} was {had[label]}, which another process has now: it is {number}")
        serving.again_at = asyncio.get_running_loop().time() + RETRY_SECONDS
        self._report(key, problem, "; ".join(moved))
        del self._opening[key]
        self.reconcile(*key)  # it may have changed, or gone, meanwhile

    async def _listen(self, key: Key, label: str, asked: str | None, had: int | None) -> int:
        frontend = Frontend(lambda: self._route(key, label), self._connections)
        if asked is not None:
            if not asked.isdigit() or not 0 < int(asked) < 65536:
                raise _TakenError(f"annotation {ASKED}: expected a port number, got {asked!r}")
            wanted = int(asked)
        else:
            wanted = None
        number = self._ports.take(wanted if wanted is not None else had)
        if wanted is not None and number != wanted:
            self._ports.release(number)
            who = await asyncio.to_thread(holder, wanted)
            raise _TakenError(f"port {wanted}, which annotation {ASKED} asks for, is taken by another process{who}")
        await frontend.listen(number)
        self._serving[key].frontends[label] = (number, frontend)
        return number

    def _report(self, key: Key, problem: str, moved: str) -> None:
        serving = self._serving[key]
        numbers = {label: number for label, (number, _) in serving.frontends.items()}

        def mutate(service: Object) -> None:
            service["metadata"].setdefault("annotations", {})["slipway.dev/local-ports"] = json.dumps(numbers)
            status = service.setdefault("status", {})
            set_condition(status, READY, not problem, "PortTaken" if problem else "Listening", problem)
            if moved:
                set_condition(status, MOVED, True, "PortTaken", moved)
            else:
                drop_condition(status, MOVED)
            if service["spec"].get("type") == "LoadBalancer":
                status["loadBalancer"] = {"ingress": [{"ip": "127.0.0.1"}]}

        service = self.store.change(self.mine, *key, mutate, report=True)
        if service is not None:
            for message in filter(None, (problem, moved)):
                events.record(self.store, service, "PortTaken", message, warning=True)

    # routes ----------------------------------------------------------------------------------------------------------

    def _forget_routes(self, change: Change) -> None:
        if change.ref.kind in {self._pods, self.mine}:
            where = change.ref.namespace
            self._backends = {k: v for k, v in self._backends.items() if k[0][0] != where}

    def _route(self, key: Key, label: str) -> list[Backend]:
        """Who gets the next connection: ready pods that are not going."""
        known = self._backends.get((key, label))
        if known is None:
            service = self.store.find(self.mine, *key)
            port = next((p for p in service["spec"]["ports"] if _label(p) == label), None) if service else None
            known = []
            if service is not None and port is not None:
                for pod in self._selected(service):
                    number = endpoints.target_port(pod, port)
                    if number is not None and endpoints.serves(service, pod):
                        known.append(Backend(uid_of(pod), number))
            self._backends[key, label] = known
        return known

    def _selected(self, service: Object) -> list[Object]:
        selector: dict[str, str] = section(service["spec"], "selector")
        if not selector:
            return []
        wanted: Object = {"matchLabels": selector}
        return [
            pod
            for pod in self.store.select(self._pods, namespace_of(service))
            if selector_matches(wanted, labels_of(pod))
            and pod.get("status", {}).get("phase") not in {"Succeeded", "Failed"}
        ]

    # EndpointSlices --------------------------------------------------------------------------------------------------

    def _write_slices(self, service: Object) -> None:
        """One slice a pod: each pod has ports of its own here, and a slice's ports are those of all its endpoints."""
        namespace, wanted = namespace_of(service), dict[str, Object]()
        for pod in self._selected(service):
            slice_ = endpoints.endpoint_slice(service, pod)
            wanted[name_of(slice_)] = slice_
        label = {"matchLabels": {"kubernetes.io/service-name": name_of(service)}}
        for old in list(self.store.select(self._slices, namespace, label)):
            if name_of(old) not in wanted:
                self.store.remove(self._slices, namespace, name_of(old))
        for name, slice_ in wanted.items():
            if self.store.find(self._slices, namespace, name) is None:
                self.store.create(self._slices, slice_)
                continue
            update = {k: slice_[k] for k in ("endpoints", "ports")}
            self.store.change(self._slices, namespace, name, lambda o, u=update: o.update(u), report=True)


class _TakenError(Exception):
    """A port that was asked for cannot be had; says why."""


def _is_carried(service: Object) -> bool:
    """Whether its traffic goes through a loopback port: not for headless ones and mere names."""
    spec = service["spec"]
    return spec.get("type") != "ExternalName" and spec.get("clusterIP") != "None" and bool(spec.get("ports"))


def _label(port: Object) -> str:
    return str(port.get("name") or port["port"])


def _labels(service: Object) -> set[str]:
    return {_label(port) for port in service["spec"]["ports"]}


def _is_current(serving: _Open, service: Object) -> bool:
    """Whether what is open was opened for this Service as it is now."""
    same = serving.uid == uid_of(service) and serving.asked == annotations_of(service).get(ASKED)
    return same and _is_carried(service) and serving.frontends.keys() <= _labels(service)


def _is_asked(service: Object, index: int, port: Object) -> bool:
    """Whether the asked-for port is this one: the port named `rest`, or the first when none is."""
    names = [p.get("name") for p in service["spec"]["ports"]]
    return port.get("name") == "rest" if "rest" in names else index == 0


def _known_ports(service: Object) -> dict[str, int]:
    try:
        return json.loads(annotations_of(service).get("slipway.dev/local-ports") or "{}")
    except ValueError:
        return {}
