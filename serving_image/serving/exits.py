"""Exit codes of `python -m serving`, sysexits.h's where there is one: a release tells causes apart by them."""

from enum import IntEnum


class Exit(IntEnum):
    """Why the process ended."""

    OK = 0
    USAGE = 64
    """The command line is wrong."""
    INVALID_PACKAGE = 65
    """The model package breaks the contract, or is not the model that was asked for."""
    NOT_FOUND = 66
    """There is no such package, or nothing was fetched yet."""
    UNAVAILABLE = 69
    """What is needed cannot be reached: S3, a port that is taken, a device."""
    INTERNAL = 70
    """A defect of this program; the log line has the traceback."""
    DISK = 74
    """The disk is full or not writable."""
    DENIED = 77
    """Access was denied."""
    CONFIG = 78
    """A SLIPWAY_* variable is wrong or missing."""
    DIGEST_MISMATCH = 80
    """The package's bytes are not those of the digest."""
    GOLDEN_MISMATCH = 81
    """The model loads, but does not give the answer that its package states."""


class CommandError(Exception):
    """The process cannot go on. The message is the one line that a person reads."""

    def __init__(self, code: Exit, message: str) -> None:
        super().__init__(message)
        self.code = code
