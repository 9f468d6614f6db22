"""Startup, readiness and liveness probes: httpGet, tcpSocket, exec, and grpc as a TCP connection."""

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from local.node.objects import Object, items_of, section

EAGER_SECONDS = 0.1
"""Until its first success a probe asks this often, so that a pod is ready when it is and not a period later.
Failures still count once a period."""

Execute = Callable[[list[str]], Awaitable[int]]


@dataclass(frozen=True)
class Probe:
    """One probe and how to ask it."""

    spec: Object
    ports: Mapping[str | int, int]
    """Port names and numbers of the container, with the ports they have on this machine."""
    execute: Execute
    """Runs a command in the container's surroundings and gives its exit code."""

    async def ask(self) -> str | None:
        """None when it succeeds, else why it did not."""
        limit = self.spec.get("timeoutSeconds", 1)
        try:
            async with asyncio.timeout(limit):
                return await self._ask()
        except TimeoutError:
            return f"no answer within {limit} s"
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            return str(error) or type(error).__name__

    async def _ask(self) -> str | None:
        if "httpGet" in self.spec:
            return await self._http(self.spec["httpGet"])
        if "exec" in self.spec:
            code = await self.execute(self.spec["exec"]["command"])
            return None if code == 0 else f"command exited with {code}"
        where: Object = self.spec.get("tcpSocket") or section(self.spec, "grpc")
        _, writer = await asyncio.open_connection("127.0.0.1", self._port(where))
        writer.close()
        return None

    async def _http(self, get: Object) -> str | None:
        port, path = self._port(get), get.get("path") or "/"
        tls: ssl.SSLContext | None = None
        if get.get("scheme") == "HTTPS":  # like the kubelet, whoever answers is taken for the container
            tls = ssl._create_unverified_context()  # noqa: S323, SLF001  # pyright: ignore[reportPrivateUsage]
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
        try:
            headers = {"Host": f"127.0.0.1:{port}", "User-Agent": "kube-probe/1.34", "Connection": "close"}
            headers |= {h["name"]: h["value"] for h in items_of(get, "httpHeaders")}
            lines = [f"GET {path} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items()), "", ""]
            writer.write("\r\n".join(lines).encode())
            first = (await reader.readuntil(b"\r\n")).split()
            code = int(first[1]) if len(first) > 1 and first[1].isdigit() else 0
            return None if 200 <= code < 400 else f"HTTP probe failed with statuscode: {code}"
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def _port(self, where: Object) -> int:
        port = where.get("port", 0)
        return self.ports.get(port, port if isinstance(port, int) else 0)


async def watch(probe: Probe, report: Callable[[bool, str], Awaitable[bool]]) -> None:
    """Ask a probe for ever and report each change to success (True) or failure (False, why), thresholds applied.

    `report` answers whether to go on.
    """
    clock = asyncio.get_running_loop().time
    spec = probe.spec
    period = float(spec.get("periodSeconds", 10))
    enough = {True: int(spec.get("successThreshold", 1)), False: int(spec.get("failureThreshold", 3))}
    await asyncio.sleep(spec.get("initialDelaySeconds", 0))
    state: bool | None = None
    # The first failure counts when it has lasted a period: a process is not dead because it is still starting.
    streak, counted, before = 0, clock(), False
    while True:
        asked = clock()
        why = await probe.ask()
        good = why is None
        if good or before:
            streak = streak + 1 if good == before else 1
            counted = asked
        elif asked - counted >= period:
            streak, counted = streak + 1, asked
        before = good
        if good != state and streak >= enough[good]:
            state = good
            if not await report(good, why or ""):
                return
        eager = state is not True
        await asyncio.sleep(min(EAGER_SECONDS, period) if eager else period)
