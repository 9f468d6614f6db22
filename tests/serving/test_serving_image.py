"""The image's build context: what it pins and what it runs. (No container engine is needed, nor at hand.)"""

import ast
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
IMAGE = ROOT / "serving_image"

DISTRIBUTIONS = {
    "aws_msk_iam_sasl_signer": "aws-msk-iam-sasl-signer-python",
    "google": "protobuf",
    "grpc": "grpcio",
    "botocore": "boto3",
}
"""Distributions whose import name differs."""


def pinned(lock: Path) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([a-z0-9-]+)==([^ ;\\]+)", lock.read_text(), re.MULTILINE):
        found.setdefault(name, set()).add(version)
    return found


def test_the_image_pins_what_the_tests_ran_with_and_each_with_its_hashes() -> None:
    lock, ours = pinned(IMAGE / "requirements.lock"), pinned(ROOT / "requirements.lock")
    assert {name: versions - ours[name] for name, versions in lock.items() if not versions <= ours[name]} == {}
    entries = re.split(r"\n(?=[a-z0-9-]+==)", (IMAGE / "requirements.lock").read_text())
    assert all("--hash=sha256:" in entry for entry in entries if "==" in entry.splitlines()[0])


def test_everything_that_the_runtime_imports_is_in_the_image() -> None:
    needed: set[str] = set()
    for file in (IMAGE / "serving").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                needed |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                needed.add(node.module.partition(".")[0])
    stubs = {name for name in needed if name.startswith("mypy_boto3_")}
    foreign = needed - set(sys.stdlib_module_names) - stubs - {"serving"}
    asked = {
        re.split(r"[;\s]", line)[0]
        for line in (IMAGE / "requirements.in").read_text().splitlines()
        if line and not line.startswith(("#", "-"))
    }
    assert {DISTRIBUTIONS.get(name, name) for name in foreign} == asked | {"boto3"}


def test_it_runs_as_nobody_with_the_command_as_its_only_argument() -> None:
    lines = (IMAGE / "Containerfile").read_text().splitlines()
    assert 'ENTRYPOINT ["python", "-m", "serving"]' in lines
    user = next(line for line in lines if line.startswith("USER ")).removeprefix("USER ")
    assert user == "10001:10001"
    stated = re.search(r"^USER = (\d+)", (ROOT / "components" / "pod.py").read_text(), re.MULTILINE)
    assert stated is not None
    assert user.partition(":")[0] == stated[1]
