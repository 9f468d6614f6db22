"""What the plugin refuses, and in which words."""

import pytest
from aws_plugin import Plugin, RefusedError

from local.aws.session import Session, Settings
from local.provider.errors import ProviderError
from local.provider.values import UNKNOWN

BUCKET = "aws:s3/bucket:Bucket"
LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup"
ADD_IT = "add an entry in local/aws/services/lambda_.py, see docs/local-types.md"
LIFECYCLE = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"


@pytest.fixture(scope="module")
def offline():
    """A plugin with no emulation: checks and previews need none."""
    plugin = Plugin()
    yield plugin
    plugin.stop()


def refusal(plugin, token, inputs) -> list[str]:
    with pytest.raises(RefusedError) as refused:
        plugin.check(token, inputs)
    return str(refused.value).splitlines()


@pytest.mark.parametrize(
    ("token", "inputs", "lines"),
    [
        (BUCKET, {"forceDestory": True}, ["forceDestory is not a property; did you mean forceDestroy?"]),
        (BUCKET, {"forceDestroy": "perhaps"}, ["forceDestroy must be true or false, got 'perhaps'"]),
        (BUCKET, {"tags": ["a"]}, ["tags must be a map, got ['a']"]),
        (LIFECYCLE, {}, ["bucket is missing: it must be a string"]),
        (
            LIFECYCLE,
            {"bucket": "b", "rules": [{"id": "a", "expiration": {"dayz": 3}}]},
            [
                "rules[0].expiration.dayz is not a property; did you mean days?",
                "rules[0].status is missing: it must be a string",
            ],
        ),
        (
            "aws:s3/bucketVersioning:BucketVersioning",
            {"bucket": "b", "versioning_configuration": {"status": "Enabled"}},
            [
                "versioning_configuration is not a property; did you mean versioningConfiguration?",
                "versioningConfiguration is missing: it must be an object",
            ],
        ),
        (
            "aws:s3/bucketVersioning:BucketVersioning",
            {"bucket": "b", "versioningConfiguration": {"status": "Enabled", "xyzzy": 1}},
            ["versioningConfiguration.xyzzy is not a property; known are mfaDelete, status"],
        ),
        (
            "aws:cloudwatch/logGroup:LogGroup",
            {"retentionInDays": 1.5},
            ["retentionInDays must be a whole number, got 1.5"],
        ),
        (
            "aws:lambda/function:Function",
            {},
            [f"aws:lambda/function:Function is not known to local; {ADD_IT}"],
        ),
        (
            "aws:s3/buckett:Buckett",
            {},
            ["aws:s3/buckett:Buckett is not a resource type of pulumi-aws; did you mean aws:s3/bucket:Bucket?"],
        ),
        ("aws:nothing/x:X", {}, ["aws:nothing/x:X is not a resource type of pulumi-aws; check the spelling"]),
    ],
)
def test_refused_by_name_and_all_at_once(offline, token, inputs, lines):
    assert refusal(offline, token, inputs) == lines


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ({"retentionInDays": "30"}, {"retentionInDays": 30}),
        ({"skipDestroy": "true"}, {"skipDestroy": True}),
        ({"kmsKeyId": UNKNOWN, "tags": UNKNOWN}, {"kmsKeyId": UNKNOWN, "tags": UNKNOWN}),
        ({"tags": {"a": 1}}, {"tags": {"a": "1"}}),
    ],
)
def test_what_the_real_provider_takes_is_taken(offline, inputs, expected):
    checked = offline.check(LOG_GROUP, {"name": "g", **inputs})
    assert checked == {"name": "g", **expected}


def test_names_are_made_up_once(offline):
    first = offline.check(BUCKET, {})
    assert first["bucket"].startswith("thing-")
    assert len(first["bucket"]) == len("thing-") + 7
    assert offline.check(BUCKET, {}) == first, "preview and update must agree"
    assert offline.check(BUCKET, {}, {"bucket": "thing-0000000"}) == {"bucket": "thing-0000000"}
    assert offline.check(BUCKET, {"bucketPrefix": "mine-"})["bucket"].startswith("mine-")


def test_a_preview_without_an_emulation(offline):
    expected = offline.preview(BUCKET, {"bucket": UNKNOWN, "tags": {"a": UNKNOWN}})
    assert (expected["bucket"], expected["arn"], expected["tagsAll"]) == (UNKNOWN, UNKNOWN, {"a": UNKNOWN})
    assert expected["region"] == "eu-west-1"
    assert "forceDestroy" not in expected


def test_default_tags_are_merged_below_the_resource_s_own():
    plugin = Plugin({"region": "us-east-1", "defaultTags": '{"tags": {"team": "ml", "cost": "1"}}'})
    checked = plugin.check("aws:sns/topic:Topic", {"name": "t", "tags": {"cost": "2"}})
    assert checked["tags"] == {"team": "ml", "cost": "2"}
    assert "tags" not in plugin.check("aws:kms/alias:Alias", {"name": "alias/a", "targetKeyId": "k"})
    assert plugin.preview("aws:sns/topic:Topic", checked)["region"] == "us-east-1"
    plugin.stop()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "AWS_ENDPOINT_URL is not set, so the local AWS emulation is not known: run `slipway up`"),
        ("https://s3.amazonaws.com", "the local plugin talks to this machine only"),
    ],
)
def test_it_never_reaches_out(monkeypatch, url, said):
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    with pytest.raises(ProviderError, match=said):
        Session(Settings("eu-west-1")).client("s3")


def test_an_emulation_that_is_gone_is_named(monkeypatch, offline):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(RefusedError) as refused:
        offline.create(BUCKET, {"bucket": "models"})
    assert "the local AWS emulation does not answer" in str(refused.value)
    assert str(refused.value).endswith("run `slipway up`")


def test_an_unknown_function_is_refused(offline):
    with pytest.raises(RefusedError, match="aws:index/getIpRanges:getIpRanges is not known to local; add"):
        offline.invoke("aws:index/getIpRanges:getIpRanges")


def test_functions_that_need_no_emulation(offline):
    assert offline.invoke("aws:index/getCallerIdentity:getCallerIdentity")["accountId"] == "123456789012"
    assert offline.invoke("aws:index/getRegion:getRegion")["region"] == "eu-west-1"
    assert offline.invoke("aws:index/getPartition:getPartition")["partition"] == "aws"
