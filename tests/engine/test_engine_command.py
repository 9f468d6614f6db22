"""`python -m engine …` as other rooms run it: one JSON object on stdout, nothing else there."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from engine_support import executable

BASE_PATH = "/usr/bin:/bin"


def run(*arguments: str, path: str = BASE_PATH, **settings: str) -> tuple[int, dict[str, str | None], str]:
    """Exit status, the object on stdout, and stderr."""
    environment = {"HOME": os.environ["HOME"], "PATH": path, **settings}
    command = [sys.executable, "-m", "engine", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, json.loads(done.stdout), done.stderr


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, str]:
    """A cache that holds a built engine."""
    executable(tmp_path / "slipway" / "engine" / "3.259.0" / "pulumi", "echo v3.259.0")
    return {"XDG_CACHE_HOME": str(tmp_path)}


def test_ensure_puts_cli_and_language_host_side_by_side(tmp_path: Path, settings: dict[str, str]) -> None:
    root = tmp_path / "check out"
    folder = root / ".slipway" / "engine" / "bin"
    status, answer, complaints = run("ensure", "--root", str(root), **settings)
    assert (status, complaints) == (0, "")
    assert answer == {
        "pulumi": str(folder / "pulumi"),
        "version": "3.259.0",
        "origin": "built",
        "bin": str(folder),
        "language_host": str(folder / "pulumi-language-python"),
    }
    # A hard link, not a symbolic one: the engine expects the language host beside the resolved executable.
    assert not (folder / "pulumi").is_symlink()
    assert (folder / "pulumi").samefile(tmp_path / "slipway/engine/3.259.0/pulumi")
    assert (folder / "pulumi-language-python").stat().st_mode & stat.S_IXUSR
    assert sorted(path.name for path in folder.iterdir()) == ["pulumi", "pulumi-language-python"]


def test_ensure_again_changes_nothing(tmp_path: Path, settings: dict[str, str]) -> None:
    first = run("ensure", "--root", str(tmp_path), **settings)
    folder = tmp_path / ".slipway" / "engine" / "bin"
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert run("ensure", "--root", str(tmp_path), **settings) == first
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_ensure_renews_what_a_moved_checkout_left(tmp_path: Path, settings: dict[str, str]) -> None:
    folder = tmp_path / ".slipway" / "engine" / "bin"
    executable(folder / "pulumi-language-python", "exec '/gone/.venv/bin/python'")
    (folder / "pulumi").symlink_to("/gone/pulumi")
    assert run("ensure", "--root", str(tmp_path), **settings)[0] == 0
    assert sys.executable in (folder / "pulumi-language-python").read_text()
    assert (folder / "pulumi").exists()


def test_ensure_leaves_a_complete_installation_as_it_is(tmp_path: Path) -> None:
    theirs = executable(tmp_path / "opt" / "pulumi", "echo v3.300.0")
    host = executable(tmp_path / "opt" / "pulumi-language-python", "exit 0")
    status, answer, _ = run("ensure", "--root", str(tmp_path), path=f"{theirs.parent}:{BASE_PATH}")
    assert status == 0
    assert answer == {
        "pulumi": str(theirs),
        "version": "3.300.0",
        "origin": "path",
        "bin": str(theirs.parent),
        "language_host": str(host),
    }
    assert not (tmp_path / ".slipway").exists()


def test_ensure_adds_our_host_to_a_cli_that_came_without(tmp_path: Path) -> None:
    theirs = executable(tmp_path / "opt" / "pulumi", "echo v3.259.0")
    _, answer, _ = run("ensure", "--root", str(tmp_path), path=f"{theirs.parent}:{BASE_PATH}")
    folder = tmp_path / ".slipway" / "engine" / "bin"
    assert answer["origin"] == "path"
    assert answer["bin"] == str(folder)
    assert (folder / "pulumi").readlink() == theirs


def test_find_writes_nothing(tmp_path: Path, settings: dict[str, str]) -> None:
    root = tmp_path / "checkout"
    status, answer, complaints = run("find", "--root", str(root), **settings)
    assert (status, complaints) == (0, "")
    assert answer["pulumi"] == str(tmp_path / "slipway/engine/3.259.0/pulumi")
    assert answer["bin"] is None
    assert answer["language_host"] is None
    assert not root.exists()


def test_find_says_what_is_missing_and_what_was_passed_over(tmp_path: Path) -> None:
    old = executable(tmp_path / "opt" / "pulumi", "echo v3.1.0")
    status, answer, _ = run("find", path=f"{old.parent}:{BASE_PATH}", XDG_CACHE_HOME=str(tmp_path))
    assert status == 0
    assert answer["pulumi"] is None
    assert answer["note"] == f"{old} is 3.1.0; needed is 3.259.0 or newer (below 4.0.0)"
    assert "make up" in str(answer["remedy"])


def test_a_missing_cli_that_must_not_be_built_is_an_error(tmp_path: Path) -> None:
    status, answer, _ = run("ensure", XDG_CACHE_HOME=str(tmp_path), SLIPWAY_ENGINE="path")
    assert status == 1
    assert set(answer) == {"code", "message", "hint"}
    assert answer["code"] == "engine-missing"


def test_a_wrong_command_line_is_answered_in_json() -> None:
    status, answer, _ = run("build")
    assert status == 2
    assert answer["code"] == "usage"
    assert "'build'" in str(answer["message"])


def test_an_unwritable_checkout_ends_in_one_line(tmp_path: Path, settings: dict[str, str]) -> None:
    (tmp_path / ".slipway").write_text("a file where the folder belongs")
    status, answer, complaints = run("ensure", "--root", str(tmp_path), **settings)
    assert (status, complaints) == (1, "")
    assert answer["code"] == "not-writable"
    assert str(tmp_path / ".slipway") in str(answer["message"])
