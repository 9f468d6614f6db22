"""An ONNX file, opened to read its signature and to ask it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from serving.manifest import Datatype, PackageError, Tensor
from serving.onnx_session import Node, first_line, open_session
from serving.tensors import ONNX_TYPES

from release.errors import SlipwayError

_ROWS_A_QUESTION = 4096


class ModelFile:
    """A model with its signature: `inputs` and `outputs`, the rows being every tensor's first dimension.

    Raises:
        SlipwayError: the file is no model, or has a signature that cannot be served.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            # One thread adds up sums in one order: the same answers on every machine.
            self._session = open_session(path, "cpu", threads=1)
        except PackageError as error:
            raise SlipwayError(
                "not-a-model", str(error), "export the model to ONNX again; its data files must lie beside it"
            ) from None
        self.inputs = tuple(_tensor(path, "input", node) for node in self._session.get_inputs())
        self.outputs = tuple(_tensor(path, "output", node) for node in self._session.get_outputs())
        if not self.inputs or not self.outputs:
            raise SlipwayError("unsupported-signature", f"{path.name}: no inputs or no outputs", "export it whole")

    def ask(self, tensors: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Every output for these inputs, a few thousand rows at a time.

        Raises:
            SlipwayError: the model fails, or does not answer row by row.
        """
        rows = len(next(iter(tensors.values())))
        answers: dict[str, list[NDArray[Any]]] = {output.name: [] for output in self.outputs}
        for start in range(0, rows, _ROWS_A_QUESTION):
            part = {name: values[start : start + _ROWS_A_QUESTION] for name, values in tensors.items()}
            for output, answer in zip(self.outputs, self._run(part), strict=True):
                asked = min(_ROWS_A_QUESTION, rows - start)
                if len(answer) != asked:
                    raise SlipwayError(
                        "unsupported-signature",
                        f"{self.path.name}: output {output.name!r} has {len(answer)} rows for {asked} rows of input",
                        "export the model so that it answers row by row",
                    )
                answers[output.name].append(answer)
        return {name: np.concatenate(parts) for name, parts in answers.items()}

    def _run(self, tensors: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        try:
            return self._session.run([output.name for output in self.outputs], dict(tensors))
        except Exception as error:  # noqa: BLE001 - onnxruntime's errors have no common base
            raise SlipwayError(
                "model-failed",
                f"{self.path.name}: the model fails on the sample: {first_line(error)}",
                "check that the sample's columns and their order are those that the model was trained on",
            ) from None


def _tensor(path: Path, role: str, node: Node) -> Tensor:
    where = f"{path.name}: {role} {node.name!r}"
    datatype = ONNX_TYPES.get(node.type)
    if datatype is None:
        raise SlipwayError(
            "unsupported-signature",
            f"{where} is a {node.type}; expected a tensor",
            "export without the ZipMap: options={'zipmap': False} of skl2onnx, zipmap=False of onnxmltools"
            if "map(" in node.type
            else "export the model with tensors only",
        )
    if not node.shape or isinstance(node.shape[0], int):
        found = f"a fixed first dimension, {node.shape[0]}" if node.shape else "no shape"
        raise SlipwayError(
            "unsupported-signature",
            f"{where} has {found}; expected a first one of any size, the rows",
            "export it with dynamic_axes, or with a shape whose first dimension is None",
        )
    shape = tuple(size if isinstance(size, int) else -1 for size in node.shape)
    return Tensor(name=node.name, datatype=cast("Datatype", datatype), shape=shape)
