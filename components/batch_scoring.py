"""Files scored on a schedule: a CronJob that starts an Indexed Job, whose pods share the input."""

from typing import NotRequired
from urllib.parse import urlsplit

import pulumi
import pulumi_kubernetes as k8s

from components import iam, network_policy, tables
from components.alarms import Alarms, NotifyArgs, failed_run_alarm
from components.cron import require_cron
from components.late_runs import START_WITHIN_SECONDS, late_alarm
from components.model import ModelArgs
from components.place import Place
from components.pod import pod_template
from components.workload import WorkloadArgs, start_workload

CONFIG_ERROR = 78
"""Exit code (EX_CONFIG of sysexits.h) of a worker that cannot succeed however often it is tried: a schema that does
not match, an input that is not there. The whole run fails at once."""
_KEEP_JOBS_SECONDS = 3 * 86_400
"""Finished jobs and their pods stay for a long weekend."""
_JOB_NAME = "metadata.labels['batch.kubernetes.io/job-name']"


class BatchScoringArgs(WorkloadArgs):
    """What a BatchScoring is given."""

    schedule: str
    """Five cron fields, in UTC."""
    input: str
    """`s3://bucket/prefix/` with the rows, or a prefix of the warehouse bucket; `{date}` in it is the day of a run."""
    warehouse_bucket: pulumi.Input[str]
    """Bucket of the results, below `predictions/<service>/`."""
    notify: NotifyArgs
    """Who is told when a run fails or is late."""
    format: NotRequired[str]
    """`parquet`, `csv` or `jsonl`. Default `parquet`."""
    parallelism: NotRequired[int]
    """Pods that share a run, each with its own part of the input. Default 4."""
    attempts: NotRequired[int]
    """Attempts of each pod's part. Default 3."""
    deadline_minutes: NotRequired[int]
    """A run that takes longer is stopped. At most 4920, so that a late one is noticed. Default 120."""
    max_bad_rows_percent: NotRequired[float]
    """Rows that may be set aside as unreadable before a run fails. Default 1."""
    input_kms_key_arn: NotRequired[pulumi.Input[str]]
    """Key of the input, when it is not the environment's."""
    suspended: NotRequired[bool]
    """Do not start runs. Default False."""


class BatchScoring(pulumi.ComponentResource):
    """A nightly (or other) run over files: never two at once, each part retried by itself, results repeatable.

    The Job's name, which contains the scheduled minute, is the identity of the run: the same run again replaces its
    own partition. Pods that a node takes along (spot, consolidation) do not count as attempts.
    """

    namespace: pulumi.Output[str]
    """Namespace of everything Kubernetes."""
    cron_job: pulumi.Output[str]
    """Name of the CronJob, whether or not there is a model to run yet."""
    role_arn: pulumi.Output[str]
    """ARN of the pods' role."""
    output_uri: pulumi.Output[str]
    """`s3://` address of the service's partitions."""

    def __init__(self, name: str, args: BatchScoringArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:index:BatchScoring", name, {**args}, opts)
        self._name = name
        self._args = args
        self._mine = pulumi.ResourceOptions(parent=self)
        require_cron(args["schedule"])
        self._workload = start_workload(self, name, args, "batch", self._grants)
        identity = self._workload.identity
        self._output_prefix = f"{tables.PREDICTIONS.prefix}{identity.service}/"
        self.output_uri = pulumi.Output.concat("s3://", args["warehouse_bucket"], "/", self._output_prefix)
        network_policy.allow_only(
            identity.name,
            self._workload.namespace,
            identity.labels,
            identity.selector,
            [],
            network_policy.to_aws(),
            resource=f"{name}-network-policy",
            parent=self,
        )
        if model := self._workload.model:
            self._cron_job(model)
        alarms = Alarms(identity.environment, identity.service, args["notify"], args.get("tags"), self, name)
        alarms.make([failed_run_alarm()])
        late_alarm(alarms, args["schedule"], args.get("deadline_minutes", 120), self._workload.place)
        self.namespace = self._workload.namespace
        self.cron_job = pulumi.Output.from_input(identity.name)
        self.role_arn = self._workload.who.role_arn
        self.register_outputs(
            {
                "namespace": self.namespace,
                "cron_job": self.cron_job,
                "role_arn": self.role_arn,
                "output_uri": self.output_uri,
            }
        )

    def _grants(self, place: Place) -> list[iam.Statement]:
        """Reads the input; writes, replaces and cleans up its own partitions."""
        bucket, prefix = self._source()
        # What comes after a date that is not known yet may be any.
        prefix = prefix.partition("{")[0]
        output = f"{tables.PREDICTIONS.prefix}{self._args['service']}/"
        warehouse = place.bucket_arn(self._args["warehouse_bucket"])
        grants = [
            *iam.read_objects(place.bucket_arn(bucket), prefix),
            *iam.read_objects(warehouse, output),
            *iam.write_objects(warehouse, output),
            *iam.delete_objects(warehouse, output),
        ]
        if "input_kms_key_arn" in self._args:
            grants.append(iam.decrypt(self._args["input_kms_key_arn"]))
        return grants

    def _source(self) -> tuple[pulumi.Input[str], str]:
        """Bucket and prefix of the input."""
        bucket, prefix = split_uri(self._args["service"], self._args["input"])
        return bucket or self._args["warehouse_bucket"], prefix

    def _cron_job(self, model: ModelArgs) -> None:
        args, identity = self._args, self._workload.identity
        k8s.batch.v1.CronJob(
            f"{self._name}-cron-job",
            metadata={
                "name": identity.name,
                "namespace": self._workload.namespace,
                "labels": identity.labels,
            },
            spec={
                "schedule": args["schedule"],
                "time_zone": "Etc/UTC",
                "concurrency_policy": "Forbid",
                "starting_deadline_seconds": START_WITHIN_SECONDS,
                "successful_jobs_history_limit": 3,
                "failed_jobs_history_limit": 3,
                "suspend": args.get("suspended", False),
                "job_template": {"metadata": {"labels": identity.labels}, "spec": self._job(model)},
            },
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(self._workload.who.ready)),
        )

    def _job(self, model: ModelArgs) -> k8s.batch.v1.JobSpecArgsDict:
        args = self._args
        parallelism = args.get("parallelism", 4)
        bucket, prefix = self._source()
        variables: dict[str, pulumi.Input[str]] = {
            "SLIPWAY_BATCH_INPUT": pulumi.Output.concat("s3://", bucket, "/", prefix),
            "SLIPWAY_BATCH_FORMAT": args.get("format", "parquet"),
            "SLIPWAY_BATCH_OUTPUT": self.output_uri,
            "SLIPWAY_BATCH_PARTS": str(parallelism),
            "SLIPWAY_BATCH_MAX_BAD_ROWS_PERCENT": str(args.get("max_bad_rows_percent", 1)),
            "SLIPWAY_THREADS": str(whole_cpus(args["resources"]["cpu"])),
        }
        pod = self._workload.pod(
            model, variables, fields={"SLIPWAY_BATCH_RUN": _JOB_NAME}, restart_policy="Never", grace_seconds=60
        )
        return {
            "completion_mode": "Indexed",
            "completions": parallelism,
            "parallelism": parallelism,
            "backoff_limit_per_index": args.get("attempts", 3) - 1,
            # A partition is committed whole or not at all: one part that is lost fails the run.
            "max_failed_indexes": 0,
            "active_deadline_seconds": args.get("deadline_minutes", 120) * 60,
            "ttl_seconds_after_finished": _KEEP_JOBS_SECONDS,
            "pod_failure_policy": {
                "rules": [
                    {
                        "action": "FailJob",
                        "on_exit_codes": {"container_name": "batch", "operator": "In", "values": [CONFIG_ERROR]},
                    },
                    {
                        "action": "Ignore",
                        "on_pod_conditions": [{"type": "DisruptionTarget", "status": "True"}],
                    },
                ]
            },
            "template": pod_template(pod),
        }


def split_uri(service: str, uri: str) -> tuple[str | None, str]:
    """Bucket and prefix of an `s3://` address; None and itself of a prefix of the warehouse.

    Raises:
        ValueError: it is neither.
    """
    parts = urlsplit(uri)
    if parts.scheme == "s3" and parts.netloc:
        return parts.netloc, parts.path.removeprefix("/")
    if parts.scheme or not uri or uri.startswith("/"):
        raise ValueError(
            f"service {service}: batch input {uri!r}: expected s3://bucket/prefix/, or a prefix of the warehouse bucket"
        )
    return None, uri


def whole_cpus(cpu: str) -> int:
    """How many threads a CPU quantity (`500m`, `2`) keeps busy: at least one."""
    return max(1, int(cpu.removesuffix("m")) // 1000 if cpu.endswith("m") else int(float(cpu)))
