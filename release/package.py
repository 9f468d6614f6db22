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
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from serving.manifest import MANIFEST_FILE, MODEL_FILE, Missing, Name, PackageError, Scalar, Source, Tensor, Version
from serving.package import Package, digest_of, inspect, pack, verify_directory

from release.errors import SlipwayError

if TYPE_CHECKING:  # Arrow, ONNX and onnxruntime are loaded by what makes a package; reading one is quick
    import pyarrow as pa

Task = Literal["classification", "regression", "other"]


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
            "inputs": _signature(manifest.inputs),
            "outputs": _signature(manifest.outputs),
            "features": [feature.name for feature in manifest.features],
            "metrics": dict(manifest.metrics),
            "baseline_rows": self.package.baseline.rows,
            "created_at": manifest.created_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "commit": manifest.source.commit,
            "dirty": manifest.source.dirty,
        }


def build(model: Path, sample: "Path | pa.Table", description: Description, *, into: Path) -> Packaged:
    """Make `into/<name>-<version>/` and `into/<name>-<version>.tar.gz` from a model and rows that it was trained on.

    `model` is an ONNX file (its external data beside it) or a directory with a `model.onnx`. `sample` is a table or a
    .csv, .parquet or .jsonl file, or for a model whose inputs are not columns (images, sequences) an .npz file with one
    array an input. The model is asked all of it: the answers become the baseline of its outputs. The same arguments
    give the same bytes.

    Raises:
        SlipwayError: one line that says what does not fit.
    """
    from release.building import write_package

    _check_words(description)
    file = _model_file(model)
    with _writing(into):
        into.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=into, prefix=".package-") as scratch:
            draft = Path(scratch) / "package"
            draft.mkdir()
            write_package(draft, file, sample, description)
            manifest = _checked(draft).manifest
            target = into / f"{manifest.name}-{manifest.version}"
            _replace(draft, target)
    return _packed(target, into / f"{target.name}.tar.gz")


def pack_directory(directory: Path, archive: Path | None = None) -> Packaged:
    """Verify a package directory, ask its model the golden question, and pack it.

    `archive` is `<name>-<version>.tar.gz` beside the directory unless given.

    Raises:
        SlipwayError: the directory is no valid package, or its model answers the golden question differently.
    """
    _checked(directory)
    return _packed(directory, archive)


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


def _check_words(description: Description) -> None:
    """Name and version, before the model is asked anything."""
    for field_name, kind, words in (
        ("name", Name, "small letters, digits and dashes between them, at most 63"),
        ("version", Version, "small letters, digits, dots and dashes after the first one, at most 32"),
    ):
        value: str = getattr(description, field_name)
        try:
            msgspec.convert(value, kind)
        except msgspec.ValidationError:
            hint = "it becomes part of file names, image labels and names in the registry"
            raise SlipwayError("bad-option", f"{field_name}: expected {words}, got {value!r}", hint) from None


def _model_file(model: Path) -> Path:
    file = model / MODEL_FILE if model.is_dir() else model
    if not file.is_file():
        raise SlipwayError("no-model", f"{file}: no such file", "name an .onnx file, or a directory with a model.onnx")
    return file


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


def _checked(directory: Path) -> Package:
    """A package directory whose model loads and answers its golden question, as the serving runtime will ask it."""
    from serving.model import GoldenMismatchError, load

    try:
        package = verify_directory(directory)
        load(package)
    except GoldenMismatchError as error:
        hint = "package the model again; one that answers a question differently each time cannot be verified"
        raise SlipwayError("golden-differs", str(error), hint) from None
    except PackageError as error:
        raise SlipwayError("bad-package", str(error), "correct this, or package the model again") from None
    return package


def _packed(directory: Path, archive: Path | None) -> Packaged:
    with _writing(archive.parent if archive else directory.parent):
        path, digest = pack(directory, archive)
    return Packaged(path, digest, verify_directory(directory))


def _replace(draft: Path, target: Path) -> None:
    if target.exists():
        if not (target / MANIFEST_FILE).is_file():
            raise SlipwayError(
                "cannot-write", f"{target} is there and is no package directory", "move it, or choose another folder"
            )
        shutil.rmtree(target)
    draft.rename(target)


def _signature(tensors: tuple[Tensor, ...]) -> list[str]:
    """Tensors as a person reads them: `temp FP32[-1,1]`."""
    return [f"{tensor.name} {tensor.datatype}[{','.join(map(str, tensor.shape))}]" for tensor in tensors]
