"""EventBridge: buses, rules, targets, archives."""

from local.aws import templates
from local.aws.api import Api, Call
from local.aws.definition import Scope
from local.aws.names import Names
from local.aws.tagging import Tags
from local.provider.values import Props

DEFAULT_BUS = "default"
_TAGS = Tags("ResourceARN")


class OnBus(Api):
    """What lives on a bus. Its id begins with the bus, unless that is the account's default one."""

    def identity(self, facts: Props) -> str | None:
        """The id; rules that name no bus are on the default one."""
        bus = facts.get("eventBusName", DEFAULT_BUS)
        full = super().identity({**facts, "eventBusName": bus})
        return full[len(DEFAULT_BUS) + 1 :] if full and bus == DEFAULT_BUS else full

    def facts_of(self, resource_id: str) -> Props:
        """The bus that an id leaves out is the default one."""
        separator = self.id.removeprefix("{eventBusName}")[0]
        full = super().facts_of(resource_id)
        known = full.keys() == {*templates.fields(self.id)} and resource_id.count(separator) == self.id.count(separator)
        return full if known else super().facts_of(f"{DEFAULT_BUS}{separator}{resource_id}")


def _policy_of_bus(scope: Scope, facts: Props) -> Props | None:
    bus = scope.client("events").describe_event_bus(Name=facts["eventBusName"])
    return {"policy": bus["Policy"]} if bus.get("Policy") else None


def _no_policy_of_bus(scope: Scope, facts: Props) -> None:
    scope.client("events").remove_permission(EventBusName=facts["eventBusName"], RemoveAllPermissions=True)


_PUT_TARGET = Call("put_targets", within="Targets")
_ARN = "arn:{partition}:events:{region}:{account}"

TYPES = (
    Api(
        "aws:cloudwatch/eventBus:EventBus",
        id="{name}",
        service="events",
        make=Call("create_event_bus"),
        find=(Call("describe_event_bus", keys={"Name": "{name}"}),),
        change=(Call("update_event_bus"),),
        remove=Call("delete_event_bus"),
        tags=_TAGS,
        replace_on=("name", "eventSourceName"),
        outputs={"arn": f"{_ARN}:event-bus/{{name}}"},
    ),
    Api(
        "aws:cloudwatch/eventBusPolicy:EventBusPolicy",
        id="{eventBusName}",
        service="events",
        make=Call("put_permission"),
        find=(_policy_of_bus,),
        change=(Call("put_permission"),),
        remove=_no_policy_of_bus,
        replace_on=("eventBusName",),
        outputs={"eventBusName": DEFAULT_BUS},
    ),
    OnBus(
        "aws:cloudwatch/eventRule:EventRule",
        id="{eventBusName}/{name}",
        service="events",
        make=Call("put_rule"),
        find=(Call("describe_rule", keys={"EventBusName": "{eventBusName}"}),),
        change=(Call("put_rule"),),
        remove=Call("delete_rule", keys={"EventBusName": "{eventBusName}", "Force": "{forceDestroy}"}),
        tags=_TAGS,
        autoname="name",
        replace_on=("name", "namePrefix", "eventBusName"),
        outputs={"eventBusName": DEFAULT_BUS, "state": "ENABLED", "forceDestroy": False},
    ),
    OnBus(
        "aws:cloudwatch/eventTarget:EventTarget",
        id="{eventBusName}-{rule}-{targetId}",
        service="events",
        make=_PUT_TARGET,
        find=(
            Call(
                "list_targets_by_rule",
                result="Targets",
                keys={"EventBusName": "{eventBusName}"},
                select=("Id", "{targetId}"),
            ),
        ),
        change=(_PUT_TARGET,),
        remove=Call("remove_targets", keys={"EventBusName": "{eventBusName}", "Ids": "{targetId}"}),
        names=Names(
            renames={
                "Id": "targetId",
                "SqsParameters": "sqsTarget",
                "KinesisParameters": "kinesisTarget",
                "BatchParameters": "batchTarget",
                "EcsParameters": "ecsTarget",
                "HttpParameters": "httpTarget",
                "InputPathsMap": "inputPaths",
            }
        ),
        autoname="targetId",
        replace_on=("rule", "eventBusName", "targetId"),
        outputs={"eventBusName": DEFAULT_BUS},
    ),
    Api(
        "aws:cloudwatch/eventArchive:EventArchive",
        id="{name}",
        service="events",
        make=Call("create_archive"),
        find=(Call("describe_archive"),),
        change=(Call("update_archive"),),
        remove=Call("delete_archive"),
        names=Names("Archive"),
        autoname="name",
        replace_on=("name", "eventSourceArn"),
        outputs={"arn": f"{_ARN}:archive/{{name}}"},
    ),
)
