"""CloudWatch: alarms and dashboards. The emulation does not evaluate alarms; their state can be set."""

from typing import Any

from local.aws.api import Api, Call, operation_model
from local.aws.definition import Scope
from local.aws.names import Names
from local.aws.shapes import from_api, to_api
from local.aws.stored import Stored
from local.aws.tagging import Tags
from local.provider.values import Props

_TAGS = Tags("ResourceARN")
_NAMES = Names("Alarm", {"AlarmDescription": "alarmDescription", "Metrics": ""})
_UNORDERED = ("alarmActions", "okActions", "insufficientDataActions")
_QUERY = {"id": "Id", "expression": "Expression", "label": "Label", "period": "Period", "accountId": "AccountId"}
_STAT = {"period": "Period", "stat": "Stat", "unit": "Unit"}


def _put_alarm(scope: Scope, facts: Props) -> None:
    client = scope.client("cloudwatch")
    model = operation_model(client, "put_metric_alarm")
    parameters = to_api(model.input_shape, METRIC_ALARM.schema.types, facts, _NAMES)
    if queries := facts.get("metricQueries"):
        parameters["Metrics"] = [_query_to_api(query) for query in queries]
    client.put_metric_alarm(**parameters)


def _find_alarm(scope: Scope, facts: Props) -> Props | None:
    client = scope.client("cloudwatch")
    alarms = client.describe_alarms(AlarmNames=[facts["name"]], AlarmTypes=["MetricAlarm"])["MetricAlarms"]
    if not alarms:
        return None
    shape = operation_model(client, "describe_alarms").output_shape.members["MetricAlarms"].member
    found = from_api(shape, METRIC_ALARM.schema.types, alarms[0], _NAMES)
    if queries := alarms[0].get("Metrics"):
        found["metricQueries"] = [_query_from_api(query) for query in queries]
    return found


def _query_to_api(query: Props) -> dict[str, Any]:
    """The API keeps what measures apart from the metric that is measured; the property has both in one."""
    made = {member: query[name] for name, member in _QUERY.items() if query.get(name) is not None}
    if query.get("returnData") is not None:
        made["ReturnData"] = query["returnData"]
    if metric := query.get("metric"):
        wanted: dict[str, str] = metric.get("dimensions") or {}
        dimensions = [{"Name": key, "Value": value} for key, value in wanted.items()]
        about: dict[str, Any] = {"MetricName": metric["metricName"], "Dimensions": dimensions}
        if metric.get("namespace"):
            about["Namespace"] = metric["namespace"]
        made["MetricStat"] = {"Metric": about} | {m: metric[n] for n, m in _STAT.items() if metric.get(n) is not None}
    return made


def _query_from_api(query: Props) -> Props:
    made: Props = {name: query[member] for name, member in _QUERY.items() if query.get(member) is not None}
    if "ReturnData" in query:
        made["returnData"] = query["ReturnData"]
    if stat := query.get("MetricStat"):
        metric = stat["Metric"]
        made["metric"] = {name: stat[member] for name, member in _STAT.items() if stat.get(member) is not None}
        made["metric"] |= {"metricName": metric["MetricName"], "namespace": metric.get("Namespace")}
        made["metric"]["dimensions"] = {item["Name"]: item["Value"] for item in metric.get("Dimensions", [])}
    return made


METRIC_ALARM = Api(
    "aws:cloudwatch/metricAlarm:MetricAlarm",
    id="{name}",
    service="cloudwatch",
    make=_put_alarm,
    find=(_find_alarm,),
    change=(_put_alarm,),
    remove=Call("delete_alarms", keys={"AlarmNames": "{name}"}),
    names=_NAMES,
    tags=_TAGS,
    autoname="name",
    replace_on=("name",),
    unordered=_UNORDERED,
    outputs={"actionsEnabled": True, "treatMissingData": "missing"},
)

TYPES = (
    METRIC_ALARM,
    Stored(
        "aws:cloudwatch/compositeAlarm:CompositeAlarm",
        id="{alarmName}",
        stored="the emulation evaluates no alarms, and knows no composite ones",
        replace_on=("alarmName",),
        unordered=_UNORDERED,
        outputs={"actionsEnabled": True, "arn": "arn:{partition}:cloudwatch:{region}:{account}:alarm:{alarmName}"},
    ),
    Api(
        "aws:cloudwatch/dashboard:Dashboard",
        id="{dashboardName}",
        service="cloudwatch",
        make=Call("put_dashboard"),
        find=(Call("get_dashboard"),),
        change=(Call("put_dashboard"),),
        remove=Call("delete_dashboards", keys={"DashboardNames": "{dashboardName}"}),
        replace_on=("dashboardName",),
    ),
)
