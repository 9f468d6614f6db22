"""What the completion scripts ask for: the words that may stand at the cursor. Typer is loaded for options only."""

from release.cli.table import COMMANDS
from release.errors import SlipwayError

SHELLS = ("bash", "zsh", "fish")


def candidates(words: list[str]) -> list[str]:
    """What may stand in place of the last of `words` (those after `slipway`, the unfinished one included)."""
    begun = words[-1] if words else ""
    if len(words) <= 1:
        found = [*COMMANDS]
    elif begun.startswith("-"):
        found = _options(words[0])
    elif words[-2] in {"-e", "--env", "--confirm"}:
        found = _environments()
    elif words[0] == "completion":
        found = [*SHELLS]
    else:
        found = _services(words)
    return [word for word in found if word.startswith(begun)]


def _options(command: str) -> list[str]:
    from importlib import import_module

    from typer.main import get_command

    if command not in COMMANDS:
        return []
    parameters = get_command(import_module(COMMANDS[command].module).app).params
    return [name for parameter in parameters for name in parameter.opts if name.startswith("--")] + ["--help"]


def _environments() -> list[str]:
    from release.environment import find_root

    try:
        files = find_root().glob("stacks/Pulumi.*.yaml")
    except SlipwayError:
        return []
    return sorted(path.name.removeprefix("Pulumi.").removesuffix(".yaml") for path in files)


_TAKE_A_SERVICE = frozenset({"release", "rollback", "predict", "curl", "logs"})


def _services(words: list[str]) -> list[str]:
    from release.environment import open_environment, read_deployed

    if words[0] not in _TAKE_A_SERVICE:
        return []
    named = [words[place + 1] for place, word in enumerate(words[:-1]) if word in {"-e", "--env"}]
    try:
        return sorted(read_deployed(open_environment(named[0] if named else "local")).services)
    except (SlipwayError, OSError):
        return []
