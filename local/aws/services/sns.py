"""SNS: topics, their policies and who listens."""

from local.aws.api import Api, Call
from local.aws.definition import Scope
from local.aws.names import Names
from local.aws.tagging import Tags, pairs
from local.provider.values import Props

_TOPIC = {
    "TopicArn": "arn",
    "Owner": "owner",
    "DisplayName": "displayName",
    "Policy": "policy",
    "DeliveryPolicy": "deliveryPolicy",
    "KmsMasterKeyId": "kmsMasterKeyId",
    "FifoTopic": "fifoTopic",
    "ContentBasedDeduplication": "contentBasedDeduplication",
    "SignatureVersion": "signatureVersion",
    "TracingConfig": "tracingConfig",
    "ArchivePolicy": "archivePolicy",
}
_SUBSCRIPTION = {
    "SubscriptionArn": "arn",
    "TopicArn": "topic",
    "Protocol": "protocol",
    "Endpoint": "endpoint",
    "Owner": "ownerId",
    "RawMessageDelivery": "rawMessageDelivery",
    "FilterPolicy": "filterPolicy",
    "FilterPolicyScope": "filterPolicyScope",
    "DeliveryPolicy": "deliveryPolicy",
    "RedrivePolicy": "redrivePolicy",
    "SubscriptionRoleArn": "subscriptionRoleArn",
    "PendingConfirmation": "pendingConfirmation",
}
_SAID_BY_THE_API = ("TopicArn", "Owner", "SubscriptionArn", "Protocol", "Endpoint", "PendingConfirmation")


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _settable(attributes: dict[str, str], facts: Props) -> dict[str, str]:
    settable = {key: facts.get(name) for key, name in attributes.items() if key not in _SAID_BY_THE_API}
    return {key: _text(value) for key, value in settable.items() if value is not None}


def _make_topic(scope: Scope, facts: Props) -> Props:
    attributes = _settable(_TOPIC, facts)
    if attributes.get("FifoTopic") == "false":  # only `true` is a value of it
        del attributes["FifoTopic"]
    answer = scope.client("sns").create_topic(Name=facts["name"], Attributes=attributes, Tags=pairs(facts))
    return {"arn": answer["TopicArn"]}


def _change_topic(scope: Scope, facts: Props) -> None:
    for key, name in _TOPIC.items():
        if name in facts["__changed"]:
            value = _text(facts.get(name, ""))
            scope.client("sns").set_topic_attributes(TopicArn=facts["arn"], AttributeName=key, AttributeValue=value)


def _subscribe(scope: Scope, facts: Props) -> Props:
    answer = scope.client("sns").subscribe(
        TopicArn=facts["topic"],
        Protocol=facts["protocol"],
        Endpoint=facts["endpoint"],
        Attributes=_settable(_SUBSCRIPTION, facts),
        ReturnSubscriptionArn=True,
    )
    return {"arn": answer["SubscriptionArn"]}


def _change_subscription(scope: Scope, facts: Props) -> None:
    client = scope.client("sns")
    for key, name in _SUBSCRIPTION.items():
        if name in facts["__changed"]:
            value = _text(facts.get(name, ""))
            client.set_subscription_attributes(SubscriptionArn=facts["arn"], AttributeName=key, AttributeValue=value)


def _put_policy(scope: Scope, facts: Props) -> None:
    scope.client("sns").set_topic_attributes(
        TopicArn=facts["arn"], AttributeName="Policy", AttributeValue=facts["policy"]
    )


def _no_policy(scope: Scope, facts: Props) -> None:
    """A topic is never without a policy: what comes back is the one that lets its account do everything."""
    statement = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "SNS:*", "Resource": facts["arn"]}
    condition = {"StringEquals": {"AWS:SourceOwner": facts["account"]}}
    import json

    policy = json.dumps({"Version": "2008-10-17", "Statement": [{**statement, "Condition": condition}]})
    _put_policy(scope, {**facts, "policy": policy})


TYPES = (
    Api(
        "aws:sns/topic:Topic",
        id="{arn}",
        service="sns",
        make=_make_topic,
        find=(Call("get_topic_attributes", result="Attributes", keys={"TopicArn": "{arn}"}),),
        change=(_change_topic,),
        remove=Call("delete_topic", keys={"TopicArn": "{arn}"}),
        attributes=_TOPIC,
        tags=Tags("ResourceArn"),
        autoname="name",
        adapt=lambda found: {**found, "name": found["arn"].rsplit(":", 1)[-1]},
        replace_on=("name", "namePrefix", "fifoTopic"),
        outputs={"fifoTopic": False, "contentBasedDeduplication": False},
    ),
    Api(
        "aws:sns/topicPolicy:TopicPolicy",
        id="{arn}",
        service="sns",
        make=_put_policy,
        find=(Call("get_topic_attributes", result="Attributes", keys={"TopicArn": "{arn}"}),),
        change=(_put_policy,),
        remove=_no_policy,
        attributes={"Policy": "policy", "Owner": "owner"},
        replace_on=("arn",),
    ),
    Api(
        "aws:sns/topicSubscription:TopicSubscription",
        id="{arn}",
        service="sns",
        make=_subscribe,
        find=(Call("get_subscription_attributes", result="Attributes", keys={"SubscriptionArn": "{arn}"}),),
        change=(_change_subscription,),
        remove=Call("unsubscribe", keys={"SubscriptionArn": "{arn}"}),
        names=Names(renames={"SubscriptionArn": "arn"}),
        attributes=_SUBSCRIPTION,
        replace_on=("topic", "protocol", "endpoint"),
        outputs={
            "confirmationTimeoutInMinutes": 1,
            "endpointAutoConfirms": False,
            "rawMessageDelivery": False,
            "confirmationWasAuthenticated": True,
            "pendingConfirmation": False,
        },
    ),
)
