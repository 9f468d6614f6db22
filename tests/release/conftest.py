import os
from pathlib import Path

import pytest
from release_support import make_checkout

from release.environment import Environment


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_checkout(tmp_path / "a checkout")


@pytest.fixture
def local(root: Path) -> Environment:
    return Environment("local", root)


@pytest.fixture
def dev(root: Path) -> Environment:
    return Environment("dev", root)


@pytest.fixture(autouse=True)
def _nothing_of_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("AWS_", "PULUMI_", "SLIPWAY_", "KUBECONFIG"))]:
        monkeypatch.delenv(name)
