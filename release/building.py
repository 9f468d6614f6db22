"""What a model package holds beside the model, found out by asking the model. `release.package` is the way in."""

import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import onnx
import pyarrow as pa
from numpy.typing import NDArray
from onnx.external_data_helper import ExternalDataInfo, uses_external_data
from serving.manifest import ENVIRONMENT_FILE, MANIFEST_FILE, MODEL_FILE, Feature, Manifest, encode
from serving.package import file_entries

from release import golden
from release.baseline import Column, Kind, baseline
from release.errors import SlipwayError
from release.model_file import ModelFile
from release.provenance import created_at, source_of
from release.sample import Sample, map_features, missing_rules, read_tensors, tensors

if TYPE_CHECKING:
    from release.package import Description

BASELINE_FILE, GOLDEN_FILE = "baseline.json", "golden.json"
_MAX_OUTPUT_COLUMNS = 100
"""An output of more columns (an embedding, an image) has no baseline by column: nobody would read its drift."""


def write_package(draft: Path, file: Path, sample: Path | pa.Table, description: "Description") -> None:
    """Fill the empty directory `draft` with the model `file` and everything that belongs beside it.

    Raises:
        SlipwayError: one line that says what does not fit.
    """
    _copy_model(file, draft)
    model = ModelFile(draft / MODEL_FILE)
    features: tuple[Feature, ...] = ()
    columns: dict[str, tuple[Kind, Column]] = {}
    if isinstance(sample, Path) and sample.suffix == ".npz":
        asked = read_tensors(sample, model.inputs)
        answers = model.ask(asked)
        manifest = _manifest(description, model, features, file)
        question: Mapping[str, Any] = {name: values[:1] for name, values in asked.items()}
    else:
        given = Sample(sample)
        features = map_features(model.inputs, given, description.features, description.categorical)
        table = given.rows({feature.name for feature in features if feature.kind == "categorical"})
        rules = missing_rules(features, model.inputs, table, description.missing)
        features = tuple(msgspec.structs.replace(feature, missing=rules[feature.name]) for feature in features)
        answers = model.ask(tensors(features, model.inputs, table))
        columns = {feature.name: (feature.kind, table[feature.name]) for feature in features}
        manifest = _manifest(description, model, features, file)
        question = description.golden or golden.choose(manifest, table, answers)
    outputs = _output_columns(answers)
    rows = len(next(iter(answers.values())))
    (draft / BASELINE_FILE).write_bytes(encode(baseline(columns, outputs, rows)))
    (draft / GOLDEN_FILE).write_bytes(encode(golden.answered(question, manifest, model)))
    (draft / ENVIRONMENT_FILE).write_text(_environment(description, file), encoding="utf-8")
    manifest = msgspec.structs.replace(manifest, files=file_entries(draft))
    (draft / MANIFEST_FILE).write_bytes(encode(manifest))


def _manifest(description: "Description", model: ModelFile, features: tuple[Feature, ...], file: Path) -> Manifest:
    source, committed = source_of(file.parent)
    made = description.created or created_at(committed or datetime.fromtimestamp(int(file.stat().st_mtime), UTC))
    return Manifest(
        name=description.name,
        version=description.version,
        task=description.task or ("classification" if description.classes else "other"),
        inputs=model.inputs,
        outputs=model.outputs,
        features=features,
        classes=description.classes,
        metrics=dict(description.metrics),
        created_at=made,
        source=description.source or source,
        baseline=BASELINE_FILE,
        golden=GOLDEN_FILE,
        files={},
    )


def _output_columns(answers: Mapping[str, NDArray[Any]]) -> dict[str, tuple[Kind, Column]]:
    found: dict[str, tuple[Kind, Column]] = {}
    for name, answer in answers.items():
        kind: Kind = "categorical" if answer.dtype == object else "numeric"
        if answer.ndim == 1:
            found[name] = (kind, answer)
        elif answer.ndim == 2 and answer.shape[1] <= _MAX_OUTPUT_COLUMNS:
            found |= {f"{name}[{i}]": (kind, answer[:, i]) for i in range(answer.shape[1])}
    return found


def _environment(description: "Description", file: Path) -> str:
    if description.environment is not None:
        return description.environment
    beside = file.parent / ENVIRONMENT_FILE
    if beside.is_file():
        return beside.read_text(encoding="utf-8")
    made_by = onnx.load(file, load_external_data=False)
    return (
        f"# versions not recorded; the model file says: {made_by.producer_name} {made_by.producer_version}".rstrip()
        + "\n"
    )


def _copy_model(file: Path, draft: Path) -> None:
    shutil.copyfile(file, draft / MODEL_FILE)
    try:
        model = onnx.load(file, load_external_data=False)
    except Exception:  # noqa: BLE001 - protobuf's errors; ModelFile says in one line what is wrong with the file
        return
    external = {ExternalDataInfo(tensor).location for tensor in model.graph.initializer if uses_external_data(tensor)}
    for location in sorted(external):
        if Path(location).name != location or not (file.parent / location).is_file():
            raise SlipwayError(
                "no-model",
                f"{file.name}: its external data {location!r} is not a file beside it",
                "put the data file into the model's folder, or save the model with its data inside",
            )
        shutil.copyfile(file.parent / location, draft / location)
