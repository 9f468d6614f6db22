"""From a reason to retrain to a candidate in the registry, one at a time and never without approval in production."""

import json
from typing import Any, NotRequired

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s

from components import events, iam, network_policy, queues
from components.alarms import Alarms, NotifyArgs, dead_letter_alarm
from components.cron import eventbridge_cron
from components.events import DetailType
from components.manifest import manifest
from components.model import ModelArgs
from components.model_registry import candidate_statements, model_group_name
from components.naming import Limit, named, require_name
from components.place import Place, place_of
from components.pod import pod_template
from components.workload import WorkloadArgs, start_workload

REASONS = {"drift": DetailType.DRIFT_DETECTED, "quality": DetailType.QUALITY_DEGRADED}
"""Reasons that are told on the environment's bus; `schedule` is the third."""
APPROVALS = ("manual", "automatic")
_ATTEMPTS = 2
"""A training that failed twice is looked at by a person."""
_MAX_HIDDEN_SECONDS = 12 * 3600
"""SQS hides a message for 12 hours at most."""


class RetrainingArgs(WorkloadArgs):
    """What a Retraining is given. `model` is the champion that a candidate has to beat."""

    model_name: str
    """Model that is trained; its group in the registry takes the candidates."""
    on: list[str]
    """What starts a training: `drift`, `quality`, `schedule`; at least one."""
    approval: str
    """`manual`: a person approves candidates; `automatic`: one that beats the champion is approved by the trainer."""
    capture_bucket: pulumi.Input[str]
    """Bucket of the captured predictions."""
    outcomes_bucket: pulumi.Input[str]
    """Bucket of the labels."""
    event_bus: pulumi.Input[str]
    """Name of the environment's bus."""
    notify: NotifyArgs
    """Who is told of a training that failed."""
    trainer_image: NotRequired[pulumi.Input[str]]
    """Image that trains. Default: the serving image."""
    schedule: NotRequired[str]
    """Five cron fields in UTC, for the reason `schedule`."""
    cooldown_hours: NotRequired[int]
    """Least time between two candidates. Default 24."""
    min_gain_percent: NotRequired[float]
    """What a candidate must win by against the champion, on the same held-out rows. Default 0."""
    deadline_minutes: NotRequired[int]
    """A training that takes longer is stopped; at most 690. Default 240."""
    scaler_role_name: NotRequired[pulumi.Input[str]]
    """IAM role of the cluster's KEDA operator, which is granted to read the queue. Default: it may already."""
    suspended: NotRequired[bool]
    """Take requests, but start no trainer. Default True, until the runtime knows how to train."""


class Retraining(pulumi.ComponentResource):
    """Rules that turn drift, lost quality or a schedule into requests, and a job that trains for each.

    No storm: requests go to a first-in-first-out queue as one message group, so that one is worked on at a time and
    equal ones within five minutes are one; the trainer drops a request that comes within the cooldown of the last
    candidate, which it reads from the registry. No unapproved model: unless approval is automatic, the trainer's role
    can register candidates as pending only, and cannot approve.
    """

    queue_url: pulumi.Output[str]
    """URL of the queue of requests."""
    queue_arn: pulumi.Output[str]
    """ARN of the queue of requests."""
    role_arn: pulumi.Output[str]
    """ARN of the trainer's role."""
    trainer: pulumi.Output[str]
    """Name of the ScaledJob, whether or not there is a champion yet."""

    def __init__(self, name: str, args: RetrainingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:index:Retraining", name, {**args}, opts)
        self._name = name
        self._args = require_retraining(args)
        self._environment, self._service = args["environment"], require_name("service", args["service"])
        self._mine = pulumi.ResourceOptions(parent=self)
        self._deadline_seconds = args.get("deadline_minutes", 240) * 60
        place = place_of(self)
        self._requests = queues.queue(
            f"{name}-requests",
            self._environment,
            self._service,
            "retraining",
            kms_key_arn=args["kms_key_arn"],
            attempts=_ATTEMPTS,
            # Longer than a training, or its request would be delivered again while it still runs.
            visibility_seconds=self._deadline_seconds + 1800,
            tags=args.get("tags"),
            parent=self,
            fifo=True,
        )
        self._workload = start_workload(self, name, args, "retrain", self._grants)
        self._rules(place)
        self._trainer_network()
        if model := self._workload.model:
            self._trainer(model)
        if "scaler_role_name" in args:
            aws.iam.RolePolicy(
                f"{name}-scaler-policy",
                role=args["scaler_role_name"],
                policy=iam.document([queues.read_backlog(self._requests.queue.arn)]),
                opts=self._mine,
            )
        Alarms(self._environment, self._service, args["notify"], args.get("tags"), self, name).make(
            [dead_letter_alarm("retraining-failed", self._requests.dead_letters.name, "Requests to retrain")]
        )
        self.queue_url = self._requests.queue.url
        self.queue_arn = self._requests.queue.arn
        self.role_arn = self._workload.who.role_arn
        self.trainer = pulumi.Output.from_input(self._workload.identity.name)
        self.register_outputs(
            {
                "queue_url": self.queue_url,
                "queue_arn": self.queue_arn,
                "role_arn": self.role_arn,
                "trainer": self.trainer,
            }
        )

    def _grants(self, place: Place) -> list[iam.Statement]:
        """Takes requests; reads captures and labels; writes a package, registers it, and tells."""
        args, prefix = self._args, f"{self._service}/"
        bus = place.arn("events", pulumi.Output.concat("event-bus/", args["event_bus"]))
        group = model_group_name(self._environment, args["model_name"])
        return [
            queues.consume(self._requests.queue.arn),
            *iam.read_objects(place.bucket_arn(args["capture_bucket"]), prefix),
            *iam.read_objects(place.bucket_arn(args["outcomes_bucket"]), prefix),
            *iam.write_objects(place.bucket_arn(args["models_bucket"]), f"{args['model_name']}/"),
            *candidate_statements(group, place, automatic=args["approval"] == "automatic"),
            iam.put_events(bus),
        ]

    def _rules(self, place: Place) -> None:
        """The rules that put requests on the queue, and the queue's leave for them."""
        allowed: list[iam.Statement] = []
        told = [REASONS[reason] for reason in self._args["on"] if reason in REASONS]
        if told:
            rule = aws.cloudwatch.EventRule(
                f"{self._name}-rule",
                name=named(self._environment, self._service, "retraining", limit=Limit.EVENTBRIDGE),
                description=f"Reasons to retrain {self._args['model_name']} for {self._service}.",
                event_bus_name=self._args["event_bus"],
                event_pattern=events.pattern(told, {"service": [self._service]}),
                tags=self._args.get("tags"),
                opts=self._mine,
            )
            aws.cloudwatch.EventTarget(
                f"{self._name}-target",
                rule=rule.name,
                event_bus_name=self._args["event_bus"],
                target_id="retraining-requests",
                arn=self._requests.queue.arn,
                sqs_target={"message_group_id": self._service},
                opts=self._mine,
            )
            allowed.append(
                {
                    "Sid": "RulesOfTheBus",
                    "Effect": "Allow",
                    "Principal": {"Service": "events.amazonaws.com"},
                    "Action": ["sqs:SendMessage"],
                    "Resource": [self._requests.queue.arn],
                    "Condition": {"ArnEquals": {"aws:SourceArn": rule.arn}},
                }
            )
        queues.queue_policy(f"{self._name}-requests-queue", self._requests.queue, allowed, self)
        if "schedule" in self._args:
            self._schedule(self._args["schedule"], place)

    def _schedule(self, schedule: str, place: Place) -> None:
        name = f"{self._name}-schedule"
        role = aws.iam.Role(
            f"{name}-role",
            name=named(self._environment, self._service, "retraining-schedule", limit=Limit.IAM_ROLE),
            description=f"Asks for a training of {self._args['model_name']} on schedule.",
            assume_role_policy=iam.trust_service("scheduler.amazonaws.com", place.account),
            tags=self._args.get("tags"),
            opts=self._mine,
        )
        allowed = aws.iam.RolePolicy(
            f"{name}-policy",
            role=role.name,
            policy=iam.document(
                [queues.send(self._requests.queue.arn), iam.encrypt(self._args["kms_key_arn"])],
            ),
            opts=self._mine,
        )
        aws.scheduler.Schedule(
            name,
            name=named(self._environment, self._service, "retraining", limit=Limit.SCHEDULER),
            description=f"Trains {self._args['model_name']} on schedule.",
            schedule_expression=eventbridge_cron(schedule),
            schedule_expression_timezone="UTC",
            # Services that share a schedule need not all train in the same minute.
            flexible_time_window={"mode": "FLEXIBLE", "maximum_window_in_minutes": 15},
            target={
                "arn": self._requests.queue.arn,
                "role_arn": role.arn,
                "input": json.dumps({"service": self._service, "reason": "schedule"}),
                "sqs_parameters": {"message_group_id": self._service},
            },
            opts=pulumi.ResourceOptions(parent=self, depends_on=[allowed]),
        )

    def _trainer_network(self) -> None:
        identity = self._workload.identity
        network_policy.allow_only(
            identity.name,
            self._workload.namespace,
            identity.labels,
            identity.selector,
            [],
            network_policy.to_aws(),
            resource=f"{self._name}-network-policy",
            parent=self,
        )

    def _trainer(self, model: ModelArgs) -> None:
        args, identity = self._args, self._workload.identity
        variables: dict[str, pulumi.Input[str]] = {
            "SLIPWAY_CAPTURE_URI": pulumi.Output.concat("s3://", args["capture_bucket"], f"/{identity.service}/"),
            "SLIPWAY_OUTCOMES_URI": pulumi.Output.concat("s3://", args["outcomes_bucket"], f"/{identity.service}/"),
            "SLIPWAY_MODELS_BUCKET": args["models_bucket"],
            "SLIPWAY_EVENT_BUS": args["event_bus"],
            "SLIPWAY_RETRAINING_QUEUE_URL": self._requests.queue.url,
            "SLIPWAY_RETRAINING_MODEL_GROUP": model_group_name(self._environment, args["model_name"]),
            "SLIPWAY_RETRAINING_COOLDOWN_HOURS": str(args.get("cooldown_hours", 24)),
            "SLIPWAY_RETRAINING_MIN_GAIN_PERCENT": str(args.get("min_gain_percent", 0)),
            "SLIPWAY_RETRAINING_APPROVAL": args["approval"],
        }
        pod = self._workload.pod(model, variables, image=args.get("trainer_image"), restart_policy="Never")
        k8s.apiextensions.CustomResource(
            f"{self._name}-trainer",
            api_version="keda.sh/v1alpha1",
            kind="ScaledJob",
            metadata={
                "name": identity.name,
                "namespace": self._workload.namespace,
                "labels": identity.labels,
                "annotations": {"autoscaling.keda.sh/paused": str(args.get("suspended", True)).lower()},
            },
            spec=self._scaled_job(pod_template(pod)),
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(self._workload.who.ready)),
        )

    def _scaled_job(self, template: k8s.core.v1.PodTemplateSpecArgsDict) -> dict[str, Any]:
        """Spec of KEDA's ScaledJob: one trainer at a time (https://keda.sh/docs/latest/reference/scaledjob-spec/)."""
        return {
            "jobTargetRef": {
                "parallelism": 1,
                "completions": 1,
                # The queue counts attempts: a request that fails comes back, and then goes to the dead letters.
                "backoffLimit": 0,
                "activeDeadlineSeconds": self._deadline_seconds,
                "template": manifest(template),
            },
            "pollingInterval": 60,
            "maxReplicaCount": 1,
            "successfulJobsHistoryLimit": 3,
            "failedJobsHistoryLimit": 3,
            "triggers": [
                {
                    "type": "aws-sqs-queue",
                    "metadata": {
                        "queueURL": self._requests.queue.url,
                        "queueLength": "1",
                        "awsRegion": self._workload.place.region,
                        "identityOwner": "operator",
                    },
                }
            ],
        }


def require_retraining(args: RetrainingArgs) -> RetrainingArgs:
    """`args`, when reasons, schedule, approval and deadline fit; else a ValueError that says what does not."""
    service = args["service"]
    known = (*REASONS, "schedule")
    if not args["on"] or any(reason not in known for reason in args["on"]):
        raise ValueError(
            f"service {service}: retraining.on: expected one or more of {', '.join(known)}, got {args['on']}"
        )
    if ("schedule" in args["on"]) != ("schedule" in args):
        raise ValueError(f"service {service}: retraining: the reason schedule and a schedule go together")
    if args["approval"] not in APPROVALS:
        raise ValueError(
            f"service {service}: retraining.approval: expected {' or '.join(APPROVALS)}, got {args['approval']!r}"
        )
    longest = (_MAX_HIDDEN_SECONDS - 1800) // 60
    if not 1 <= args.get("deadline_minutes", 240) <= longest:
        raise ValueError(
            f"service {service}: retraining.deadline_minutes: expected 1 to {longest} (SQS hides a request for 12 "
            f"hours at most), got {args.get('deadline_minutes')}"
        )
    return args
