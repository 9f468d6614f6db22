"""From settings to a loaded model: what every serving pattern does first, and how each failure is told apart."""

from pathlib import Path
from typing import TYPE_CHECKING

from serving.exits import CommandError, Exit
from serving.manifest import MANIFEST_FILE, Manifest, PackageError
from serving.package import Package, verify_directory
from serving.settings import Settings

if TYPE_CHECKING:
    from serving.model import Model


def package_directory(settings: Settings) -> Path:
    """Where `fetch` unpacks: `<model_dir>/<digest hex>`, or the directory itself where no digest is set."""
    if settings.model_digest is None:
        return settings.model_dir
    return settings.model_dir / settings.model_digest.removeprefix("sha256:")


def open_package(settings: Settings) -> Package:
    """The verified package that the settings name.

    Raises:
        CommandError: there is none, it is broken, or it is another model or version.
    """
    directory = package_directory(settings)
    if not (directory / MANIFEST_FILE).exists():
        raise CommandError(Exit.NOT_FOUND, f"{directory}: no model package there; `python -m serving fetch` brings it")
    try:
        package = verify_directory(directory)
    except PackageError as error:
        raise CommandError(Exit.INVALID_PACKAGE, f"{directory}: {error}") from None
    check_identity(settings, package.manifest)
    return package


def check_identity(settings: Settings, manifest: Manifest) -> None:
    """Refuse a package of another model or version than the settings name."""
    for field, found in (("model_name", manifest.name), ("model_version", manifest.version)):
        wanted: str | None = getattr(settings, field)
        if wanted is not None and wanted != found:
            key = field.removeprefix("model_")
            raise CommandError(
                Exit.INVALID_PACKAGE,
                f"{MANIFEST_FILE}: {key}: SLIPWAY_{field.upper()} is {wanted!r}, the package has {found!r}",
            )


def open_model(settings: Settings) -> "Model":
    """The model that the settings name: verified, loaded, warmed up, its golden answer given.

    Raises:
        CommandError: with the one line that a person reads.
    """
    # Here, because fetch has no use for onnxruntime and need not wait for its import.
    from serving.model import GoldenMismatchError, load
    from serving.onnx_session import DeviceUnavailableError

    package = open_package(settings)
    try:
        return load(package, max_rows=settings.max_rows, device=settings.device, threads=settings.threads)
    except GoldenMismatchError as error:
        raise CommandError(Exit.GOLDEN_MISMATCH, str(error)) from None
    except PackageError as error:
        raise CommandError(Exit.INVALID_PACKAGE, str(error)) from None
    except DeviceUnavailableError as error:
        raise CommandError(Exit.UNAVAILABLE, str(error)) from None
