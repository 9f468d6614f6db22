"""CloudWatch Logs: groups, filters, queries, and who may write."""

from local.aws.api import Api, Call
from local.aws.definition import Scope
from local.aws.names import Names
from local.aws.stored import Stored
from local.aws.tagging import Tags
from local.provider.values import Props


def _retention(scope: Scope, facts: Props) -> None:
    if "retentionInDays" in facts.get("__changed", {"retentionInDays"} & facts.keys()):
        client, days = scope.client("logs"), facts.get("retentionInDays")
        if days:
            client.put_retention_policy(logGroupName=facts["name"], retentionInDays=days)
        else:
            client.delete_retention_policy(logGroupName=facts["name"])


def _key(scope: Scope, facts: Props) -> None:
    if "kmsKeyId" not in facts["__changed"]:
        return
    client = scope.client("logs")
    if facts.get("kmsKeyId"):
        client.associate_kms_key(logGroupName=facts["name"], kmsKeyId=facts["kmsKeyId"])
    else:
        client.disassociate_kms_key(logGroupName=facts["name"])


def _remove_filter(scope: Scope, facts: Props) -> None:
    scope.client("logs").delete_metric_filter(logGroupName=facts["logGroupName"], filterName=facts["name"])


def _plain_arn(found: Props) -> Props:
    """The API ends a group's ARN in `:*`, for its streams."""
    return {**found, "arn": found["arn"].removesuffix(":*")}


TYPES = (
    Api(
        "aws:cloudwatch/logGroup:LogGroup",
        id="{name}",
        service="logs",
        make=Call("create_log_group"),
        after_make=(_retention,),
        find=(
            Call(
                "describe_log_groups",
                result="logGroups",
                keys={"logGroupNamePrefix": "{name}"},
                select=("logGroupName", "{name}"),
            ),
        ),
        change=(_retention, _key),
        remove=Call("delete_log_group"),
        names=Names("logGroup", {"logGroupClass": "logGroupClass"}),
        adapt=_plain_arn,
        tags=Tags("resourceArn", "arn:{partition}:logs:{region}:{account}:log-group:{name}"),
        autoname="name",
        replace_on=("name", "namePrefix", "logGroupClass"),
        outputs={"logGroupClass": "STANDARD", "retentionInDays": 0, "skipDestroy": False},
    ),
    Api(
        "aws:cloudwatch/logResourcePolicy:LogResourcePolicy",
        id="{policyName}",
        service="logs",
        make=Call("put_resource_policy"),
        find=(Call("describe_resource_policies", result="resourcePolicies", select=("policyName", "{policyName}")),),
        change=(Call("put_resource_policy"),),
        remove=Call("delete_resource_policy", keys={"policyName": "{policyName}"}),
        replace_on=("policyName", "resourceArn"),
    ),
    Api(
        "aws:cloudwatch/logMetricFilter:LogMetricFilter",
        id="{name}",
        service="logs",
        make=Call("put_metric_filter"),
        find=(
            Call(
                "describe_metric_filters",
                result="metricFilters.0",
                keys={"logGroupName": "{logGroupName}", "filterNamePrefix": "{name}"},
            ),
        ),
        # moto adds a second filter of the same name where AWS overwrites the first.
        change=(_remove_filter, Call("put_metric_filter")),
        remove=Call("delete_metric_filter"),
        names=Names(
            renames={
                "filterName": "name",
                "filterPattern": "pattern",
                "metricName": "name",
                "metricNamespace": "namespace",
                "metricValue": "value",
            }
        ),
        autoname="name",
        replace_on=("name", "logGroupName"),
    ),
    Api(
        "aws:cloudwatch/logSubscriptionFilter:LogSubscriptionFilter",
        id="{logGroup}|{name}",
        service="logs",
        make=Call("put_subscription_filter"),
        find=(
            Call(
                "describe_subscription_filters",
                result="subscriptionFilters",
                select=("filterName", "{name}"),
            ),
        ),
        change=(Call("put_subscription_filter"),),
        remove=Call("delete_subscription_filter"),
        names=Names(renames={"logGroupName": "logGroup", "filterName": "name"}),
        autoname="name",
        replace_on=("name", "logGroup"),
    ),
    Stored(
        "aws:cloudwatch/queryDefinition:QueryDefinition",
        id="{queryDefinitionId}",
        stored="the emulation has no saved queries",
        made=(("queryDefinitionId", "{digest:.8}-{digest:.4}-{digest:.4}-{digest:.4}-{digest:.12}"),),
        autoname="name",
    ),
)
