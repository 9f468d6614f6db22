"""Config → components: one service with its patterns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws

from components.alarms import NotifyArgs
from components.data_store import DataStore
from components.model import ModelArgs
from components.model_registry import ModelRegistry
from components.model_service import ModelService, ModelServiceArgs
from components.pod import ResourcesArgs
from components.service_namespace import ServiceNamespace, namespace_name
from components.workload import WorkloadArgs
from stacks.config.model import StackConfig
from stacks.config.services import Batch, BusinessMetric, KafkaStream, Quality, Resources, Rest, Service, Stream
from stacks.config.services import Retraining as RetrainingConfig
from stacks.ingress import ingress_args

if TYPE_CHECKING:
    from components.batch_scoring import BatchScoringArgs
    from components.feature_store import FeatureStore
    from components.features import OnlineTableArgs
    from components.kafka import KafkaArgs
    from components.retraining import RetrainingArgs
    from components.service_alarms import BusinessMetricArgs, QualityArgs
    from components.service_monitoring import ServiceMonitoringArgs
    from components.stream_scoring import StreamScoringArgs
    from stacks.cloud import Cloud


@dataclass(frozen=True)
class Shared:
    """What the services of an environment share."""

    config: StackConfig
    data: DataStore
    registry: ModelRegistry
    image: pulumi.Output[str]
    notify: NotifyArgs | None
    """Who is told of alarms; None where nothing is watched."""
    features: FeatureStore | None
    account: aws.Provider
    cloud: Cloud | None
    """None on one machine: its Kubernetes API is the default one."""

    def opts(self, *after: pulumi.Resource) -> pulumi.ResourceOptions:
        """Where a component's resources go, and what must be there first.

        A service comes after the cluster's operators and pools and, what matters more, goes before them: objects that
        nobody is left to take leave of would hold up their namespace for ever.
        """
        cloud = self.cloud
        return pulumi.ResourceOptions(
            providers=[self.account, cloud.cluster.kubernetes] if cloud else [self.account],
            depends_on=[*((cloud.cluster, *cloud.pools.values()) if cloud else ()), *after],
        )


LOCAL_DRAIN_SECONDS = 4
"""On one machine no load balancer is still learning that a pod has gone: it may end a second after its last request."""


def build_service(name: str, service: Service, shared: Shared) -> dict[str, object]:
    """Makes a service with its patterns; its entry in the stack's outputs."""
    return Builder(name, service, shared).build()


class Builder:
    """One service in the making."""

    def __init__(self, name: str, service: Service, shared: Shared) -> None:
        self._name = name
        self._service = service
        self._shared = shared
        self._environment = shared.config.environment.value

    def build(self) -> dict[str, object]:
        """Makes it; its entry in the stack's outputs."""
        name, service, shared = self._name, self._service, self._shared
        home = ServiceNamespace(f"{name}-home", {"environment": self._environment, "service": name}, shared.opts())
        self._namespace = home.namespace
        after: list[pulumi.Resource] = []
        if shared.notify:
            after = [self._watched(shared.notify)]
        if service.rest:
            ModelService(f"{name}-rest", self._rest(service.rest), shared.opts(*after))
        stream = self._reporting(shared.notify, after) if shared.notify else None
        jobs = {"drift": service.drift.enabled, "retraining": service.retraining}
        return {
            "namespace": namespace_name(name),
            "deployment": f"{name}-rest",
            "service": f"{name}-rest",
            "model": service.model.name,
            "version": service.model.version,
            "digest": service.model.digest,
            "patterns": list(service.patterns),
            "stream": stream,
            # What these jobs do inside their containers comes with the runtime that knows it; until then they wait.
            "suspended": [job for job, wanted in jobs.items() if wanted and shared.notify],
        }

    def _workload(self, wanted: Resources, pool: str | None) -> WorkloadArgs:
        """What every pattern is given."""
        shared = self._shared
        resources: ResourcesArgs = {"cpu": wanted.cpu, "memory": wanted.memory, "gpus": wanted.gpus}
        args: WorkloadArgs = {
            "environment": self._environment,
            "service": self._name,
            "namespace": self._namespace,
            "image": shared.image,
            "models_bucket": shared.data.models_bucket,
            "kms_key_arn": shared.data.kms_key_arn,
            "resources": resources,
        }
        if pool:
            args["pool"] = pool
        if model := released(self._service):
            args["model"] = model
        if shared.cloud:
            args["cluster_name"] = shared.cloud.cluster.name
        return args

    def _rest(self, rest: Rest) -> ModelServiceArgs:
        shared = self._shared
        args: ModelServiceArgs = {
            **self._workload(rest.resources, rest.pool),
            "capture_bucket": shared.data.capture_bucket,
            "replicas": {"min": rest.replicas.min, "max": rest.replicas.max, "cpu_percent": rest.scaling.cpu_percent},
            "workers": rest.workers,
            "max_body_bytes": rest.max_body_mib * 1024 * 1024,
            "max_rows": rest.max_rows,
        }
        if rest.scaling.requests_per_second:
            args["replicas"]["requests_per_second"] = rest.scaling.requests_per_second
        if tables := self._feature_tables():
            args["feature_tables"] = tables
        if not shared.cloud:
            args["drain_seconds"] = LOCAL_DRAIN_SECONDS
        if rest.ingress and shared.cloud:
            args["ingress"] = ingress_args(rest.ingress, shared.cloud)
        if rest.ingress and rest.ingress.auth and rest.ingress.auth.api_keys_arn:
            args["api_keys_secret_arn"] = rest.ingress.auth.api_keys_arn
        if rest.local_port:
            args["annotations"] = {"slipway.dev/local-port": str(rest.local_port)}
        return args

    def _feature_tables(self) -> dict[str, OnlineTableArgs]:
        store = self._shared.features
        return {group: store.lookup(group) for group in self._service.features} if store else {}

    # Imported where they are needed: the SDK behind them takes a second to load, which one machine need not wait for.

    def _watched(self, notify: NotifyArgs) -> pulumi.Resource:
        """Alarms and log groups, before any pod: a log group that pods make is neither encrypted nor does it expire."""
        from components.service_monitoring import ServiceMonitoring

        return ServiceMonitoring(f"{self._name}-monitoring", self._monitoring(notify), self._shared.opts())

    def _reporting(self, notify: NotifyArgs, after: list[pulumi.Resource]) -> dict[str, object] | None:
        """The patterns that report to somebody; where events go in, of a service with a stream."""
        stream: dict[str, object] | None = None
        name, service, shared = self._name, self._service, self._shared
        if service.batch:
            from components.batch_scoring import BatchScoring

            BatchScoring(f"{name}-batch", self._batch(service.batch, notify), shared.opts(*after))
        if service.stream:
            from components.stream_scoring import StreamScoring

            made = StreamScoring(f"{name}-stream", self._stream(service.stream, notify), shared.opts(*after))
            stream = {
                "source": service.stream.source.value,
                "url": made.source_url,
                "dead_letters": made.dead_letters_url,
            }
        if service.retraining:
            from components.retraining import Retraining

            Retraining(f"{name}-retraining", self._retraining(service.retraining, notify), shared.opts(*after))
        return stream

    def _batch(self, batch: Batch, notify: NotifyArgs) -> BatchScoringArgs:
        return {
            **self._workload(batch.resources, batch.pool),
            "schedule": batch.schedule,
            "input": batch.input,
            "format": batch.format.value,
            "parallelism": batch.parallelism,
            "attempts": batch.attempts,
            "deadline_minutes": batch.deadline_minutes,
            "max_bad_rows_percent": batch.max_bad_rows_percent,
            "warehouse_bucket": self._shared.data.warehouse_bucket,
            "notify": notify,
        }

    def _stream(self, stream: Stream, notify: NotifyArgs) -> StreamScoringArgs:
        args: StreamScoringArgs = {
            **self._workload(stream.resources, stream.pool),
            "source": stream.source.value,
            "replicas": {"min": stream.replicas.min, "max": stream.replicas.max},
            "max_lag_seconds": stream.max_lag_seconds,
            "attempts": stream.attempts,
            "capture_bucket": self._shared.data.capture_bucket,
            "notify": notify,
        }
        if tables := self._feature_tables():
            args["feature_tables"] = tables
        if stream.kinesis and stream.kinesis.stream_arn:
            args["kinesis"] = {"stream_arn": stream.kinesis.stream_arn}
        if stream.kafka:
            args["kafka"] = kafka_args(stream.kafka, self._shared.cloud)
        if self._shared.cloud:
            args["scaler_role_name"] = self._shared.cloud.cluster.scaler_role_name
        return args

    def _monitoring(self, notify: NotifyArgs) -> ServiceMonitoringArgs:
        service, shared = self._service, self._shared
        args: ServiceMonitoringArgs = {
            **self._workload(Resources(), None),
            "patterns": list(service.patterns),
            "notify": notify,
            "capture_bucket": shared.data.capture_bucket,
            "outcomes_bucket": shared.data.outcomes_bucket,
            "event_bus": shared.registry.event_bus,
            "log_retention_days": shared.config.platform.data.retention.logs_days,
            "business_metrics": {name: business_metric(metric) for name, metric in service.business_metrics.items()},
        }
        if service.rest:
            slo = service.rest.slo
            args["slo"] = {"availability_percent": slo.availability_percent, "p95_ms": slo.p95_ms}
        if service.drift.enabled:
            drift = service.drift
            args["drift"] = {
                "psi": drift.psi,
                "window_hours": drift.window_hours,
                "min_samples": drift.min_samples,
                "schedule": drift.schedule,
            }
            args["quality"] = quality_args(service.quality)
        return args

    def _retraining(self, retraining: RetrainingConfig, notify: NotifyArgs) -> RetrainingArgs:
        shared = self._shared
        args: RetrainingArgs = {
            **self._workload(retraining.resources, retraining.pool),
            "model_name": self._service.model.name,
            "on": [reason.value for reason in retraining.on],
            "approval": (retraining.approval or shared.config.platform.approvals.models).value,
            "capture_bucket": shared.data.capture_bucket,
            "outcomes_bucket": shared.data.outcomes_bucket,
            "event_bus": shared.registry.event_bus,
            "notify": notify,
            "cooldown_hours": retraining.cooldown_hours,
            "min_gain_percent": retraining.min_gain_percent,
            "deadline_minutes": retraining.deadline_minutes,
        }
        if retraining.image:
            args["trainer_image"] = retraining.image
        if retraining.schedule:
            args["schedule"] = retraining.schedule
        if shared.cloud:
            args["scaler_role_name"] = shared.cloud.cluster.scaler_role_name
        return args


def quality_args(quality: Quality) -> QualityArgs:
    """When predictions have become worse."""
    args: QualityArgs = {
        "max_loss_percent": quality.max_loss_percent,
        "window_hours": quality.window_hours,
        "min_labels": quality.min_labels,
    }
    if quality.metric:
        args["metric"] = quality.metric.value
    return args


def business_metric(metric: BusinessMetric) -> BusinessMetricArgs:
    """The bounds that are set."""
    args: BusinessMetricArgs = {"window_hours": metric.window_hours}
    if metric.min is not None:
        args["min"] = metric.min
    if metric.max is not None:
        args["max"] = metric.max
    return args


def kafka_args(kafka: KafkaStream, cloud: Cloud | None) -> KafkaArgs:
    """The topic, and the cluster that is used or the network that one is made in."""
    args: KafkaArgs = {"topic": kafka.topic}
    if kafka.output_topic:
        args["output_topic"] = kafka.output_topic
    if kafka.brokers:
        args["brokers"] = list(kafka.brokers)
    elif kafka.cluster_arn:
        args["cluster_arn"] = kafka.cluster_arn
    elif cloud:
        args["network"] = {
            "vpc_id": cloud.network.vpc_id,
            "subnet_ids": cloud.network.private_subnet_ids,
            "client_security_group_id": cloud.cluster.security_group_id,
        }
    return args


def released(service: Service) -> ModelArgs | None:
    """The model version that a service runs; None before its first release."""
    model = service.model
    if not (model.version and model.digest):
        return None
    return {"name": model.name, "version": model.version, "digest": model.digest}
