import json
from pathlib import Path
from typing import Any

import pytest
from serving.manifest import Manifest, PackageError, decode_baseline, decode_golden, decode_manifest, encode
from serving_packages import write_package


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_package(tmp_path_factory.mktemp("manifest") / "package")


@pytest.fixture(scope="module")
def manifest(package: Path) -> Manifest:
    return decode_manifest((package / "manifest.json").read_bytes())


def changed(file: Path, path: str, value: Any) -> bytes:
    """The JSON of `file` with the value at a dotted path replaced; `...` removes it."""
    document = json.loads(file.read_text())
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    target = document
    for part in parents:
        target = target[part]
    if value is ...:
        del target[last]
    else:
        target[last] = value
    return json.dumps(document).encode()


def test_a_manifest_is_read_as_it_was_written(manifest: Manifest) -> None:
    assert decode_manifest(encode(manifest)) == manifest


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("format_version", 2, "format_version: expected 1, got 2; this Slipway cannot read it"),
        ("format_version", "1", "format_version: expected a whole number, got a string"),
        ("format_version", ..., "format_version: missing"),
        ("name", "Delay", "name: expected a string matching regex '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'"),
        ("version", "", "version: expected a string matching regex '^[a-z0-9][a-z0-9.-]{0,31}$'"),
        ("tasks", "x", "tasks: unknown"),
        ("inputs.0.datatype", "STRING", "inputs[0].datatype: invalid enum value 'STRING'"),
        ("inputs.0.shape", [-2, 1], "inputs[0].shape[0]: expected a whole number >= -1"),
        ("inputs.1.name", "carrier", "inputs[1].name: 'carrier' is there twice"),
        (
            "outputs.1.name",
            "prediction_id",
            "outputs[1].name: 'prediction_id' is what /predict calls the prediction's own id",
        ),
        ("features.1.input", "x", "features[1].input: expected one of the inputs 'carrier', 'weather', got 'x'"),
        ("features.2.column", 0, "features[2].column: column 0 of 'weather' is taken by another feature"),
        ("features.2.column", 2, "features: the columns of input 'weather' must be 0 to k-1, got [0, 2]"),
        ("inputs.1.shape", [-1, 3], "inputs: 'weather' is fed by 2 features, so its shape must be [-1, 2]"),
        ("features.0.kind", "numeric", "features[0].kind: a numeric feature cannot feed 'carrier', which is BYTES"),
        (
            "features.0.missing",
            {"rule": "nan"},
            "features[0].missing.rule: nan needs a numeric feature and a floating point input",
        ),
        ("features.1.missing", {"rule": "fill"}, "features[1].missing.value: expected exactly when the rule is fill"),
        ("features.2.missing.value", "x", "features[2].missing.value: expected a number for FP32, got 'x'"),
        ("metrics.auc", None, "metrics[...]: expected a number, got null"),
        ("created_at", "yesterday", "created_at: invalid RFC3339 encoded datetime"),
        ("golden", "baseline.json", "golden: expected another file than the baseline"),
        ("golden", "../golden.json", "golden: expected a string matching regex '^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$'"),
        ("files.model.onnx", ..., None),
    ],
)
def test_a_mistake_in_a_manifest_is_one_line_with_its_field(
    package: Path, path: str, value: Any, message: str | None
) -> None:
    file = package / "manifest.json"
    if message is None:
        document = json.loads(file.read_text())
        del document["files"]["model.onnx"]
        content, message = json.dumps(document).encode(), "files: model.onnx is missing"
    else:
        content = changed(file, path, value)
    with pytest.raises(PackageError) as caught:
        decode_manifest(content)
    assert str(caught.value) == f"manifest.json: {message}"


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000, b"[]", b"null"])
def test_what_is_no_json_object_is_refused(content: bytes) -> None:
    with pytest.raises(PackageError, match=r"^manifest\.json: .*$"):
        decode_manifest(content)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("format_version", 9, "format_version: expected 1, got 9; this Slipway cannot read it"),
        ("features.temp", ..., "features: the manifest's feature 'temp' is missing here"),
        (
            "features.cloud",
            {"kind": "numeric", "missing": 0, "edges": [0, 1], "counts": [1, 2, 3]},
            "features.cloud: the manifest has no such feature",
        ),
        (
            "features.temp",
            {"kind": "categorical", "missing": 0, "counts": {}},
            "features.temp.kind: expected numeric as in the manifest, got categorical",
        ),
        ("features.temp.edges", [0, 0, 1], "features.temp.edges: expected finite, strictly increasing numbers"),
        ("features.temp.counts", [1], "features.temp.counts: expected 4 for 3 edges, got 1"),
        ("features.temp.missing", 2, "features[...].missing: expected a number <= 1.0"),
        (
            "outputs.other",
            {"kind": "categorical", "missing": 0, "counts": {}},
            "outputs.other: the manifest has no such output",
        ),
        ("rows", 0, "rows: expected a whole number >= 1"),
    ],
)
def test_a_mistake_in_a_baseline_is_one_line(
    package: Path, manifest: Manifest, path: str, value: Any, message: str
) -> None:
    with pytest.raises(PackageError) as caught:
        decode_baseline(changed(package / "baseline.json", path, value), manifest)
    assert str(caught.value) == f"baseline.json: {message}"


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("rows", [], "rows: expected either rows (by feature name) or inputs (tensors), and not both"),
        ("rows.0.cloud", 1, "rows[0].cloud: the manifest has no such feature"),
        ("outputs", {}, "outputs: expected an object of length >= 1"),
        ("outputs.other", [1], "outputs.other: the manifest has no such output"),
        ("tolerance", -1, "tolerance: expected a number >= 0.0"),
    ],
)
def test_a_mistake_in_a_golden_question_is_one_line(
    package: Path, manifest: Manifest, path: str, value: Any, message: str
) -> None:
    with pytest.raises(PackageError) as caught:
        decode_golden(changed(package / "golden.json", path, value), manifest)
    assert str(caught.value) == f"golden.json: {message}"
