"""The model contract: what `manifest.json`, `baseline.json` and `golden.json` of a model package hold.

Every reader of a package (packaging, registry, runtime, monitoring) goes through the three `decode_*` functions.
They raise `PackageError`, one line that names the file and the field.
"""

import itertools
import math
import re
from datetime import datetime
from typing import Annotated, Any, Literal, NoReturn, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from serving.errors import explain

FORMAT_VERSION = 1
MANIFEST_FILE = "manifest.json"
MODEL_FILE = "model.onnx"
ENVIRONMENT_FILE = "environment.lock"

Datatype = Literal[
    "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64", "BYTES"
]
"""Open Inference Protocol v2 datatypes that a model can take and give."""

PREDICTION_ID = "prediction_id"
"""Stands beside the outputs in an answer of `/predict`, so none may be called that."""

FLOATS: frozenset[str] = frozenset({"FP16", "FP32", "FP64"})

Name = Annotated[str, Meta(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
Version = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9.-]{0,31}$")]
Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
FileName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$")]
Dimension = Annotated[int, Meta(ge=-1)]
Scalar = str | int | float | bool | None


class PackageError(ValueError):
    """A model package breaks the contract. The message is one line: file, field, what was expected."""


class Tensor(Struct, frozen=True, forbid_unknown_fields=True):
    """One input or output of the model; -1 in `shape` is a dimension of any size, the first one being the rows."""

    name: Annotated[str, Meta(min_length=1, max_length=128)]
    datatype: Datatype
    shape: Annotated[tuple[Dimension, ...], Meta(min_length=1, max_length=8)]


class Missing(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What stands for an absent or null feature: an error, NaN, or `value`."""

    rule: Literal["reject", "nan", "fill"]
    value: str | float | int | bool | UnsetType = UNSET


class Feature(Struct, frozen=True, forbid_unknown_fields=True):
    """One named value of a `/predict` row: `column` of the input tensor `input`."""

    name: Annotated[str, Meta(min_length=1, max_length=128)]
    kind: Literal["numeric", "categorical"]
    input: str
    column: Annotated[int, Meta(ge=0)]
    missing: Missing


class Source(Struct, frozen=True, forbid_unknown_fields=True):
    """The code that trained the model; `commit` is null where there was no repository."""

    commit: str | None
    dirty: bool


class FileEntry(Struct, frozen=True, forbid_unknown_fields=True):
    """A file of the package: its sha256 in hex and its size in bytes."""

    sha256: Sha256
    size: Annotated[int, Meta(ge=0)]


class Manifest(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`manifest.json`: which model this is, what it takes and gives, and which files make it."""

    format_version: Literal[1] = FORMAT_VERSION
    name: Name
    version: Version
    task: Literal["classification", "regression", "other"]
    inputs: Annotated[tuple[Tensor, ...], Meta(min_length=1)]
    outputs: Annotated[tuple[Tensor, ...], Meta(min_length=1)]
    features: tuple[Feature, ...] = ()
    classes: tuple[str, ...] = ()
    metrics: dict[str, float] = {}
    created_at: Annotated[datetime, Meta(tz=True)]
    source: Source
    baseline: FileName = "baseline.json"
    golden: FileName = "golden.json"
    files: dict[FileName, FileEntry]


class NumericBaseline(Struct, frozen=True, forbid_unknown_fields=True, tag="numeric", tag_field="kind"):
    """A numeric distribution: `edges` e0 < … < ek and `counts` of (below e0, [e0, e1), …, [ek-1, ek], above ek).

    `missing` is the share of rows without a value, 0 to 1.
    """

    missing: Annotated[float, Meta(ge=0, le=1)]
    edges: Annotated[tuple[float, ...], Meta(min_length=2)]
    counts: tuple[Annotated[int, Meta(ge=0)], ...]


class CategoricalBaseline(Struct, frozen=True, forbid_unknown_fields=True, tag="categorical", tag_field="kind"):
    """A categorical distribution: rows of each category, of all `other` ones, and the `missing` share, 0 to 1."""

    missing: Annotated[float, Meta(ge=0, le=1)]
    counts: dict[str, Annotated[int, Meta(ge=0)]]
    other: Annotated[int, Meta(ge=0)] = 0


Distribution = NumericBaseline | CategoricalBaseline


class Baseline(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`baseline.json`: how features and outputs were distributed over the `rows` that the model learned from.

    A key of `outputs` is an output's name, or `name[i]` for one column of an output with several.
    """

    format_version: Literal[1] = FORMAT_VERSION
    rows: Annotated[int, Meta(ge=1)]
    features: dict[str, Distribution]
    outputs: dict[str, Distribution]


class Golden(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """`golden.json`: a question and the answer it must get, within `tolerance` (absolute and relative).

    The question is `rows` by feature name or, for a model without features, `inputs`: tensors as nested lists.
    """

    rows: tuple[dict[str, Scalar], ...] = ()
    inputs: dict[str, list[Any]] = {}
    outputs: Annotated[dict[str, list[Any]], Meta(min_length=1)]
    tolerance: Annotated[float, Meta(ge=0)] = 1e-5


class _Versioned(Struct):
    format_version: int


S = TypeVar("S", bound=Struct)


def encode(document: Struct) -> bytes:
    """The one JSON form of a contract document: keys in their order, two spaces, a final newline."""
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def decode_manifest(content: bytes, file: str = MANIFEST_FILE) -> Manifest:
    """Read and check a manifest.

    Raises:
        PackageError: naming `file` and the field that is wrong.
    """
    _check_format_version(content, file)
    manifest = _decode(content, Manifest, file)
    _check_tensors(manifest, file)
    _check_features(manifest, file)
    _check_files(manifest, file)
    for name, value in manifest.metrics.items():
        if not math.isfinite(value):
            _refuse(file, f"metrics.{name}", f"expected a finite number, got {value}")
    return manifest


def decode_baseline(content: bytes, manifest: Manifest, file: str = "baseline.json") -> Baseline:
    """Read a baseline and check that it describes the features and outputs of `manifest`.

    Raises:
        PackageError: naming `file` and the field that is wrong.
    """
    _check_format_version(content, file)
    baseline = _decode(content, Baseline, file)
    kinds = {feature.name: feature.kind for feature in manifest.features}
    for name in sorted(kinds.keys() | baseline.features.keys()):
        if name not in kinds:
            _refuse(file, f"features.{name}", "the manifest has no such feature")
        if name not in baseline.features:
            _refuse(file, "features", f"the manifest's feature {name!r} is missing here")
        found = "numeric" if isinstance(baseline.features[name], NumericBaseline) else "categorical"
        if found != kinds[name]:
            _refuse(file, f"features.{name}.kind", f"expected {kinds[name]} as in the manifest, got {found}")
    outputs = {tensor.name for tensor in manifest.outputs}
    for name in baseline.outputs:
        if name not in outputs and re.sub(r"\[\d+\]$", "", name) not in outputs:
            _refuse(file, f"outputs.{name}", "the manifest has no such output")
    for section in ("features", "outputs"):
        for name, distribution in getattr(baseline, section).items():
            _check_distribution(distribution, file, f"{section}.{name}")
    return baseline


def decode_golden(content: bytes, manifest: Manifest, file: str = "golden.json") -> Golden:
    """Read the golden question and check that its names are those of `manifest`.

    Raises:
        PackageError: naming `file` and the field that is wrong.
    """
    golden = _decode(content, Golden, file)
    if bool(golden.rows) == bool(golden.inputs):
        _refuse(file, "rows", "expected either rows (by feature name) or inputs (tensors), and not both")
    if golden.rows and not manifest.features:
        _refuse(file, "rows", "the manifest has no features; write the question as inputs")
    features = {feature.name for feature in manifest.features}
    for index, row in enumerate(golden.rows):
        for name in row.keys() - features:
            _refuse(file, f"rows[{index}].{name}", "the manifest has no such feature")
    if golden.inputs and golden.inputs.keys() != (names := {tensor.name for tensor in manifest.inputs}):
        _refuse(file, "inputs", f"expected the manifest's inputs {_listed(names)}, got {_listed(golden.inputs)}")
    outputs = {tensor.name for tensor in manifest.outputs}
    for name in golden.outputs.keys() - outputs:
        _refuse(file, f"outputs.{name}", "the manifest has no such output")
    return golden


def _check_format_version(content: bytes, file: str) -> None:
    found = _decode(content, _Versioned, file).format_version
    if found != FORMAT_VERSION:
        _refuse(file, "format_version", f"expected {FORMAT_VERSION}, got {found}; this Slipway cannot read it")


def _check_tensors(manifest: Manifest, file: str) -> None:
    for section in ("inputs", "outputs"):
        seen: set[str] = set()
        for index, tensor in enumerate(getattr(manifest, section)):
            if tensor.name in seen:
                _refuse(file, f"{section}[{index}].name", f"{tensor.name!r} is there twice")
            seen.add(tensor.name)
    for index, tensor in enumerate(manifest.outputs):
        if tensor.name == PREDICTION_ID:
            _refuse(file, f"outputs[{index}].name", f"{PREDICTION_ID!r} is what /predict calls the prediction's own id")


def _check_features(manifest: Manifest, file: str) -> None:
    inputs = {tensor.name: tensor for tensor in manifest.inputs}
    columns: dict[str, set[int]] = {name: set() for name in inputs} if manifest.features else {}
    seen: set[str] = set()
    for index, feature in enumerate(manifest.features):
        where = f"features[{index}]"
        if feature.name in seen:
            _refuse(file, f"{where}.name", f"{feature.name!r} is there twice")
        seen.add(feature.name)
        if feature.input not in inputs:
            _refuse(file, f"{where}.input", f"expected one of the inputs {_listed(inputs)}, got {feature.input!r}")
        if feature.column in columns[feature.input]:
            _refuse(
                file, f"{where}.column", f"column {feature.column} of {feature.input!r} is taken by another feature"
            )
        columns[feature.input].add(feature.column)
        _check_kind(feature, inputs[feature.input], file, where)
    for name, taken in columns.items():
        if taken != set(range(len(taken))) or not taken:
            _refuse(file, "features", f"the columns of input {name!r} must be 0 to k-1, got {sorted(taken)}")
        shape = inputs[name].shape
        if shape != (-1, len(taken)) and not (len(taken) == 1 and shape == (-1,)):
            _refuse(
                file, "inputs", f"{name!r} is fed by {len(taken)} features, so its shape must be [-1, {len(taken)}]"
            )


def _check_kind(feature: Feature, tensor: Tensor, file: str, where: str) -> None:
    rule, value = feature.missing.rule, feature.missing.value
    if feature.kind == "numeric" and tensor.datatype == "BYTES":
        _refuse(file, f"{where}.kind", f"a numeric feature cannot feed {tensor.name!r}, which is BYTES")
    if rule == "nan" and (feature.kind != "numeric" or tensor.datatype not in FLOATS):
        _refuse(file, f"{where}.missing.rule", "nan needs a numeric feature and a floating point input")
    if (rule == "fill") != (value is not UNSET):
        _refuse(file, f"{where}.missing.value", "expected exactly when the rule is fill")
    if rule == "fill" and isinstance(value, str) != (tensor.datatype == "BYTES"):
        expected = "a string" if tensor.datatype == "BYTES" else "a number"
        _refuse(file, f"{where}.missing.value", f"expected {expected} for {tensor.datatype}, got {value!r}")


def _check_files(manifest: Manifest, file: str) -> None:
    if manifest.baseline == manifest.golden:
        _refuse(file, "golden", "expected another file than the baseline")
    for needed in (MODEL_FILE, ENVIRONMENT_FILE, manifest.baseline, manifest.golden):
        if needed not in manifest.files:
            _refuse(file, "files", f"{needed} is missing")
    if MANIFEST_FILE in manifest.files:
        _refuse(file, f"files.{MANIFEST_FILE}", "the manifest cannot list itself")


def _check_distribution(distribution: Distribution, file: str, where: str) -> None:
    if isinstance(distribution, CategoricalBaseline):
        return
    edges = distribution.edges
    if not all(map(math.isfinite, edges)) or any(low >= high for low, high in itertools.pairwise(edges)):
        _refuse(file, f"{where}.edges", "expected finite, strictly increasing numbers")
    if len(distribution.counts) != len(edges) + 1:
        _refuse(
            file, f"{where}.counts", f"expected {len(edges) + 1} for {len(edges)} edges, got {len(distribution.counts)}"
        )


def _decode(content: bytes, kind: type[S], file: str) -> S:
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise PackageError(f"{file}: {explain(error)}") from None


def _listed(names: Any) -> str:
    return ", ".join(repr(name) for name in sorted(names))


def _refuse(file: str, field: str, why: str) -> NoReturn:
    raise PackageError(f"{file}: {field}: {why}")
