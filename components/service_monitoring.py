"""How one service is watched: its log group, its alarms, its dashboard, and the job that compares."""

from typing import Any, NotRequired

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s

from components import iam, network_policy
from components.alarms import Alarm, Alarms, NotifyArgs
from components.cron import require_cron
from components.dashboards import dashboard, service_plots
from components.metrics import log_group
from components.model import ModelArgs
from components.naming import Limit, named
from components.place import Place
from components.pod import pod_template
from components.service_alarms import (
    BusinessMetricArgs,
    DriftArgs,
    QualityArgs,
    business_alarms,
    drift_alarm,
    latency_alarm,
    objective_alarms,
    quality_alarm,
    saturation_alarms,
)
from components.slo import SloArgs
from components.workload import WorkloadArgs, start_workload


class ServiceMonitoringArgs(WorkloadArgs):
    """What a ServiceMonitoring is given."""

    patterns: list[str]
    """Patterns of the service: `rest`, `batch`, `stream`."""
    notify: NotifyArgs
    """Who is told."""
    capture_bucket: pulumi.Input[str]
    """Bucket of the captured predictions."""
    outcomes_bucket: pulumi.Input[str]
    """Bucket of the labels and business results."""
    event_bus: pulumi.Input[str]
    """Name of the bus that drift and lost quality are told on."""
    slo: NotRequired[SloArgs]
    """What users are promised; needed with the pattern `rest`."""
    drift: NotRequired[DriftArgs]
    """When inputs have moved. Default: not watched, and then nothing is compared at all."""
    quality: NotRequired[QualityArgs]
    """When predictions have become worse. Default: not watched."""
    business_metrics: NotRequired[dict[str, BusinessMetricArgs]]
    """Business results to watch, by name. Default none."""
    log_retention_days: NotRequired[int]
    """Days that logs are kept. Default 30."""
    suspended: NotRequired[bool]
    """Keep the comparing job from running. Default True, until the runtime knows how to compare."""


class ServiceMonitoring(pulumi.ComponentResource):
    """Alarms from the service's own objective, on what its pods write to its log group, and a dashboard.

    Make it before the service's pods: a log group that they find is encrypted and expires; one that they had to make
    themselves would be neither. The alarms of batch runs and streams belong to those components.
    """

    log_group: pulumi.Output[str]
    """Log group of the service's pods."""
    dashboard: pulumi.Output[str]
    """Name of the service's dashboard."""
    monitor: pulumi.Output[str | None]
    """Name of the CronJob that compares; none without a drift rule."""
    role_arn: pulumi.Output[str]
    """ARN of the comparing job's role."""

    def __init__(self, name: str, args: ServiceMonitoringArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:index:ServiceMonitoring", name, {**args}, opts)
        self._name = name
        self._args = args
        if "rest" in args["patterns"] and "slo" not in args:
            raise ValueError(f"service {args['service']}: expected slo with the pattern rest, got none")
        self._workload = start_workload(self, name, args, "monitor", self._grants)
        identity = self._workload.identity
        self.log_group = self._log_group()
        self._alarms()
        self.dashboard = self._dashboard()
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
        self.monitor = pulumi.Output.from_input(None)
        if "drift" in args:
            require_cron(args["drift"]["schedule"])
            self.monitor = pulumi.Output.from_input(identity.name)
            if model := self._workload.model:
                self._cron_job(model, args["drift"]["schedule"])
        self.role_arn = self._workload.who.role_arn
        self.register_outputs(
            {
                "log_group": self.log_group,
                "dashboard": self.dashboard,
                "monitor": self.monitor,
                "role_arn": self.role_arn,
            }
        )

    def _grants(self, place: Place) -> list[iam.Statement]:
        """Reads the service's captures and outcomes, and tells on the bus."""
        prefix = f"{self._args['service']}/"
        bus = place.arn("events", pulumi.Output.concat("event-bus/", self._args["event_bus"]))
        return [
            *iam.read_objects(place.bucket_arn(self._args["capture_bucket"]), prefix),
            *iam.read_objects(place.bucket_arn(self._args["outcomes_bucket"]), prefix),
            iam.put_events(bus),
        ]

    def _log_group(self) -> pulumi.Output[str]:
        identity = self._workload.identity
        return aws.cloudwatch.LogGroup(
            f"{self._name}-log",
            name=log_group(identity.environment, identity.service),
            retention_in_days=self._args.get("log_retention_days", 30),
            kms_key_id=self._args["kms_key_arn"],
            tags=self._args.get("tags"),
            opts=pulumi.ResourceOptions(parent=self),
        ).name

    def _alarms(self) -> None:
        args, identity = self._args, self._workload.identity
        alarms = Alarms(identity.environment, identity.service, args["notify"], args.get("tags"), self, self._name)
        wanted: list[Alarm] = []
        self._alarm_arns: list[pulumi.Output[str]] = []
        if "rest" in args["patterns"] and "slo" in args:
            self._alarm_arns += [alarm.arn for alarm in objective_alarms(alarms, args["slo"])]
            wanted.append(latency_alarm(args["slo"]))
            wanted += saturation_alarms(identity.service, args.get("cluster_name"))
        if "drift" in args:
            wanted.append(drift_alarm(args["drift"]))
        if "quality" in args:
            wanted.append(quality_alarm(args["quality"]))
        for metric, spec in args.get("business_metrics", {}).items():
            wanted += business_alarms(identity.environment, identity.service, metric, spec)
        self._alarm_arns += [alarm.arn for alarm in alarms.make(wanted)]

    def _dashboard(self) -> pulumi.Output[str]:
        args, identity = self._args, self._workload.identity
        plots = service_plots(
            args["patterns"],
            args.get("slo"),
            args["drift"]["psi"] if "drift" in args else None,
            list(args.get("business_metrics", {})),
        )
        return aws.cloudwatch.Dashboard(
            f"{self._name}-dashboard",
            dashboard_name=named(identity.environment, identity.service, limit=Limit.DASHBOARD),
            dashboard_body=pulumi.Output.all(self._workload.place.region, *self._alarm_arns).apply(
                lambda known: dashboard(identity.environment, identity.service, known[0], plots, known[1:])
            ),
            opts=pulumi.ResourceOptions(parent=self),
        ).dashboard_name

    def _cron_job(self, model: ModelArgs, schedule: str) -> None:
        args, identity = self._args, self._workload.identity
        variables: dict[str, pulumi.Input[str]] = {
            "SLIPWAY_CAPTURE_URI": pulumi.Output.concat("s3://", args["capture_bucket"], f"/{identity.service}/"),
            "SLIPWAY_OUTCOMES_URI": pulumi.Output.concat("s3://", args["outcomes_bucket"], f"/{identity.service}/"),
            "SLIPWAY_EVENT_BUS": args["event_bus"],
            "SLIPWAY_MONITOR_RULES": pulumi.Output.json_dumps(monitor_rules(args)),
        }
        pod = self._workload.pod(model, variables, restart_policy="Never")
        k8s.batch.v1.CronJob(
            f"{self._name}-cron-job",
            metadata={"name": identity.name, "namespace": self._workload.namespace, "labels": identity.labels},
            spec={
                "schedule": schedule,
                "time_zone": "Etc/UTC",
                "concurrency_policy": "Forbid",
                "starting_deadline_seconds": 1800,
                "successful_jobs_history_limit": 1,
                "failed_jobs_history_limit": 3,
                "suspend": args.get("suspended", True),
                "job_template": {
                    "metadata": {"labels": identity.labels},
                    "spec": {
                        "backoff_limit": 2,
                        "active_deadline_seconds": 3600,
                        "ttl_seconds_after_finished": 86_400,
                        "template": pod_template(pod),
                    },
                },
            },
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(self._workload.who.ready)),
        )


def monitor_rules(args: ServiceMonitoringArgs) -> dict[str, Any]:
    """What the comparing job is told to look for: `SLIPWAY_MONITOR_RULES`."""
    rules: dict[str, Any] = {"drift": args.get("drift")}
    if "quality" in args:
        rules["quality"] = args["quality"]
    if metrics := args.get("business_metrics"):
        rules["business_metrics"] = metrics
    return rules
