"""`slipway completion`, and the answers that its scripts ask for."""

from typing import Annotated

import typer

from release.cli.options import command_app
from release.cli.table import COMMANDS
from release.errors import SlipwayError

app = command_app(__doc__ or "")

SCRIPTS = {
    "bash": """_slipway() {
  local IFS=$'\\n'
  COMPREPLY=($(slipway completion --words "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _slipway slipway
""",
    "zsh": """#compdef slipway
_slipway() {
  local -a found
  found=(${(f)"$(slipway completion --words "${(@)words[2,$CURRENT]}" 2>/dev/null)"})
  (( ${#found} )) && compadd -a found || _files
}
compdef _slipway slipway
""",
    "fish": """function __slipway_words
  set -l words (commandline -opc) (commandline -ct)
  slipway completion --words $words[2..-1] 2>/dev/null
end
complete -c slipway -a '(__slipway_words)'
""",
}

ShellArgument = Annotated[str, typer.Argument(metavar="SHELL", help="bash, zsh or fish.")]


@app.command(epilog='Example: eval "$(slipway completion bash)"    (add it to ~/.bashrc)')
def completion(shell: ShellArgument) -> None:
    """Print a script that completes commands, options, services and environments."""
    if shell not in SCRIPTS:
        raise SlipwayError("usage", f"there is no completion for {shell!r}: it knows {', '.join(SCRIPTS)}", exit_code=2)
    print(SCRIPTS[shell], end="")


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
        found = [*SCRIPTS]
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
