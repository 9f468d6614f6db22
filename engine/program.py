"""Runs one Pulumi program in this process, and turns its end into what the engine is told."""

import asyncio
import contextlib
import contextvars
import logging
import os
import runpy
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pulumi
from pulumi import log
from pulumi.runtime import reset_options, run_in_stack, set_all_config
from pulumi.runtime.proto import language_pb2


def run_program(request: language_pb2.RunRequest, engine_address: str) -> language_pb2.RunResponse:
    """Runs the program of a `Run` request to its end; how it ended is in the answer.

    `pulumi.RunError` is how a program ends with a message of its own (a mistake in the config, say): it is shown as it
    is. Any other exception is a fault of the program and shown with its traceback, from the program's own first line.
    Either way the text goes to the engine once, as a diagnostic, and the answer says `bail`: stop, all has been said.
    """
    message = contextvars.copy_context().run(_run, request, engine_address)
    if message is None:
        return language_pb2.RunResponse()
    try:
        log.error(message)
    except grpc.RpcError:
        return language_pb2.RunResponse(error=message)
    return language_pb2.RunResponse(bail=True)


def _run(request: language_pb2.RunRequest, engine_address: str) -> str | None:
    """What went wrong, or None."""
    reset_options(
        project=request.project,
        stack=request.stack,
        root_directory=request.info.root_directory,
        parallel=request.parallel,
        engine_address=engine_address,
        monitor_address=request.monitor_address,
        preview=request.dryRun,
        organization=request.organization or "organization",
    )
    set_all_config(dict(request.config), list(request.configSecretKeys))
    os.chdir(request.pwd)
    entry = os.path.normpath(Path(request.info.program_directory) / request.info.entry_point)
    sys.argv = [entry, *request.args]
    # A program that fails leaves futures behind that nobody awaits; asyncio would report each of them.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)

    loop = asyncio.new_event_loop()
    # The SDK makes its calls to the engine on this pool; each may wait for a resource that another one makes.
    loop.set_default_executor(ThreadPoolExecutor(max(request.parallel, 1) * 4))
    try:
        loop.run_until_complete(run_in_stack(lambda: _execute(entry)))
    except pulumi.RunError as error:
        return str(error)
    except grpc.RpcError as error:
        return _rpc_failure(error)
    except Exception as error:  # noqa: BLE001 - whatever a program raises belongs in front of its author
        return "the program failed with an exception that it does not handle:\n" + _traceback(error, entry)
    finally:
        _cancel_tasks(loop)
        loop.close()
        sys.stdout.flush()
        sys.stderr.flush()
    return None


def _execute(entry: str) -> None:
    """Runs the folder or file as `__main__`. SystemExit would only end a thread, so it is turned into an error."""
    try:
        runpy.run_path(entry, run_name="__main__")
    except SystemExit as end:
        if end.code not in (None, 0):
            detail = f"the program called sys.exit({end.code})" if isinstance(end.code, int) else str(end.code)
            raise pulumi.RunError(detail) from None


def _rpc_failure(error: grpc.RpcError) -> str | None:
    """An engine that has shut down (a resource failed, the user interrupted) has told the reason itself."""
    if isinstance(error, grpc.Call):
        if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
            return None
        return f"the engine refused a call of the program: {error.details()}"
    return f"a call to the engine failed: {error}"


def _traceback(error: BaseException, entry: str) -> str:
    """The traceback without what stands above the program: this module, runpy and the SDK's loop."""
    folder = entry if Path(entry).is_dir() else str(Path(entry).parent)
    frame = error.__traceback__
    while frame is not None and not frame.tb_frame.f_code.co_filename.startswith(folder + os.sep):
        frame = frame.tb_next
    return "".join(traceback.format_exception(type(error), error, frame or error.__traceback__)).rstrip()


def _cancel_tasks(loop: asyncio.AbstractEventLoop) -> None:
    """Ends what a failed program left pending; closing the loop would report it as destroyed."""
    for task in asyncio.all_tasks(loop):
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            loop.run_until_complete(task)
