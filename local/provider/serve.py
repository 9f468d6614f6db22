"""Runs a provider as a plugin process: prints its port, serves, and ends when the engine does."""

import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from types import FrameType

import grpc

from local.provider.protos import provider_pb2_grpc
from local.provider.resource import Provider
from local.provider.servicer import Servicer

PARALLEL_CALLS = 64
"""The engine limits itself (`--parallel`); a call that waits for readiness must never hold up the others."""
PARENT_CHECK_SECONDS = 1.0
GRACE_SECONDS = 2.0
"""For calls that are still running when the engine ends; Cancel has told them to stop."""


def serve(provider: Provider) -> int:
    """Serves until SIGINT or SIGTERM, or until the engine that started this process is gone; returns 0."""
    engine_address = sys.argv[1] if len(sys.argv) > 1 else None
    parent = os.getppid()
    ended = threading.Event()
    servicer = Servicer(provider, engine_address)

    def end(_signal: int, _frame: FrameType | None) -> None:
        servicer.cancelled.set()
        ended.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)

    server, port = start(servicer)
    print(port, flush=True)
    # An engine that was killed tells nobody; its child gets another parent then.
    while not ended.wait(PARENT_CHECK_SECONDS) and os.getppid() == parent:
        pass
    servicer.cancelled.set()
    server.stop(GRACE_SECONDS).wait()
    return 0


def start(servicer: Servicer) -> tuple[grpc.Server, int]:
    """A running server on a free loopback port, and that port."""
    server = grpc.server(
        ThreadPoolExecutor(PARALLEL_CALLS, thread_name_prefix="call"),
        options=[("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)],
    )
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, port
