"""What `slipway status` says of an environment that cannot be asked: what is known of it, and of each service."""

import json
from pathlib import Path

import pytest

from release.cli.main import run
from release.environment import Environment, keep_outputs


@pytest.fixture
def dev(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Environment:
    """An environment that was deployed, and whose cluster nobody can reach from here."""
    (tmp_path / "stacks").mkdir()
    (tmp_path / "Pulumi.yaml").write_text("name: slipway\n")
    (tmp_path / "stacks" / "Pulumi.dev.yaml").write_text('config: {"slipway:services": {a: {rest: {}}}}\n')
    monkeypatch.setenv("SLIPWAY_ROOT", str(tmp_path))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    found = Environment("dev", tmp_path)
    service = {"namespace": "slipway-a", "model": "a", "version": "1", "digest": "sha256:0", "patterns": ["rest"]}
    keep_outputs(found, {"services": {"a": {**service, "suspended": ["drift", "retraining"]}}})
    return found


def test_jobs_that_wait_for_their_runtime_are_told(dev: Environment, capsys: pytest.CaptureFixture[str]):
    run(["status", "-e", "dev"])
    assert "provisioned, not running yet: drift, retraining" in capsys.readouterr().out
    run(["status", "-e", "dev", "--json"])
    assert json.loads(capsys.readouterr().out)["services"]["a"]["suspended"] == ["drift", "retraining"]
