"""The plugin under the real engine: up, no change, change, replacement, refresh after deletions, destroy."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from emulated_aws import REGION, EmulatedAws

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[3]

PROGRAM = """
import json
import pulumi
import pulumi_aws as aws

config = pulumi.Config()
place = aws.Provider("place", region="eu-central-1", default_tags={"tags": {"team": "ml"}})
key = aws.kms.Key("key", description=config.get("description") or "first", enable_key_rotation=True)
bucket = aws.s3.Bucket("models", bucket=config.get("bucket") or "slipway-models", force_destroy=True)
encrypted = aws.s3.BucketServerSideEncryptionConfiguration(
    "encrypted",
    bucket=bucket.id,
    rules=[{"apply_server_side_encryption_by_default": {"sse_algorithm": "aws:kms", "kms_master_key_id": key.arn}}],
)
topic = aws.sns.Topic("elsewhere", tags={"a": "b"}, opts=pulumi.ResourceOptions(provider=place))
secret = aws.secretsmanager.Secret("secret", recovery_window_in_days=0)
aws.secretsmanager.SecretVersion("value", secret_id=secret.id, secret_string=config.require_secret("password"))
role = aws.iam.Role(
    "reader",
    assume_role_policy=json.dumps({"Version": "2012-10-17", "Statement": []}),
    description=key.description,
)
if config.get("misspelt"):
    aws.s3.BucketVersioning("bad", bucket=bucket.id, versioning_configuration={"statsu": "Enabled"})
pulumi.export("bucket", bucket.arn)
pulumi.export("topic", topic.arn)
pulumi.export("tags", topic.tags_all)
pulumi.export("region", aws.get_region().region)
pulumi.export("account", aws.get_caller_identity().account_id)
pulumi.export("role", role.name)
"""


class Engine:
    """One project with its own state."""

    def __init__(self, folder: Path, aws: EmulatedAws) -> None:
        command = [sys.executable, "-m", "engine", "ensure", "--root", str(folder)]
        answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        self.engine = json.loads(answer.stdout)
        self.project = folder / "project"
        self.project.mkdir()
        (self.project / "Pulumi.yaml").write_text("name: plugin-test\nruntime: python\n")
        (self.project / "__main__.py").write_text(PROGRAM)
        plugins = folder / "bin"
        plugins.mkdir()
        plugin = plugins / "pulumi-resource-aws"
        plugin.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m local.aws "$@"\n')
        plugin.chmod(plugin.stat().st_mode | stat.S_IXUSR)
        (folder / "state").mkdir()
        self.environment = {
            **os.environ,
            "PATH": f"{plugins}:{self.engine['bin']}:{os.environ['PATH']}",
            "PULUMI_HOME": str(folder / "home"),
            "PULUMI_BACKEND_URL": f"file://{folder / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE": "local",
            "PULUMI_SKIP_UPDATE_CHECK": "1",
            "PULUMI_DEBUG_COMMANDS": "1",  # --event-log
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "1",
            "AWS_ENDPOINT_URL": aws.endpoint,
            "AWS_REGION": REGION,
            "SLIPWAY_LOCAL": str(folder / ".slipway/local/daemon.json"),
        }
        self("stack", "init", "local")
        self("config", "set", "--secret", "password", "hidden-word")

    def __call__(self, *arguments: str, fails: bool = False) -> str:
        done = subprocess.run(
            [self.engine["pulumi"], *arguments, "--non-interactive"],
            cwd=self.project,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        return done.stdout + done.stderr

    def changes(self, *arguments: str) -> dict[str, int]:
        """What an update or refresh did, by kind of operation."""
        log = self.project / "events.json"
        self(*arguments, "--yes", "--skip-preview", "--event-log", str(log))
        events = [json.loads(line) for line in log.read_text().splitlines()]
        log.unlink()
        return next(event["summaryEvent"]["resourceChanges"] for event in events if "summaryEvent" in event)


@pytest.mark.timeout(900)  # with no engine in the cache, it is built first
def test_the_life_of_a_program(tmp_path):
    aws = EmulatedAws(tmp_path)
    try:
        engine = Engine(tmp_path, aws)
        it_is_created(engine)
        it_changes_and_is_replaced(engine, aws)
        what_others_do_is_noticed_and_undone(engine, aws)
        mistakes_are_refused(engine)
        it_comes_back_after_the_emulation_lost_its_memory(engine, aws)
        it_goes_with_all_it_holds(engine, aws)
    finally:
        aws.stop()


def it_is_created(engine: Engine) -> None:
    assert engine.changes("up") == {"create": 9}
    outputs = json.loads(engine("stack", "output", "--json"))
    assert outputs["bucket"] == "arn:aws:s3:::slipway-models"
    assert outputs["topic"].startswith("arn:aws:sns:eu-central-1:123456789012:elsewhere-")
    assert outputs["tags"] == {"team": "ml", "a": "b"}
    assert (outputs["region"], outputs["account"]) == (REGION, "123456789012")
    assert outputs["role"].startswith("reader-")
    state = engine.project.parent / "state/.pulumi/stacks/plugin-test/local.json"
    assert "hidden-word" not in state.read_text()
    assert engine.changes("up") == {"same": 9}


def it_changes_and_is_replaced(engine: Engine, aws: EmulatedAws) -> None:
    engine("config", "set-all", "--plaintext", "description=second", "--plaintext", "bucket=slipway-others")
    assert engine.changes("up") == {"same": 5, "update": 2, "replace": 2}
    assert description_of_the_key(aws) == "second"
    assert [item["Name"] for item in aws.client("s3").list_buckets()["Buckets"]] == ["slipway-others"]


def what_others_do_is_noticed_and_undone(engine: Engine, aws: EmulatedAws) -> None:
    aws.client("s3").delete_bucket(Bucket="slipway-others")
    (key,) = aws.client("kms").list_keys()["Keys"]
    aws.client("kms").update_key_description(KeyId=key["KeyId"], Description="somebody else's")
    assert engine.changes("refresh") == {"same": 6, "delete": 2, "update": 1}
    assert engine.changes("up") == {"same": 6, "create": 2, "update": 1}
    assert description_of_the_key(aws) == "second"


def mistakes_are_refused(engine: Engine) -> None:
    engine("config", "set", "misspelt", "yes")
    refused = engine("up", "--yes", "--skip-preview", fails=True)
    assert "versioningConfiguration.statsu is not a property; did you mean status?" in refused
    assert "Traceback" not in refused
    engine("config", "rm", "misspelt")


def it_comes_back_after_the_emulation_lost_its_memory(engine: Engine, aws: EmulatedAws) -> None:
    aws.kill()
    aws.start()
    engine.environment["AWS_ENDPOINT_URL"] = aws.endpoint
    # No object was in the bucket, so that has gone too; the stack and the provider are no resources of AWS.
    assert engine.changes("refresh") == {"same": 2, "delete": 7}
    assert engine.changes("up") == {"same": 2, "create": 7}


def it_goes_with_all_it_holds(engine: Engine, aws: EmulatedAws) -> None:
    aws.client("s3").put_object(Bucket="slipway-others", Key="k", Body=b"1")
    assert engine.changes("destroy") == {"delete": 9}
    assert aws.client("s3").list_buckets()["Buckets"] == []


def description_of_the_key(aws: EmulatedAws) -> str:
    (key,) = aws.client("kms").list_keys()["Keys"]
    return aws.client("kms").describe_key(KeyId=key["KeyId"])["KeyMetadata"]["Description"]
