import os
import time
from pathlib import Path

import grpc
import pytest
from serving.api_keys import ApiKeys, parse
from serving.errors import NotReadyError, UnauthenticatedError
from serving.logs import Log
from serving_process import serving_test_model

FIRST, SECOND = "first-key-0123456789", "second-key-0123456789"
QUIET = Log("error")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "keys"
    file.write_text(f"# who asks\n{FIRST}\n\n{SECOND}\n")
    return file


def looking_again(keys: ApiKeys) -> ApiKeys:
    keys._looked = 0.0
    return keys


def test_a_known_key_passes_in_either_header(file: Path) -> None:
    keys = ApiKeys(file, QUIET)
    keys.check(f"Bearer {FIRST}", None)
    keys.check(f"bearer  {SECOND}", None)
    keys.check(None, SECOND)


@pytest.mark.parametrize(
    "sent", [(None, None), ("Basic x", None), ("Bearer", None), ("Bearer x", None), (None, ""), (None, "ü\udcff")]
)
def test_anything_else_does_not(file: Path, sent: tuple[str | None, str | None]) -> None:
    with pytest.raises(UnauthenticatedError) as caught:
        ApiKeys(file, QUIET).check(*sent)
    assert FIRST not in str(caught.value)


def test_a_rotation_is_noticed_and_a_broken_file_locks_nobody_out(file: Path) -> None:
    keys = ApiKeys(file, QUIET)
    keys.check(None, FIRST)
    file.write_text(f"{SECOND}\n")
    os.utime(file, ns=(1, 1))
    looking_again(keys).check(None, SECOND)
    with pytest.raises(UnauthenticatedError):
        keys.check(None, FIRST)
    file.write_text("")
    looking_again(keys).check(None, SECOND)
    file.unlink()
    looking_again(keys).check(None, SECOND)


def test_without_keys_nobody_is_let_in(tmp_path: Path) -> None:
    keys = ApiKeys(tmp_path / "none", QUIET)
    assert not keys.known
    with pytest.raises(NotReadyError, match="the API keys are not there yet"):
        keys.check(None, FIRST)


@pytest.mark.parametrize(
    ("text", "why"), [("", "found none"), ("# x\n", "found none"), (f"{FIRST}\nshort\n", "key 2 is shorter")]
)
def test_a_file_that_is_not_safe_is_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse(text)


@pytest.mark.integration
def test_a_server_asks_for_keys_and_takes_new_ones_without_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    with serving_test_model(tmp_path, api_keys_file=file) as server:
        row = {"rows": [{"carrier": "UA"}]}
        assert server.get("/v2/health/ready").status == 503
        assert server.post("/predict", row).status == 503
        file.write_text(f"{FIRST}\n")
        time.sleep(1.2)
        assert (
            server.get("/v2/health/ready").status == server.get("/metrics").status == server.get("/docs").status == 200
        )
        refused = server.post("/predict", row)
        assert (refused.status, refused.headers["www-authenticate"]) == (401, "Bearer")
        assert server.post("/predict", row, Authorization=f"Bearer {FIRST}").status == 200
        assert server.post("/v2/models/delay/infer", row, X_API_Key="wrong").status == 401
        with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
            call = channel.unary_unary("/inference.GRPCInferenceService/ServerMetadata")
            assert call(b"", metadata=(("authorization", f"Bearer {FIRST}"),), timeout=10)
            with pytest.raises(grpc.RpcError) as caught:
                call(b"", timeout=10)
        assert isinstance(caught.value, grpc.Call)
        assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED
        file.write_text(f"{SECOND}\n")
        time.sleep(1.2)
        assert server.post("/predict", row, Authorization=f"Bearer {FIRST}").status == 401
        assert server.post("/predict", row, Authorization=f"Bearer {SECOND}").status == 200
        assert FIRST not in str(server.lines)


def test_keys_come_from_secrets_manager_and_follow_a_rotation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import boto3
    from moto import mock_aws
    from serving.secret_keys import SecretKeys

    for name, value in {"ACCESS_KEY_ID": "any", "SECRET_ACCESS_KEY": "any", "DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    file = tmp_path / "spool" / "api-keys"
    with mock_aws():
        client = boto3.client("secretsmanager")
        arn = client.create_secret(Name="keys", SecretString=f"{FIRST}\n")["ARN"]
        secret = SecretKeys(arn, file, QUIET)
        secret.refresh()
        assert file.stat().st_mode & 0o777 == 0o600
        keys = ApiKeys(file, QUIET)
        keys.check(None, FIRST)
        client.put_secret_value(SecretId=arn, SecretString="short")
        secret._next = 0.0
        secret.refresh()
        assert file.read_text() == f"{FIRST}\n"
        client.put_secret_value(SecretId=arn, SecretString=SECOND)
        secret._next = 0.0
        secret.refresh()
        looking_again(keys).check(None, SECOND)


def test_a_secret_without_a_file_closes_the_door_too() -> None:
    from serving.settings import Settings, keys_file

    assert keys_file(Settings()) is None
    assert keys_file(Settings(api_keys_secret="arn", spool_dir=Path("/s"))) == Path("/s/api-keys")
    assert keys_file(Settings(api_keys_secret="arn", api_keys_file=Path("/k"))) == Path("/k")
