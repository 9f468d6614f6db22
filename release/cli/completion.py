"""`slipway completion`."""

from typing import Annotated

import typer

from release.cli.options import command_app
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
