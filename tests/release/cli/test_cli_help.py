"""Every command has its help: one screen, with an example that names the command."""

import io
from contextlib import redirect_stdout
from importlib import import_module
from pathlib import Path

import pytest
from typer.main import get_command

import release.cli
from release.cli.complete import SHELLS, candidates
from release.cli.main import run
from release.cli.table import COMMANDS, overview


def printed(words: list[str]) -> str:
    out = io.StringIO()
    with redirect_stdout(out):
        assert run(words) == 0
    return out.getvalue()


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"], ["help"]])
def test_help_names_every_command_within_80_columns(words: list[str]):
    text = printed(words)
    assert all(f"\n  {name} " in text for name in COMMANDS)
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_help_with_an_example_of_itself(name: str):
    text = printed([name, "--help"])
    assert text.startswith(f"Usage: slipway {name} ")
    assert f"slipway {name}" in text.split("Example:", 1)[1]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_says_what_it_does(name: str):
    command = get_command(import_module(COMMANDS[name].module).app)
    assert command.help
    for parameter in command.params:
        assert getattr(parameter, "help", None), f"{name}: {parameter.name}"


@pytest.mark.parametrize("name", sorted(COMMANDS.keys() - {"logs", "completion", "package", "config", "rehearse"}))
def test_every_command_on_an_environment_takes_env_and_json(name: str):
    options = {
        option
        for parameter in get_command(import_module(COMMANDS[name].module).app).params
        for option in parameter.opts
    }
    assert {"--env", "-e", "--json"} <= options


@pytest.mark.parametrize("name", ["up", "down", "register", "approve", "reject", "release", "rollback"])
def test_every_change_can_be_confirmed_on_the_command_line_and_not_by_a_bare_yes(name: str):
    options = {
        option
        for parameter in get_command(import_module(COMMANDS[name].module).app).params
        for option in parameter.opts
    }
    assert "--confirm" in options
    assert not options & {"--yes", "-y", "--force"}


def test_the_table_has_a_module_for_each_command_file():
    folder = Path(release.cli.__file__).parent
    with_app = {path.stem for path in folder.glob("*.py") if "\napp = command_app(" in path.read_text()}
    assert {command.module.rsplit(".", 1)[1] for command in COMMANDS.values()} == with_app


def test_version():
    assert printed(["--version"]).startswith("slipway ")


def test_overview_fits_a_screen():
    assert len(overview().splitlines()) <= 35


class TestCompletion:
    def test_commands(self):
        assert candidates(["reg"]) == ["register"]
        assert candidates(["re"]) == ["rehearse", "register", "reject", "release"]

    def test_options(self):
        assert "--check" in candidates(["status", "--"])
        assert candidates(["status", "--ch"]) == ["--check"]

    def test_environments(self, root: Path, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.chdir(root)
        assert candidates(["status", "-e", ""]) == ["dev", "local"]

    def test_nothing_outside_a_checkout(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.chdir(tmp_path)
        assert candidates(["logs", ""]) == []
        assert candidates(["status", "-e", ""]) == []

    @pytest.mark.parametrize("shell", SHELLS)
    def test_scripts(self, shell: str):
        assert "slipway completion --words" in printed(["completion", shell])
