"""What EC2's resource types share: an id that AWS makes up, ARNs made of it, and one way to tag."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from local.aws.api import Api, Call, Step
from local.aws.definition import Scope
from local.aws.names import Names
from local.aws.tagging import Tags
from local.provider.values import Props


@dataclass(frozen=True)
class Ec2Tags(Tags):
    """EC2 tags every resource by its id, and lists tags by a filter."""

    def of(self, scope: Scope, service: str, facts: Props) -> dict[str, str]:
        """The tags that it has now; AWS's own are left out."""
        who = [{"Name": "resource-id", "Values": [facts["id"]]}]
        found: list[dict[str, Any]] = scope.client(service).describe_tags(Filters=who)["Tags"]
        return {tag["Key"]: tag["Value"] for tag in found if not tag["Key"].startswith("aws:")}


EC2_TAGS = Ec2Tags(
    "Resources", "{id}", add_call="create_tags", remove_call="delete_tags", list="describe_tags", after_create=True
)


def arn(kind: str) -> Callable[[Scope, Props], Props]:
    """A step that adds what EC2 does not answer: the ARN of a resource of this kind, and its owner."""

    def add(_scope: Scope, facts: Props) -> Props:
        where = f"arn:{facts['partition']}:ec2:{facts['region']}:{facts['account']}"
        return {"arn": f"{where}:{kind}/{facts['id']}", "ownerId": facts["account"]}

    return add


def ec2(
    token: str,
    noun: str,
    kind: str,
    *,
    make: Call,
    find: Call,
    remove: str,
    removes_many: bool = False,
    after_make: tuple[Step, ...] = (),
    more: tuple[Step, ...] = (),
    change: tuple[Step, ...] = (),
    before_remove: Step | None = None,
    renames: Mapping[str, str] | None = None,
    tagged: bool = True,
    facts: tuple[str, ...] = ("id",),
    **rest: Any,
) -> Api:
    """A row of EC2's table. `noun` is the API's name of the id without `Id`: `Vpc` of `VpcId` and `VpcIds`."""
    return Api(
        token,
        id="{id}",
        service="ec2",
        make=make,
        after_make=after_make,
        find=(find, arn(kind), *more),
        change=change,
        before_remove=before_remove,
        remove=Call(remove, keys={f"{noun}Ids" if removes_many else f"{noun}Id": "{id}"}),
        names=Names(renames={f"{noun}Id": "id", f"{noun}Ids": "id", **(renames or {})}),
        facts=facts,
        tags=EC2_TAGS if tagged else None,
        **rest,
    )


def by_id(operation: str, ids: str, result: str) -> Call:
    """The call that describes one resource by its id."""
    return Call(operation, result=f"{result}.0", keys={ids: "{id}"})
