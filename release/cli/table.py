"""Every command there is, with the line that `slipway --help` shows for it."""

from typing import NamedTuple


class Command(NamedTuple):
    """A command: its name, the module that defines its `app`, and what it does in one line."""

    name: str
    module: str
    summary: str


SECTIONS: dict[str, tuple[Command, ...]] = {
    "An environment": (
        Command("up", "release.cli.up", "provision an environment, and prove what it serves"),
        Command("preview", "release.cli.preview", "what `up` would change, replace and lose"),
        Command("config", "release.cli.config", "its config: checked, shown with its defaults, explained"),
        Command("init", "release.cli.init", "give it a service, from a model package"),
        Command("rehearse", "release.cli.rehearse", "bring it up, change and destroy it, on this machine"),
        Command("status", "release.cli.status", "what runs now, asked live"),
        Command("down", "release.cli.down", "destroy an environment and everything in it"),
    ),
    "A model": (
        Command("package", "release.cli.package", "make a model package out of an ONNX model and its description"),
        Command("register", "release.cli.register", "put a package into the registry, as a candidate"),
        Command("models", "release.cli.models", "the registered versions and their approval"),
        Command("approve", "release.cli.approve", "let a version be released"),
        Command("reject", "release.cli.reject", "keep a version from being released"),
    ),
    "A service": (
        Command("release", "release.cli.release", "make an approved version live, verified; or go back"),
        Command("rollback", "release.cli.rollback", "make the version before this one live again"),
        Command("predict", "release.cli.predict", "ask a service"),
        Command("run", "release.cli.run", "run its nightly batch now"),
        Command("send", "release.cli.send", "put rows on a service's stream"),
        Command("features", "release.cli.features", "push rows of features: online, and their history"),
        Command("curl", "release.cli.curl", "a ready-made request for a service, to copy"),
        Command("logs", "release.cli.logs", "what a service's pods say"),
    ),
    "This machine": (
        Command("doctor", "release.cli.doctor", "what is here, what is missing, and what mends it"),
        Command("env", "release.cli.env", "the variables that `pulumi` and `aws` need, to eval"),
        Command("completion", "release.cli.completion", "a completion script for bash, zsh or fish"),
    ),
}

COMMANDS: dict[str, Command] = {command.name: command for section in SECTIONS.values() for command in section}


def overview() -> str:
    """What `slipway --help` prints."""
    lines = ["Usage: slipway COMMAND [OPTIONS]", "From a trained model to a monitored production service.", ""]
    for title, commands in SECTIONS.items():
        lines += [f"{title}:", *(f"  {command.name:<11}{command.summary}" for command in commands), ""]
    return "\n".join([*lines, "Begin with: slipway up; more on one: slipway COMMAND --help"])
