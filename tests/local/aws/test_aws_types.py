"""Every resource type through its whole life, over the real protocol against the real emulation."""

import re

import pytest
from aws_cases import CASES, Case
from aws_plugin import RefusedError

from local.aws import registry, sdk
from local.aws.reality import KEPT
from local.provider.diff import same_json
from local.provider.values import UNKNOWN

pytestmark = pytest.mark.integration


@pytest.fixture(scope="session")
def references(aws):
    """What `$name` in a case stands for."""
    kinesis, dns = aws.client("kinesis"), aws.client("route53")
    kinesis.create_stream(StreamName="there", ShardCount=1)
    ec2 = aws.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(
        InternetGatewayId=gateway, VpcId=ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    )
    return {
        "$vpc": vpc,
        "$subnet": ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"],
        "$routes": ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"],
        "$gateway": gateway,
        "$group": ec2.create_security_group(GroupName="there", Description="d", VpcId=vpc)["GroupId"],
        "$address": ec2.allocate_address(Domain="vpc")["AllocationId"],
        "$key": aws.client("kms").create_key()["KeyMetadata"]["KeyId"],
        "$queue": aws.client("sqs").get_queue_url(QueueName="there")["QueueUrl"],
        "$stream": kinesis.describe_stream_summary(StreamName="there")["StreamDescriptionSummary"]["StreamARN"],
        "$zone": dns.create_hosted_zone(Name="example.org", CallerReference="1")["HostedZone"]["Id"].rsplit("/")[-1],
    }


def resolved(inputs, references):
    if isinstance(inputs, dict):
        return {key: resolved(value, references) for key, value in inputs.items()}
    if isinstance(inputs, list):
        return [resolved(value, references) for value in inputs]
    return references.get(inputs, inputs)


def covers(there, wanted):
    """Whether all that is wanted is there; the API may add to it, and writes documents in its own way."""
    if isinstance(wanted, dict):
        return isinstance(there, dict) and all(covers(there.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list):
        return len(there) == len(wanted) and all(map(covers, there, wanted))
    return there == wanted or same_json(there, wanted)


def changed(inputs, change):
    return {key: value for key, value in {**inputs, **change}.items() if value is not None}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_life_of_a_resource(case: Case, plugin, references):
    token = case.token
    wanted = resolved(case.inputs, references)
    schema = sdk.schema(token)

    expected = plugin.preview(token, plugin.check(token, wanted))
    computed = {name for name, found in schema.outputs.items() if found.required and name not in schema.inputs}
    assert {name for name in computed - {"tagsAll", "region"} if expected[name] is not UNKNOWN} == set()

    made = plugin.create(token, wanted)
    try:
        assert re.fullmatch(case.id, made.id)
        assert covers(made.state, wanted)
        assert made.state[KEPT] == list(case.kept)
        assert set(made.state) - {KEPT} <= set(schema.outputs)
        assert "arn" not in schema.outputs or case.token.startswith("aws:cloudwatch/query") or made.state["arn"]
        assert "tagsAll" not in schema.outputs or made.state["tagsAll"] == wanted.get("tags", {})

        assert plugin.diff(token, made, made.inputs) == ({}, False)
        refreshed = plugin.read(token, made)
        assert refreshed == made, "a refresh right after the creation shows a difference"

        if case.imports:
            imported = plugin.read(token, type(made)(made.id, {}, {}))
            assert imported is not None
            lost = {path.split(".")[0] for path in case.kept}
            assert covers(imported.inputs, {k: v for k, v in wanted.items() if k not in lost and v != ""})

        if case.change:
            made = check_update(case, plugin, made, changed(wanted, case.change))
    finally:
        plugin.delete(token, made)
    assert not case.reads_nothing_after or plugin.read(token, made) is None
    plugin.delete(token, made)


def check_update(case, plugin, made, wanted):
    news = plugin.check(case.token, wanted, made.inputs)
    differences, _ = plugin.diff(case.token, made, news)
    assert {path.split(".")[0].split("[")[0] for path in differences} == set(case.change)
    assert not [kind for kind in differences.values() if "REPLACE" in kind]
    updated = plugin.update(case.token, made, news)
    assert covers(updated.state, wanted)
    assert plugin.read(case.token, updated) == updated
    return updated


def test_every_type_has_a_case():
    assert {case.token for case in CASES} == set(registry.all_definitions())


@pytest.mark.parametrize("definition", registry.all_definitions().values(), ids=lambda found: found.token)
def test_entries_name_properties_that_exist(definition):
    """A pattern that matches nothing would silently never replace, and a misspelt output would never be seen."""
    schema = definition.schema
    patterns = {pattern.split(".")[0] for pattern in (*definition.replace_on, *definition.unordered)}
    assert patterns - set(schema.inputs) == set()
    assert set(definition.outputs) | set(definition.volatile) <= set(schema.outputs)
    assert not definition.autoname or definition.autoname in schema.inputs


def test_what_replaces_in_the_real_provider_replaces_here(plugin, aws):
    """A sample, taken from the documentation of pulumi-aws."""
    token = "aws:ecr/repository:Repository"
    made = plugin.create(token, {"name": "first", "imageTagMutability": "MUTABLE"})
    news = plugin.check(token, {"name": "second", "encryptionConfigurations": [{"encryptionType": "KMS"}]})
    assert plugin.diff(token, made, news) == (
        {"name": "UPDATE_REPLACE", "encryptionConfigurations": "ADD_REPLACE", "imageTagMutability": "DELETE"},
        False,
    )
    same_name = plugin.check(token, {"name": "first", "encryptionConfigurations": [{"encryptionType": "KMS"}]})
    assert plugin.diff(token, made, same_name)[1] is True, "two of one name cannot exist side by side"
    plugin.delete(token, made)


def test_a_bucket_with_objects_goes_only_by_force(plugin, aws):
    token = "aws:s3/bucket:Bucket"
    kept = plugin.create(token, {"bucket": "kept-by-objects"})
    aws.client("s3").put_object(Bucket="kept-by-objects", Key="k", Body=b"1")
    with pytest.raises(RefusedError, match=r"aws:s3/bucket:Bucket thing: .*\(BucketNotEmpty, DeleteBucket\)"):
        plugin.delete(token, kept)
    kept.state["forceDestroy"] = True
    plugin.delete(token, kept)
    assert "kept-by-objects" not in [item["Name"] for item in aws.client("s3").list_buckets()["Buckets"]]
