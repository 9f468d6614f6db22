"""What each API takes as a name, a description or a tag: from AWS's own API models where they say it (botocore)."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import botocore.session
from pulumi_mocks import Made

MODELLED: Mapping[tuple[str, str], tuple[str, str]] = {
    ("aws:athena/workgroup:Workgroup", "description"): ("athena", "WorkGroupDescriptionString"),
    ("aws:athena/workgroup:Workgroup", "name"): ("athena", "WorkGroupName"),
    ("aws:budgets/budget:Budget", "name"): ("budgets", "BudgetName"),
    ("aws:cloudwatch/compositeAlarm:CompositeAlarm", "alarmDescription"): ("cloudwatch", "AlarmDescription"),
    ("aws:cloudwatch/compositeAlarm:CompositeAlarm", "alarmName"): ("cloudwatch", "AlarmName"),
    ("aws:cloudwatch/eventBus:EventBus", "description"): ("events", "EventBusDescription"),
    ("aws:cloudwatch/eventBus:EventBus", "name"): ("events", "EventBusName"),
    ("aws:cloudwatch/eventRule:EventRule", "description"): ("events", "RuleDescription"),
    ("aws:cloudwatch/eventRule:EventRule", "name"): ("events", "RuleName"),
    ("aws:cloudwatch/eventTarget:EventTarget", "targetId"): ("events", "TargetId"),
    ("aws:cloudwatch/logGroup:LogGroup", "name"): ("logs", "LogGroupName"),
    ("aws:cloudwatch/logMetricFilter:LogMetricFilter", "name"): ("logs", "FilterName"),
    ("aws:cloudwatch/metricAlarm:MetricAlarm", "alarmDescription"): ("cloudwatch", "AlarmDescription"),
    ("aws:cloudwatch/metricAlarm:MetricAlarm", "name"): ("cloudwatch", "AlarmName"),
    ("aws:cloudwatch/metricAlarm:MetricAlarm", "namespace"): ("cloudwatch", "Namespace"),
    ("aws:dynamodb/table:Table", "hashKey"): ("dynamodb", "KeySchemaAttributeName"),
    ("aws:dynamodb/table:Table", "name"): ("dynamodb", "TableName"),
    ("aws:ecr/repository:Repository", "name"): ("ecr", "RepositoryName"),
    ("aws:eks/cluster:Cluster", "name"): ("eks", "ClusterName"),
    ("aws:glue/catalogDatabase:CatalogDatabase", "description"): ("glue", "DescriptionString"),
    ("aws:glue/catalogDatabase:CatalogDatabase", "name"): ("glue", "NameString"),
    ("aws:glue/catalogTable:CatalogTable", "description"): ("glue", "DescriptionString"),
    ("aws:glue/catalogTable:CatalogTable", "name"): ("glue", "NameString"),
    ("aws:iam/role:Role", "description"): ("iam", "roleDescriptionType"),
    ("aws:iam/role:Role", "name"): ("iam", "roleNameType"),
    ("aws:kinesis/stream:Stream", "name"): ("kinesis", "StreamName"),
    ("aws:kms/alias:Alias", "name"): ("kms", "AliasNameType"),
    ("aws:kms/key:Key", "description"): ("kms", "DescriptionType"),
    ("aws:sagemaker/modelPackageGroup:ModelPackageGroup", "modelPackageGroupDescription"): (
        "sagemaker",
        "EntityDescription",
    ),
    ("aws:sagemaker/modelPackageGroup:ModelPackageGroup", "modelPackageGroupName"): ("sagemaker", "EntityName"),
    ("aws:scheduler/schedule:Schedule", "description"): ("scheduler", "Description"),
    ("aws:scheduler/schedule:Schedule", "name"): ("scheduler", "Name"),
}
"""Type and property -> service and shape of its API model."""
_EC2_TEXT = r"[a-zA-Z0-9. _:/()#,@\[\]+=&;{}!$*-]*"
WRITTEN: Mapping[tuple[str, str], tuple[int, str]] = {
    # API references: SetSubscriptionAttributes/CreateTopic, CreateQueue, PutDashboard, CreateServerlessCluster …
    ("aws:cloudwatch/dashboard:Dashboard", "dashboardName"): (255, r"[A-Za-z0-9_-]+"),
    ("aws:cloudwatch/logResourcePolicy:LogResourcePolicy", "policyName"): (512, r"[^:*]+"),
    ("aws:ec2/securityGroup:SecurityGroup", "description"): (255, _EC2_TEXT),
    ("aws:eks/nodeGroup:NodeGroup", "nodeGroupName"): (63, r"[A-Za-z0-9][A-Za-z0-9_-]*"),
    ("aws:eks/podIdentityAssociation:PodIdentityAssociation", "namespace"): (63, r"[a-z0-9]([a-z0-9-]*[a-z0-9])?"),
    ("aws:msk/serverlessCluster:ServerlessCluster", "clusterName"): (64, r"[a-zA-Z0-9-]+"),
    ("aws:s3/bucket:Bucket", "bucket"): (63, r"(?!xn--|sthree-|amzn-s3-demo-)[a-z0-9][a-z0-9-]+[a-z0-9](?<!-s3alias)"),
    ("aws:sns/topic:Topic", "displayName"): (100, r".*"),
    ("aws:sns/topic:Topic", "name"): (256, r"[A-Za-z0-9_-]+(\.fifo)?"),
    ("aws:sqs/queue:Queue", "name"): (80, r"[A-Za-z0-9_-]+(\.fifo)?"),
    ("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule", "description"): (255, _EC2_TEXT),
    ("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", "description"): (255, _EC2_TEXT),
}
"""What botocore's models do not say: longest text and its characters."""
NAMING = re.compile(r"(?i).*(name|description)|targetId|namespace|hashKey")
REFERRING = {"serviceName", "addonName", "clusterName", "databaseName", "eventBusName", "metricName", "attributeName"}
"""Properties that are called like names and refer to something that is named elsewhere, or by AWS."""
TAG_KEY = re.compile(r"(?!aws:)[\w .:/=+@-]{1,128}")
TAG_VALUE = re.compile(r"[\w .:/=+@-]{0,256}")
LABEL_KEY = re.compile(r"([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
LABEL_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?")
DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
LOAD_BALANCER = re.compile(r"(?!internal-)[a-zA-Z0-9]([a-zA-Z0-9-]{0,30}[a-zA-Z0-9])?")
CRON_JOB_CHARACTERS = 52
"""A CronJob's name gets eleven more characters to become its Job's."""


@cache
def _limits(service: str, shape: str) -> tuple[int, int, str]:
    """Least and most characters and the pattern of a shape."""
    model = botocore.session.get_session().get_service_model(service)
    metadata = model.shape_for(shape).metadata
    pattern = metadata.get("pattern", "").replace("(?i)", "")  # in the middle of a pattern Python has no such flag
    # Patterns of whole alphabets are written in a dialect that Python has not.
    spelled = "" if r"\p{" in pattern or r"\uD7FF" in pattern else pattern.removeprefix("^").removesuffix("$")
    return metadata.get("min", 0), metadata.get("max", 10**6), spelled


def wrong(made: Made) -> Iterator[str]:
    """What an API would refuse about the names, descriptions, tags and labels of a resource."""
    for key, value in made.inputs.items():
        if isinstance(value, str):
            yield from _wrong_text(made, key, value)
    for key, value in (made.inputs.get("tags") or {}).items():
        if made.typ.startswith("aws:") and not (TAG_KEY.fullmatch(key) and TAG_VALUE.fullmatch(value)):
            yield f"{made.name}: tag {key!r}: {value!r}"
    if made.typ.startswith("kubernetes:"):
        yield from _wrong_metadata(made)


def _wrong_text(made: Made, key: str, value: str) -> Iterator[str]:
    place = (made.typ, key)
    if place in MODELLED:
        least, most, pattern = _limits(*MODELLED[place])
        if not least <= len(value) <= most or (pattern and not re.fullmatch(pattern, value)):
            yield f"{made.name}.{key}: {value!r} is not {least} to {most} of {pattern or 'any character'}"
    elif place in WRITTEN:
        most, pattern = WRITTEN[place]
        if len(value) > most or not re.fullmatch(pattern, value):
            yield f"{made.name}.{key}: {value!r} is not up to {most} of {pattern}"
    elif made.typ.startswith("aws:") and NAMING.fullmatch(key) and key not in REFERRING:
        yield f"{made.typ} {key}: is in no list here"


def _wrong_metadata(made: Made) -> Iterator[str]:
    metadata: dict[str, Any] = made.inputs.get("metadata") or {}
    most = CRON_JOB_CHARACTERS if made.typ.endswith(":CronJob") else 63
    if (name := metadata.get("name")) and (len(name) > most or not DNS_LABEL.fullmatch(name)):
        yield f"{made.name}: name {name!r} is no DNS label of up to {most} characters"
    for key, value in (metadata.get("labels") or {}).items():
        if not (LABEL_KEY.fullmatch(key) and LABEL_VALUE.fullmatch(value)):
            yield f"{made.name}: label {key!r}: {value!r}"
    annotations: dict[str, str] = metadata.get("annotations") or {}
    balancer = annotations.get("alb.ingress.kubernetes.io/load-balancer-name")
    if balancer and not LOAD_BALANCER.fullmatch(balancer):
        yield f"{made.name}: load balancer {balancer!r}"
