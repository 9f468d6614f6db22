"""Pulumi's protocol messages, without the rest of its SDK.

A plugin starts at the beginning of every engine run. `import pulumi` takes about 0.8 s of CPU on the machines that we
measure on, and a provider needs nothing of it but the generated messages. So the packages above them are put in place
empty while the messages are imported, unless the SDK has been imported already.
"""

import importlib
import importlib.util
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

PROTO = "pulumi.runtime.proto"


@contextmanager
def _empty_packages() -> Generator[None]:
    """`pulumi`, `pulumi.runtime` and `pulumi.runtime.proto` without running their `__init__`."""
    spec = importlib.util.find_spec("pulumi")
    if "pulumi" in sys.modules or spec is None or spec.origin is None:
        yield
        return
    folder = Path(spec.origin).parent
    names = ["pulumi", "pulumi.runtime", PROTO]
    for name in names:
        package = ModuleType(name)
        package.__path__ = [str(folder.joinpath(*name.split(".")[1:]))]
        sys.modules[name] = package
    try:
        yield
    finally:
        # Whoever imports the SDK later gets the real one, with the same message classes (protobuf knows them by name).
        for name in [name for name in sys.modules if name == "pulumi" or name.startswith("pulumi.")]:
            del sys.modules[name]


if TYPE_CHECKING:
    from pulumi.runtime.proto import (
        engine_pb2,
        engine_pb2_grpc,
        plugin_pb2,
        provider_pb2,
        provider_pb2_grpc,
        status_pb2,
    )
else:
    with _empty_packages():
        # status_pb2 is a copy of google.rpc.Status under the same name; both are the same message to protobuf.
        status_pb2 = importlib.import_module(f"{PROTO}.status_pb2")
        plugin_pb2 = importlib.import_module(f"{PROTO}.plugin_pb2")
        provider_pb2 = importlib.import_module(f"{PROTO}.provider_pb2")
        provider_pb2_grpc = importlib.import_module(f"{PROTO}.provider_pb2_grpc")
        engine_pb2 = importlib.import_module(f"{PROTO}.engine_pb2")
        engine_pb2_grpc = importlib.import_module(f"{PROTO}.engine_pb2_grpc")

__all__ = ["engine_pb2", "engine_pb2_grpc", "plugin_pb2", "provider_pb2", "provider_pb2_grpc", "status_pb2"]
