"""`slipway env`."""

import shlex

from release.cli.options import EnvironmentOption, JsonOption, begin, command_app

app = command_app(__doc__ or "")


@app.command(epilog='Example: eval "$(slipway env)" && pulumi preview -s local')
def env(env: EnvironmentOption = "local", json: JsonOption = False) -> None:
    """Print the variables with which `pulumi`, `kubectl` and `aws` by hand meet an environment as Slipway does."""
    session = begin(env, json, aside=True)
    from release.platform import look_ready, own_variables

    engine, local = look_ready(session.environment, session.environment.log_directory / "platform.log")
    variables = own_variables(session.environment, engine["bin"], local)
    if json:
        session.screen.result(variables)
        return
    for name, value in variables.items():
        print(f"export {name}={shlex.quote(value)}" if value else f"unset {name}")
