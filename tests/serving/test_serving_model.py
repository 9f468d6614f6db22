import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from serving.errors import InvalidInputError
from serving.manifest import PackageError
from serving.model import GoldenMismatchError, Model, load
from serving.onnx_session import DeviceUnavailableError
from serving.package import file_entries, verify_directory
from serving_packages import rewrite_manifest, score, write_package


def refreshed(directory: Path, **changes: Any) -> Path:
    """The package with its file list brought up to date, so that only what a test means to break is broken."""
    entries = {name: {"sha256": each.sha256, "size": each.size} for name, each in file_entries(directory).items()}
    rewrite_manifest(directory, files=entries, **changes)
    return directory


def with_model(directory: Path, graph: onnx.GraphProto) -> Path:
    """The test package with another graph for its model."""
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    (write_package(directory) / "model.onnx").write_bytes(model.SerializeToString())
    return refreshed(directory)


def test_the_model_computes_what_it_should(model: Model) -> None:
    rows = [{"carrier": "AA", "temp": 1.5, "wind": 2}, {"carrier": "??", "temp": -1, "wind": None}]
    feeds = model.rows.tensors([model.rows.convert(row) for row in rows])
    probability, label = model.run(feeds, ["probability", "label"])
    assert probability == pytest.approx([score("AA", 1.5, 2), score("??", -1, 7)], abs=1e-6)
    assert label.tolist() == ["late", "on_time"]
    assert model.batches
    assert model.has_rows


def test_missing_values_follow_their_rules(model: Model) -> None:
    rows = model.rows.decode(b'{"rows": [{"carrier": "UA"}, {"carrier": "UA", "temp": null, "wind": null}]}')
    assert model.rows.tensors(rows)["weather"].tolist() == [[pytest.approx(np.nan, nan_ok=True), 7.0]] * 2
    with pytest.raises(InvalidInputError, match=r"^rows\[0\]\.carrier: expected a string, got null$"):
        model.rows.decode(b'{"rows": [{"carrier": null}]}')


CARRIER = {"name": "carrier", "datatype": "BYTES", "shape": [-1, 1]}
WEATHER = {"name": "weather", "datatype": "FP32", "shape": [-1, 2]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"inputs": [CARRIER, WEATHER | {"name": "wx"}]},
            "inputs: the manifest says ['carrier', 'wx'], the graph has ['carrier', 'weather']",
        ),
        (
            {"inputs": [CARRIER, WEATHER | {"datatype": "FP64"}]},
            "input 'weather': datatype: the manifest says FP64, the graph has FP32",
        ),
        (
            {"inputs": [CARRIER, WEATHER | {"shape": [-1, 3]}]},
            "input 'weather': shape: the manifest says [-1, 3], the graph has ['n', 2]",
        ),
        (
            {"outputs": [{"name": "probability", "datatype": "FP32", "shape": [-1]}]},
            "outputs: the manifest says ['probability'], the graph has ['label', 'probability']",
        ),
    ],
)
def test_a_signature_other_than_the_manifest_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    directory = refreshed(write_package(tmp_path / "package"), features=[], **changes)
    question = {tensor["name"]: [[0]] for tensor in changes.get("inputs", [CARRIER, WEATHER])}
    golden = {"inputs": question, "outputs": {"probability": [0.5]}}
    (directory / "golden.json").write_text(json.dumps(golden))
    (directory / "baseline.json").write_text('{"format_version": 1, "rows": 1, "features": {}, "outputs": {}}')
    with pytest.raises(PackageError) as caught:
        load(verify_directory(refreshed(directory)))
    assert str(caught.value) == f"model.onnx: {message}"


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    directory = write_package(tmp_path / "package")
    (directory / "model.onnx").write_bytes(b"not a model")
    with pytest.raises(PackageError, match=r"^model\.onnx: onnxruntime cannot load it: .*$"):
        load(verify_directory(refreshed(directory)))


def test_a_wrong_golden_answer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GoldenMismatchError) as caught:
        load(verify_directory(write_package(tmp_path / "package", bias=1.0)))
    assert str(caught.value).startswith("golden.json: outputs.probability: expected [0.574")
    assert " within 1e-05, the model gives [0.7" in str(caught.value)


def test_a_model_with_maps_for_outputs_is_refused_with_what_to_do(tmp_path: Path) -> None:
    types = helper.make_map_type_proto(TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, []))
    output = helper.make_value_info("probability", helper.make_sequence_type_proto(types))
    node = helper.make_node("ZipMap", ["weather"], ["probability"], domain="ai.onnx.ml", classlabels_int64s=[0, 1])
    keep = helper.make_node("Identity", ["carrier"], ["label"])
    graph = helper.make_graph(
        [node, keep],
        "maps",
        [
            helper.make_tensor_value_info("carrier", TensorProto.STRING, ["n", 1]),
            helper.make_tensor_value_info("weather", TensorProto.FLOAT, ["n", 2]),
        ],
        [output, helper.make_tensor_value_info("label", TensorProto.STRING, ["n", 1])],
    )
    directory = write_package(tmp_path / "package")
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)], ir_version=9
    )
    (directory / "model.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(PackageError, match="which no protocol datatype carries; export plain tensors"):
        load(verify_directory(refreshed(directory)))


def test_a_model_that_looks_across_its_rows_is_never_merged(tmp_path: Path) -> None:
    """Its answer for a row depends on the other rows: the share of the row in the sum over all."""
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["weather", "zero"], ["temp"], axis=1),
            helper.make_node("Exp", ["temp"], ["positive"]),
            helper.make_node("ReduceSum", ["positive"], ["sum"], keepdims=1),
            helper.make_node("Div", ["positive", "sum"], ["share"]),
            helper.make_node("Reshape", ["share", "flat"], ["probability"]),
            helper.make_node("Reshape", ["carrier", "flat"], ["label"]),
        ],
        "across",
        [
            helper.make_tensor_value_info("carrier", TensorProto.STRING, ["n", 1]),
            helper.make_tensor_value_info("weather", TensorProto.FLOAT, ["n", 2]),
        ],
        [
            helper.make_tensor_value_info("probability", TensorProto.FLOAT, ["n"]),
            helper.make_tensor_value_info("label", TensorProto.STRING, ["n"]),
        ],
        [
            onnx.numpy_helper.from_array(np.array([0], np.int64), "zero"),
            onnx.numpy_helper.from_array(np.array([-1], np.int64), "flat"),
        ],
    )
    directory = with_model(tmp_path / "package", graph)
    share = float(np.exp(2) / (np.exp(2) + np.exp(-3.5)))
    golden: dict[str, Any] = json.loads((directory / "golden.json").read_text()) | {
        "outputs": {"probability": [share, 1 - share]}
    }
    (directory / "golden.json").write_text(json.dumps(golden))
    assert not load(verify_directory(refreshed(directory))).batches


def test_a_device_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DeviceUnavailableError, match=r"^SLIPWAY_DEVICE: cuda was asked for, but"):
        load(verify_directory(write_package(tmp_path / "package")), device="cuda")
