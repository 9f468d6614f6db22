"""The trained booster as an ONNX graph that takes what a client has: names as strings, numbers, one input a feature."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import onnxmltools
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, checker, helper, numpy_helper
from onnxmltools.convert.common.data_types import FloatTensorType

from examples.flight_delay.boosting import lightgbm

UNKNOWN = -1.0
"""The code of a category that training never saw; LightGBM treats a negative one as missing, and so does the graph."""

OUTPUT = "probability"
_ML = "ai.onnx.ml"
_OPSETS = {"": 17, _ML: 3}
_IR_VERSION = 8


def to_onnx(booster: lightgbm.Booster, features: Sequence[str], categories: Mapping[str, Sequence[str]]) -> ModelProto:
    """The graph: strings through LabelEncoders, all features side by side, the trees, P(late) as `probability` [-1].

    `features` is the order of the booster's columns; `categories` gives, for each that is a string, the names in the
    order of their codes. The same booster gives the same bytes.
    """
    inputs: list[ValueInfoProto] = []
    nodes: list[NodeProto] = []
    columns: list[str] = []
    for name in features:
        known = categories.get(name)
        kind = TensorProto.FLOAT if known is None else TensorProto.STRING
        inputs.append(helper.make_tensor_value_info(name, kind, ["rows", 1]))
        columns.append(name if known is None else f"{name}_code")
        if known is not None:
            codes = [float(code) for code in range(len(known))]
            encode: dict[str, Any] = {"keys_strings": list(known), "values_floats": codes, "default_float": UNKNOWN}
            nodes.append(helper.make_node("LabelEncoder", [name], [columns[-1]], domain=_ML, **encode))
    nodes += [
        helper.make_node("Concat", columns, ["row"], axis=1),
        _trees(booster, len(features)),
        helper.make_node("Gather", ["probabilities", "late"], [OUTPUT], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "flight_delay",
        inputs,
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["rows"])],
        [numpy_helper.from_array(np.array(1, np.int64), "late")],
    )
    opsets = [helper.make_opsetid(domain, version) for domain, version in _OPSETS.items()]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION, producer_name="flight_delay")
    checker.check_model(model)
    return model


def _trees(booster: lightgbm.Booster, width: int) -> NodeProto:
    """The booster's trees as one node from `row` to `probabilities` [rows, 2]."""
    converted: ModelProto = cast("Any", onnxmltools).convert_lightgbm(
        with_float32_thresholds(booster),
        name="trees",
        initial_types=[("row", FloatTensorType([None, width]))],
        zipmap=False,
        target_opset=15,
    )
    (trees,) = [node for node in converted.graph.node if node.op_type == "TreeEnsembleClassifier"]
    trees.input[:], trees.output[:] = ["row"], ["label", "probabilities"]
    return trees


def with_float32_thresholds(booster: lightgbm.Booster) -> lightgbm.Booster:
    """A booster that answers the same for float32 values and whose thresholds are float32 numbers too.

    The graph keeps them as float32. The nearest one can be above the threshold, and take a value in between to the
    other side; the largest one that is not above cannot.
    """
    lines = booster.model_to_string().split("\n")
    for index, line in enumerate(lines):
        key, _, values = line.partition("=")
        if key == "threshold":
            lines[index] = f"threshold={' '.join(_float32_below(value) for value in values.split())}"
        elif key == "tree_sizes":  # in bytes of this text, optional, and no longer true
            lines[index] = ""
    return lightgbm.Booster(model_str="\n".join(lines))


def _float32_below(text: str) -> str:
    threshold = float(text)
    nearest = np.float32(threshold)
    return repr(float(nearest if float(nearest) <= threshold else np.nextafter(nearest, np.float32(-np.inf))))
