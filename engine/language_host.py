"""The Python language host: what the engine starts to run a program, a policy pack or a component package.

The vendor ships `pulumi-language-python` with the official CLI; it cannot be had from the Go module proxy. This one
speaks the same protocol (`pulumirpc.LanguageRuntime`) and differs in one choice: everything runs in the interpreter of
the virtual environment that it was installed in, so the `virtualenv` and `toolchain` options of Pulumi.yaml, which the
vendor's host obeys, are not read.

The engine starts one host per deployment (a preview and the update after it are two), reads the port from the first
line of its stdout, and ends it with SIGINT. Run as `python -P -m engine.language_host`: without -P the program's own
folder would come first on the module path, and a program may well have a module called `platform`.
"""

import os
import platform
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import IO

import grpc
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import language_pb2, language_pb2_grpc, plugin_pb2

from engine import version
from engine.program import run_program

# A policy pack or a component package occupies one thread for as long as it runs, and a program one more.
MAX_THREADS = 64

# How often the host looks whether the engine still lives, in seconds. An engine that is killed cannot end its plugins.
ENGINE_CHECK_SECONDS = 1.0


class LanguageHost(language_pb2_grpc.LanguageRuntimeServicer):
    """`LanguageRuntime` for Python programs. What is not answered here the engine does without."""

    def __init__(self, engine_address: str) -> None:
        self._engine_address = engine_address
        self._plugins: set[subprocess.Popen[bytes]] = set()

    def Handshake(  # noqa: N802 - the protocol's name, like those below
        self, request: language_pb2.LanguageHandshakeRequest, context: grpc.ServicerContext
    ) -> language_pb2.LanguageHandshakeResponse:
        """Learns where the engine listens."""
        del context
        self._engine_address = request.engine_address
        return language_pb2.LanguageHandshakeResponse()

    def GetPluginInfo(self, request: Empty, context: grpc.ServicerContext) -> plugin_pb2.PluginInfo:  # noqa: N802
        """The host's version: that of the engine it was tried with."""
        del request, context
        return plugin_pb2.PluginInfo(version=str(version.ENGINE))

    def About(self, request: language_pb2.AboutRequest, context: grpc.ServicerContext) -> language_pb2.AboutResponse:  # noqa: N802
        """The interpreter that programs run in, for `pulumi about`."""
        del request, context
        return language_pb2.AboutResponse(executable=sys.executable, version=platform.python_version())

    def GetRequiredPackages(  # noqa: N802
        self, request: language_pb2.GetRequiredPackagesRequest, context: grpc.ServicerContext
    ) -> language_pb2.GetRequiredPackagesResponse:
        """Names none beforehand.

        Each resource names its package and version when it is registered, so the engine gets a plugin when the first
        resource of it comes, and a program that uses no cloud provider needs none to be there.
        """
        del request, context
        return language_pb2.GetRequiredPackagesResponse()

    def InstallDependencies(  # noqa: N802
        self, request: language_pb2.InstallDependenciesRequest, context: grpc.ServicerContext
    ) -> Iterator[language_pb2.InstallDependenciesResponse]:
        """Nothing to do: `make` has filled the virtual environment from the lock files."""
        del request, context
        return iter(())

    def Run(self, request: language_pb2.RunRequest, context: grpc.ServicerContext) -> language_pb2.RunResponse:  # noqa: N802
        """Runs a program to its end."""
        del context
        return run_program(request, self._engine_address)

    def RunPlugin(  # noqa: N802
        self, request: language_pb2.RunPluginRequest, context: grpc.ServicerContext
    ) -> Iterator[language_pb2.RunPluginResponse]:
        """Runs a policy pack (kind `analyzer`) or another plugin in Python; streams its output, then its exit code.

        The engine ends a plugin by cancelling this call.
        """
        given = {name: value for name, _, value in (entry.partition("=") for entry in request.env)}
        child = subprocess.Popen(
            plugin_command(request),
            cwd=request.pwd or None,
            env={**os.environ, **given},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._plugins.add(child)
        context.add_callback(child.terminate)
        output: queue.SimpleQueue[language_pb2.RunPluginResponse | None] = queue.SimpleQueue()

        def pump(stream: IO[bytes] | None, *, is_error: bool) -> None:
            assert stream is not None  # noqa: S101 - a pipe was asked for
            with stream:
                while data := os.read(stream.fileno(), 65536):
                    answer = language_pb2.RunPluginResponse
                    output.put(answer(stderr=data) if is_error else answer(stdout=data))
            output.put(None)

        threading.Thread(target=pump, args=(child.stdout,), kwargs={"is_error": False}, daemon=True).start()
        threading.Thread(target=pump, args=(child.stderr,), kwargs={"is_error": True}, daemon=True).start()
        try:
            for _ in range(2):
                yield from iter(output.get, None)
            yield language_pb2.RunPluginResponse(exitcode=child.wait())
        finally:
            child.terminate()
            self._plugins.discard(child)

    def stop_plugins(self) -> None:
        """Ends what RunPlugin started and still runs."""
        for child in list(self._plugins):
            child.terminate()


def plugin_command(request: language_pb2.RunPluginRequest) -> list[str]:
    """The command line that runs a plugin: unbuffered, because the engine waits for the port on its first line.

    A policy pack is run by the SDK's `pulumi.policy`, any other plugin as a folder with a `__main__.py`.
    """
    folder = request.info.program_directory
    if request.kind == "analyzer":
        return [sys.executable, "-u", "-m", "pulumi.policy", *request.args, folder]
    return [sys.executable, "-u", folder, *request.args]


def main() -> None:
    """Serves on a free loopback port until SIGINT, SIGTERM or the engine's end."""
    stop = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        del number, frame
        stop.set()

    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGTERM, end)
    engine = os.getppid()

    # The engine passes its address as the last argument, and again in the handshake.
    host = LanguageHost(sys.argv[-1] if len(sys.argv) > 1 else "")
    server = grpc.server(ThreadPoolExecutor(MAX_THREADS))
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(host, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)

    while not stop.wait(ENGINE_CHECK_SECONDS) and os.getppid() == engine:
        pass
    host.stop_plugins()
    # A program that is still running holds a thread that cannot be ended, and whose complaints nobody would read.
    os._exit(0)


if __name__ == "__main__":
    main()
