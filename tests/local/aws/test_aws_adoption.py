"""Names: an interrupted run may go on, another resource may not take over, types that are only stored are marked."""

import json

import pytest
from aws_plugin import Plugin, RefusedError

pytestmark = pytest.mark.integration
BUCKET = "aws:s3/bucket:Bucket"


def test_what_an_interrupted_run_has_made_is_taken_over(plugin, aws):
    first = plugin.create(BUCKET, {"bucket": "interrupted", "tags": {"run": "first"}})
    # The engine was killed before it heard of it: it asks again, maybe with changed inputs.
    again = plugin.create(BUCKET, {"bucket": "interrupted", "tags": {"run": "second"}})
    assert again.id == first.id
    assert aws.client("s3").get_bucket_tagging(Bucket="interrupted")["TagSet"] == [{"Key": "run", "Value": "second"}]
    plugin.delete(BUCKET, again)


def test_another_resource_may_not_have_the_same_name(plugin, aws):
    mine = plugin.create(BUCKET, {"bucket": "contested"}, name="mine")
    with pytest.raises(RefusedError, match=r"yours: .*already own it.*; choose another name, or take it over"):
        plugin.create(BUCKET, {"bucket": "contested"}, name="yours")
    plugin.delete(BUCKET, mine, name="mine")


def test_what_somebody_else_has_made_is_not_taken_over(plugin, aws):
    with pytest.raises(RefusedError, match="pulumi import aws:s3/bucket:Bucket new 'there'"):
        plugin.create(BUCKET, {"bucket": "there"}, name="new")


def test_stored_types_are_marked_for_status(plugin, environment):
    token = "aws:cloudwatch/compositeAlarm:CompositeAlarm"
    made = plugin.create(token, {"alarmName": "only-stored", "alarmRule": "ALARM(a)"})
    records = [json.loads(path.read_text()) for path in (environment / "aws/resources").rglob("*.json")]
    (record,) = [record for record in records if record["id"] == "only-stored"]
    assert (record["token"], record["stored"], record["urn"].endswith("::thing")) == (token, True, True)
    with pytest.raises(RefusedError, match="only-stored already exists"):
        plugin.create(token, {"alarmName": "only-stored", "alarmRule": "ALARM(b)"}, name="other")
    plugin.delete(token, made)
    assert plugin.read(token, made) is None


def test_drift_is_shown_and_undone(plugin, aws):
    token = "aws:sqs/queue:Queue"
    made = plugin.create(token, {"name": "drifting", "visibilityTimeoutSeconds": 60, "tags": {"a": "b"}})
    aws.client("sqs").set_queue_attributes(QueueUrl=made.id, Attributes={"VisibilityTimeout": "5"})
    aws.client("sqs").tag_queue(QueueUrl=made.id, Tags={"by": "hand"})
    seen = plugin.read(token, made)
    assert (seen.inputs["visibilityTimeoutSeconds"], seen.inputs["tags"]) == (5, {"a": "b", "by": "hand"})
    assert plugin.diff(token, seen, made.inputs)[0] == {"visibilityTimeoutSeconds": "UPDATE", "tags.by": "DELETE"}
    mended = plugin.update(token, seen, made.inputs)
    assert plugin.read(token, mended) == mended
    assert mended.state["tags"] == {"a": "b"}
    plugin.delete(token, made)
    assert plugin.read(token, made) is None


def test_a_provider_that_moves_takes_its_resources_along(plugin, aws):
    token = "aws:sns/topic:Topic"
    made = plugin.create(token, {"name": "moving"})
    elsewhere = Plugin({"region": "eu-central-1"})
    assert elsewhere.diff(token, made, made.inputs) == ({"region": "UPDATE_REPLACE"}, False)
    kept_there = elsewhere.check(token, {"name": "moving", "region": "eu-west-1"})
    assert elsewhere.diff(token, made, kept_there)[0] == {"region": "ADD_REPLACE"}
    elsewhere.delete(token, made)
    assert plugin.read(token, made) is None, "it was deleted where it was, not where the provider is now"
    elsewhere.stop()


def test_what_exists_elsewhere_is_taken_at_its_word(plugin, aws):
    """A program may say that its VPC or cluster exists; to rehearse it here, something has to stand in for it."""
    made = aws.client("ec2").create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    assert plugin.invoke("aws:ec2/getVpc:getVpc", id=made)["cidrBlock"] == "10.9.0.0/16"
    assert plugin.invoke("aws:ec2/getVpc:getVpc", id="vpc-0a1b2c3d")["cidrBlock"] == "10.0.0.0/16"
    elsewhere = plugin.invoke("aws:eks/getCluster:getCluster", name="elsewhere")
    assert elsewhere["vpcConfig"]["clusterSecurityGroupId"].startswith("sg-")
    inputs = {"name": "made-here", "roleArn": "arn:aws:iam::123456789012:role/r", "vpcConfig": {"subnetIds": ["a"]}}
    cluster = plugin.create("aws:eks/cluster:Cluster", inputs)
    found = plugin.invoke("aws:eks/getCluster:getCluster", name="made-here")
    assert found["certificateAuthorities"] == [cluster.state["certificateAuthority"]]
    assert found["vpcConfig"] == cluster.state["vpcConfig"]
    plugin.delete("aws:eks/cluster:Cluster", cluster)


def test_a_rule_for_a_group_that_exists_elsewhere_is_kept(plugin, aws):
    token = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
    group = aws.client("ec2").create_security_group(GroupName="brokers-here", Description="d")["GroupId"]
    inputs = {"securityGroupId": group, "referencedSecurityGroupId": "sg-0a1b2c3d", "ipProtocol": "tcp", "fromPort": 1}
    made = plugin.create(token, inputs)
    assert made.id.startswith("sgr-")
    assert plugin.read(token, made) == made
    mended = plugin.update(token, made, {**inputs, "fromPort": 2})
    assert plugin.read(token, mended) == mended
    plugin.delete(token, made)
    assert plugin.read(token, made) is None


def test_functions_ask_the_emulation(plugin, aws):
    zones = plugin.invoke("aws:index/getAvailabilityZones:getAvailabilityZones")
    assert zones["names"] == ["eu-west-1a", "eu-west-1b", "eu-west-1c"]
    secret = plugin.invoke("aws:secretsmanager/getSecretVersion:getSecretVersion", secretId="there")
    assert secret["secretString"]
    with pytest.raises(RefusedError, match=r"getSecretVersion: .*ResourceNotFoundException"):
        plugin.invoke("aws:secretsmanager/getSecretVersion:getSecretVersion", secretId="nowhere")
