"""SageMaker's model registry: what moto lacks of it, and that it survives a restart.

Groups and versions are kept one file each under `durable/sagemaker/<region>/`, with their approval state and ARNs.
"""

import hashlib
import json
import logging
from pathlib import Path
from typing import Any

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.sagemaker import models as moto_models

from local.emulation.durable import Journal, decode, encode, replace_file

log = logging.getLogger(__name__)
models: Any = moto_models
"""Without moto's types: what is restored is what was written, whatever the types say."""


class RegistryStore:
    """The folder of all groups and versions."""

    def __init__(self, folder: Path, journal: Journal) -> None:
        self._folder = folder
        self._journal = journal

    def note(self, backend: Any, kind: str, name: str) -> None:
        """The request of this thread has changed a group (by name) or a version (by ARN)."""
        self._journal.touch(("sagemaker", backend.region_name, kind, name), lambda: self._write(backend, kind, name))

    def restore(self) -> int:
        """Brings back every group and version; returns how many. A file that cannot be read is left out."""
        found: list[tuple[str, dict[str, Any]]] = []
        for file in sorted(self._folder.glob("*/*.json")):
            try:
                found.append((file.parent.name, decode(file.read_bytes())))
            except (OSError, ValueError) as error:
                log.warning("%s is not a stored model version and is left out: %s", file, error)
        # In the order of their making, because that is the order in which the registry lists them.
        for region, record in sorted(found, key=lambda item: str(item[1]["fields"]["creation_time"])):
            restored = object.__new__(models.ModelPackageGroup if record["kind"] == "group" else models.ModelPackage)
            vars(restored).update(record["fields"])
            backend = models.sagemaker_backends[DEFAULT_ACCOUNT_ID][region]
            if isinstance(restored, models.ModelPackageGroup):
                backend.model_package_groups[restored.model_package_group_name] = restored
            else:
                backend.model_packages[restored.arn] = restored
                backend.model_package_name_mapping[restored.arn] = restored.arn
                backend.model_package_name_mapping[restored.model_package_name] = restored.arn
        return len(found)

    def _write(self, backend: Any, kind: str, name: str) -> None:
        digest = hashlib.sha256(f"{kind} {name}".encode()).hexdigest()[:32]
        path = self._folder / backend.region_name / f"{digest}.json"
        shelf: dict[str, Any] = backend.model_package_groups if kind == "group" else backend.model_packages
        item = shelf.get(name)
        if item is None:
            path.unlink(missing_ok=True)
        else:
            replace_file(path, [encode({"kind": kind, "fields": vars(item)})])


def tell_event_bus(backend: Any, package: Any) -> None:
    """SageMaker's own event about a version, on the account's default bus.

    https://docs.aws.amazon.com/sagemaker/latest/dg/automating-sagemaker-with-eventbridge.html
    """
    from moto.events.models import events_backends

    detail: dict[str, Any] = {
        "ModelPackageName": f"{package.model_package_name}/{package.model_package_version}",
        "ModelPackageGroupName": package.model_package_group_name,
        "ModelPackageVersion": package.model_package_version,
        "ModelPackageArn": package.arn,
        "ModelPackageDescription": package.model_package_description,
        "ModelPackageStatus": package.model_package_status,
        "ModelApprovalStatus": package.model_approval_status,
        "CustomerMetadataProperties": package.customer_metadata_properties or {},
    }
    event = {
        "Source": "aws.sagemaker",
        "DetailType": "SageMaker Model Package State Change",
        "Detail": json.dumps(detail),
        "Resources": [package.arn],
    }
    try:
        events_backends[backend.account_id][backend.region_name].put_events([event])
    except NotImplementedError as error:
        log.warning("a rule on the default bus has a target that the emulation cannot deliver to: %s", error)
