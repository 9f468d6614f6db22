"""The environments that exist. A closed list: names of resources, rules and files all hang on it."""

from enum import StrEnum


class Environment(StrEnum):
    """Where a platform runs."""

    LOCAL = "local"
    DEV = "dev"
    STAGING = "staging"
    PROD = "prod"
