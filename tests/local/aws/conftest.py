"""One emulation for all tests of the plugin, with what types of it need beside them."""

import json

import pytest
from aws_plugin import Plugin
from emulated_aws import REGION, EmulatedAws

POLICY = json.dumps({"Version": "2012-10-17", "Statement": []})


@pytest.fixture(scope="session")
def emulated(tmp_path_factory):
    aws = EmulatedAws(tmp_path_factory.mktemp("aws"))
    yield aws
    aws.stop()


@pytest.fixture(scope="session")
def aws(emulated):
    """The emulation with a bucket, a bus, queues and so on, all called `there`."""
    s3, place = emulated.client("s3"), {"LocationConstraint": REGION}
    s3.create_bucket(Bucket="there", CreateBucketConfiguration=place)
    write_logs = {"Effect": "Allow", "Principal": {"Service": "logging.s3.amazonaws.com"}, "Action": "s3:PutObject"}
    logs = json.dumps({"Version": "2012-10-17", "Statement": [{**write_logs, "Resource": "arn:aws:s3:::there/*"}]})
    s3.put_bucket_policy(Bucket="there", Policy=logs)
    s3.create_bucket(Bucket="settings", CreateBucketConfiguration=place)
    emulated.client("events").create_event_bus(Name="there")
    emulated.client("events").put_rule(Name="there", EventPattern='{"source": ["a"]}', EventBusName="there")
    emulated.client("events").put_rule(Name="there", EventPattern='{"source": ["a"]}')
    for name in ("there", "dead-letters"):
        emulated.client("sqs").create_queue(QueueName=name)
    emulated.client("sns").create_topic(Name="there")
    emulated.client("logs").create_log_group(logGroupName="there")
    emulated.client("glue").create_database(DatabaseInput={"Name": "there"})
    emulated.client("iam").create_role(RoleName="there", AssumeRolePolicyDocument=POLICY)
    emulated.client("ecr").create_repository(repositoryName="there")
    emulated.client("sagemaker").create_model_package_group(ModelPackageGroupName="there")
    emulated.client("secretsmanager").create_secret(Name="there", SecretString="first")
    return emulated


@pytest.fixture(scope="session")
def environment(emulated):
    """What the engine's environment tells a plugin."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", emulated.endpoint)
        patch.setenv("AWS_REGION", REGION)
        patch.setenv("SLIPWAY_LOCAL", str(emulated.root / "daemon.json"))
        yield emulated.root


@pytest.fixture(scope="session")
def plugin(environment):
    """One plugin for all tests, as one engine run has."""
    plugin = Plugin()
    yield plugin
    plugin.stop()
