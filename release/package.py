"""Make a model package out of an ONNX file and sample rows: what `slipway package` does, for scripts too.

    from release.package import Description, build
    made = build(Path("churn.onnx"), Path("rows.csv"), Description(name="churn", version="1"), into=Path("."))

The model's signature, its features, the baseline and the golden question with its answer come from the two files; what
cannot be read from them stands in the `Description`.
"""

import shutil
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import msgspec
import onnx
import pyarrow as pa
from numpy.typing import NDArray
from onnx.external_data_helper import ExternalDataInfo, uses_external_data
from serving.manifest import (
    ENVIRONMENT_FILE,
    MANIFEST_FILE,
    MODEL_FILE,
    Feature,
    Manifest,
    Missing,
    PackageError,
    Scalar,
    Source,
    encode,
)
from serving.model import load
from serving.package import Package, digest_of, file_entries, inspect, pack, verify_directory

from release import golden
from release.baseline import Column, Kind, baseline
from release.errors import SlipwayError
from release.model_file import ModelFile
from release.provenance import created_at, source_of
from release.sample import Sample, map_features, missing_rules, read_tensors, tensors

Task = Literal["classification", "regression", "other"]

BASELINE_FILE, GOLDEN_FILE = "baseline.json", "golden.json"
_MAX_OUTPUT_COLUMNS = 100
"""An output of more columns (an embedding, an image) has no baseline by column: nobody would read its drift."""


@dataclass(frozen=True, kw_only=True)
class Description:
    """What a person says about a model; everything but name and version has a default.

    `features`: the sample's columns that feed the model, in its order (where the names of its inputs do not say).
    `categorical`: features that are categories although their input takes numbers.
    `missing`: what stands for an absent value, by feature; otherwise NaN where the sample has gaps, or an error.
    `environment`: a requirements file's text, the exact versions that trained the model.
    `golden`: the question that every release asks; otherwise the first row of the sample that has all its values.
    `source`, `created`: where and when the model was made; otherwise from git, `$SOURCE_DATE_EPOCH` or the file.
    """

    name: str
    version: str
    task: Task | None = None
    features: tuple[str, ...] = ()
    categorical: frozenset[str] = frozenset()
    missing: Mapping[str, Missing] = field(default_factory=dict[str, Missing])
    classes: tuple[str, ...] = ()
    metrics: Mapping[str, float] = field(default_factory=dict[str, float])
    environment: str | None = None
    golden: Mapping[str, Scalar] | None = None
    source: Source | None = None
    created: datetime | None = None


@dataclass(frozen=True)
class Packaged:
    """A package: its archive, the archive's digest (`sha256:<hex>`), and what it holds."""

    archive: Path
    digest: str
    package: Package

    def summary(self) -> dict[str, Any]:
        """Archive, name, version, digest, signature, metrics and origin, ready for JSON."""
        manifest = self.package.manifest
        return {
            "archive": str(self.archive),
            "name": manifest.name,
            "version": manifest.version,
            "digest": self.digest,
            "bytes": self.archive.stat().st_size,
            "task": manifest.task,
            "inputs": golden.signature(manifest.inputs),
            "outputs": golden.signature(manifest.outputs),
            "features": [feature.name for feature in manifest.features],
            "metrics": dict(manifest.metrics),
            "baseline_rows": self.package.baseline.rows,
            "created_at": manifest.created_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "commit": manifest.source.commit,
            "dirty": manifest.source.dirty,
        }


def build(model: Path, sample: Path | pa.Table, description: Description, *, into: Path) -> Packaged:
    """Make `into/<name>-<version>/` and `into/<name>-<version>.tar.gz` from a model and rows that it was trained on.

    `model` is an ONNX file (its external data beside it) or a directory with a `model.onnx`. `sample` is a table or a
    .csv, .parquet or .jsonl file, or for a model whose inputs are not columns (images, sequences) an .npz file with one
    array an input. The model is asked all of it: the answers become the baseline of its outputs. The same arguments
    give the same bytes.

    Raises:
        SlipwayError: one line that says what does not fit.
    """
    file = _model_file(model)
    with _writing(into):
        into.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=into, prefix=".package-") as scratch:
            draft = Path(scratch) / "package"
            draft.mkdir()
            _copy_model(file, draft)
            manifest = _fill(draft, file, sample, description)
            target = into / f"{manifest.name}-{manifest.version}"
            _replace(draft, target)
    return pack_directory(target, into / f"{target.name}.tar.gz")


def pack_directory(directory: Path, archive: Path | None = None) -> Packaged:
    """Verify a package directory, ask its model the golden question, and pack it.

    `archive` is `<name>-<version>.tar.gz` beside the directory unless given.

    Raises:
        SlipwayError: the directory is no valid package, or its model answers the golden question differently.
    """
    package = _verified(directory)
    try:
        load(package)
    except PackageError as error:
        raise SlipwayError(
            "bad-package",
            str(error),
            "package the model anew; one that answers the same question differently each time cannot be verified",
        ) from None
    with _writing(archive.parent if archive else directory.parent):
        path, digest = pack(directory, archive)
    return Packaged(path, digest, package)


def read_package(archive: Path) -> Packaged:
    """Verify a package archive and read what it holds, without unpacking it.

    Raises:
        SlipwayError: it is no valid package.
    """
    try:
        return Packaged(archive, digest_of(archive) if archive.is_file() else "", inspect(archive))
    except PackageError as error:
        raise SlipwayError("bad-package", str(error), "package the model anew: slipway package --help") from None
    except OSError as error:
        raise SlipwayError("bad-package", f"{archive}: {error.strerror}", "check the path") from None


def _fill(draft: Path, file: Path, sample: Path | pa.Table, description: Description) -> Manifest:
    """Write everything that belongs beside the model in `draft`; the finished manifest."""
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
    (draft / GOLDEN_FILE).write_bytes(encode(golden.golden(question, manifest, model)))
    (draft / ENVIRONMENT_FILE).write_text(_environment(description, file), encoding="utf-8")
    manifest = msgspec.structs.replace(manifest, files=file_entries(draft))
    (draft / MANIFEST_FILE).write_bytes(encode(manifest))
    return _verified(draft).manifest


def _manifest(description: Description, model: ModelFile, features: tuple[Feature, ...], file: Path) -> Manifest:
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


def _environment(description: Description, file: Path) -> str:
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


def _model_file(model: Path) -> Path:
    file = model / MODEL_FILE if model.is_dir() else model
    if not file.is_file():
        raise SlipwayError("no-model", f"{file}: no such file", "name an .onnx file, or a directory with a model.onnx")
    return file


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


@contextmanager
def _writing(folder: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise SlipwayError(
            "cannot-write",
            f"{error.filename or folder}: {error.strerror or error}",
            "free some space or mend the permissions, or choose another folder",
        ) from None


def _verified(directory: Path) -> Package:
    try:
        return verify_directory(directory)
    except PackageError as error:
        raise SlipwayError("bad-package", str(error), "correct this, and package the model again") from None


def _replace(draft: Path, target: Path) -> None:
    if target.exists():
        if not (target / MANIFEST_FILE).is_file():
            raise SlipwayError(
                "cannot-write", f"{target} is there and is no package directory", "move it, or choose another folder"
            )
        shutil.rmtree(target)
    draft.rename(target)
