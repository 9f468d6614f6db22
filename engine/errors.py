"""The one exception of this room: a failure that has a cause in words and a remedy."""

import errno


class EngineError(Exception):
    """A failure that a user can read: printed as `{"code", "message", "hint"}`, never as a traceback."""

    def __init__(self, code: str, message: str, hint: str) -> None:
        super().__init__(message)
        self.code = code
        """A stable word for programs, such as `no-network`."""
        self.message = message
        """What happened, on one line."""
        self.hint = hint
        """What to do about it, on one line."""


def cannot_write(what: str, error: OSError, remedy: str) -> EngineError:
    """The error for a file that could not be written: a full disk is told apart from a folder that is not ours."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    place = f" ({error.filename})" if error.filename else ""
    return EngineError(
        "disk-full" if full else "not-writable",
        f"cannot write {what}{place}: {error.strerror or error}",
        "free some space, then run the same command again; it goes on where it stopped" if full else remedy,
    )
