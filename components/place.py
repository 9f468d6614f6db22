"""Where a stack is deployed: account, region and partition, asked of the provider and never written in a config."""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws


@dataclass(frozen=True)
class Place:
    """Account, region and partition of the provider that a component's children use."""

    account: pulumi.Output[str]
    """Twelve digits."""
    region: pulumi.Output[str]
    """Such as `eu-west-1`."""
    partition: pulumi.Output[str]
    """`aws`, `aws-cn` or `aws-us-gov`: second part of every ARN."""

    def arn(self, service: str, resource: pulumi.Input[str]) -> pulumi.Output[str]:
        """ARN of a resource of this account and region, for a policy that must name it before it exists."""
        return pulumi.Output.concat(
            "arn:", self.partition, f":{service}:", self.region, ":", self.account, ":", resource
        )

    def bucket_arn(self, bucket: pulumi.Input[str]) -> pulumi.Output[str]:
        """ARN of a bucket from its name."""
        return pulumi.Output.concat("arn:", self.partition, ":s3:::", bucket)


def place_of(component: pulumi.ComponentResource) -> Place:
    """The place of `component`, through the provider that it was given."""
    ask = pulumi.InvokeOptions(parent=component)
    return Place(
        account=aws.get_caller_identity_output(opts=ask).account_id,
        region=aws.get_region_output(opts=ask).region,
        partition=aws.get_partition_output(opts=ask).partition,
    )
