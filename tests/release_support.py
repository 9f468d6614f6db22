"""What the tests of `release/` share: a checkout of their own, and the command as a user runs it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from release.environment import Environment

LOCAL_CONFIG = """\
# what the local platform serves
config:
  slipway:platform:
    region: eu-west-1
  slipway:services:
    flight-delay:
      rest:
        replicas: {min: 2, max: 2}
"""
DEV_CONFIG = """\
# dev is cheap
config:
  slipway:platform:
    region: eu-west-1  # near the data
  slipway:services:
    # the one that everybody knows
    flight-delay:
      model: {name: flight-delay}   # nothing released yet
      rest: {}
    "quoted-name":
      model:
        name: other
        version: "7"
        digest: 'sha256:77'
      rest: {}
"""
DIGEST = "sha256:" + "ab" * 32


def make_checkout(root: Path) -> Path:
    """A folder that `slipway` takes for a checkout, with the environments local and dev."""
    (root / "stacks").mkdir(parents=True)
    (root / "Pulumi.yaml").write_text("name: slipway\nruntime: python\n")
    (root / "stacks" / "Pulumi.local.yaml").write_text(LOCAL_CONFIG)
    (root / "stacks" / "Pulumi.dev.yaml").write_text(DEV_CONFIG)
    return root


def deployed(environment: Environment, **outputs: Any) -> None:
    """Make the engine's checkpoint say that the example service was deployed."""
    service = {
        "namespace": "slipway-flight-delay",
        "deployment": "flight-delay-rest",
        "service": "flight-delay-rest",
        "model": "flight-delay",
        "version": None,
        "digest": None,
        "patterns": ["rest"],
    }
    everything = {
        "environment": environment.name,
        "models_bucket": "models",
        "kms_key_arn": "arn:aws:kms:eu-west-1:123456789012:key/1",
        "model_groups": {"flight-delay": "slipway-local-flight-delay"},
        "services": {"flight-delay": service},
    } | outputs
    stack = {"type": "pulumi:pulumi:Stack", "outputs": everything}
    environment.checkpoint_file.parent.mkdir(parents=True, exist_ok=True)
    environment.checkpoint_file.write_text(json.dumps({"version": 3, "checkpoint": {"latest": {"resources": [stack]}}}))


def slipway(
    *words: str, root: Path, variables: dict[str, str] | None = None, stdin: str = "", timeout: float = 60
) -> "subprocess.CompletedProcess[str]":
    """Run the command as a user does, in a checkout."""
    return subprocess.run(
        [sys.executable, "-m", "release.cli", *words],
        cwd=root,
        env=os.environ | {"SLIPWAY_ROOT": str(root)} | (variables or {}),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
