"""The stack config as a release needs it: valid or not, and which services it has."""

from release.environment import Environment
from release.errors import SlipwayError


def check_config(environment: Environment) -> list[str]:
    """The names of the configured services.

    Raises:
        SlipwayError: the config is wrong; the message has every mistake, with file and line.
    """
    from stacks.config.loader import environment_named, from_file
    from stacks.config.mistakes import ConfigError

    try:
        return list(from_file(environment_named(environment.name), environment.root).services)
    except ConfigError as error:
        raise SlipwayError("config", str(error), "correct it, then run this again") from error
