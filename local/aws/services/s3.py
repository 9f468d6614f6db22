"""S3: buckets, and each of their settings as a resource of its own."""

from collections.abc import Mapping
from typing import Any

from local.aws.api import Api, Call, Step
from local.aws.definition import Scope
from local.aws.errors import ClientError
from local.aws.tagging import Tags
from local.provider.values import Props

_HOSTED_ZONES = {"eu-west-1": "Z1BKCTXD74EZPE", "eu-central-1": "Z21DNDUVLTQW6Q", "us-east-1": "Z3AQBSTGFYJSTF"}
"""Of the website endpoints (docs.aws.amazon.com/general/latest/gr/s3.html); other regions have theirs left out."""


class BucketTags(Tags):
    """S3 has no single tags: the set is replaced as a whole, and asking for none is an error."""

    def of(self, scope: Scope, service: str, facts: Props) -> dict[str, str]:
        """The tags of the bucket."""
        try:
            answer = scope.client(service).get_bucket_tagging(Bucket=facts["bucket"])
        except ClientError as error:
            if "NoSuchTagSet" not in str(error):
                raise
            return {}
        return {tag["Key"]: tag["Value"] for tag in answer["TagSet"] if not tag["Key"].startswith("aws:")}

    def add(self, scope: Scope, service: str, facts: Props, tags: Mapping[str, str]) -> None:
        """Sets the tags of a new bucket."""
        self.become(scope, service, facts, {}, tags)

    def become(self, scope: Scope, service: str, facts: Props, has: Mapping[str, str], tags: Mapping[str, str]) -> None:
        """Replaces the tags, whatever there was."""
        del has
        pairs = [{"Key": key, "Value": value} for key, value in tags.items()]
        scope.client(service).put_bucket_tagging(Bucket=facts["bucket"], Tagging={"TagSet": pairs})


def _make_bucket(scope: Scope, facts: Props) -> None:
    parameters: dict[str, Any] = {"Bucket": facts["bucket"]}
    if scope.region != "us-east-1":  # the one region that must not be named
        parameters["CreateBucketConfiguration"] = {"LocationConstraint": scope.region}
    scope.client("s3").create_bucket(**parameters, ObjectLockEnabledForBucket=bool(facts.get("objectLockEnabled")))


def _describe_bucket(scope: Scope, facts: Props) -> Props:
    scope.client("s3").head_bucket(Bucket=facts["bucket"])
    zone = _HOSTED_ZONES.get(scope.region)
    return {"bucket": facts["bucket"]} | ({"hostedZoneId": zone} if zone else {})


def _empty_bucket(scope: Scope, facts: Props) -> None:
    """`forceDestroy`: every version of every object, and every delete marker."""
    if not facts.get("forceDestroy"):
        return
    client = scope.client("s3")
    for page in client.get_paginator("list_object_versions").paginate(Bucket=facts["bucket"]):
        found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        objects = [{"Key": item["Key"], "VersionId": item["VersionId"]} for item in found]
        if objects:
            client.delete_objects(Bucket=facts["bucket"], Delete={"Objects": objects, "Quiet": True})


_NOTIFIED = {
    "topics": ("TopicConfigurations", "TopicArn", "topicArn"),
    "queues": ("QueueConfigurations", "QueueArn", "queueArn"),
    "lambdaFunctions": ("LambdaFunctionConfigurations", "LambdaFunctionArn", "lambdaFunctionArn"),
}


def _put_notification(scope: Scope, facts: Props) -> None:
    configuration: dict[str, Any] = {"EventBridgeConfiguration": {}} if facts.get("eventbridge") else {}
    for name, (member, arn_member, arn) in _NOTIFIED.items():
        if facts.get(name):
            configuration[member] = [
                {
                    arn_member: item[arn],
                    "Events": item["events"],
                    **({"Id": item["id"]} if item.get("id") else {}),
                    **_key_filter(item),
                }
                for item in facts[name]
            ]
    client = scope.client("s3")
    client.put_bucket_notification_configuration(Bucket=facts["bucket"], NotificationConfiguration=configuration)


def _key_filter(item: Props) -> dict[str, Any]:
    rules = [
        {"Name": name, "Value": item[key]}
        for name, key in (("prefix", "filterPrefix"), ("suffix", "filterSuffix"))
        if item.get(key)
    ]
    return {"Filter": {"Key": {"FilterRules": rules}}} if rules else {}


def _get_notification(scope: Scope, facts: Props) -> Props:
    answer = scope.client("s3").get_bucket_notification_configuration(Bucket=facts["bucket"])
    found: Props = {"eventbridge": True} if "EventBridgeConfiguration" in answer else {}
    for name, (member, arn_member, arn) in _NOTIFIED.items():
        if items := answer.get(member):
            found[name] = [{arn: item[arn_member], "events": item["Events"], "id": item["Id"]} for item in items]
            for made, item in zip(found[name], items, strict=True):
                for rule in item.get("Filter", {}).get("Key", {}).get("FilterRules", []):
                    made["filterPrefix" if rule["Name"].lower() == "prefix" else "filterSuffix"] = rule["Value"]
    return found


def _no_notification(scope: Scope, facts: Props) -> None:
    _put_notification(scope, {"bucket": facts["bucket"]})


def _suspend_versioning(scope: Scope, facts: Props) -> None:
    status = {"Status": "Suspended"}
    scope.client("s3").put_bucket_versioning(Bucket=facts["bucket"], VersioningConfiguration=status)


def _no_logging(scope: Scope, facts: Props) -> None:
    scope.client("s3").put_bucket_logging(Bucket=facts["bucket"], BucketLoggingStatus={})


def _setting(
    name: str, put: Step, get: Step, remove: Step, outputs: Mapping[str, Any] | None = None, *, owned: bool = True
) -> Api:
    """A setting of a bucket: putting it makes and changes it."""
    token = f"aws:s3/{name[0].lower()}{name[1:]}:{name}"
    return Api(
        token,
        id="{bucket}",
        service="s3",
        make=put,
        find=(get,),
        change=(put,),
        remove=remove,
        replace_on=("bucket", "expectedBucketOwner") if owned else ("bucket",),
        outputs=outputs or {},
    )


TYPES = (
    Api(
        "aws:s3/bucket:Bucket",
        id="{bucket}",
        service="s3",
        make=_make_bucket,
        find=(_describe_bucket,),
        before_remove=_empty_bucket,
        remove=Call("delete_bucket"),
        tags=BucketTags("Bucket", "{bucket}", after_create=True),
        autoname="bucket",
        replace_on=("bucket", "bucketPrefix", "bucketNamespace", "objectLockEnabled"),
        outputs={
            "arn": "arn:{partition}:s3:::{bucket}",
            "bucketDomainName": "{bucket}.s3.amazonaws.com",
            "bucketRegion": "{region}",
            "bucketRegionalDomainName": "{bucket}.s3.{region}.amazonaws.com",
            "forceDestroy": False,
        },
    ),
    _setting(
        "BucketVersioning",
        Call("put_bucket_versioning"),
        Call("get_bucket_versioning", into="versioningConfiguration"),
        _suspend_versioning,
    ),
    _setting(
        "BucketServerSideEncryptionConfiguration",
        Call("put_bucket_encryption", within="ServerSideEncryptionConfiguration"),
        Call("get_bucket_encryption", result="ServerSideEncryptionConfiguration"),
        Call("delete_bucket_encryption"),
    ),
    _setting(
        "BucketPublicAccessBlock",
        Call("put_public_access_block", within="PublicAccessBlockConfiguration"),
        Call("get_public_access_block", result="PublicAccessBlockConfiguration"),
        Call("delete_public_access_block"),
        {
            "blockPublicAcls": False,
            "blockPublicPolicy": False,
            "ignorePublicAcls": False,
            "restrictPublicBuckets": False,
        },
        owned=False,
    ),
    _setting(
        "BucketOwnershipControls",
        Call("put_bucket_ownership_controls", within="OwnershipControls"),
        Call("get_bucket_ownership_controls", result="OwnershipControls"),
        Call("delete_bucket_ownership_controls"),
        owned=False,
    ),
    _setting(
        "BucketPolicy",
        Call("put_bucket_policy"),
        Call("get_bucket_policy"),
        Call("delete_bucket_policy"),
        owned=False,
    ),
    _setting(
        "BucketLifecycleConfiguration",
        Call("put_bucket_lifecycle_configuration", within="LifecycleConfiguration"),
        Call("get_bucket_lifecycle_configuration"),
        Call("delete_bucket_lifecycle"),
    ),
    _setting(
        "BucketLogging",
        Call("put_bucket_logging", within="BucketLoggingStatus.LoggingEnabled"),
        Call("get_bucket_logging", result="LoggingEnabled"),
        _no_logging,
    ),
    _setting("BucketNotification", _put_notification, _get_notification, _no_notification, owned=False),
    _setting(
        "BucketCorsConfiguration",
        Call("put_bucket_cors", within="CORSConfiguration"),
        Call("get_bucket_cors"),
        Call("delete_bucket_cors"),
    ),
)
