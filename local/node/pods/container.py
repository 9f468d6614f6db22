"""Keeps one container of a pod as its spec wants it: start, probe, restart with back-off, stop."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from local.node.objects import Object, section
from local.node.pods import images, probes, process
from local.node.pods.environment import expand
from local.node.pods.images import ContainerProblemError
from local.node.pods.status import ContainerStatus
from local.node.pods.volumes import rewrite
from local.node.settings import NodeSettings


@dataclass(frozen=True)
class Surroundings:
    """What a container is started in: resolved anew for every run."""

    environment: Mapping[str, str]
    mounts: list[tuple[str, Path]]
    ports: Mapping[str | int, int]
    home: Path


@dataclass
class Container:
    """One container; the pod's worker runs `keep` and is told of every change through `changed`."""

    spec: Object
    status: ContainerStatus
    settings: NodeSettings
    restart_policy: str
    surroundings: Callable[[], Surroundings]
    """May raise ContainerProblemError: the container then waits and tries again."""
    open_log: Callable[[], int]
    last_log: Callable[[], str]
    changed: Callable[[], None]
    noted: Callable[[str, str], None]
    """Records an event: reason, message."""
    stopping: bool = False
    started: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when it runs and its startup probe, if any, has succeeded."""
    _process: process.ContainerProcess | None = None
    _around: Surroundings | None = None
    _attempt: int = 0

    async def keep(self) -> int:
        """Run until it has ended for good; gives the exit code."""
        while True:
            clock = asyncio.get_running_loop().time
            begun = clock()
            try:
                code = await self._run_once()
            except ContainerProblemError as problem:
                self.status.wait(problem.reason, problem.message)
                self.noted("Failed", problem.message)
                self.changed()
                await asyncio.sleep(self._delay(0))
                continue
            if self.stopping or not self._again(code):
                return code
            delay = self._delay(clock() - begun)
            message = f"back-off {delay:g}s restarting failed container={self.spec['name']}"
            self.status.wait("CrashLoopBackOff", message)
            self.noted("BackOff", message)
            self.changed()
            await asyncio.sleep(delay)
            self.status.restarts += 1

    async def stop(self, grace: float, drained: Callable[[float], Awaitable[None]]) -> None:
        """preStop, SIGTERM, and SIGKILL when `grace` seconds have passed."""
        self.stopping = True
        running = self._process
        if running is None:
            return
        deadline = asyncio.get_running_loop().time() + grace
        await self._before_stop(grace, drained)
        await running.stop(max(deadline - asyncio.get_running_loop().time(), 0.1))

    def _again(self, code: int) -> bool:
        return self.restart_policy == "Always" or (self.restart_policy == "OnFailure" and code != 0)

    def _delay(self, ran: float) -> float:
        if ran >= self.settings.backoff_reset:
            self._attempt = 0
        delay = min(self.settings.backoff_initial * 2**self._attempt, self.settings.backoff_max)
        self._attempt += 1
        return delay

    async def _run_once(self) -> int:
        around = self._around = self.surroundings()
        command = images.command_line(
            self.spec, self.settings.images, lambda part: rewrite(expand(part, around.environment), around.mounts)
        )
        given = self.spec.get("workingDir")
        folder = Path(rewrite(given, around.mounts)) if given else around.home
        output = self.open_log()
        try:
            self._process = await process.ContainerProcess.start(command, around.environment, folder, output)
        finally:
            os.close(output)
        self.status.run()
        self.noted("Started", f"Started container {self.spec['name']}")
        probing = asyncio.create_task(self._probe(around))
        self.changed()
        try:
            code = await self._process.wait()
        finally:
            self._process.kill()
            self._process = None
            probing.cancel()
            self.started.clear()
        self.status.end(code, self._message(code))
        self.changed()
        return code

    def _message(self, code: int) -> str:
        wanted = code != 0 and self.spec.get("terminationMessagePolicy") == "FallbackToLogsOnError"
        return self.last_log()[-2048:] if wanted else ""

    # probes ----------------------------------------------------------------------------------------------------------

    async def _probe(self, around: Surroundings) -> None:
        def probe(kind: str) -> probes.Probe:
            return probes.Probe(self.spec[kind], around.ports, lambda c: self._execute(c, around))

        if "startupProbe" in self.spec:
            await probes.watch(probe("startupProbe"), self._startup)
        else:
            self._is_started()
        asking = [
            probes.watch(probe(kind), report)
            for kind, report in (("readinessProbe", self._readiness), ("livenessProbe", self._liveness))
            if kind in self.spec
        ]
        await asyncio.gather(*asking)

    def _is_started(self) -> None:
        self.status.started = True
        self.status.ready = "readinessProbe" not in self.spec
        self.started.set()
        self.changed()

    async def _startup(self, good: bool, why: str) -> bool:
        if good:
            self._is_started()
        else:
            await self._unhealthy("Startup", why)
        return False

    async def _readiness(self, good: bool, why: str) -> bool:
        if not good:
            self.noted("Unhealthy", f"Readiness probe failed: {why}")
        self.status.ready = good
        self.changed()
        return True

    async def _liveness(self, good: bool, why: str) -> bool:
        if not good:
            await self._unhealthy("Liveness", why)
        return good

    async def _unhealthy(self, which: str, why: str) -> None:
        self.noted("Killing", f"Container {self.spec['name']} failed {which.lower()} probe ({why}), will be restarted")
        if self._process is not None:
            # Shielded: the end of the process cancels the probes, and with them this.
            await asyncio.shield(self._process.stop(float(self.spec.get("terminationGracePeriodSeconds", 30))))

    async def _execute(self, command: list[str], around: Surroundings) -> int:
        command = [rewrite(expand(part, around.environment), around.mounts) for part in command]
        return await process.run(command, around.environment, around.home)

    async def _before_stop(self, grace: float, drained: Callable[[float], Awaitable[None]]) -> None:
        """The preStop hook. Its sleep is there for load balancers to forget the pod: it ends when they have."""
        hook: Object = section(self.spec, "lifecycle").get("preStop") or {}
        if self._around is None:
            return
        if "sleep" in hook:
            await drained(min(float(hook["sleep"]["seconds"]), grace))
            return
        await drained(0)
        try:
            async with asyncio.timeout(grace):
                if "exec" in hook:
                    await self._execute(hook["exec"]["command"], self._around)
                elif "httpGet" in hook:
                    why = await probes.Probe({**hook, "timeoutSeconds": grace}, self._around.ports, _nothing).ask()
                    if why:
                        self.noted("FailedPreStopHook", why)
        except TimeoutError:
            self.noted("FailedPreStopHook", f"the preStop hook took longer than {grace:g} s")
        except ContainerProblemError as problem:
            self.noted("FailedPreStopHook", problem.message)


async def _nothing(_command: list[str]) -> int:
    return 0
