"""Small models, and rows to ask them, as a data scientist would bring them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

SaveModel = Callable[..., Path]


def _save(path: Path, nodes: list[onnx.NodeProto], inputs: list, outputs: list, constants: dict) -> Path:  # type: ignore[type-arg]
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info(*tensor) for tensor in inputs],
        [helper.make_tensor_value_info(*tensor) for tensor in outputs],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    onnx.save_model(helper.make_model(graph, opset_imports=opsets, ir_version=8, producer_name="hand"), path)
    return path


@pytest.fixture
def save_model(tmp_path: Path) -> SaveModel:
    """Write an ONNX file of these nodes; `tmp_path/source` keeps it apart from what is made of it."""

    def save(
        nodes: list[onnx.NodeProto], inputs: list, outputs: list, name: str = "model.onnx", **constants: np.ndarray
    ) -> Path:  # type: ignore[type-arg]
        folder = tmp_path / "source"
        folder.mkdir(exist_ok=True)
        return _save(folder / name, nodes, inputs, outputs, constants)

    return save


@pytest.fixture
def matrix_model(save_model: SaveModel) -> Path:
    """x FP32[-1,3] → score FP32[-1,2]: what a framework exports of a plain table."""
    return save_model(
        [helper.make_node("MatMul", ["x", "w"], ["score"])],
        [("x", TensorProto.FLOAT, ["n", 3])],
        [("score", TensorProto.FLOAT, ["n", 2])],
        w=np.array([[1, 0], [0, 1], [1, 1]], np.float32),
    )


@pytest.fixture
def named_model(save_model: SaveModel) -> Path:
    """plan BYTES[-1,1], age FP32[-1,1], visits INT64[-1] → churn FP32[-1], plan_again BYTES[-1,1]."""
    nodes = [
        helper.make_node(
            "LabelEncoder", ["plan"], ["code"], domain="ai.onnx.ml",
            keys_strings=["free", "pro"], values_floats=[0.0, 1.0], default_float=-1.0,
        ),
        helper.make_node("Add", ["code", "age"], ["sum"]),
        helper.make_node("Reshape", ["sum", "flat"], ["row"]),
        helper.make_node("Cast", ["visits"], ["visits_f"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["row", "visits_f"], ["churn"]),
        helper.make_node("Identity", ["plan"], ["plan_again"]),
    ]  # fmt: skip
    return save_model(
        nodes,
        [
            ("plan", TensorProto.STRING, ["n", 1]),
            ("age", TensorProto.FLOAT, ["n", 1]),
            ("visits", TensorProto.INT64, ["n"]),
        ],
        [("churn", TensorProto.FLOAT, ["n"]), ("plan_again", TensorProto.STRING, ["n", 1])],
        flat=np.array([-1], np.int64),
    )
