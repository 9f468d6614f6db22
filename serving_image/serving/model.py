"""A loaded model: an onnxruntime session, checked against the manifest, warmed up and asked its golden question."""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from serving.errors import InvalidInputError, ServingError
from serving.manifest import FLOATS, MODEL_FILE, Golden, PackageError, Tensor
from serving.onnx_session import Node, Session, first_line, open_session
from serving.package import Package
from serving.signature import Signature
from serving.tensors import DTYPES, ONNX_TYPES, Array, Feeds, check_shape, from_values

_WARM_UP_RUNS = 20


class GoldenMismatchError(PackageError):
    """The model loaded, but does not give the answer that its package states."""


class Model(Signature):
    """One model version, ready to answer. `run` may be called from several threads at once."""

    def __init__(self, package: Package, session: Session, max_rows: int) -> None:
        super().__init__(package.manifest, max_rows)
        self.golden: Golden = package.golden
        self.batches = False
        """Whether rows of several requests may share one run: seen at load to give the same answers."""
        self.seconds_a_run = 0.0
        self.seconds_a_row = 0.0
        self._session = session

    def run(self, feeds: Feeds, outputs: Sequence[str]) -> list[Array]:
        """The named outputs for checked input tensors.

        Raises:
            InvalidInputError: the graph refused these values.
        """
        try:
            return self._session.run(outputs, feeds)
        except Exception as error:  # noqa: BLE001 - onnxruntime raises a class for each of its codes, without a common base
            raise InvalidInputError(f"the model refuses these values: {first_line(error)}") from None

    def golden_feeds(self) -> Feeds:
        """The input tensors of the golden question."""
        if self.golden.rows:
            return self.rows.tensors([self.rows.convert(row) for row in self.golden.rows])
        return {name: _nested(self.inputs[name], values) for name, values in self.golden.inputs.items()}

    def expected_seconds(self, rows: int) -> float:
        """How long a run of so many rows takes, as measured when the model was loaded."""
        return self.seconds_a_run + self.seconds_a_row * rows


def load(package: Package, *, max_rows: int = 10_000, device: str = "cpu", threads: int = 1) -> Model:
    """Load a verified package: session, signature check, golden question, warm-up.

    `threads` are those of one run; more help large models only. `device` is `cpu` or `cuda`.

    Raises:
        PackageError: onnxruntime cannot load the model, its signature differs from the manifest, or its golden
            answer does (GoldenMismatchError).
        DeviceUnavailableError: there is no such device here.
    """
    session = open_session(package.directory / MODEL_FILE, device, threads)
    for kind, stated, found in (
        ("input", package.manifest.inputs, session.get_inputs()),
        ("output", package.manifest.outputs, session.get_outputs()),
    ):
        _check_signature(kind, stated, found)
    model = Model(package, session, max_rows)
    feeds = _ask_golden(model)
    _measure(model, feeds)
    return model


def _check_signature(kind: str, stated: Sequence[Tensor], found: Sequence[Node]) -> None:
    graph = {node.name: node for node in found}
    names = {tensor.name for tensor in stated}
    if names != graph.keys():
        raise PackageError(f"{MODEL_FILE}: {kind}s: the manifest says {sorted(names)}, the graph has {sorted(graph)}")
    for tensor in stated:
        node = graph[tensor.name]
        where = f"{MODEL_FILE}: {kind} {tensor.name!r}"
        datatype = ONNX_TYPES.get(node.type)
        if datatype is None:
            raise PackageError(
                f"{where}: the graph has {node.type}, which no protocol datatype carries; export plain tensors"
            )
        if datatype != tensor.datatype:
            raise PackageError(f"{where}: datatype: the manifest says {tensor.datatype}, the graph has {datatype}")
        if not _agree(tensor.shape, node.shape, unknown_rank=kind == "output"):
            raise PackageError(f"{where}: shape: the manifest says {list(tensor.shape)}, the graph has {node.shape}")


def _agree(stated: tuple[int, ...], graph: Sequence[int | str | None], *, unknown_rank: bool) -> bool:
    """Whether a shape is within the graph's, whose free dimensions have names or none; an output's rank may be open."""
    if unknown_rank and not graph:
        return True
    return len(stated) == len(graph) and all(
        not isinstance(actual, int) or actual == dimension for dimension, actual in zip(stated, graph, strict=True)
    )


def _ask_golden(model: Model) -> Feeds:
    file, tolerance = model.manifest.golden, model.golden.tolerance
    try:
        feeds = model.golden_feeds()
        for name, array in feeds.items():
            check_shape(model.inputs[name], array.shape)
        answers = dict(zip(model.output_names, model.run(feeds, model.output_names), strict=True))
    except ServingError as error:
        raise PackageError(f"{file}: the question cannot be asked: {error}") from None
    for name, expected in model.golden.outputs.items():
        stated = _as_array(expected, file, name)
        answer = answers[name]
        if stated.shape != answer.shape:
            raise GoldenMismatchError(
                f"{file}: outputs.{name}: expected shape {list(stated.shape)}, the model gives {list(answer.shape)}"
            )
        if not _close(stated, answer, model.outputs[name], tolerance):
            raise GoldenMismatchError(
                f"{file}: outputs.{name}: expected {_short(stated)} within {tolerance:g}, "
                f"the model gives {_short(answer)}"
            )
    return feeds


def _measure(model: Model, feeds: Feeds) -> None:
    """Warm the session up, learn whether rows may share a run, and how long one takes."""
    one = {name: array[:1] for name, array in feeds.items()} if model.has_rows else feeds
    single, answers = _best_time(model, one)
    model.seconds_a_run = single
    if not model.has_rows:
        return
    copies = 64
    many, together = _best_time(model, {name: np.repeat(array, copies, axis=0) for name, array in one.items()})
    model.seconds_a_row = max(0.0, (many - single) / (copies - 1))
    model.batches = all(
        len(both) == copies and all(_close(alone[0], both[i], tensor, 1e-5) for i in (0, copies - 1))
        for alone, both, tensor in zip(answers, together, model.outputs.values(), strict=True)
    ) and _mixes_well(model, feeds)


def _mixes_well(model: Model, feeds: Feeds) -> bool:
    """Whether the golden rows get the same answers in one run as one by one: a graph may look across its rows."""
    rows = len(next(iter(feeds.values())))
    together = model.run(feeds, model.output_names)
    for i in range(min(rows, 8)):
        alone = model.run({name: array[i : i + 1] for name, array in feeds.items()}, model.output_names)
        for one, all_of_them, tensor in zip(alone, together, model.outputs.values(), strict=True):
            if len(all_of_them) != rows or not _close(one[0], all_of_them[i], tensor, 1e-5):
                return False
    return True


def _best_time(model: Model, feeds: Feeds) -> tuple[float, list[Array]]:
    best = float("inf")
    answers: list[Array] = []
    until = time.perf_counter() + 0.1  # a large model is warm after a few runs, and start-up has a budget
    for _ in range(_WARM_UP_RUNS):
        started = time.perf_counter()
        answers = model.run(feeds, model.output_names)
        ended = time.perf_counter()
        best = min(best, ended - started)
        if ended > until:
            break
    return best, answers


def _close(stated: Any, answer: Any, tensor: Tensor, tolerance: float) -> bool:
    if tensor.datatype in FLOATS:
        return bool(
            np.allclose(
                np.asarray(answer, np.float64),
                np.asarray(stated, np.float64),
                rtol=tolerance,
                atol=tolerance,
                equal_nan=True,
            )
        )
    return bool(np.array_equal(stated, answer))


def _as_array(values: list[Any], file: str, name: str) -> Array:
    try:
        return np.array(values)
    except ValueError:
        raise PackageError(f"{file}: outputs.{name}: expected lists of equal length") from None


def _nested(tensor: Tensor, values: list[Any]) -> Array:
    try:
        array: Array = np.array(values, DTYPES[tensor.datatype])
    except (ValueError, OverflowError, TypeError) as error:
        raise InvalidInputError(f"inputs.{tensor.name}: {error}") from None
    return from_values(tensor, array.ravel().tolist(), array.shape)


def _short(array: Array) -> str:
    values = array.ravel().tolist()
    return str(values[:3])[:-1] + (", …]" if len(values) > 3 else "]")
