"""The record of who talked to whom in a VPC."""

import pulumi
import pulumi_aws as aws

from components import iam
from components.naming import Limit, named
from components.place import Place


def flow_logs(
    name: str,
    vpc: aws.ec2.Vpc,
    place: Place,
    *,
    environment: str,
    retention_days: int,
    kms_key_arn: pulumi.Input[str] | None,
    tags: dict[str, pulumi.Input[str]] | None,
    record_tags: dict[str, pulumi.Input[str]],
    parent: pulumi.Resource,
) -> None:
    """Makes the flow log of a VPC, with its log group and the role that writes there.

    `name` is the first part of the resources' names; `record_tags` go on the flow log itself, which EC2 shows.
    """
    mine = pulumi.ResourceOptions(parent=parent)
    group = aws.cloudwatch.LogGroup(
        name,
        name=f"/slipway/{environment}/flow-logs",
        retention_in_days=retention_days,
        kms_key_id=kms_key_arn,
        tags=tags,
        opts=mine,
    )
    role = aws.iam.Role(
        f"{name}-role",
        name=named(environment, "flow-logs", limit=Limit.IAM_ROLE),
        description="VPC flow logs write to their log group.",
        assume_role_policy=iam.trust_service("vpc-flow-logs.amazonaws.com", place.account),
        tags=tags,
        opts=mine,
    )
    allowed = aws.iam.RolePolicy(
        f"{name}-policy",
        role=role.name,
        policy=iam.document(
            [
                iam.allow(
                    ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
                    [group.arn, pulumi.Output.concat(group.arn, ":*")],
                ),
                iam.allow(["logs:DescribeLogGroups"], [place.arn("logs", "log-group:*")]),
            ]
        ),
        opts=mine,
    )
    aws.ec2.FlowLog(
        f"{name}-record",
        vpc_id=vpc.id,
        traffic_type="ALL",
        log_destination_type="cloud-watch-logs",
        log_destination=group.arn,
        iam_role_arn=role.arn,
        # 60 or 600 seconds are allowed; an incident is looked at by the minute.
        max_aggregation_interval=60,
        tags=record_tags,
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[allowed]),
    )
