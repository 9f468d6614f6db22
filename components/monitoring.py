"""What an environment's operations share: who is told, the record of events, and the dashboard of all services."""

from typing import NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from components import iam
from components.alarms import Urgency
from components.dashboards import dashboard, environment_plots
from components.iam import Statement
from components.naming import Limit, named
from components.place import Place, place_of

_PUBLISHERS = ("budgets.amazonaws.com", "cloudwatch.amazonaws.com")


class MonitoringArgs(TypedDict):
    """What a Monitoring is given."""

    environment: str
    """Environment name; part of every name."""
    kms_key_arn: pulumi.Input[str]
    """Key that encrypts topics and logs."""
    event_bus: pulumi.Input[str]
    """Name of the environment's bus, whose events are recorded."""
    services: list[str]
    """Services of the environment, for its dashboard."""
    email: NotRequired[str]
    """Address that every alarm goes to; AWS asks it to confirm once. Default: nobody is subscribed."""
    log_retention_days: NotRequired[int]
    """Days that the record of events is kept. Default 365."""
    tags: NotRequired[dict[str, pulumi.Input[str]]]
    """Tags on everything that takes tags."""


class Monitoring(pulumi.ComponentResource):
    """Two SNS topics by urgency (page, ticket), the log of every event on the bus, and the environment's dashboard."""

    page_topic_arn: pulumi.Output[str]
    """Topic for what must be looked at now."""
    ticket_topic_arn: pulumi.Output[str]
    """Topic for what must be looked at on the next working day."""
    event_log_group: pulumi.Output[str]
    """Log group with every event of the bus."""

    def __init__(self, name: str, args: MonitoringArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("slipway:index:Monitoring", name, {**args}, opts)
        self._name = name
        self._args = args
        self._environment = args["environment"]
        self._mine = pulumi.ResourceOptions(parent=self)
        place = place_of(self)
        self.page_topic_arn = self._topic(Urgency.PAGE, place)
        self.ticket_topic_arn = self._topic(Urgency.TICKET, place)
        self.event_log_group = self._event_log()
        aws.cloudwatch.Dashboard(
            f"{name}-dashboard",
            dashboard_name=named(self._environment, limit=Limit.DASHBOARD),
            dashboard_body=place.region.apply(
                lambda region: dashboard(self._environment, "", region, environment_plots(args["services"]), [])
            ),
            opts=self._mine,
        )
        self.register_outputs(
            {
                "page_topic_arn": self.page_topic_arn,
                "ticket_topic_arn": self.ticket_topic_arn,
                "event_log_group": self.event_log_group,
            }
        )

    def _topic(self, urgency: Urgency, place: Place) -> pulumi.Output[str]:
        """A topic that alarms and budgets of this account may publish to; known once its policy is in force."""
        name = f"{self._name}-{urgency}"
        topic = aws.sns.Topic(
            name,
            name=named(self._environment, urgency.value, limit=Limit.SNS),
            display_name=f"Slipway {self._environment} {urgency}",
            kms_master_key_id=self._args["kms_key_arn"],
            tags=self._args.get("tags"),
            opts=self._mine,
        )
        policy = aws.sns.TopicPolicy(
            f"{name}-policy", arn=topic.arn, policy=iam.document(topic_statements(topic.arn, place)), opts=self._mine
        )
        if "email" in self._args:
            aws.sns.TopicSubscription(
                f"{name}-email", topic=topic.arn, protocol="email", endpoint=self._args["email"], opts=self._mine
            )
        return pulumi.Output.all(topic.arn, policy.urn).apply(lambda known: known[0])

    def _event_log(self) -> pulumi.Output[str]:
        name = f"{self._name}-events"
        group = aws.cloudwatch.LogGroup(
            f"{name}-log",
            # EventBridge writes only to groups that begin so.
            name=f"/aws/events/{named(self._environment, limit=Limit.EVENTBRIDGE)}",
            retention_in_days=self._args.get("log_retention_days", 365),
            kms_key_id=self._args["kms_key_arn"],
            tags=self._args.get("tags"),
            opts=self._mine,
        )
        rule = aws.cloudwatch.EventRule(
            f"{name}-rule",
            name=named(self._environment, "events", limit=Limit.EVENTBRIDGE),
            description=f"Every event of {self._environment}, for the record.",
            event_bus_name=self._args["event_bus"],
            # An empty prefix matches every source.
            event_pattern='{"source": [{"prefix": ""}]}',
            tags=self._args.get("tags"),
            opts=self._mine,
        )
        writers = {"Service": ["delivery.logs.amazonaws.com", "events.amazonaws.com"]}
        streams: list[pulumi.Input[str]] = [pulumi.Output.concat(group.arn, ":*")]
        allowed = aws.cloudwatch.LogResourcePolicy(
            f"{name}-log-policy",
            policy_name=named(self._environment, "events", limit=Limit.EVENTBRIDGE),
            # As EventBridge's guide has it: only PutLogEvents states the rule that it is for.
            policy_document=iam.document(
                [
                    {
                        "Effect": "Allow",
                        "Principal": writers,
                        "Action": ["logs:CreateLogStream"],
                        "Resource": streams,
                    },
                    {
                        "Effect": "Allow",
                        "Principal": writers,
                        "Action": ["logs:PutLogEvents"],
                        "Resource": streams,
                        "Condition": {"ArnEquals": {"aws:SourceArn": rule.arn}},
                    },
                ]
            ),
            opts=self._mine,
        )
        aws.cloudwatch.EventTarget(
            f"{name}-target",
            rule=rule.name,
            event_bus_name=self._args["event_bus"],
            target_id="log",
            arn=group.arn,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[allowed]),
        )
        return group.name


def topic_statements(topic_arn: pulumi.Input[str], place: Place) -> list[Statement]:
    """The topic's policy: CloudWatch and Budgets of this account may publish, and nobody over plain HTTP."""
    return [
        {
            "Sid": "OwnAlarms",
            "Effect": "Allow",
            "Principal": {"Service": list(_PUBLISHERS)},
            "Action": ["sns:Publish"],
            "Resource": [topic_arn],
            "Condition": {"StringEquals": {"aws:SourceAccount": place.account}},
        },
        {
            "Sid": "RefusePlainHttp",
            "Effect": "Deny",
            "Principal": "*",
            "Action": ["sns:Publish"],
            "Resource": [topic_arn],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        },
    ]
