"""SQS: queues and their policies."""

from local.aws.api import Api, Call
from local.aws.definition import Scope
from local.aws.names import Names
from local.aws.tagging import Tags
from local.provider.values import Props

ATTRIBUTES = {
    "ContentBasedDeduplication": "contentBasedDeduplication",
    "DeduplicationScope": "deduplicationScope",
    "DelaySeconds": "delaySeconds",
    "FifoQueue": "fifoQueue",
    "FifoThroughputLimit": "fifoThroughputLimit",
    "KmsDataKeyReusePeriodSeconds": "kmsDataKeyReusePeriodSeconds",
    "KmsMasterKeyId": "kmsMasterKeyId",
    "MaximumMessageSize": "maxMessageSize",
    "MessageRetentionPeriod": "messageRetentionSeconds",
    "Policy": "policy",
    "QueueArn": "arn",
    "ReceiveMessageWaitTimeSeconds": "receiveWaitTimeSeconds",
    "RedriveAllowPolicy": "redriveAllowPolicy",
    "RedrivePolicy": "redrivePolicy",
    "SqsManagedSseEnabled": "sqsManagedSseEnabled",
    "VisibilityTimeout": "visibilityTimeoutSeconds",
}
_READ_ONLY = ("QueueArn",)
_CREATE_ONLY = ("FifoQueue",)


def _given(facts: Props, without: tuple[str, ...]) -> dict[str, str]:
    """Attributes as the API has them: all text."""
    given = {key: facts.get(name) for key, name in ATTRIBUTES.items() if key not in without}
    return {
        key: str(value).lower() if isinstance(value, bool) else str(value)
        for key, value in given.items()
        if value is not None
    }


def _make(scope: Scope, facts: Props) -> Props:
    attributes = _given(facts, _READ_ONLY)
    if attributes.get("FifoQueue") == "false":  # only `true` is a value of it
        del attributes["FifoQueue"]
    answer = scope.client("sqs").create_queue(
        QueueName=facts["name"], Attributes=attributes, tags=facts.get("tags") or {}
    )
    return {"url": answer["QueueUrl"]}


def _change(scope: Scope, facts: Props) -> None:
    changed = facts["__changed"]
    attributes = {key: facts.get(name) for key, name in ATTRIBUTES.items() if name in changed}
    cleared = {key: "" for key, value in attributes.items() if value is None and key in _CLEARED}
    given = {key: value for key, value in _given(facts, (*_READ_ONLY, *_CREATE_ONLY)).items() if key in attributes}
    if given or cleared:
        scope.client("sqs").set_queue_attributes(QueueUrl=facts["url"], Attributes=given | cleared)


_CLEARED = ("KmsMasterKeyId", "Policy", "RedriveAllowPolicy", "RedrivePolicy")
_FIND = Call("get_queue_attributes", result="Attributes", keys={"AttributeNames": ["All"]})


def _set(attribute: str, name: str) -> Api:
    """One attribute of a queue as a resource of its own."""
    put = Call("set_queue_attributes", within="Attributes")

    def remove(scope: Scope, facts: Props) -> None:
        scope.client("sqs").set_queue_attributes(QueueUrl=facts["queueUrl"], Attributes={attribute: ""})

    return Api(
        f"aws:sqs/{name[0].lower()}{name[1:]}:{name}",
        id="{queueUrl}",
        service="sqs",
        make=put,
        find=(_FIND,),
        change=(put,),
        remove=remove,
        attributes={attribute: attribute[0].lower() + attribute[1:]},
        replace_on=("queueUrl",),
    )


TYPES = (
    Api(
        "aws:sqs/queue:Queue",
        id="{url}",
        service="sqs",
        make=_make,
        find=(_FIND,),
        change=(_change,),
        remove=Call("delete_queue"),
        names=Names("Queue"),
        adapt=lambda found: {**found, "name": found["url"].rsplit("/", 1)[-1]},
        attributes=ATTRIBUTES,
        tags=Tags("QueueUrl", "{url}", "tag_queue", "untag_queue", "list_queue_tags"),
        autoname="name",
        replace_on=("name", "namePrefix", "fifoQueue"),
        outputs={
            "delaySeconds": 0,
            "fifoQueue": False,
            "contentBasedDeduplication": False,
            "maxMessageSize": 262144,
            "messageRetentionSeconds": 345600,
            "receiveWaitTimeSeconds": 0,
            "visibilityTimeoutSeconds": 30,
        },
    ),
    _set("Policy", "QueuePolicy"),
    _set("RedrivePolicy", "RedrivePolicy"),
    _set("RedriveAllowPolicy", "RedriveAllowPolicy"),
)
