"""The registry against moto's SageMaker and S3: what is registered stays what it is, and who let it in is known."""

import os
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto import mock_aws
from serving.package import inspect
from serving_packages import write_archive

from release.environment import Environment, keep_outputs
from release.errors import SlipwayError
from release.registry import ModelVersion, Registry, who_decides

OUTPUTS = {"region": "eu-west-1", "models_bucket": "models", "model_groups": {"delay": "slipway-dev-delay"}}


@pytest.fixture
def registry(dev: Environment, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    for name, value in {"DEFAULT_REGION": "eu-west-1", "ACCESS_KEY_ID": "x", "SECRET_ACCESS_KEY": "x"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    with mock_aws():
        boto3.client("s3").create_bucket(Bucket="models", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        boto3.client("sagemaker").create_model_package_group(ModelPackageGroupName="slipway-dev-delay")
        keep_outputs(dev, OUTPUTS)
        yield Registry(dev)


def register(registry: Registry, archive: Path, digest: str) -> tuple[ModelVersion, bool]:
    return registry.register(archive, inspect(archive).manifest, digest)


def test_a_version_is_registered_as_a_candidate(registry: Registry, tmp_path: Path):
    archive, digest = write_archive(tmp_path)
    entry, new = register(registry, archive, digest)
    assert new
    assert (entry.model, entry.version, entry.digest, entry.state) == ("delay", "1", digest, "candidate")
    assert entry.metrics == {"auc": "0.7"}
    stored = boto3.client("s3").get_object(Bucket="models", Key=f"delay/{digest.removeprefix('sha256:')}.tar.gz")
    assert stored["Body"].read() == archive.read_bytes()


def test_registering_the_same_again_changes_nothing(registry: Registry, tmp_path: Path):
    archive, digest = write_archive(tmp_path)
    first, _ = register(registry, archive, digest)
    second, new = register(registry, archive, digest)
    assert not new
    assert second.arn == first.arn
    assert len(registry.versions("delay")) == 1


def test_a_version_keeps_its_content(registry: Registry, tmp_path: Path):
    register(registry, *write_archive(tmp_path / "one"))
    other, digest = write_archive(tmp_path / "two", bias=1.0)
    with pytest.raises(SlipwayError, match="delay 1 is registered with other content") as refused:
        register(registry, other, digest)
    assert refused.value.code == "version-taken"
    assert len(boto3.client("s3").list_objects_v2(Bucket="models")["Contents"]) == 1


def test_one_content_under_two_versions_is_two_packages(registry: Registry, tmp_path: Path):
    register(registry, *write_archive(tmp_path / "one"))
    register(registry, *write_archive(tmp_path / "two", version="2"))
    assert [entry.version for entry in registry.versions("delay")] == ["2", "1"]


def test_a_decision_keeps_who_when_and_why(registry: Registry, tmp_path: Path):
    entry, _ = register(registry, *write_archive(tmp_path))
    approved = registry.decide(entry, "approved", "ana", "AUC 0.71 on April")
    assert (approved.state, approved.decided_by, approved.note) == ("approved", "ana", "AUC 0.71 on April")
    assert approved.as_json()["decided_at"].endswith("+00:00")
    rejected = registry.decide(approved, "rejected", "bo", "")
    assert (rejected.state, rejected.decided_by) == ("rejected", "bo")
    assert (rejected.digest, rejected.metrics) == (entry.digest, entry.metrics)


def test_an_unknown_version_names_the_known_ones(registry: Registry, tmp_path: Path):
    with pytest.raises(SlipwayError, match="none is registered yet"):
        registry.find("delay", "9")
    register(registry, *write_archive(tmp_path))
    with pytest.raises(SlipwayError, match="there is no version '9' of delay in dev: it has 1") as refused:
        registry.find("delay", "9")
    assert refused.value.exit_code == 2


def test_a_model_of_no_service_is_refused(registry: Registry):
    with pytest.raises(SlipwayError, match="no service of dev uses a model 'ghost': there are delay"):
        registry.versions("ghost")


def test_the_golden_question_is_read_without_the_model(registry: Registry, tmp_path: Path):
    entry, _ = register(registry, *write_archive(tmp_path))
    manifest, golden = registry.golden(entry)
    assert manifest.name == "delay"
    assert golden.rows[0] == {"carrier": "UA", "temp": 2.0, "wind": 4.0}


def test_a_damaged_object_is_refused_in_one_line(registry: Registry, tmp_path: Path):
    entry, _ = register(registry, *write_archive(tmp_path))
    key = f"delay/{entry.digest.removeprefix('sha256:')}.tar.gz"
    for damaged in (b"", b"no archive", b"\x1f\x8b\x08" + b"x" * 100):
        boto3.client("s3").put_object(Bucket="models", Key=key, Body=damaged)
        with pytest.raises(SlipwayError, match="the package of delay 1 in the registry") as refused:
            registry.golden(entry)
        assert "\n" not in refused.value.message


def test_what_others_put_into_the_group_is_passed_over(registry: Registry, tmp_path: Path):
    boto3.client("sagemaker").create_model_package(
        ModelPackageGroupName="slipway-dev-delay", ModelPackageDescription="by hand"
    )
    register(registry, *write_archive(tmp_path))
    assert [entry.version for entry in registry.versions("delay")] == ["1"]


def test_an_upload_that_was_cut_off_is_made_again(registry: Registry, tmp_path: Path):
    archive, digest = write_archive(tmp_path)
    key = f"delay/{digest.removeprefix('sha256:')}.tar.gz"
    boto3.client("s3").put_object(Bucket="models", Key=key, Body=b"half")
    register(registry, archive, digest)
    assert boto3.client("s3").get_object(Bucket="models", Key=key)["Body"].read() == archive.read_bytes()


def test_no_access_is_one_line(registry: Registry, dev: Environment):
    keep_outputs(dev, OUTPUTS | {"model_groups": {"delay": "no-such-group"}})
    archive, digest = write_archive(dev.root / "x")
    with pytest.raises(SlipwayError, match="registering delay 1: AWS answered ValidationException") as refused:
        register(Registry(dev), archive, digest)
    assert refused.value.code == "aws-refused"


def test_before_the_first_up_there_is_no_registry(dev: Environment):
    with pytest.raises(SlipwayError, match="dev is not deployed yet") as refused:
        Registry(dev)
    assert refused.value.hint == "run: slipway up -e dev"


@pytest.mark.parametrize(
    ("variables", "who"),
    [({"SLIPWAY_USER": "ana", "GITHUB_ACTOR": "bot"}, "ana"), ({"GITHUB_ACTOR": "bot"}, "bot")],
)
def test_who_decides(variables: dict[str, str], who: str):
    assert who_decides(variables.get) == who
    assert who_decides(os.environ.get)
