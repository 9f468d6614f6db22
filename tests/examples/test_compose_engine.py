"""The program of one's own, through the real engine against the emulation: it comes up, holds still, and goes."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONFIG = {
    "compose:model": {"name": "flight-delay", "version": "1", "digest": "sha256:" + "a" * 64},
    "compose:vpc": {"vpc_id": "vpc-0a1b2c3d", "private_subnet_ids": ["subnet-0a1b2c3d", "subnet-1a2b3c4d"]},
    "compose:cluster": "theirs",
    "compose:input": "s3://their-flights/tomorrow/",
    "aws:region": "eu-west-1",
}


@dataclass(frozen=True)
class Project:
    """The example as it lies in a checkout, with a state and a platform of its own."""

    folder: Path
    variables: dict[str, str]

    def engine(self, *arguments: str) -> str:
        done = subprocess.run(
            ["pulumi", *arguments, "--non-interactive"],
            cwd=self.folder,
            env=self.variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr
        return done.stdout

    def change(self, operation: str) -> dict[str, int]:
        """What became of how many resources: the last of the events that the engine tells."""
        events = self.engine(operation, "--yes", "--skip-preview", "--json").splitlines()
        (summary,) = [json.loads(line)["summaryEvent"] for line in events if '"summaryEvent"' in line]
        return summary["resourceChanges"]


def room(*arguments: str) -> dict[str, Any]:
    done = subprocess.run([sys.executable, "-m", *arguments], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    folder = tmp_path / "examples" / "compose"
    shutil.copytree(ROOT / "examples" / "compose", folder, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / ".venv").symlink_to(sys.prefix, target_is_directory=True)
    (folder / "Pulumi.try.yaml").write_text(json.dumps({"config": CONFIG}))  # JSON is YAML
    local = room("local", "start", "--root", str(tmp_path))
    try:
        Path(local["env"]["PULUMI_BACKEND_URL"].removeprefix("file://")).mkdir(parents=True)
        found = room("engine", "ensure", "--root", str(tmp_path))
        path = os.pathsep.join([found["bin"], local["bin"], os.environ["PATH"]])
        variables = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        yield Project(folder, variables | local["env"] | {"PATH": path})
    finally:
        room("local", "stop", "--root", str(tmp_path), "--forget")


@pytest.mark.integration
@pytest.mark.soak
def test_it_comes_up_holds_still_and_goes(project: Project):
    project.engine("stack", "init", "try")
    up = project.change("up")
    assert set(up) == {"create"}
    assert project.change("up") == {"same": up["create"]}
    assert json.loads(project.engine("stack", "output", "--json"))["results"].endswith("/predictions/score/")
    assert project.change("destroy") == {"delete": up["create"]}
