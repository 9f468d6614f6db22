"""The plugin under the real engine: up, no change, change, replacement, refresh after deletions, destroy."""

import json
import os
import shutil
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


def test_the_life_of_a_program(tmp_path):
    if shutil.which("go") is None and not list(Path.home().glob(".cache/slipway/engine/*/pulumi")):
        pytest.skip("no engine here; `make up` builds one")
    aws = EmulatedAws(tmp_path)
    try:
        engine = Engine(tmp_path, aws)
        live(engine, aws)
    finally:
        aws.stop()


def live(engine: Engine, aws: EmulatedAws) -> None:
    assert engine.changes("up") == {"create": 9}
    outputs = json.loads(engine("stack", "output", "--json"))
    assert outputs["bucket"] == "arn:aws:s3:::slipway-models"
    assert outputs["topic"].startswith("arn:aws:sns:eu-central-1:123456789012:elsewhere-")
    assert outputs["tags"] == {"team": "ml", "a": "b"}
    assert (outputs["region"], outputs["account"]) == (REGION, "123456789012")
    assert outputs["role"].startswith("reader-")
    assert (
        "hidden-word"
        not in (engine.project.parent / "state").joinpath(".pulumi/stacks/plugin-test/local.json").read_text()
    )

    assert engine.changes("up") == {"same": 9}

    engine("config", "set", "description", "second")
    assert engine.changes("up") == {"same": 7, "update": 2}
    (key,) = aws.client("kms").list_keys()["Keys"]
    assert aws.client("kms").describe_key(KeyId=key["KeyId"])["KeyMetadata"]["Description"] == "second"

    engine("config", "set", "bucket", "slipway-others")
    assert engine.changes("up") == {"same": 7, "replace": 2}
    assert [item["Name"] for item in aws.client("s3").list_buckets()["Buckets"]] == ["slipway-others"]

    # Out of band: a deleted object is noticed, and drift is shown and undone.
    aws.client("s3").delete_bucket(Bucket="slipway-others")
    aws.client("kms").update_key_description(KeyId=key["KeyId"], Description="somebody else's")
    assert engine.changes("refresh") == {"same": 6, "delete": 2, "update": 1}
    assert engine.changes("up") == {"same": 6, "create": 2, "update": 1}
    assert aws.client("kms").describe_key(KeyId=key["KeyId"])["KeyMetadata"]["Description"] == "second"

    engine("config", "set", "misspelt", "yes")
    refused = engine("up", "--yes", "--skip-preview", fails=True)
    assert "versioningConfiguration.statsu is not a property; did you mean status?" in refused
    assert "Traceback" not in refused
    engine("config", "rm", "misspelt")

    # The emulation has lost its memory: refresh and update bring all of it back.
    aws.kill()
    aws.start()
    engine.environment["AWS_ENDPOINT_URL"] = aws.endpoint
    engine.changes("refresh")
    changes = engine.changes("up")
    assert changes["create"] >= 6
    assert engine.changes("up") == {"same": 9}

    aws.client("s3").put_object(Bucket="slipway-others", Key="k", Body=b"1")
    assert engine.changes("destroy") == {"delete": 9}
    assert aws.client("s3").list_buckets()["Buckets"] == []
