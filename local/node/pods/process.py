"""One run of a container: its process, started through the launcher, in a session of its own."""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
from asyncio.subprocess import DEVNULL, STDOUT, Process
from collections.abc import Mapping
from pathlib import Path

from local.node import launcher
from local.node.pods.images import ContainerProblemError

LAUNCHER = [sys.executable, "-I", "-S", str(Path(launcher.__file__).resolve())]


class ContainerProcess:
    """A running container."""

    def __init__(self, process: Process) -> None:
        self._process = process

    @classmethod
    async def start(
        cls, command: list[str], environment: Mapping[str, str], folder: Path, output: int
    ) -> "ContainerProcess":
        """Start a command, its output going to the descriptor. Raises ContainerProblemError when it cannot run."""
        if shutil.which(command[0], path=environment["PATH"]) is None:
            message = f'exec: "{command[0]}": executable file not found'
            raise ContainerProblemError("RunContainerError", message)
        if not folder.is_dir():  # noqa: ASYNC240 (one stat of a local folder)
            raise ContainerProblemError("RunContainerError", f"working directory {folder} does not exist")
        process = await asyncio.create_subprocess_exec(
            *LAUNCHER,
            str(os.getpid()),
            *command,
            env=dict(environment),
            cwd=folder,
            stdin=DEVNULL,
            stdout=output,
            stderr=STDOUT,
            start_new_session=True,
        )
        return cls(process)

    @property
    def pid(self) -> int:
        """The process id, which is its group's and session's too."""
        return self._process.pid

    async def wait(self) -> int:
        """The exit code (negative: a signal), once it has ended and its children were ended too."""
        code = await self._process.wait()
        self._kill_group()
        return code

    async def stop(self, grace: float) -> None:
        """SIGTERM to the first process and, after `grace` seconds, SIGKILL to all."""
        if self._process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        try:
            async with asyncio.timeout(grace):
                await self._process.wait()
        except TimeoutError:
            pass
        self._kill_group()
        await self._process.wait()

    def kill(self) -> None:
        """SIGKILL to all, at once."""
        self._kill_group()

    def _kill_group(self) -> None:
        # As when the first process of a container ends: nothing of it survives.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)


async def run(command: list[str], environment: Mapping[str, str], folder: Path) -> int:
    """Run a command beside a container (probe, hook) and give its exit code; cancelled, it is killed."""
    process = await ContainerProcess.start(command, environment, folder, DEVNULL)
    try:
        return await process.wait()
    finally:
        process.kill()
