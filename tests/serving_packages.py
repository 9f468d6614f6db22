"""Small model packages that the serving tests load, built on the spot."""

import json
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from serving.manifest import (
    Baseline,
    CategoricalBaseline,
    Feature,
    Golden,
    Manifest,
    Missing,
    NumericBaseline,
    Source,
    Tensor,
    encode,
)
from serving.package import file_entries, pack

CREATED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
CARRIERS = {"AA": 0.1, "DL": 0.2, "UA": 0.3}
"""What each carrier adds to the score of the test model."""


def score(carrier: str, temp: float, wind: float) -> float:
    """The test model in Python: 1/(1+exp(-(carrier's weight + 0.5 temp - 0.25 wind)))."""
    z = CARRIERS.get(carrier, -0.4) + 0.5 * temp - 0.25 * wind
    return float(1 / (1 + np.exp(-z)))


def delay_model() -> onnx.ModelProto:
    """carrier (BYTES [-1,1]) and weather (FP32 [-1,2]) → probability (FP32 [-1]), label (BYTES [-1])."""
    weights = numpy_helper.from_array(np.array([[0.5], [-0.25]], np.float32), "w")
    half = numpy_helper.from_array(np.array([0.5], np.float32), "half")
    names = numpy_helper.from_array(np.array([b"late", b"on_time"], object), "names")
    flat = numpy_helper.from_array(np.array([-1], np.int64), "flat")
    nodes = [
        helper.make_node(
            "LabelEncoder",
            ["carrier"],
            ["encoded"],
            domain="ai.onnx.ml",
            keys_strings=list(CARRIERS),
            values_floats=list(CARRIERS.values()),
            default_float=-0.4,
        ),
        helper.make_node("MatMul", ["weather", "w"], ["weathered"]),
        helper.make_node("Add", ["encoded", "weathered"], ["z"]),
        helper.make_node("Sigmoid", ["z"], ["p"]),
        helper.make_node("Reshape", ["p", "flat"], ["probability"]),
        helper.make_node("Less", ["probability", "half"], ["early"]),
        helper.make_node("Cast", ["early"], ["index"], to=TensorProto.INT64),
        helper.make_node("Gather", ["names", "index"], ["label"]),
    ]
    graph = helper.make_graph(
        nodes,
        "delay",
        [
            helper.make_tensor_value_info("carrier", TensorProto.STRING, ["n", 1]),
            helper.make_tensor_value_info("weather", TensorProto.FLOAT, ["n", 2]),
        ],
        [
            helper.make_tensor_value_info("probability", TensorProto.FLOAT, ["n"]),
            helper.make_tensor_value_info("label", TensorProto.STRING, ["n"]),
        ],
        [weights, half, names, flat],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def write_package(directory: Path, version: str = "1", bias: float = 0.0, **changes: object) -> Path:
    """A package directory of the test model; `changes` replace fields of its manifest."""
    directory.mkdir(parents=True)
    model = delay_model()
    if bias:
        values = next(each for each in model.graph.node[0].attribute if each.name == "values_floats")
        values.floats[:] = [value + bias for value in values.floats]
    (directory / "model.onnx").write_bytes(model.SerializeToString())
    (directory / "environment.lock").write_text("onnx==1\n")
    weather = NumericBaseline(missing=0.0, edges=(-10.0, 0.0, 10.0), counts=(0, 50, 50, 0))
    baseline = Baseline(
        rows=100,
        features={
            "carrier": CategoricalBaseline(missing=0.0, counts={"AA": 30, "DL": 30, "UA": 40}),
            "temp": weather,
            "wind": weather,
        },
        outputs={"probability": NumericBaseline(missing=0.0, edges=(0.0, 0.5, 1.0), counts=(0, 40, 60, 0))},
    )
    (directory / "baseline.json").write_bytes(encode(baseline))
    golden = Golden(
        rows=({"carrier": "UA", "temp": 2.0, "wind": 4.0}, {"carrier": "DL", "temp": -3.5}),
        outputs={"probability": [score("UA", 2, 4), score("DL", -3.5, 7)]},
    )
    (directory / "golden.json").write_bytes(encode(golden))
    manifest = Manifest(
        name="delay",
        version=version,
        task="classification",
        inputs=(Tensor("carrier", "BYTES", (-1, 1)), Tensor("weather", "FP32", (-1, 2))),
        outputs=(Tensor("probability", "FP32", (-1,)), Tensor("label", "BYTES", (-1,))),
        features=(
            Feature("carrier", "categorical", "carrier", 0, Missing("reject")),
            Feature("temp", "numeric", "weather", 0, Missing("nan")),
            Feature("wind", "numeric", "weather", 1, Missing("fill", 7)),
        ),
        classes=("on_time", "late"),
        metrics={"auc": 0.7},
        created_at=CREATED,
        source=Source(None, False),
        files=file_entries(directory),
    )
    (directory / "manifest.json").write_bytes(encode(msgspec.structs.replace(manifest, **changes)))
    return directory


def write_archive(directory: Path, **options: object) -> tuple[Path, str]:
    """A packed test model below `directory`: the archive and its digest."""
    return pack(write_package(directory / "package", **options))  # type: ignore[arg-type]


def rewrite_manifest(directory: Path, **changes: object) -> None:
    """Change raw fields of a package's manifest, whatever the contract says about them."""
    file = directory / "manifest.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


DATATYPES = {
    "BOOL": TensorProto.BOOL,
    "UINT8": TensorProto.UINT8,
    "UINT16": TensorProto.UINT16,
    "UINT32": TensorProto.UINT32,
    "UINT64": TensorProto.UINT64,
    "INT8": TensorProto.INT8,
    "INT16": TensorProto.INT16,
    "INT32": TensorProto.INT32,
    "INT64": TensorProto.INT64,
    "FP16": TensorProto.FLOAT16,
    "FP32": TensorProto.FLOAT,
    "FP64": TensorProto.DOUBLE,
    "BYTES": TensorProto.STRING,
}
"""Every datatype of the protocol that ONNX has, with its ONNX type."""


def write_identity_package(directory: Path) -> Path:
    """A package whose model gives back its inputs: one [-1, 2] tensor of each datatype, `in_<datatype>` → `out_…`."""
    directory.mkdir(parents=True)
    kinds = {datatype.lower(): kind for datatype, kind in DATATYPES.items()}
    graph = helper.make_graph(
        [helper.make_node("Identity", [f"in_{name}"], [f"out_{name}"]) for name in kinds],
        "identity",
        [helper.make_tensor_value_info(f"in_{name}", kind, ["n", 2]) for name, kind in kinds.items()],
        [helper.make_tensor_value_info(f"out_{name}", kind, ["n", 2]) for name, kind in kinds.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    (directory / "model.onnx").write_bytes(model.SerializeToString())
    (directory / "environment.lock").write_text("onnx==1\n")
    values: dict[str, list[object]] = {
        name: [["a", "ü"]] if name == "bytes" else [[True, False]] if name == "bool" else [[1, 2]] for name in kinds
    }
    (directory / "baseline.json").write_bytes(encode(Baseline(rows=1, features={}, outputs={})))
    golden = Golden(
        inputs={f"in_{name}": value for name, value in values.items()},
        outputs={f"out_{name}": value for name, value in values.items()},
    )
    (directory / "golden.json").write_bytes(encode(golden))
    manifest = Manifest(
        name="identity",
        version="1",
        task="other",
        inputs=tuple(Tensor(f"in_{datatype.lower()}", datatype, (-1, 2)) for datatype in DATATYPES),  # type: ignore[arg-type]
        outputs=tuple(Tensor(f"out_{datatype.lower()}", datatype, (-1, 2)) for datatype in DATATYPES),  # type: ignore[arg-type]
        created_at=CREATED,
        source=Source(None, False),
        files=file_entries(directory),
    )
    (directory / "manifest.json").write_bytes(encode(manifest))
    return directory
