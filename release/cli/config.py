"""`slipway config`."""

from typing import Annotated

import typer

from release.cli.options import JsonOption, command_app
from release.cli.screen import Screen
from release.environment import find_root
from release.errors import SlipwayError

app = command_app(__doc__ or "")

WordsArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[check|show] [ENV]", help="What to do, and with which environment.")
]
ExplainOption = Annotated[bool, typer.Option("--explain", help="Each key with its source, default and reason.")]


@app.command(epilog="Example: slipway config prod --explain")
def config(words: WordsArgument = None, explain: ExplainOption = False, json: JsonOption = False) -> None:
    """Check an environment's config, or show it with everything that it leaves to its defaults.

    `check` without ENV checks every environment. `show` is what happens without a word.
    """
    action, names = _understood(words or [])
    if action == "check":
        _check(Screen(json), names)
    else:
        _show(Screen(json), names[0] if names else "local", explain)


def _understood(words: list[str]) -> tuple[str, list[str]]:
    action = words[0] if words and words[0] in {"check", "show"} else "show"
    names = words[1:] if words and words[0] == action else words
    if len(names) > 1:
        raise SlipwayError("usage", f"expected one environment, got {' '.join(names)}", "see: slipway config --help")
    return action, names


def _check(screen: Screen, names: list[str]) -> None:
    from stacks.config.environments import Environment
    from stacks.config.loader import environment_named, from_file
    from stacks.config.mistakes import ConfigError

    root = find_root()
    mistakes: list[str] = []
    result: dict[str, list[str]] = {}
    for name in names or list(Environment):
        try:
            from_file(environment_named(name), root)
            result[name] = []
            screen.line(f"{name}: no mistake")
        except ConfigError as error:
            mistakes.append(str(error))
            result[name] = list(error.lines) or [error.title]
    if screen.as_json and not mistakes:
        screen.result({"environments": result})
    if mistakes:
        raise SlipwayError("config", "\n".join(mistakes), "correct it, then run this again")


def _show(screen: Screen, name: str, explained: bool) -> None:
    from stacks.config.explain import as_yaml, explain, resolved
    from stacks.config.loader import environment_named, located
    from stacks.config.mistakes import ConfigError

    try:
        found, source = located(environment_named(name), find_root())
    except ConfigError as error:
        raise SlipwayError("config", str(error), "correct it, then run this again") from error
    if screen.as_json:
        keys = [entry.as_json() for entry in explain(found, source) if entry.value is not ...]
        screen.result({"environment": name, "keys": keys} if explained else {"environment": name, **resolved(found)})
        return
    screen.line(f"# {name}: {source.file}")
    for line in as_yaml(explain(found, source), explained=explained):
        screen.line(line)
