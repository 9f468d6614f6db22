"""A cache for the unit tests of the engine room, and a real engine for its integration tests."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from engine_support import Project

from engine.paths import EngineCache


@pytest.fixture
def cache(tmp_path: Path) -> EngineCache:
    return EngineCache(tmp_path / "cache" / "slipway" / "engine", "3.259.0")


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The answer of `python -m engine ensure` for a checkout in a folder with a space. Builds nothing: see below."""
    looked = subprocess.run([sys.executable, "-m", "engine", "find"], capture_output=True, text=True, check=True)
    found = json.loads(looked.stdout)
    if found["pulumi"] is None:
        # Minutes of compiling do not belong into a test; `make test` has the engine built before.
        pytest.fail(f"there is no engine to test with: {found['remedy']}")
    root = tmp_path_factory.mktemp("check out")
    done = subprocess.run(
        [sys.executable, "-m", "engine", "ensure", "--root", root], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def project(engine: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with an empty stack `dev`, for runs with no network. A test that fills the stack empties it again."""
    folder = tmp_path_factory.mktemp("project")
    root = folder / "pro ject"
    (root / "stacks").mkdir(parents=True)
    (root / "Pulumi.yaml").write_text("name: tried\nruntime: python\nmain: stacks/\nstackConfigDir: stacks\n")
    (folder / "the state").mkdir()
    unreachable = "http://127.0.0.1:9"
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([engine["bin"], os.environ["PATH"]]),
        "PULUMI_HOME": str(folder / "home"),
        "PULUMI_BACKEND_URL": f"file://{folder}/the state",
        "PULUMI_CONFIG_PASSPHRASE": "trial",
        "PULUMI_SKIP_UPDATE_CHECK": "1",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "1",
        # Whatever leaves this machine fails.
        "HTTP_PROXY": unreachable,
        "HTTPS_PROXY": unreachable,
        "NO_PROXY": "127.0.0.1,localhost",
    }
    project = Project(root, environment)
    status, output = project.pulumi("stack", "init", "dev")
    assert status == 0, output
    return project
