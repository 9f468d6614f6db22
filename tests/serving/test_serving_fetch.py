import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto import mock_aws
from serving.exits import CommandError, Exit
from serving.fetch import fetch
from serving.logs import Log
from serving.package import verify_directory
from serving.settings import Settings
from serving_packages import write_archive
from serving_process import environment

LOG = Log("error")


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    return write_archive(tmp_path_factory.mktemp("fetch"))


@pytest.fixture
def bucket(packed: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An emulated S3 with the package in it: the URI."""
    for name, value in {"ACCESS_KEY_ID": "any", "SECRET_ACCESS_KEY": "any", "DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket="models")
        client.put_object(Bucket="models", Key="delay/package.tar.gz", Body=packed[0].read_bytes())
        yield "s3://models/delay/package.tar.gz"


def settings_of(uri: str | None, digest: str | None, directory: Path, **more: str) -> Settings:
    return Settings(model_uri=uri, model_digest=digest, model_dir=directory, **more)


def refused(settings: Settings) -> tuple[Exit, str]:
    with pytest.raises(CommandError) as caught:
        fetch(settings, LOG)
    message = str(caught.value)
    assert "\n" not in message
    return caught.value.code, message


def test_a_package_comes_from_s3_whole_and_verified(bucket: str, packed: tuple[Path, str], tmp_path: Path) -> None:
    settings = settings_of(bucket, packed[1], tmp_path / "model")
    target = fetch(settings, LOG)
    assert target == tmp_path / "model" / packed[1].removeprefix("sha256:")
    assert verify_directory(target).manifest.name == "delay"
    assert [each.name for each in target.parent.iterdir()] == [target.name]


def test_what_is_there_is_not_fetched_again_unless_it_is_broken(packed: tuple[Path, str], tmp_path: Path) -> None:
    settings = settings_of(str(packed[0]), packed[1], tmp_path)
    target = fetch(settings, LOG)
    born = target.stat().st_ino
    assert fetch(settings_of("s3://no/where", packed[1], tmp_path), LOG).stat().st_ino == born
    (target / "model.onnx").write_bytes(b"broken")
    (tmp_path / ".incoming-dead").mkdir()
    (tmp_path / ".fetch-dead.tar.gz").touch()
    fetch(settings_of(packed[0].as_uri(), packed[1], tmp_path), LOG)
    assert verify_directory(target)
    assert [each.name for each in tmp_path.iterdir()] == [target.name]


def test_each_cause_has_its_code_and_its_words(bucket: str, packed: tuple[Path, str], tmp_path: Path) -> None:
    digest, other = packed[1], "sha256:" + "0" * 64
    cases = [
        (settings_of(None, digest, tmp_path), Exit.CONFIG, "SLIPWAY_MODEL_URI: not set; fetch needs it"),
        (settings_of(bucket, None, tmp_path), Exit.CONFIG, "SLIPWAY_MODEL_DIGEST: not set; fetch needs it"),
        (settings_of("ftp://x/y", digest, tmp_path), Exit.CONFIG, "SLIPWAY_MODEL_URI: expected s3://bucket/key, file:///path"),
        (settings_of("s3://models", digest, tmp_path), Exit.CONFIG, "SLIPWAY_MODEL_URI: expected s3://bucket/key, got"),
        (settings_of("s3://models/x", digest, tmp_path), Exit.NOT_FOUND, "s3://models/x: no such object; was this"),
        (settings_of("s3://nomodels/x", digest, tmp_path), Exit.NOT_FOUND, "s3://nomodels/x: no such bucket; was this"),
        (settings_of("/no/such.tar.gz", digest, tmp_path), Exit.NOT_FOUND, "/no/such.tar.gz: no such file"),
        (settings_of(bucket, other, tmp_path), Exit.DIGEST_MISMATCH, f"{bucket}: .fetch-000000000000.tar.gz: digest: "),
        (settings_of(bucket, digest, tmp_path, model_version="9"), Exit.INVALID_PACKAGE,
         "manifest.json: version: SLIPWAY_MODEL_VERSION is '9', the package has '1'"),
    ]  # fmt: skip
    for settings, code, message in cases:
        found = refused(settings)
        assert found[0] == code, found
        assert found[1].startswith(message)
    assert not [each for each in tmp_path.iterdir() if each.name.startswith(".")]


def test_an_invalid_package_is_told_apart(tmp_path: Path) -> None:
    bad = tmp_path / "bad.tar.gz"
    bad.write_bytes(b"not a package")
    from serving.package import digest_of

    code, message = refused(settings_of(str(bad), digest_of(bad), tmp_path / "model"))
    assert code == Exit.INVALID_PACKAGE
    assert message.startswith(f"{bad}: bad.tar.gz: not a sound gzip file")


def test_denied_and_unreachable_are_told_apart(
    bucket: str, packed: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from botocore.client import BaseClient
    from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError

    def failing(error: Exception) -> None:
        def call(*_: object, **__: object) -> None:
            raise error

        monkeypatch.setattr(BaseClient, "_make_api_call", call)

    settings = settings_of(bucket, packed[1], tmp_path)
    answer = {"Error": {"Code": "AccessDenied", "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": 403}}
    failing(ClientError(answer, "GetObject"))  # type: ignore[arg-type]
    assert refused(settings) == (
        Exit.DENIED,
        f"{bucket}: AccessDenied: no; the pod's role needs s3:GetObject and kms:Decrypt on it",
    )
    failing(NoCredentialsError())
    assert refused(settings)[0] == Exit.DENIED
    failing(EndpointConnectionError(endpoint_url="http://s3"))
    assert refused(settings) == (Exit.UNAVAILABLE, f'{bucket}: Could not connect to the endpoint URL: "http://s3"')


@pytest.mark.parametrize(
    ("number", "why"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EROFS, "the file system is read-only"),
        (errno.EDQUOT, "the disk quota is used up"),
    ],
)
def test_a_disk_that_does_not_take_it(
    packed: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, why: str
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("serving.package.tempfile.mkdtemp", full)
    assert refused(settings_of(str(packed[0]), packed[1], tmp_path)) == (Exit.DISK, f"{tmp_path}: {why}")


@pytest.mark.integration
def test_the_command_says_it_in_one_line_and_by_its_code(packed: tuple[Path, str], tmp_path: Path) -> None:
    def run(**settings: object) -> tuple[int, list[str]]:
        command = [sys.executable, "-m", "serving", "fetch"]
        ended = subprocess.run(
            command, check=False, env=environment(**settings), capture_output=True, text=True, timeout=60
        )
        assert ended.stdout == ""
        return ended.returncode, ended.stderr.splitlines()

    right = {"model_uri": packed[0], "model_digest": packed[1], "model_dir": tmp_path / "a b"}
    assert run(**right)[0] == Exit.OK
    code, lines = run(**right | {"model_dir": tmp_path / "c", "model_digest": "sha256:" + "1" * 64})
    assert (code, len(lines)) == (Exit.DIGEST_MISMATCH, 1)
    assert '"message": "' in lines[0]
    assert "Traceback" not in lines[0]
    code, lines = run(**right | {"model_digest": "abc", "workers": "many"})
    assert (code, len(lines)) == (Exit.CONFIG, 2)
