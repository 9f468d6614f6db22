import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from release.errors import SlipwayError
from release.provenance import created_at, installed_versions, source_of

WHEN = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)


def git(folder: Path, *arguments: str, at: datetime = WHEN) -> str:
    stamp = f"{int(at.timestamp())} +0200"
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "GIT_COMMITTER_DATE": stamp,
        "GIT_AUTHOR_DATE": stamp,
    }
    command = ["git", "-C", str(folder), "-c", "user.name=n", "-c", "user.email=e", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def model_folder(tmp_path: Path) -> Path:
    """A folder of a repository, whose last commit touched something else."""
    git(tmp_path, "init", "-q")
    folder = tmp_path / "a model"
    folder.mkdir()
    (folder / "train.py").write_text("1")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "train")
    (tmp_path / "other").write_text("2")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "other", at=datetime(2026, 6, 1, tzinfo=UTC))
    return folder


def test_the_last_commit_of_the_folder_and_its_time(model_folder: Path) -> None:
    source, when = source_of(model_folder)
    assert source.commit == git(model_folder, "log", "-1", "--format=%H", "--", ".")
    assert source.commit != git(model_folder, "rev-parse", "HEAD")
    assert (source.dirty, when) == (False, WHEN)


@pytest.mark.parametrize("change", ["train.py", "new.py"])
def test_a_change_in_the_folder_makes_it_dirty(change: str, model_folder: Path) -> None:
    (model_folder.parent / "other").write_text("3")
    assert not source_of(model_folder)[0].dirty
    (model_folder / change).write_text("3")
    assert source_of(model_folder)[0].dirty


def test_a_folder_without_commits(model_folder: Path) -> None:
    fresh = model_folder.parent / "fresh"
    fresh.mkdir()
    (fresh / "train.py").write_text("1")
    source, when = source_of(fresh)
    assert (source.commit, source.dirty, when) == (None, True, None)


def test_without_a_repository_or_git(tmp_path: Path, model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    source, when = source_of(model_folder)
    assert (source.commit, source.dirty, when) == (None, False, None)


def test_source_date_epoch_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    assert created_at(WHEN.replace(microsecond=5)) == WHEN
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    assert created_at(WHEN) == datetime(1970, 1, 1, tzinfo=UTC)
    for wrong in ("yesterday", "1" * 30):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", wrong)
        with pytest.raises(SlipwayError, match="SOURCE_DATE_EPOCH: expected seconds since 1970"):
            created_at(WHEN)


def test_versions_with_all_that_they_need() -> None:
    lines = installed_versions(["pytest", "not-installed"]).splitlines()
    assert lines[0].startswith("# Python 3.")
    names = [line.split("==")[0] for line in lines[1:]]
    assert {"pytest", "pluggy", "iniconfig"} <= set(names)
    assert names == sorted(set(names))
