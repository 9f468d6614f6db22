"""The daemon: supervises the AWS emulation and runs the node. `python -m local.daemon --root DIR --report FD`."""

import argparse
import asyncio
import contextlib
import json
import logging
import os
import secrets
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from local import daemon_state
from local.daemon_state import ACCOUNT, REGION, code_digest, is_same_file, locked, started_at
from local.emulation.command import emulation_command, read_port
from local.errors import LocalError
from local.layout import VERSION, Layout, read, unwritable, write
from local.node.pods.ports import Ports

if TYPE_CHECKING:
    from local.node.node import Node

log = logging.getLogger("local.daemon")

AWS_START_SECONDS = 30.0
RESTART_SECONDS = 1.0
WATCH_SECONDS = 1.0


class Emulation:
    """The AWS emulation as a child process that is started again when it dies."""

    def __init__(self, layout: Layout, port: int) -> None:
        self._layout = layout
        self._process: asyncio.subprocess.Process | None = None
        self.port = port
        self.spawned = asyncio.Event()
        """Set when there is a process, which may not listen yet."""

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid if self._process else 0

    async def start(self) -> None:
        """Start it and wait until it listens. Raises LocalError."""
        port_file = self._layout.aws_port_file
        port_file.parent.mkdir(parents=True, exist_ok=True)
        port_file.unlink(missing_ok=True)
        command = emulation_command(self._layout.root, REGION, port_file, self.port)
        log_file = self._layout.logs / "aws.log"
        with log_file.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *command, stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output, cwd=self._layout.root
            )
        self._process = process
        self.spawned.set()
        ended = asyncio.create_task(process.wait())
        deadline = asyncio.get_running_loop().time() + AWS_START_SECONDS
        while (port := read_port(port_file)) is None:
            if ended.done() or asyncio.get_running_loop().time() > deadline:
                why = (
                    f"ended with {process.returncode}" if ended.done() else f"did not listen in {AWS_START_SECONDS:g} s"
                )
                raise LocalError("aws_emulation", f"the AWS emulation {why}", f"its log is {log_file}")
            await asyncio.sleep(0.01)
        self.port = port

    async def wait(self) -> int:
        """Until it ends; gives its exit code."""
        return await self._process.wait() if self._process else 0

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL when that does not help."""
        if self._process is None or self._process.returncode is not None:
            return
        self._process.terminate()
        try:
            async with asyncio.timeout(5):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


class Daemon:
    """Everything that runs on this machine for one checkout."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._ports: dict[str, Any] = read(layout.ports_file) or {}
        self._emulation = Emulation(layout, self._port("aws"))
        self._environment: dict[str, str] = {}
        self._node: Node | None = None
        self._kubernetes = ""

    async def start(self) -> dict[str, Any]:
        """Bring up both APIs and write down where they are. Raises LocalError."""
        token = secrets.token_urlsafe(32)
        starting = asyncio.create_task(self._emulation.start())
        await self._emulation.spawned.wait()
        # The other half of the start: imported while the emulation, a process of its own, imports its own.
        from local.node.node import Node
        from local.node.settings import NodeSettings

        settings = NodeSettings(self._layout.node, self._layout.logs / "pods", environment=self._environment)
        self._node = Node(settings, token)
        try:
            await starting
            self._environment.update(daemon_state.aws_environment(self._state()))
            port = await self._node.start(self._port("kubernetes"))
        except OSError as error:
            raise LocalError("port", f"the node's API cannot listen: {error}", "start again") from error
        self._kubernetes = f"https://127.0.0.1:{port}"
        write(self._layout.ports_file, json.dumps({"aws": self._emulation.port, "kubernetes": port}))
        daemon_state.write_kubeconfig(self._layout, self._kubernetes, self._node.certificate, token)
        return self._write_state()

    async def keep(self) -> None:
        """Start the emulation again whenever it ends, until cancelled."""
        while True:
            code = await self._emulation.wait()
            log.error("the AWS emulation ended with %s; starting it again, empty but for what it keeps on disk", code)
            await asyncio.sleep(RESTART_SECONDS)
            try:
                await self._emulation.start()
            except LocalError as error:
                log.error("%s", error.message)
                continue
            self._environment.update(daemon_state.aws_environment(self._state()))
            self._write_state()

    async def stop(self) -> None:
        """End pods, APIs and emulation, in this order: a pod may still have to ship what it captured."""
        if self._node is not None:
            await self._node.stop()
        await self._emulation.stop()
        self._layout.daemon_file.unlink(missing_ok=True)
        self._layout.kubeconfig.unlink(missing_ok=True)

    async def watch(self, lock: os.stat_result) -> None:
        """End everything at once when the checkout is removed: another may take its place, with a daemon of its own.

        `lock` is the lock file that this daemon holds. Nothing is written: the folder is no longer ours.
        """
        while is_same_file(lock, self._layout.daemon_lock):  # noqa: ASYNC110 - a removed folder sets no event
            await asyncio.sleep(WATCH_SECONDS)
        family = psutil.Process().children(recursive=True)
        for process in family:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(family, timeout=5)
        os._exit(0)

    def _port(self, name: str) -> int:
        """The port of the last start where it is free, else a new one."""
        known = self._ports.get(name)
        return Ports().take(known if isinstance(known, int) else None)

    def _state(self) -> dict[str, Any]:
        pid = os.getpid()
        return {
            "layout": VERSION,
            "pid": pid,
            "started": started_at(pid),
            "aws_endpoint": f"http://127.0.0.1:{self._emulation.port}",
            "kubernetes_endpoint": self._kubernetes,
            "kubeconfig": str(self._layout.kubeconfig),
            "region": REGION,
            "account": ACCOUNT,
            "code_digest": code_digest(),
            "aws_started": started_at(self._emulation.pid),
            "children": [{"pid": self._emulation.pid, "started": started_at(self._emulation.pid)}],
        }

    def _write_state(self) -> dict[str, Any]:
        state = self._state()
        write(self._layout.daemon_file, json.dumps(state))
        return state


async def run(layout: Layout, lock: os.stat_result, report: int) -> int:
    """Start, say so on the pipe, and stay until told to stop."""
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    daemon = Daemon(layout)
    try:
        try:
            _say(report, await daemon.start())
        except OSError as error:
            raise unwritable(layout.home, error) from error
    except LocalError as error:
        log.error("%s", error.message)
        await daemon.stop()
        _say(report, error.answer())
        return 1
    tasks = [asyncio.create_task(daemon.keep()), asyncio.create_task(daemon.watch(lock))]
    await ended.wait()
    for task in tasks:
        task.cancel()
    await daemon.stop()
    return 0


def _say(report: int, answer: dict[str, Any]) -> None:
    with os.fdopen(report, "w") as pipe:
        try:
            pipe.write(json.dumps(answer) + "\n")
            pipe.flush()
        except BrokenPipeError:  # whoever started us was interrupted; the next start finds us
            return


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the daemon; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m local.daemon", description=__doc__)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--report", type=int, required=True, metavar="FD")
    given = parser.parse_args(arguments)
    os.set_inheritable(given.report, False)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    layout = Layout(given.root)
    with locked(layout.daemon_lock, wait=False) as mine:
        if not mine:
            _say(given.report, LocalError("running", "another daemon of this checkout is running").answer())
            return 1
        runner = asyncio.run
        if sys.platform != "win32":
            import uvloop

            runner = uvloop.run
        return runner(run(layout, layout.daemon_lock.stat(), given.report))


if __name__ == "__main__":
    sys.exit(main())
