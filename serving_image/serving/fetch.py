"""`python -m serving fetch`: brings the model package to where the server reads it, verified, whole or not at all."""

import errno
import os
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from serving.exits import CommandError, Exit
from serving.logs import Log
from serving.manifest import Manifest, PackageError
from serving.package import INCOMING, DigestMismatchError, unpack, verify_directory
from serving.settings import Settings
from serving.startup import check_identity, package_directory

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

_CHUNK = 1024 * 1024
_SCRATCH = ".fetch-"


def fetch(settings: Settings, log: Log) -> Path:
    """Download, verify and unpack the package of `settings`; nothing to do when it is there already.

    Returns the package's directory.

    Raises:
        CommandError: one line and an exit code for each cause.
    """
    for field in ("model_uri", "model_digest"):
        if getattr(settings, field) is None:
            raise CommandError(Exit.CONFIG, f"SLIPWAY_{field.upper()}: not set; fetch needs it")
    target = package_directory(settings)
    if target.is_dir() and _is_sound(target, settings, log):
        log.info("the package is there already", directory=str(target))
        return target
    began = time.monotonic()
    try:
        _clear_scratch(settings.model_dir)
        package = _bring(settings, target, log)
        check_identity(settings, package)
    except DigestMismatchError as error:
        raise CommandError(Exit.DIGEST_MISMATCH, f"{settings.model_uri}: {error}") from None
    except PackageError as error:
        raise CommandError(Exit.INVALID_PACKAGE, f"{settings.model_uri}: {error}") from None
    except OSError as error:
        raise _disk(error, settings.model_dir) from None
    log.info("fetched", directory=str(target), seconds=round(time.monotonic() - began, 3))
    return target


def _is_sound(directory: Path, settings: Settings, log: Log) -> bool:
    try:
        package = verify_directory(directory)
    except PackageError as error:
        log.warning(f"what was there is broken and is fetched again: {error}", directory=str(directory))
        return False
    check_identity(settings, package.manifest)
    return True


def _bring(settings: Settings, target: Path, log: Log) -> Manifest:
    uri, digest = settings.model_uri or "", settings.model_digest
    parts = urlsplit(uri)
    if parts.scheme == "s3":
        settings.model_dir.mkdir(parents=True, exist_ok=True)
        archive = settings.model_dir / f"{_SCRATCH}{target.name[:12]}.tar.gz"
        try:
            _download(parts.netloc, parts.path.lstrip("/"), archive, log)
            return unpack(archive, target, digest).manifest
        finally:
            archive.unlink(missing_ok=True)
    if parts.scheme not in {"", "file"}:
        raise CommandError(
            Exit.CONFIG, f"SLIPWAY_MODEL_URI: expected s3://bucket/key, file:///path or a path, got {uri!r}"
        )
    archive = Path(unquote(parts.path) if parts.scheme == "file" else uri)
    if not archive.is_file():
        raise CommandError(Exit.NOT_FOUND, f"{uri}: no such file")
    if not os.access(archive, os.R_OK):
        raise CommandError(Exit.DENIED, f"{uri}: this user may not read it")
    return unpack(archive, target, digest).manifest


def _download(bucket: str, key: str, archive: Path, log: Log) -> None:
    """Stream an object to a file; it is verified when it is unpacked."""
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    uri = f"s3://{bucket}/{key}"
    if not bucket or not key:
        raise CommandError(Exit.CONFIG, f"SLIPWAY_MODEL_URI: expected s3://bucket/key, got {uri!r}")
    config = Config(connect_timeout=5, read_timeout=30, retries={"mode": "standard", "total_max_attempts": 5})
    try:
        found = boto3.client("s3", config=config).get_object(Bucket=bucket, Key=key)
        size, done, told = found["ContentLength"], 0, time.monotonic()
        with archive.open("wb") as file:
            for chunk in found["Body"].iter_chunks(_CHUNK):
                file.write(chunk)
                done += len(chunk)
                if time.monotonic() - told > 10:
                    told = time.monotonic()
                    log.info("downloading", uri=uri, bytes=done, of=size)
    except ClientError as error:
        raise _answered(error, uri) from None
    except BotoCoreError as error:
        name = type(error).__name__
        code = Exit.DENIED if "Credential" in name or "Token" in name else Exit.UNAVAILABLE
        raise CommandError(code, f"{uri}: {error}") from None


def _answered(error: "ClientError", uri: str) -> CommandError:
    answer = error.response.get("Error", {})
    code, why = answer.get("Code", ""), answer.get("Message", str(error))
    if code in {"NoSuchKey", "NoSuchBucket", "404"}:
        what = "no such bucket" if code == "NoSuchBucket" else "no such object"
        return CommandError(Exit.NOT_FOUND, f"{uri}: {what}; was this version registered in this environment?")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    if status in {401, 403}:
        return CommandError(
            Exit.DENIED, f"{uri}: {code}: {why}; the pod's role needs s3:GetObject and kms:Decrypt on it"
        )
    return CommandError(Exit.UNAVAILABLE, f"{uri}: S3 answered {status} {code}: {why}")


def _disk(error: OSError, directory: Path) -> CommandError:
    why = {
        errno.ENOSPC: "the disk is full",
        errno.EDQUOT: "the disk quota is used up",
        errno.EROFS: "the file system is read-only",
        errno.EACCES: "this user may not write there",
    }.get(error.errno or 0, str(error))
    return CommandError(Exit.DISK, f"{directory}: {why}")


def _clear_scratch(directory: Path) -> None:
    """Remove what a fetch that was killed has left; one fetch at a time works on a pod's volume."""
    if not directory.is_dir():
        return
    for left in directory.iterdir():
        if left.name.startswith(_SCRATCH):
            left.unlink(missing_ok=True)
        elif left.name.startswith(INCOMING):
            shutil.rmtree(left, ignore_errors=True)
