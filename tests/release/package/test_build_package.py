import dataclasses
import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import onnx
import pyarrow as pa
import pytest
from onnx import TensorProto, helper
from pyarrow import parquet
from serving.manifest import CategoricalBaseline, Missing, NumericBaseline, Source
from serving.package import inspect, unpack

from release.errors import SlipwayError
from release.package import Description, build, pack_directory, read_package

CHURN = Description(
    name="churn", version="1", source=Source(None, dirty=False), created=datetime(2026, 1, 2, tzinfo=UTC)
)
ROWS = {"plan": ["free", "pro", "007", "pro"], "age": [20.5, 31.0, None, 44.0], "visits": [1, 2, 3, 4]}


@pytest.fixture
def rows() -> pa.Table:
    return pa.table(ROWS)


def refused(error: pytest.ExceptionInfo[SlipwayError]) -> str:
    """The refusal, which is one line and has a hint."""
    assert "\n" not in error.value.message
    assert error.value.hint
    return error.value.message


def test_all_of_a_package_comes_from_a_model_and_rows(named_model: Path, rows: pa.Table, tmp_path: Path) -> None:
    made = build(named_model, rows, CHURN, into=tmp_path / "out")
    package = inspect(made.archive, made.digest)
    assert [(f.name, f.kind, f.missing.rule) for f in package.manifest.features] == [
        ("plan", "categorical", "reject"),
        ("age", "numeric", "nan"),
        ("visits", "numeric", "reject"),
    ]
    assert package.baseline.rows == 4
    assert package.baseline.features["plan"] == CategoricalBaseline(missing=0.0, counts={"pro": 2, "007": 1, "free": 1})
    assert package.baseline.features["age"].missing == 0.25
    assert set(package.baseline.outputs) == {"churn", "plan_again[0]"}
    assert package.golden.rows == ({"plan": "free", "age": 20.5, "visits": 1},)
    assert package.golden.outputs == {"churn": [21.5], "plan_again": [["free"]]}
    unpack(made.archive, tmp_path / "again", made.digest)


def test_the_summary_is_plain_json(named_model: Path, rows: pa.Table, tmp_path: Path) -> None:
    described = dataclasses.replace(CHURN, metrics={"auc": 0.75}, classes=("stays", "leaves"))
    summary = json.loads(json.dumps(build(named_model, rows, described, into=tmp_path / "out").summary()))
    assert summary["name"] == "churn"
    assert summary["task"] == "classification"
    assert summary["inputs"] == ["plan BYTES[-1,1]", "age FP32[-1,1]", "visits INT64[-1]"]
    assert summary["metrics"] == {"auc": 0.75}
    assert summary["created_at"] == "2026-01-02T00:00:00Z"
    assert summary["bytes"] == Path(summary["archive"]).stat().st_size


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
def test_a_file_of_rows_gives_the_package_that_the_rows_give(
    suffix: str, named_model: Path, rows: pa.Table, tmp_path: Path
) -> None:
    file = tmp_path / f"rows.{suffix}"
    if suffix == "csv":
        file.write_text("id,visits,plan,age\n9,1,free,20.5\n9,2,pro,31\n9,3,007,\n9,4,pro,44\n")
    elif suffix == "parquet":
        parquet.write_table(rows, file)
    else:
        file.write_text("".join(json.dumps(row) + "\n" for row in rows.to_pylist()))
    from_file = build(named_model, file, CHURN, into=tmp_path / "a")
    assert from_file.digest == build(named_model, rows, CHURN, into=tmp_path / "b").digest


def test_the_same_arguments_give_the_same_bytes_over_what_was_there(
    named_model: Path, rows: pa.Table, tmp_path: Path
) -> None:
    first = build(named_model, rows, CHURN, into=tmp_path / "out")
    content = first.archive.read_bytes()
    os.utime(named_model, (0, 0))
    again = build(named_model, rows, CHURN, into=tmp_path / "out")
    assert (again.digest, again.archive.read_bytes()) == (first.digest, content)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["churn-1", "churn-1.tar.gz"]


def test_columns_of_one_input_in_their_order(matrix_model: Path, tmp_path: Path) -> None:
    rows = pa.table({"label": [1, 0], "c": [3.0, 6.0], "b": [2.0, 5.0], "a": [1.0, 4.0]})
    described = dataclasses.replace(CHURN, features=("a", "b", "c"), categorical=frozenset({"b"}))
    package = build(matrix_model, rows, described, into=tmp_path / "out").package
    assert [(f.name, f.kind, f.input, f.column) for f in package.manifest.features] == [
        ("a", "numeric", "x", 0),
        ("b", "categorical", "x", 1),
        ("c", "numeric", "x", 2),
    ]
    assert package.golden.outputs == {"score": [[4.0, 5.0]]}
    assert set(package.baseline.outputs) == {"score[0]", "score[1]"}
    assert package.baseline.features["b"] == CategoricalBaseline(missing=0.0, counts={"2": 1, "5": 1})


def test_a_stated_value_fills_gaps(named_model: Path, tmp_path: Path) -> None:
    rows = pa.table({"plan": [None, "pro"], "age": [1.0, 2.0], "visits": [None, 5]})
    described = dataclasses.replace(
        CHURN, missing={"plan": Missing("fill", "free"), "visits": Missing("fill", 0)}, golden={"age": 3.0}
    )
    package = build(named_model, rows, described, into=tmp_path / "out").package
    assert package.golden.outputs["churn"] == [3.0]
    churn = package.baseline.outputs["churn"]
    assert isinstance(churn, NumericBaseline)
    assert sum(churn.counts) == 2


def test_tensors_that_are_no_columns(save_model, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    model = save_model(
        [helper.make_node("ReduceMean", ["image"], ["mean"], axes=[1, 2], keepdims=0)],
        [("image", TensorProto.FLOAT, ["n", 2, 2])],
        [("mean", TensorProto.FLOAT, ["n"])],
    )
    np.savez(tmp_path / "images.npz", image=np.arange(12.0).reshape(3, 2, 2))
    package = build(model, tmp_path / "images.npz", CHURN, into=tmp_path / "out").package
    assert package.manifest.features == ()
    assert package.golden.inputs == {"image": [[[0.0, 1.0], [2.0, 3.0]]]}
    assert package.golden.outputs == {"mean": [1.5]}
    np.savez(tmp_path / "wrong.npz", image=np.zeros((3, 2)))
    with pytest.raises(SlipwayError) as error:
        build(model, tmp_path / "wrong.npz", CHURN, into=tmp_path / "out")
    assert refused(error) == "wrong.npz: image: expected shape [-1, 2, 2], got [3, 2]"
    with pytest.raises(SlipwayError) as error:
        build(model, pa.table({"image": [1.0]}), CHURN, into=tmp_path / "out")
    assert "'image' has shape [-1, 2, 2]" in refused(error)


def test_an_empty_cell_of_a_csv_is_a_missing_value(named_model: Path, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("plan,age,visits\n,20,1\nNA,31,2\n")
    with pytest.raises(SlipwayError) as error:
        build(named_model, file, CHURN, into=tmp_path / "out")
    assert refused(error).startswith("plan: 1 of the sample's 2 rows have no value")
    described = dataclasses.replace(CHURN, missing={"plan": Missing("fill", "free"), "visits": Missing("fill", 0.0)})
    package = build(named_model, file, described, into=tmp_path / "out").package
    assert package.baseline.features["plan"] == CategoricalBaseline(missing=0.5, counts={"NA": 1})
    assert package.golden.rows == ({"plan": "NA", "age": 31.0, "visits": 2},)


def test_reading_a_package_loads_none_of_what_makes_one() -> None:
    program = "import sys, release.package; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {"onnx", "onnxruntime", "pyarrow", "pandas", "numpy"} & set(done.stdout.split())


def test_data_files_of_a_large_model_come_along(matrix_model: Path, tmp_path: Path) -> None:
    loaded = onnx.load(matrix_model)
    onnx.save_model(loaded, matrix_model, save_as_external_data=True, location="weights.bin", size_threshold=0)
    rows = pa.table({"a": [1.0], "b": [2.0], "c": [3.0]})
    package = build(matrix_model.parent, rows, CHURN, into=tmp_path / "out").package
    assert "weights.bin" in package.manifest.files
    (matrix_model.parent / "weights.bin").unlink()
    with pytest.raises(SlipwayError) as error:
        build(matrix_model, rows, CHURN, into=tmp_path / "out")
    assert refused(error) == "model.onnx: its external data 'weights.bin' is not a file beside it"


def test_where_the_versions_come_from(matrix_model: Path, tmp_path: Path) -> None:
    rows = pa.table({"a": [1.0], "b": [2.0], "c": [3.0]})

    def lock(description: Description) -> str:
        build(matrix_model, rows, description, into=tmp_path / "out")
        return (tmp_path / "out" / "churn-1" / "environment.lock").read_text()

    assert lock(CHURN) == "# versions not recorded; the model file says: hand\n"
    (matrix_model.parent / "environment.lock").write_text("torch==2.9.0\n")
    assert lock(CHURN) == "torch==2.9.0\n"
    assert lock(dataclasses.replace(CHURN, environment="numpy==2.4\n")) == "numpy==2.4\n"


ROW = {"a": [1.0], "b": [2.0], "c": [3.0]}


@pytest.mark.parametrize(
    ("change", "rows", "line"),
    [
        ({}, {"a": [1.0], "b": [2.0]}, "the sample: the model takes 3 columns, got 2: a, b"),
        ({}, ROW | {"d": [1.0]}, "the sample: the model takes 3 columns, got 4: a, b, c, d"),
        ({"features": ("a", "b", "z")}, ROW, "the sample: there is no column 'z'; it has a, b, c"),
        ({"features": ("a", "a", "b")}, ROW, "the sample: column 'a' is named twice"),
        ({"missing": {"z": Missing("nan")}}, ROW, "--missing z: the model has no such feature"),
        ({}, ROW | {"a": ["one"]}, "a: expected FP32 values: Failed to parse string: 'one' as a scalar of type double"),
        ({}, {"a": [], "b": [], "c": []}, "the sample: it has no rows"),
        ({"name": "Churn!"}, ROW, "name: expected small letters, digits and dashes"),
        ({"version": "../1"}, ROW, "version: expected small letters, digits, dots"),
        ({"metrics": {"auc": float("nan")}}, ROW, "manifest.json: metrics"),
        ({"golden": {"a": 1, "b": 2}}, ROW, "golden question: "),
        ({}, {"a": [float("inf")], "b": [0.0], "c": [0.0]}, "golden question: the model's 'score' is not a finite"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_one_line(
    change: dict[str, object], rows: dict[str, list[object]], line: str, matrix_model: Path, tmp_path: Path
) -> None:
    with pytest.raises(SlipwayError) as error:
        build(matrix_model, pa.table(rows), dataclasses.replace(CHURN, **change), into=tmp_path / "out")
    assert refused(error).startswith(line)
    assert not list((tmp_path / "out").glob("*"))


def test_a_gap_that_no_rule_fills(named_model: Path, tmp_path: Path) -> None:
    with pytest.raises(SlipwayError) as error:
        build(named_model, pa.table({"plan": ["pro", None], "age": [1.0, 2], "visits": [1, 2]}), CHURN, into=tmp_path)
    assert refused(error) == (
        "plan: 1 of the sample's 2 rows have no value, and its BYTES input cannot hold a missing one"
    )
    with pytest.raises(SlipwayError) as error:
        build(named_model, pa.table({"plan": ["pro"], "age": [1.0], "visits": [1.5]}), CHURN, into=tmp_path)
    assert refused(error) == "visits: expected whole numbers that fit INT64"
    with pytest.raises(SlipwayError) as error:
        build(named_model, pa.table({"plan": ["pro"], "age": [1.0]}), CHURN, into=tmp_path)
    assert refused(error) == "the sample: the model's input 'visits' has no column; it has plan, age"


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("rows.xlsx", b"", "rows.xlsx: expected a .csv, .parquet or .jsonl file, got '.xlsx'"),
        ("rows.csv", None, "rows.csv: cannot be read: No such file or directory"),
        ("rows.csv", b"", "rows.csv: it is empty"),
        ("rows.csv", b"plan,age,visits\npro,1\n", "rows.csv: cannot be read: "),
        ("rows.csv", b"plan,age,visits\n\xff,1,1\n", "rows.csv: cannot be read: "),
        ("rows.parquet", b"PAR0", "rows.parquet: cannot be read: "),
        ("rows.jsonl", b"{", "rows.jsonl: cannot be read: "),
        ("rows.npz", b"zip", "rows.npz: cannot be read: "),
    ],
)
def test_a_sample_that_cannot_be_read(
    name: str, content: bytes | None, line: str, named_model: Path, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(SlipwayError) as error:
        build(named_model, tmp_path / name, CHURN, into=tmp_path / "out")
    assert refused(error).startswith(line)


def test_a_file_that_is_no_model(tmp_path: Path, rows: pa.Table) -> None:
    (tmp_path / "model.onnx").write_bytes(b"not a model")
    with pytest.raises(SlipwayError) as error:
        build(tmp_path, rows, CHURN, into=tmp_path / "out")
    assert refused(error).startswith("model.onnx: onnxruntime cannot load it: ")
    with pytest.raises(SlipwayError) as error:
        build(tmp_path / "absent.onnx", rows, CHURN, into=tmp_path / "out")
    assert refused(error).endswith("absent.onnx: no such file")


def test_signatures_that_cannot_be_served(save_model, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    fixed = save_model(
        [helper.make_node("Identity", ["x"], ["y"])],
        [("x", TensorProto.FLOAT, [1, 3])],
        [("y", TensorProto.FLOAT, [1, 3])],
    )
    with pytest.raises(SlipwayError) as error:
        build(fixed, pa.table(ROW), CHURN, into=tmp_path / "out")
    assert refused(error) == (
        "model.onnx: input 'x' has a fixed first dimension, 1; expected a first one of any size, the rows"
    )
    flat = save_model(
        [helper.make_node("Reshape", ["x", "flat"], ["y"])],
        [("x", TensorProto.FLOAT, ["n", 3])],
        [("y", TensorProto.FLOAT, ["m"])],
        flat=np.array([-1], np.int64),
    )
    with pytest.raises(SlipwayError) as error:
        build(flat, pa.table(ROW), CHURN, into=tmp_path / "out")
    assert refused(error) == "model.onnx: output 'y' has 3 rows for 1 rows of input"


def test_a_zipmap_is_refused_with_the_option_that_leaves_it_out(save_model, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    model = save_model(
        [helper.make_node("ZipMap", ["x"], ["y"], domain="ai.onnx.ml", classlabels_int64s=[0, 1, 2])],
        [("x", TensorProto.FLOAT, ["n", 3])],
        [("y", TensorProto.FLOAT, ["n", 3])],
    )
    loaded = onnx.load(model)
    mapped = helper.make_map_type_proto(TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, []))
    loaded.graph.output[0].type.CopyFrom(helper.make_sequence_type_proto(mapped))
    onnx.save_model(loaded, model)
    with pytest.raises(SlipwayError) as error:
        build(model, pa.table(ROW), CHURN, into=tmp_path / "out")
    assert refused(error) == "model.onnx: output 'y' is a seq(map(int64,tensor(float))); expected a tensor"
    assert "zipmap" in error.value.hint


def test_a_model_that_answers_differently_each_time(save_model, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    model = save_model(
        [helper.make_node("RandomNormalLike", ["x"], ["noise"]), helper.make_node("Add", ["x", "noise"], ["y"])],
        [("x", TensorProto.FLOAT, ["n", 3])],
        [("y", TensorProto.FLOAT, ["n", 3])],
    )
    with pytest.raises(SlipwayError) as error:
        build(model, pa.table(ROW), CHURN, into=tmp_path / "out")
    assert refused(error).startswith("golden.json: outputs.y: ")
    assert "differently each time" in error.value.hint
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written(matrix_model: Path, tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    with pytest.raises(SlipwayError) as error:
        build(matrix_model, pa.table(ROW), CHURN, into=tmp_path / "closed" / "out")
    assert refused(error).endswith("Permission denied")


def test_something_else_in_the_way_is_not_removed(matrix_model: Path, tmp_path: Path) -> None:
    (tmp_path / "churn-1").mkdir()
    (tmp_path / "churn-1" / "thesis.txt").write_text("years of work")
    with pytest.raises(SlipwayError) as error:
        build(matrix_model, pa.table(ROW), CHURN, into=tmp_path)
    assert refused(error).endswith("churn-1 is there and is no package directory")
    assert (tmp_path / "churn-1" / "thesis.txt").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(SlipwayError) as error:
        build(matrix_model, pa.table(ROW), CHURN, into=tmp_path / "file")
    assert refused(error).startswith(str(tmp_path / "file"))


@pytest.fixture
def package_directory(matrix_model: Path, tmp_path: Path) -> Path:
    return build(matrix_model, pa.table(ROW), CHURN, into=tmp_path / "out").package.directory


def test_a_directory_is_packed_as_it_was_built(package_directory: Path, tmp_path: Path) -> None:
    made = pack_directory(package_directory, tmp_path / "again.tar.gz")
    assert made.archive.read_bytes() == (tmp_path / "out" / "churn-1.tar.gz").read_bytes()
    assert read_package(made.archive).digest == made.digest


def test_a_changed_answer_is_found_by_asking(package_directory: Path) -> None:
    golden = package_directory / "golden.json"
    golden.write_text(golden.read_text().replace("4.0", "4.5"))
    _restate(package_directory, "golden.json")
    with pytest.raises(SlipwayError) as error:
        pack_directory(package_directory)
    assert refused(error).startswith("golden.json: outputs.score: expected [4.5")


def test_corrupted_packages(package_directory: Path, tmp_path: Path) -> None:
    archive = tmp_path / "out" / "churn-1.tar.gz"
    (tmp_path / "cut.tar.gz").write_bytes(archive.read_bytes()[:-40])
    for path, line in (
        (tmp_path / "cut.tar.gz", "cut.tar.gz: "),
        (tmp_path / "none.tar.gz", f"{tmp_path / 'none.tar.gz'}: no such package archive"),
        (package_directory / "model.onnx", "model.onnx: not a sound gzip file"),
    ):
        with pytest.raises(SlipwayError) as error:
            read_package(path)
        assert refused(error).startswith(line)
    (package_directory / "notes.txt").write_text("")
    with pytest.raises(SlipwayError) as error:
        pack_directory(package_directory)
    assert refused(error) == "notes.txt: not listed in the manifest"
    shutil.rmtree(package_directory)
    with pytest.raises(SlipwayError) as error:
        pack_directory(package_directory)
    assert "expected a package directory" in refused(error)


def _restate(directory: Path, name: str) -> None:
    """Make the manifest agree with a changed file, as somebody with an editor and sha256sum could."""
    from serving.package import file_entries

    manifest = json.loads((directory / "manifest.json").read_text())
    entry = file_entries(directory)[name]
    manifest["files"][name] = {"sha256": entry.sha256, "size": entry.size}
    (directory / "manifest.json").write_text(json.dumps(manifest))
