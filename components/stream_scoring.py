"""Events scored as they come: a source, its dead letters, and workers whose number follows what waits."""

from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s

from components import iam, network_policy
from components.alarms import Alarms, NotifyArgs, dead_letter_alarm
from components.drain import Drain, drain
from components.features import OnlineTableArgs, lookup_grants, lookup_variables
from components.kafka import KafkaArgs
from components.model import ModelArgs
from components.place import Place, place_of
from components.pod import REST_PORT, Identity, pod_template
from components.serving_container import STARTUP_SECONDS, serving_container
from components.stream_source import (
    KinesisArgs,
    SourceRequest,
    StreamSource,
    Trigger,
    kafka_source,
    kinesis_source,
    sqs_source,
)
from components.workload import WorkloadArgs, start_workload

SOURCES = ("sqs", "kinesis", "kafka")


class WorkersArgs(TypedDict):
    """How many workers."""

    min: int
    """Fewest, 0 or more; with 0 the first event waits for a start."""
    max: int
    """Most, at least 1; equal to `min` for a fixed number."""


class StreamScoringArgs(WorkloadArgs):
    """What a StreamScoring is given."""

    source: str
    """`sqs`, `kinesis` or `kafka`."""
    replicas: WorkersArgs
    """How many workers."""
    capture_bucket: pulumi.Input[str]
    """Bucket of the event store, which every prediction goes to."""
    notify: NotifyArgs
    """Who is told of lag and of dead letters."""
    kinesis: NotRequired[KinesisArgs]
    """With `source: kinesis`. Default: a stream of its own."""
    kafka: NotRequired[KafkaArgs]
    """With `source: kafka`, always."""
    max_lag_seconds: NotRequired[int]
    """Oldest event that may wait. Default 60."""
    attempts: NotRequired[int]
    """Deliveries of an event before it goes to the dead-letter queue. Default 5."""
    backlog_per_worker: NotRequired[int]
    """Waiting events for which one more worker is started. Default 100."""
    feature_tables: NotRequired[dict[str, OnlineTableArgs]]
    """Feature group -> its online table, for events that name a key instead of features. Default none."""
    scaler_role_name: NotRequired[pulumi.Input[str]]
    """IAM role of the cluster's KEDA operator, which is granted to read the backlog. Default: it may already."""


class StreamScoring(pulumi.ComponentResource):
    """A stream worker: at least once, poison to the dead-letter queue, nothing lost when a worker dies.

    Workers acknowledge an event only when its prediction is in the event store (and on the output topic, if any).
    KEDA adds and removes workers; a worker that is removed finishes what it has taken.
    """

    namespace: pulumi.Output[str]
    """Namespace of everything Kubernetes."""
    deployment: pulumi.Output[str]
    """Name of the Deployment, whether or not there is a model to run yet."""
    role_arn: pulumi.Output[str]
    """ARN of the workers' role."""
    source_arn: pulumi.Output[str]
    """ARN of the queue, stream or cluster; empty for brokers outside AWS."""
    source_url: pulumi.Output[str]
    """Where producers send: queue URL, stream name or brokers."""
    dead_letters_url: pulumi.Output[str]
    """URL of the dead-letter queue."""

    def __init__(self, name: str, args: StreamScoringArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:index:StreamScoring", name, {**args}, opts)
        self._name = name
        self._args = args
        workers = require_workers(args["service"], args["replicas"])
        # A worker has no callers to wait for, only its batch to finish.
        self._drain = drain(60, load_balanced=False, pre_stop_seconds=0)
        self._source = self._make_source(place_of(self).region, workers["max"])
        self._workload = start_workload(self, name, args, "stream", self._grants)
        identity = self._workload.identity
        network_policy.allow_only(
            identity.name,
            self._workload.namespace,
            identity.labels,
            identity.selector,
            [network_policy.from_namespaces(network_policy.METRICS_NAMESPACES, [REST_PORT])],
            [*network_policy.to_aws(), *([network_policy.to_ports(self._source.ports)] if self._source.ports else [])],
            resource=f"{name}-network-policy",
            parent=self,
        )
        if model := self._workload.model:
            self._scale(self._deployment(model))
        if self._source.scaler_grants and "scaler_role_name" in args:
            aws.iam.RolePolicy(
                f"{name}-scaler-policy",
                role=args["scaler_role_name"],
                policy=iam.document(self._source.scaler_grants),
                opts=pulumi.ResourceOptions(parent=self),
            )
        self._alarms(identity)
        self.namespace = self._workload.namespace
        self.deployment = pulumi.Output.from_input(identity.name)
        self.role_arn = self._workload.who.role_arn
        self.source_arn = self._source.arn
        self.source_url = self._source.url
        self.dead_letters_url = self._source.dead_letters.url
        self.register_outputs(
            {
                "namespace": self.namespace,
                "deployment": self.deployment,
                "role_arn": self.role_arn,
                "source_arn": self.source_arn,
                "source_url": self.source_url,
                "dead_letters_url": self.dead_letters_url,
            }
        )

    def _make_source(self, region: pulumi.Output[str], max_workers: int) -> StreamSource:
        args = self._args
        request = SourceRequest(
            resource=self._name,
            identity=Identity(args["environment"], args["service"], "stream"),
            kms_key_arn=args["kms_key_arn"],
            region=region,
            attempts=args.get("attempts", 5),
            max_lag_seconds=args.get("max_lag_seconds", 60),
            backlog_per_worker=args.get("backlog_per_worker", 100),
            max_workers=max_workers,
            tags=args.get("tags"),
            parent=self,
        )
        if args["source"] == "sqs":
            return sqs_source(request)
        if args["source"] == "kinesis":
            return kinesis_source(request, args.get("kinesis", {}))
        if args["source"] == "kafka" and "kafka" in args:
            return kafka_source(request, args["kafka"])
        raise ValueError(
            f"service {args['service']}: stream source {args['source']!r}: expected one of {', '.join(SOURCES)}, "
            "and with kafka also its topic (kafka.topic)"
        )

    def _grants(self, place: Place) -> list[iam.Statement]:
        """Reads its source, sets poison aside, appends to the event store, and looks features up."""
        capture = place.bucket_arn(self._args["capture_bucket"])
        return [
            *self._source.grants,
            *iam.write_objects(capture, f"{self._args['service']}/"),
            *lookup_grants(place, self._args.get("feature_tables", {})),
        ]

    def _deployment(self, model: ModelArgs) -> k8s.apps.v1.Deployment:
        args, identity = self._args, self._workload.identity
        variables: dict[str, pulumi.Input[str]] = {
            "SLIPWAY_REST_PORT": str(REST_PORT),
            "SLIPWAY_DRAIN_SECONDS": str(self._drain.drain_seconds),
            "SLIPWAY_STREAM_SOURCE": args["source"],
            "SLIPWAY_CAPTURE_URI": pulumi.Output.concat("s3://", args["capture_bucket"], f"/{identity.service}/"),
            **self._source.variables,
            **lookup_variables(args.get("feature_tables", {})),
        }
        pod = self._workload.pod(model, variables, grace_seconds=self._drain.grace_seconds, scraped=True)
        return k8s.apps.v1.Deployment(
            f"{self._name}-deployment",
            metadata={"name": identity.name, "namespace": self._workload.namespace, "labels": identity.labels},
            spec={
                "replicas": args["replicas"]["min"],
                "revision_history_limit": 3,
                "progress_deadline_seconds": STARTUP_SECONDS * 2,
                "selector": {"match_labels": identity.selector},
                "strategy": {"type": "RollingUpdate", "rolling_update": {"max_unavailable": 0, "max_surge": "25%"}},
                "template": pod_template(pod, worker_container(self._drain)),
            },
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=list(self._workload.who.ready),
                ignore_changes=["spec.replicas"] if _scales(args["replicas"]) else None,
            ),
        )

    def _scale(self, deployment: k8s.apps.v1.Deployment) -> None:
        args, identity = self._args, self._workload.identity
        if not _scales(args["replicas"]):
            return
        k8s.apiextensions.CustomResource(
            f"{self._name}-scaling",
            api_version="keda.sh/v1alpha1",
            kind="ScaledObject",
            metadata={"name": identity.name, "namespace": self._workload.namespace, "labels": identity.labels},
            spec=scaled_workers(identity, args["replicas"], self._source.trigger),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[deployment]),
        )

    def _alarms(self, identity: Identity) -> None:
        alarms = Alarms(
            identity.environment, identity.service, self._args["notify"], self._args.get("tags"), self, self._name
        )
        failed = dead_letter_alarm("stream-dead-letters", self._source.dead_letters.name, "Events")
        alarms.make([*self._source.alarms, failed])


def require_workers(service: str, workers: WorkersArgs) -> WorkersArgs:
    """`workers`, when the bounds can be; else a ValueError."""
    if not (0 <= workers["min"] <= workers["max"] and workers["max"] >= 1):
        raise ValueError(
            f"service {service}: stream replicas: expected 0 <= min <= max and max of 1 or more, got min "
            f"{workers['min']}, max {workers['max']}"
        )
    return workers


def worker_container(drain: Drain) -> k8s.core.v1.ContainerArgsDict:
    """Probes of a worker, which answers on the port `rest` with its health and metrics only."""
    return serving_container("stream", drain, grpc=False)


def scaled_workers(identity: Identity, workers: WorkersArgs, trigger: Trigger) -> dict[str, Any]:
    """Spec of KEDA's ScaledObject (https://keda.sh/docs/latest/reference/scaledobject-spec/)."""
    return {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": identity.name},
        "minReplicaCount": workers["min"],
        "maxReplicaCount": workers["max"],
        "pollingInterval": 15,
        # Long enough that a pause between two bursts does not cost a start each time.
        "cooldownPeriod": 300,
        "triggers": [{"type": trigger.kind, "metadata": trigger.metadata}],
    }


def _scales(workers: WorkersArgs) -> bool:
    return workers["min"] < workers["max"]
