"""Nobody changes an environment with the credentials of another account."""

from collections.abc import Iterator

import pytest
from moto import mock_aws

from release.aws import check_account
from release.environment import Environment, keep_outputs
from release.errors import SlipwayError


@pytest.fixture
def _credentials(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in {"DEFAULT_REGION": "eu-west-1", "ACCESS_KEY_ID": "x", "SECRET_ACCESS_KEY": "x"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    with mock_aws():
        yield


def lives_in(environment: Environment, account: str) -> None:
    keep_outputs(environment, {"region": "eu-west-1", "kms_key_arn": f"arn:aws:kms:eu-west-1:{account}:key/1"})


@pytest.mark.usefixtures("_credentials")
def test_the_right_account_passes(dev: Environment):
    lives_in(dev, "123456789012")  # moto's
    check_account(dev)


@pytest.mark.usefixtures("_credentials")
def test_another_account_is_refused_with_both_named(dev: Environment):
    lives_in(dev, "999999999999")
    with pytest.raises(SlipwayError, match="credentials are of account 123456789012, dev lives in 999999999999"):
        check_account(dev)


def test_no_credentials_are_said(dev: Environment, monkeypatch: pytest.MonkeyPatch):
    lives_in(dev, "999999999999")
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, "/nonexistent")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(SlipwayError, match="there are no AWS credentials") as refused:
        check_account(dev)
    assert refused.value.code == "no-credentials"


def test_before_the_first_deployment_there_is_nothing_to_compare(dev: Environment, local: Environment):
    check_account(dev)
    check_account(local)
