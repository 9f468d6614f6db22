"""EventBridge Scheduler: schedules and their groups. The emulation keeps them; nothing is started by them."""

from local.aws.api import Api, Call
from local.aws.names import Names
from local.aws.tagging import Tags

_GROUP = {"GroupName": "{groupName}"}

TYPES = (
    Api(
        "aws:scheduler/schedule:Schedule",
        id="{groupName}/{name}",
        service="scheduler",
        make=Call("create_schedule"),
        find=(Call("get_schedule", keys=_GROUP),),
        change=(Call("update_schedule"),),
        remove=Call("delete_schedule", keys=_GROUP),
        names=Names(),
        autoname="name",
        replace_on=("name", "namePrefix", "groupName"),
        outputs={"groupName": "default", "state": "ENABLED", "scheduleExpressionTimezone": "UTC"},
    ),
    Api(
        "aws:scheduler/scheduleGroup:ScheduleGroup",
        id="{name}",
        service="scheduler",
        make=Call("create_schedule_group"),
        find=(Call("get_schedule_group"),),
        remove=Call("delete_schedule_group"),
        tags=Tags("ResourceArn"),
        autoname="name",
        replace_on=("name", "namePrefix"),
    ),
)
