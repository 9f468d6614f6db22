"""A service's batch, run now: a Job made of its CronJob, as `kubectl create job --from` does, and its result."""

import http
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from release.aws import explained, s3
from release.cluster import Cluster
from release.documents import part, parts
from release.environment import DeployedService, Environment
from release.errors import SlipwayError
from release.watch import describe_exit

_LOOK_EVERY_SECONDS = 0.3
_READ_LOGS_EVERY_SECONDS = 2.0
_JOB_NAME = "batch.kubernetes.io/job-name"


class Progress(NamedTuple):
    """How far a run is, by what its pods last said."""

    rows: int
    rows_per_second: int
    seconds_left: int | None


@dataclass(frozen=True)
class Batch:
    """A service's batch, as it is deployed."""

    service: DeployedService
    cron_job: dict[str, Any]

    @property
    def variables(self) -> dict[str, str]:
        """What its pods are told."""
        spec = part(self.cron_job, "spec", "jobTemplate", "spec", "template", "spec")
        container = next(each for each in parts(spec, "containers") if each["name"] == "batch")
        return {str(entry["name"]): str(entry.get("value", "")) for entry in parts(container, "env")}

    def job(self, name: str) -> dict[str, Any]:
        """A Job of it: the CronJob's own, so that its history limits clear it away too."""
        template, owner = part(self.cron_job, "spec", "jobTemplate"), part(self.cron_job, "metadata")
        return {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {
                **part(template, "metadata"),
                "name": name,
                "namespace": self.service.namespace,
                "annotations": {"cronjob.kubernetes.io/instantiate": "manual"},
                "ownerReferences": [
                    {
                        "apiVersion": "batch/v1",
                        "kind": "CronJob",
                        "name": owner["name"],
                        "uid": owner["uid"],
                        "controller": True,
                    }
                ],
            },
            "spec": template["spec"],
        }


def find_batch(cluster: Cluster, environment: Environment, service: DeployedService) -> Batch:
    """The service's batch.

    Raises:
        SlipwayError: it has none, or has no model to run yet.
    """
    flag = environment.flag()
    if "batch" not in service.patterns:
        raise SlipwayError(
            "no-batch",
            f"{service.name} has no batch",
            f"give it one: batch: {{schedule: …, input: …}} in stacks/Pulumi.{environment.name}.yaml",
            exit_code=2,
        )
    name = f"{service.name}-batch"
    found = cluster.api.get(f"/apis/batch/v1/namespaces/{service.namespace}/cronjobs/{name}")
    if found is None:
        raise SlipwayError(
            "not-released",
            f"{service.name} waits for its first release",
            f"run: slipway release {service.name} VERSION{flag}",
        )
    return Batch(service, found)


def run_name(batch: Batch, now: datetime) -> str:
    """The name of a run that begins now; its time is the minute in it, as in the names of scheduled ones."""
    return f"{batch.service.name}-batch-{int(now.timestamp()) // 60}-{now.second}"


def upload(environment: Environment, batch: Batch, file: Path, now: datetime) -> str:
    """Put a file where the run of now reads; its address.

    Raises:
        SlipwayError: it is not of the batch's format, or S3 does not take it.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    form = batch.variables["SLIPWAY_BATCH_FORMAT"]
    if file.suffixes[-1:] != [f".{form}"] and not file.name.endswith(f".{form}.gz"):
        raise SlipwayError(
            "wrong-format",
            f"{file.name}: the batch of {batch.service.name} reads {form}: expected a file *.{form}",
            f"write it as {form}, or set batch.format",
            exit_code=2,
        )
    bucket, prefix = split_uri(batch.variables["SLIPWAY_BATCH_INPUT"].replace("{date}", f"{now:%Y-%m-%d}"))
    key = f"{prefix.rstrip('/')}/{file.name}".lstrip("/")
    try:
        s3(environment).upload_file(str(file), bucket, key)
    except (BotoCoreError, ClientError, OSError) as error:
        raise explained(error, environment, f"putting {file.name} into {bucket}") from error
    return f"s3://{bucket}/{key}"


def start(cluster: Cluster, batch: Batch, name: str) -> None:
    """Make the Job.

    Raises:
        SlipwayError: the cluster refuses it.
    """
    path = f"/apis/batch/v1/namespaces/{batch.service.namespace}/jobs"
    body = json.dumps(batch.job(name)).encode()
    with cluster.api.open("POST", path, body=body) as response:
        if response.status not in {http.HTTPStatus.OK, http.HTTPStatus.CREATED}:
            said = response.read().decode(errors="replace")
            reason = part(json.loads(said) if said.startswith("{") else None).get("message") or said
            raise SlipwayError("not-started", f"the Kubernetes API answered {response.status}: {reason}")


def wait(cluster: Cluster, batch: Batch, name: str, tell: Callable[[Progress], None]) -> None:
    """Wait until the run has ended well, telling how far it is.

    Raises:
        SlipwayError: it failed; in the words of the pod that did.
    """
    path = f"/apis/batch/v1/namespaces/{batch.service.namespace}/jobs/{name}"
    read_at = 0.0
    while True:
        job = cluster.api.get(path)
        if job is None:
            raise SlipwayError("run-gone", f"the Job {name} was deleted while it was waited for")
        ended = {entry["type"]: entry for entry in parts(job, "status", "conditions") if entry["status"] == "True"}
        if "Complete" in ended:
            return
        if "Failed" in ended:
            raise _failure(cluster, batch, name, ended["Failed"])
        if time.monotonic() - read_at > _READ_LOGS_EVERY_SECONDS:
            read_at = time.monotonic()
            tell(_progress(cluster, batch, name))
        time.sleep(_LOOK_EVERY_SECONDS)


def outcome(environment: Environment, batch: Batch, name: str) -> dict[str, Any]:
    """What a run that ended well has left: rows, rejected, output, rejected_output (the runtime's own record of it)."""
    from botocore.exceptions import BotoCoreError, ClientError

    bucket, prefix = split_uri(batch.variables["SLIPWAY_BATCH_OUTPUT"])
    try:
        answer = s3(environment).get_object(Bucket=bucket, Key=f"{prefix}_runs/{name}.json")
        return json.loads(answer["Body"].read())
    except (BotoCoreError, ClientError) as error:
        raise explained(error, environment, f"reading the record of {name}") from error


def split_uri(uri: str) -> tuple[str, str]:
    """Bucket and key of an `s3://` address."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


def now() -> datetime:
    """The moment, in UTC."""
    return datetime.now(UTC)


def _failure(cluster: Cluster, batch: Batch, name: str, condition: dict[str, Any]) -> SlipwayError:
    reason = str(condition.get("message") or condition.get("reason") or "")
    for pod in cluster.selected_pods(batch.service.namespace, f"{_JOB_NAME}={name}"):
        if pod.last_exit:
            return SlipwayError("run-failed", f"the run {name} failed\n{describe_exit(cluster, pod, pod.last_exit)}")
    return SlipwayError("run-failed", f"the run {name} failed: {reason}")


def _progress(cluster: Cluster, batch: Batch, name: str) -> Progress:
    rows, rate, left = 0, 0, None
    for pod in cluster.selected_pods(batch.service.namespace, f"{_JOB_NAME}={name}"):
        said: list[dict[str, Any]] = []
        for line in cluster.log(pod, "batch", lines=5):
            try:
                said.append(part(json.loads(line)))
            except ValueError:
                continue
        last: dict[str, Any] = next((each for each in reversed(said) if "rows_per_second" in each), part(None))
        rows += int(last.get("rows") or 0)
        if last.get("message") == "scoring":
            rate += int(last.get("rows_per_second") or 0)
            left = max(left or 0, int(last.get("seconds_left") or 0))
    return Progress(rows, rate, left)
