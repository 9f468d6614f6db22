"""The one place that touches onnxruntime, which comes without types."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, cast

import onnxruntime

from serving.manifest import PackageError
from serving.tensors import Array, Feeds

_GPU = "CUDAExecutionProvider"


class Node(Protocol):
    """An input or output of a graph; a free dimension of its `shape` is a name or None."""

    name: str
    type: str
    shape: Sequence[int | str | None]


class Session(Protocol):
    """What is used of an onnxruntime.InferenceSession."""

    def run(self, output_names: Sequence[str], input_feed: Feeds) -> list[Array]:
        """The named outputs; safe to call from several threads."""
        ...

    def get_inputs(self) -> Sequence[Node]:
        """The graph's inputs."""
        ...

    def get_outputs(self) -> Sequence[Node]:
        """The graph's outputs."""
        ...


class DeviceUnavailableError(RuntimeError):
    """The device that was asked for is not on this machine, or this onnxruntime has no support for it."""


def open_session(file: Path, device: str, threads: int) -> Session:
    """A session on `device` (`cpu` or `cuda`) whose runs use so many threads each.

    Raises:
        PackageError: onnxruntime cannot load the file.
        DeviceUnavailableError: there is no such device here.
    """
    options: Any = cast("Any", onnxruntime).SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what it would print comes as an exception too
    providers = ["CPUExecutionProvider"]
    if device == "cuda":
        if _GPU not in cast("list[str]", onnxruntime.get_available_providers()):
            raise DeviceUnavailableError(
                "SLIPWAY_DEVICE: cuda was asked for, but this onnxruntime has no CUDA provider; "
                "use an image with onnxruntime-gpu, or set cpu"
            )
        providers.insert(0, _GPU)
    try:
        session: Any = onnxruntime.InferenceSession(str(file), options, providers=providers)
    except Exception as error:  # noqa: BLE001 - onnxruntime raises a class for each of its codes, without a common base
        raise PackageError(f"{file.name}: onnxruntime cannot load it: {first_line(error)}") from None
    # onnxruntime falls back to the CPU without a word when a provider does not start.
    if device == "cuda" and _GPU not in session.get_providers():
        raise DeviceUnavailableError("SLIPWAY_DEVICE: cuda was asked for, but no CUDA device works here; set cpu")
    return cast("Session", session)


def first_line(error: Exception) -> str:
    """What onnxruntime says first; the rest is where in its sources."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
