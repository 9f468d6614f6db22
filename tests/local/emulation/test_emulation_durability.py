"""What a release needs survives kill -9 of the emulation; what was deleted stays deleted."""

import io
import json
import os
import signal
import subprocess
import sys
import time

import boto3
import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError
from emulated_aws import REGION, EmulatedAws

pytestmark = pytest.mark.integration
STORED = ".slipway/local/aws/durable/s3"


DATA = os.urandom(11 << 20)


def make_bucket(aws, name, versioned=False):
    s3 = aws.client("s3")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    if versioned:
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return s3


def make_package(aws, name, version):
    return aws.client("sagemaker").create_model_package(
        ModelPackageGroupName=name,
        ModelApprovalStatus="PendingManualApproval",
        CustomerMetadataProperties={"slipway.version": version, "slipway.digest": "sha256:1"},
    )["ModelPackageArn"]


def describe(aws, arn):
    answer = aws.client("sagemaker").describe_model_package(ModelPackageName=arn)
    return {key: value for key, value in answer.items() if key != "ResponseMetadata"}


def queues(aws):
    """Every queue's settings and tags, by name."""
    sqs, found = aws.client("sqs"), {}
    for url in sqs.list_queues()["QueueUrls"]:
        settings = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        kept = {name: value for name, value in settings.items() if not name.endswith("Timestamp")}
        found[url.rpartition("/")[2]] = kept, sqs.list_queue_tags(QueueUrl=url).get("Tags", {})
    return found


@pytest.fixture(scope="module")
def before(tmp_path_factory):
    """An emulation that has been used, and what it answered."""
    aws = EmulatedAws(tmp_path_factory.mktemp("checkout"))
    facts = {}
    s3 = make_bucket(aws, "metadata")
    put = {"ContentType": "application/x-thing", "Metadata": {"digest": "sha256:1"}, "Tagging": "team=ml"}
    facts["etag"] = s3.put_object(Bucket="metadata", Key="a/ü b?.bin", Body=bytes(range(256)) * 300, **put)["ETag"]
    for name in ("plain", "versioned"):
        make_bucket(aws, name, versioned=name == "versioned")
        for key, bodies in {"kept": ["one", "two"], "deleted": ["x", "y"], "batch/1": ["a"], "batch/2": ["b"]}.items():
            for body in bodies:
                s3.put_object(Bucket=name, Key=key, Body=body)
        s3.delete_object(Bucket=name, Key="deleted")
        s3.delete_objects(Bucket=name, Delete={"Objects": [{"Key": "batch/1"}]})
        s3.copy_object(Bucket=name, Key="copied", CopySource=f"{name}/kept")
    make_bucket(aws, "multipart")
    config = TransferConfig(multipart_threshold=1 << 20, multipart_chunksize=5 << 20)
    session = boto3.Session("k", "s", region_name=REGION)
    upload = session.client("s3", endpoint_url=aws.endpoint).upload_fileobj
    upload(io.BytesIO(DATA), "multipart", "big", Config=config)
    make_bucket(aws, "removed").put_object(Bucket="removed", Key="k", Body=b"1")
    s3.delete_object(Bucket="removed", Key="k")
    s3.delete_bucket(Bucket="removed")
    s3.put_object(Bucket="plain", Key="torn", Body=b"1")
    (torn,) = [f for f in (aws.root / STORED).rglob("*.object") if b'"torn"' in f.read_bytes()[:2000]]
    torn.write_bytes(b'{"name": ')

    sagemaker = aws.client("sagemaker")
    sagemaker.create_model_package_group(ModelPackageGroupName="group")
    facts["arns"] = [make_package(aws, "group", str(number)) for number in (1, 2, 3)]
    sagemaker.update_model_package(ModelPackageArn=facts["arns"][0], ModelApprovalStatus="Approved")
    sagemaker.delete_model_package(ModelPackageName=facts["arns"][2])
    facts["approved"] = describe(aws, facts["arns"][0])

    sqs = aws.client("sqs")
    dead = sqs.create_queue(QueueName="a-dead", tags={"team": "ml"})["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    redrive = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 5})
    # By its file's name the queue comes before that of its dead letters, which has to be there first.
    queue = sqs.create_queue(QueueName="events", Attributes={"RedrivePolicy": redrive, "VisibilityTimeout": "77"})
    sqs.set_queue_attributes(QueueUrl=queue["QueueUrl"], Attributes={"DelaySeconds": "3"})
    sqs.create_queue(QueueName="ordered.fifo", Attributes={"FifoQueue": "true", "ContentBasedDeduplication": "true"})
    sqs.delete_queue(QueueUrl=sqs.create_queue(QueueName="short-lived")["QueueUrl"])
    facts["queues"] = queues(aws)
    yield aws, facts
    aws.stop()


@pytest.fixture(scope="module")
def after(before):
    """The same after kill -9 and a new start."""
    aws, facts = before
    aws.kill()
    aws.start()
    return aws, facts


def test_objects_keep_bytes_and_metadata(after):
    aws, facts = after
    name = {"Bucket": "metadata", "Key": "a/ü b?.bin"}
    got = aws.client("s3").get_object(**name)
    assert got["Body"].read() == bytes(range(256)) * 300
    assert (got["ETag"], got["ContentType"]) == (facts["etag"], "application/x-thing")
    assert got["Metadata"] == {"digest": "sha256:1"}
    assert aws.client("s3").get_object_tagging(**name)["TagSet"] == [{"Key": "team", "Value": "ml"}]
    assert aws.client("s3").get_object(**name, Range="bytes=5-9")["Body"].read() == bytes(range(5, 10))
    assert aws.client("s3").get_bucket_location(Bucket="metadata")["LocationConstraint"] == REGION


@pytest.mark.parametrize("name", ["plain", "versioned"])
def test_the_newest_version_survives_and_what_was_deleted_does_not(after, name):
    s3 = after[0].client("s3")
    assert [item["Key"] for item in s3.list_objects_v2(Bucket=name)["Contents"]] == ["batch/2", "copied", "kept"]
    assert s3.get_object(Bucket=name, Key="kept")["Body"].read() == b"two"
    assert s3.get_object(Bucket=name, Key="copied")["Body"].read() == b"two"


def test_multipart_uploads_as_boto3_makes_them(after):
    s3 = after[0].client("s3")
    assert s3.head_object(Bucket="multipart", Key="big")["ETag"].endswith('-3"')
    assert s3.get_object(Bucket="multipart", Key="big")["Body"].read() == DATA


def test_a_removed_bucket_takes_its_objects_with_it(after):
    names = {item["Name"] for item in after[0].client("s3").list_buckets()["Buckets"]}
    assert names == {"metadata", "plain", "versioned", "multipart"}
    assert {folder.name for folder in (after[0].root / STORED).iterdir()} == names


def test_a_file_that_is_no_object_is_left_out_and_named(after):
    assert ".object is not a stored object and is left out" in (after[0].root / "aws.log").read_text()


def test_model_versions_keep_arn_state_and_metadata(after):
    aws, facts = after
    first, second, third = facts["arns"]
    assert describe(aws, first) == facts["approved"]
    assert facts["approved"]["ModelApprovalStatus"] == "Approved"
    assert facts["approved"]["CustomerMetadataProperties"]["slipway.version"] == "1"  # an approval keeps it
    assert describe(aws, second)["ModelApprovalStatus"] == "PendingManualApproval"
    assert first.endswith("model-package/group/1")
    listed = aws.client("sagemaker").list_model_packages(ModelPackageGroupName="group")["ModelPackageSummaryList"]
    assert sorted(item["ModelPackageArn"] for item in listed) == [first, second]
    with pytest.raises(ClientError, match="not found"):
        describe(aws, third)


def test_queues_keep_settings_and_tags(after):
    aws, facts = after
    assert set(facts["queues"]) == {"a-dead", "events", "ordered.fifo"}
    assert facts["queues"]["events"][0]["VisibilityTimeout"] == "77"
    assert facts["queues"]["events"][0]["DelaySeconds"] == "3"
    assert facts["queues"]["a-dead"][1] == {"team": "ml"}
    assert queues(aws) == facts["queues"]


def test_it_goes_on_as_before(after):
    aws, _ = after
    s3 = aws.client("s3")
    s3.put_object(Bucket="plain", Key="kept", Body=b"three")
    assert s3.get_object(Bucket="plain", Key="kept")["Body"].read() == b"three"
    fourth = make_package(aws, "group", "4")
    assert fourth.endswith("/4")  # the number of the deleted one is not given again
    aws.client("sagemaker").delete_model_package(ModelPackageName=fourth)


def test_a_group_goes_when_it_is_empty(after):
    client = after[0].client("sagemaker")
    client.create_model_package_group(ModelPackageGroupName="short-lived")
    with pytest.raises(ClientError, match="already exists"):
        client.create_model_package_group(ModelPackageGroupName="short-lived")
    arn = make_package(after[0], "short-lived", "1")
    with pytest.raises(ClientError, match="still has versions"):
        client.delete_model_package_group(ModelPackageGroupName="short-lived")
    client.delete_model_package(ModelPackageName=arn)
    client.delete_model_package_group(ModelPackageGroupName="short-lived")
    with pytest.raises(ClientError, match="short-lived"):
        client.describe_model_package_group(ModelPackageGroupName="short-lived")


def test_older_versions_stay_readable_while_it_runs(after):
    s3 = make_bucket(after[0], "versions", versioned=True)
    ids = [s3.put_object(Bucket="versions", Key="k", Body=f"{n}")["VersionId"] for n in range(3)]
    s3.delete_object(Bucket="versions", Key="k")
    read = [s3.get_object(Bucket="versions", Key="k", VersionId=version)["Body"].read() for version in ids]
    assert read == [b"0", b"1", b"2"]


def test_one_write_costs_one_file(after):
    s3 = make_bucket(after[0], "many")
    for number in range(30):
        s3.put_object(Bucket="many", Key=f"{number}", Body=b"x")
    files = sorted((after[0].root / STORED / "many").rglob("*.object"))
    times = {file: file.stat().st_mtime_ns for file in files}
    s3.put_object(Bucket="many", Key="7", Body=b"y")
    changed = [file for file in files if file.stat().st_mtime_ns != times[file]]
    assert (len(files), len(changed)) == (30, 1)


def test_a_write_that_cannot_be_stored_is_refused(after):
    s3 = make_bucket(after[0], "full")
    s3.put_object(Bucket="full", Key="k", Body=b"1")
    (file,) = (after[0].root / STORED / "full").rglob("*.object")
    file.unlink()
    file.parent.rmdir()
    file.parent.write_text("in the way")
    with pytest.raises(ClientError, match="not stored"):
        s3.put_object(Bucket="full", Key="k", Body=b"2")
    file.parent.unlink()


def test_an_approval_is_an_event_on_the_default_bus(after):
    aws, _ = after
    queue = aws.client("sqs").create_queue(QueueName="approvals")["QueueUrl"]
    arn = aws.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = {"source": ["aws.sagemaker"], "detail": {"ModelApprovalStatus": ["Approved"]}}
    aws.client("events").put_rule(Name="approved", EventPattern=json.dumps(pattern))
    aws.client("events").put_targets(Rule="approved", Targets=[{"Id": "queue", "Arn": arn}])
    version = make_package(aws, "group", "5")
    aws.client("sagemaker").update_model_package(ModelPackageArn=version, ModelApprovalStatus="Approved")
    (message,) = aws.client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
    event = json.loads(message["Body"])
    assert (event["detail-type"], event["detail"]["ModelPackageGroupName"], event["detail"]["ModelPackageArn"]) == (
        "SageMaker Model Package State Change",
        "group",
        version,
    )


@pytest.mark.parametrize(
    ("service", "call", "arguments"),
    [
        ("athena", "delete_notebook", {"NotebookId": "1"}),  # JSON
        ("eks", "describe_update", {"name": "a", "updateId": "1"}),  # REST and JSON
        ("iam", "generate_organizations_access_report", {"EntityPath": "o-1/r-1/ou-1-12345678"}),  # query
        ("ec2", "describe_import_image_tasks", {}),  # EC2's own
    ],
)
def test_what_is_not_implemented_says_so_in_every_protocol(after, service, call, arguments):
    with pytest.raises(ClientError) as refused:
        getattr(after[0].client(service), call)(**arguments)
    assert refused.value.response["Error"]["Code"] == "NotImplemented"
    assert "has not been implemented" in str(refused.value)


def test_it_listens_where_it_is_asked_to_if_it_can(after, tmp_path):
    taken = int(after[0].endpoint.rsplit(":", 1)[1])
    second = EmulatedAws(tmp_path, taken)
    assert second.endpoint != after[0].endpoint
    assert second.stop() == 0
    again = EmulatedAws(tmp_path, int(second.endpoint.rsplit(":", 1)[1]))
    assert again.endpoint == second.endpoint
    assert again.stop() == 0


def test_it_ends_when_its_parent_is_gone(tmp_path):
    program = (
        "import sys, time; sys.path.insert(0, sys.argv[2]); from pathlib import Path;"
        "from emulated_aws import EmulatedAws; aws = EmulatedAws(Path(sys.argv[1]));"
        "print(aws.process.pid, flush=True); time.sleep(60)"
    )
    tests = str(__file__).rsplit("/local/", 1)[0]
    parent = subprocess.Popen([sys.executable, "-c", program, str(tmp_path), tests], stdout=subprocess.PIPE, text=True)
    child = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.communicate()
    deadline = time.monotonic() + 20
    while (tmp_path / "aws.port").exists():
        assert time.monotonic() < deadline, f"{child} goes on without its parent"
        time.sleep(0.1)
