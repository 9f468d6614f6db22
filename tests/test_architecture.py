"""The arrows between rooms, and what no tracked file may say."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ["stacks", "components", "policies", "release", "local", "engine", "examples", "serving"]


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Checks the packages in `folder` against this repository's contracts."""
    return subprocess.run(
        [
            Path(sys.executable).with_name("lint-imports"),
            "--config",
            ROOT / "pyproject.toml",
            "--no-cache",
            "--no-logo",
        ],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_rooms_import_only_what_they_may() -> None:
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout


# One import each that points the wrong way, in a house that has nothing else.
WRONG = [
    ("components.network", "stacks.config"),
    ("components.network", "policies"),
    ("policies.tags", "components"),
    ("serving.rest", "local"),
    ("serving.manifest", "release.package"),
    ("local.daemon", "serving.settings"),
    ("engine.build", "local"),
    ("engine.build", "release.errors"),
    ("stacks.platform", "serving.settings"),
    ("stacks.platform", "release"),
    ("stacks.config", "components"),
    ("release.cli", "components.network"),
    ("release.cli", "stacks.platform"),
    ("release.cli", "serving.rest"),
    ("release.cli", "engine.build"),
    ("release.cli", "examples.flight"),
    ("examples.flight", "release.cli"),
    ("examples.flight", "serving.rest"),
    ("examples.flight", "stacks.config"),
]
RIGHT = [
    ("stacks.platform", "components.network"),
    ("release.package", "stacks.config"),
    ("release.package", "serving.manifest"),
    ("examples.flight", "release.package"),
    ("examples.flight", "serving.manifest"),
]


def write_house(folder: Path, imports: list[tuple[str, str]]) -> None:
    """Packages and modules of the real names, with the given imports."""
    for room in ROOMS:
        (folder / room).mkdir(parents=True)
        (folder / room / "__init__.py").touch()
    for end in [
        "stacks.__main__",
        "stacks.platform",
        "stacks.config",
        *(end for pair in WRONG + RIGHT for end in pair),
    ]:
        if "." in end:
            folder.joinpath(*end.split(".")).with_suffix(".py").touch()
    for importer, imported in imports:
        with folder.joinpath(*importer.split(".")).with_suffix(".py").open("a") as module:
            module.write(f"import {imported}\n")


def test_the_arrows_that_are_meant_pass(tmp_path: Path) -> None:
    write_house(tmp_path, RIGHT)
    done = lint_imports(tmp_path)
    assert done.returncode == 0, done.stdout


def test_every_wrong_arrow_is_found(tmp_path: Path) -> None:
    """All at once: each must be named among the broken ones."""
    write_house(tmp_path, WRONG)
    done = lint_imports(tmp_path)
    assert done.returncode != 0
    for importer, imported in WRONG:
        assert re.search(rf"{re.escape(importer)} -> {re.escape(imported)} ", done.stdout), f"{importer} -> {imported}"


@pytest.fixture(scope="module")
def tracked() -> dict[str, str]:
    """The text of every file under version control; pictures and other binary files are left out."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    texts: dict[str, str] = {}
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if path.is_file() and b"\0" not in (content := path.read_bytes()):
            texts[name] = content.decode()
    return texts


def test_lock_files_name_no_address(tracked: dict[str, str]) -> None:
    """Where packages come from is the business of the machine that installs them."""
    locks = {name: text for name, text in tracked.items() if name.endswith((".lock", "go.sum", "go.mod"))}
    assert len(locks) >= 5
    for name, text in locks.items():
        assert "://" not in text, name
        assert "--index" not in text, name
        assert "--find-links" not in text, name


def test_lock_files_have_a_hash_for_every_package(tracked: dict[str, str]) -> None:
    for name, text in tracked.items():
        if name.endswith(".lock"):
            packages = re.split(r"^(?=\S+==)", text, flags=re.MULTILINE)[1:]
            assert packages, name
            for package in packages:
                assert "--hash=sha256:" in package, f"{name}: {package.splitlines()[0]}"


# Put together here, so that this file does not contain what it looks for.
REGISTRIES = ["pypi" + ".org", "files.python" + "hosted.org", "proxy." + "golang.org", "registry." + "npmjs.org"]


def test_no_tracked_file_names_a_package_registry(tracked: dict[str, str]) -> None:
    found = [f"{name}: {host}" for name, text in tracked.items() for host in REGISTRIES if host in text]
    assert found == []


def test_no_tracked_file_names_a_home_folder_or_this_checkout(tracked: dict[str, str]) -> None:
    """A path that exists on one machine only."""
    homes = re.compile(
        rf"(?<![\w.$}}])/(?:home|Users)/[a-z]\w+|(?<![\w.$}}])/{'root'}/|{re.escape(str(ROOT))}(?![\w.-])"
    )
    found = [f"{name}: {match[0]}" for name, text in tracked.items() if (match := homes.search(text))]
    assert found == []
