import os
from pathlib import Path

import pytest
from engine_support import executable

from engine.errors import EngineError
from engine.find import Search, find, preference
from engine.paths import EngineCache, cache_home


@pytest.fixture
def on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all of PATH, but for the shell's own tools."""
    folder = tmp_path / "user bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", os.pathsep.join([str(folder), "/usr/bin", "/bin"]))
    return folder


def add_cli(folder: Path, says: str) -> Path:
    return executable(folder / "pulumi", f"echo '{says}'")


def add_built(cache: EngineCache) -> Path:
    return executable(cache.pulumi, "exit 1")


def test_takes_a_cli_on_path_that_is_new_enough(on_path: Path, cache: EngineCache) -> None:
    mine = add_cli(on_path, "v3.300.0")
    add_built(cache)
    cli = find(cache, "").cli
    assert cli is not None
    assert (cli.pulumi, cli.version, cli.origin, cli.language_host) == (mine, "3.300.0", "path", None)


def test_passes_over_an_old_cli_for_a_newer_one_further_down_path(
    on_path: Path, cache: EngineCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = add_cli(on_path, "v3.100.0")
    new = add_cli(tmp_path / "further", "v3.259.0")
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}{os.pathsep}{new.parent}")
    search = find(cache, "")
    assert search.cli is not None
    assert search.cli.pulumi == new
    assert search.passed_over == [f"{old} is 3.100.0; needed is 3.259.0 or newer (below 4.0.0)"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("echo v3.258.0", "is 3.258.0; needed is 3.259.0 or newer (below 4.0.0)"),
        ("echo v4.0.0", "is 4.0.0; needed is 3.259.0 or newer (below 4.0.0)"),
        ("echo 'asdf: no version is set for pulumi' >&2; exit 126", "(asdf: no version is set for pulumi)"),
        ("exit 0", "does not say a version (no output)"),
        ("kill -9 $$", "does not say a version (no output)"),
    ],
)
def test_says_why_a_cli_on_path_is_not_taken(on_path: Path, cache: EngineCache, body: str, reason: str) -> None:
    executable(on_path / "pulumi", body)
    search = find(cache, "")
    assert search.cli is None
    assert len(search.passed_over) == 1
    assert reason in search.passed_over[0]


def test_takes_the_built_one_when_path_has_none(on_path: Path, cache: EngineCache) -> None:
    built = add_built(cache)
    cli = find(cache, "").cli
    assert cli is not None
    assert (cli.pulumi, cli.version, cli.origin, cli.language_host) == (built, "3.259.0", "built", None)


def test_finds_nothing_where_there_is_nothing(on_path: Path, cache: EngineCache) -> None:
    assert find(cache, "") == Search(None, [])


def test_setting_build_ignores_path(on_path: Path, cache: EngineCache) -> None:
    add_cli(on_path, "v3.300.0")
    assert find(cache, "build").cli is None
    built = add_built(cache)
    cli = find(cache, "build").cli
    assert cli is not None
    assert cli.pulumi == built


def test_setting_path_ignores_the_built_one(on_path: Path, cache: EngineCache) -> None:
    add_built(cache)
    assert find(cache, "path").cli is None


def test_an_unknown_setting_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPWAY_ENGINE", "docker")
    with pytest.raises(EngineError, match="'docker'; expected 'path' or 'build'"):
        preference()


def test_the_folder_of_a_checkout_is_not_taken_for_the_users_own(
    cache: EngineCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = add_cli(tmp_path / "checkout" / ".slipway" / "engine" / "bin", "v3.259.0")
    monkeypatch.setenv("PATH", os.pathsep.join([str(ours.parent), "/usr/bin", "/bin"]))
    assert find(cache, "") == Search(None, [])


@pytest.mark.parametrize("place", ["beside", "beside the link's target", "elsewhere on PATH"])
def test_finds_the_vendors_language_host(
    on_path: Path, cache: EngineCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    if place == "beside the link's target":
        target = add_cli(tmp_path / "opt" / "pulumi-3.259.0", "v3.259.0")
        (on_path / "pulumi").symlink_to(target)
        folder = target.parent
    else:
        add_cli(on_path, "v3.259.0")
        folder = on_path if place == "beside" else tmp_path / "elsewhere"
    host = executable(folder / "pulumi-language-python", "exit 0")
    if place == "elsewhere on PATH":
        monkeypatch.setenv("PATH", f"{os.environ['PATH']}{os.pathsep}{folder}")
    cli = find(cache, "").cli
    assert cli is not None
    assert cli.language_host == host


@pytest.mark.parametrize(
    ("value", "expected"), [("/caches", "/caches"), ("", "HOME/.cache"), ("relative", "HOME/.cache")]
)
def test_cache_home(value: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", value)
    assert str(cache_home()) == expected.replace("HOME", str(tmp_path))
