"""The registry of an environment: which versions of a model there are, what they hold, and who let them in.

A version is a SageMaker ModelPackage in the model's group; its file lies in the models bucket under its digest.
Facts of ours stand in the ModelPackage's customer metadata (keys of at most 36, values of at most 256 characters; API
reference, CreateModelPackage).
"""

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from release import aws
from release.environment import Deployed, Environment, read_deployed
from release.errors import SlipwayError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker import SageMakerClient
    from serving.manifest import Golden, Manifest

State = Literal["candidate", "approved", "rejected"]

_STATES: dict[str, State] = {
    "PendingManualApproval": "candidate",
    "Approved": "approved",
    "Rejected": "rejected",
}
_VERSION, _DIGEST = "slipway.version", "slipway.digest"
_BY, _AT, _NOTE = "slipway.decided-by", "slipway.decided-at", "slipway.note"
_METRIC = "metric."
_LONGEST_VALUE = 256


@dataclass(frozen=True)
class ModelVersion:
    """One version of a model in a registry."""

    model: str
    version: str
    digest: str
    """`sha256:<hex>` of the package."""
    state: State
    registered_at: datetime
    arn: str
    metadata: dict[str, str]

    @property
    def decided_by(self) -> str:
        """Who approved or rejected it; empty for a candidate."""
        return self.metadata.get(_BY, "")

    @property
    def note(self) -> str:
        """Why, in their words."""
        return self.metadata.get(_NOTE, "")

    @property
    def metrics(self) -> dict[str, str]:
        """The metrics that its manifest states."""
        return {key.removeprefix(_METRIC): value for key, value in self.metadata.items() if key.startswith(_METRIC)}

    def as_json(self) -> dict[str, Any]:
        """The version as `slipway models --json` has it."""
        return {
            "model": self.model,
            "version": self.version,
            "digest": self.digest,
            "state": self.state,
            "registered_at": self.registered_at.isoformat(),
            "decided_by": self.decided_by or None,
            "decided_at": self.metadata.get(_AT),
            "note": self.note or None,
            "metrics": {name: float(value) for name, value in self.metrics.items()},
        }


class Registry:
    """The models of one environment."""

    def __init__(self, environment: Environment, deployed: Deployed | None = None) -> None:
        self._environment = environment
        self._deployed = deployed or read_deployed(environment)
        self._bucket = self._deployed.require("models_bucket", environment)
        self._groups: dict[str, str] = self._deployed.outputs.get("model_groups") or {}
        self._sagemaker: SageMakerClient = aws.sagemaker(environment)
        self._s3: S3Client = aws.s3(environment)

    @property
    def models(self) -> list[str]:
        """The names of the models that have a place here."""
        return sorted(self._groups)

    def uri(self, model: str, digest: str) -> str:
        """Where a package's file lies."""
        return f"s3://{self._bucket}/{_key(model, digest)}"

    def versions(self, model: str) -> list[ModelVersion]:
        """Every version of a model, newest first."""
        group = self._group(model)
        with self._asking(f"reading the registry of {model}"):
            pages = self._sagemaker.get_paginator("list_model_packages").paginate(ModelPackageGroupName=group)
            arns = [entry["ModelPackageArn"] for page in pages for entry in page["ModelPackageSummaryList"]]
            found = [self._read(model, arn) for arn in arns]
        ours = [version for version in found if version is not None]
        return sorted(ours, key=lambda version: version.registered_at, reverse=True)

    def find(self, model: str, version: str) -> ModelVersion:
        """One version; an unknown one is refused with the ones there are."""
        known = self.versions(model)
        for entry in known:
            if entry.version == version:
                return entry
        names = ", ".join(entry.version for entry in known[:8])
        raise SlipwayError(
            "unknown-version",
            f"there is no version {version!r} of {model} in {self._environment.name}: "
            + (f"it has {names}" if names else "none is registered yet"),
            f"see: slipway models{self._environment.flag()}" if names else "register one: slipway register FILE",
            exit_code=2,
        )

    def register(self, package: Path, manifest: "Manifest", digest: str) -> tuple[ModelVersion, bool]:
        """Put a verified package in; the version, and whether it is new.

        The same version with the same digest is there already and stays as it is; with another digest it is refused:
        what was approved under a version cannot change.
        """
        model, version = manifest.name, manifest.version
        for known in self.versions(model):
            if known.version == version and known.digest == digest:
                return known, False
            if known.version == version:
                raise SlipwayError(
                    "version-taken",
                    f"{model} {version} is registered with other content ({known.digest[:19]}…, not {digest[:19]}…)",
                    "give the new content a version of its own",
                )
        self._upload(package, model, digest)
        metadata = {_VERSION: version, _DIGEST: digest}
        metadata |= {f"{_METRIC}{name}"[:36]: f"{value:.6g}" for name, value in manifest.metrics.items()}
        with self._asking(f"registering {model} {version}"):
            answer = self._sagemaker.create_model_package(
                ModelPackageGroupName=self._group(model),
                ModelPackageDescription=f"{model} {version}, {manifest.task}, {digest}",
                ModelApprovalStatus="PendingManualApproval",
                CustomerMetadataProperties=metadata,
            )
            made = self._read(model, answer["ModelPackageArn"])
        if made is None:
            raise SlipwayError("registry-lost", f"the registry did not keep what {model} {version} is", "run it again")
        return made, True

    def decide(self, entry: ModelVersion, state: Literal["approved", "rejected"], who: str, note: str) -> ModelVersion:
        """Approve or reject a version, noting who and why."""
        at = datetime.now(UTC).isoformat(timespec="seconds")
        metadata = entry.metadata | {_BY: who[:_LONGEST_VALUE], _AT: at, _NOTE: note[:_LONGEST_VALUE] or "-"}
        status = "Approved" if state == "approved" else "Rejected"
        with self._asking(f"recording the decision on {entry.model} {entry.version}"):
            self._sagemaker.update_model_package(
                ModelPackageArn=entry.arn,
                ModelApprovalStatus=status,
                ApprovalDescription=f"{state} by {who} at {at}{': ' + note if note else ''}"[:1024],
                CustomerMetadataProperties=metadata,
            )
        return self.find(entry.model, entry.version)

    def forget(self) -> None:
        """Delete every version of every model: a group that has versions cannot be deleted."""
        for group in self._groups.values():
            with self._asking(f"deleting the versions in {group}"):
                pages = self._sagemaker.get_paginator("list_model_packages").paginate(ModelPackageGroupName=group)
                for arn in [entry["ModelPackageArn"] for page in pages for entry in page["ModelPackageSummaryList"]]:
                    self._sagemaker.delete_model_package(ModelPackageName=arn)

    def golden(self, entry: ModelVersion) -> "tuple[Manifest, Golden]":
        """The question that a version's package carries, read from the front of its file without the model itself."""
        import tarfile

        from serving.manifest import MANIFEST_FILE, PackageError, decode_golden, decode_manifest

        with self._asking(f"reading the package of {entry.model} {entry.version}"):
            body = self._s3.get_object(Bucket=self._bucket, Key=_key(entry.model, entry.digest))["Body"]
        try:
            with tarfile.open(fileobj=body, mode="r|gz") as archive:
                manifest: Manifest | None = None
                for member in archive:
                    content = archive.extractfile(member)
                    if member.name == MANIFEST_FILE and content:
                        manifest = decode_manifest(content.read())
                    elif manifest and member.name == manifest.golden and content:
                        return manifest, decode_golden(content.read(), manifest, manifest.golden)
        except (tarfile.TarError, PackageError, EOFError, OSError) as error:
            raise SlipwayError(
                "broken-package", f"the package of {entry.model} {entry.version} in the registry: {error}"
            ) from error
        finally:
            body.close()
        raise SlipwayError("broken-package", f"the package of {entry.model} {entry.version} has no golden question")

    def _upload(self, package: Path, model: str, digest: str) -> None:
        """Once by digest: an object with that name holds that content, checked by S3 as it arrived."""
        import base64

        from botocore.exceptions import ClientError

        key = _key(model, digest)
        with self._asking(f"uploading {package.name}"):
            try:
                if self._s3.head_object(Bucket=self._bucket, Key=key)["ContentLength"] == package.stat().st_size:
                    return
            except ClientError as error:
                if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") != 404:
                    raise
            checksum = base64.b64encode(bytes.fromhex(digest.removeprefix("sha256:"))).decode()
            if package.stat().st_size < 5 * 1024**3:  # S3's limit for one PutObject
                with package.open("rb") as body:
                    self._s3.put_object(Bucket=self._bucket, Key=key, Body=body, ChecksumSHA256=checksum)
            else:
                self._s3.upload_file(str(package), self._bucket, key, ExtraArgs={"ChecksumAlgorithm": "SHA256"})

    def _read(self, model: str, arn: str) -> ModelVersion | None:
        """A ModelPackage as a version; None for one that Slipway did not register."""
        entry = self._sagemaker.describe_model_package(ModelPackageName=arn)
        metadata = dict(entry.get("CustomerMetadataProperties") or {})
        if _VERSION not in metadata or _DIGEST not in metadata:
            return None
        return ModelVersion(
            model=model,
            version=metadata[_VERSION],
            digest=metadata[_DIGEST],
            state=_STATES.get(entry.get("ModelApprovalStatus", ""), "candidate"),
            registered_at=entry["CreationTime"],
            arn=arn,
            metadata=metadata,
        )

    def _group(self, model: str) -> str:
        if model in self._groups:
            return self._groups[model]
        environment = self._environment
        raise SlipwayError(
            "unknown-model",
            f"no service of {environment.name} uses a model {model!r}: there are {', '.join(self.models) or 'none'}",
            f"add a service for it to {environment.config_file.relative_to(environment.root)}, "
            f"then run: slipway up{environment.flag()}",
            exit_code=2,
        )

    def _asking(self, doing: str) -> AbstractContextManager[None]:
        return _explained(self._environment, doing)


@contextmanager
def _explained(environment: Environment, doing: str) -> Generator[None]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise aws.explained(error, environment, doing) from error


def _key(model: str, digest: str) -> str:
    return f"{model}/{digest.removeprefix('sha256:')}.tar.gz"


def who_decides(environ: Callable[[str], str | None]) -> str:
    """The person (or the CI run) at the keyboard, as far as the machine knows."""
    import getpass

    return environ("SLIPWAY_USER") or environ("GITHUB_ACTOR") or getpass.getuser()
