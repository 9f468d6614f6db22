"""What can go wrong while a request is answered: one base class, mapped to a status once per transport.

The message of each is for the caller: one line that names the field, what was expected and what was found.
"""

import re

import msgspec


class ServingError(Exception):
    """A request that was not answered. `retry_after`, in seconds, is for those worth sending again."""

    retry_after: int | None = None


class InvalidInputError(ServingError):
    """The request is wrong; the message names the field."""


class UnauthenticatedError(ServingError):
    """The service wants an API key and got none, or a wrong one."""


class NotFoundError(ServingError):
    """There is no such model, version or path."""


class MethodNotAllowedError(ServingError):
    """The path exists, but not for this HTTP method."""


class RequestTimeoutError(ServingError):
    """The client took too long to send its request."""


class TooLargeError(ServingError):
    """The body or the number of rows passes a limit."""


class UnsupportedMediaError(ServingError):
    """The body is encoded in a way that this server does not read."""


class HeadersTooLargeError(ServingError):
    """The request's header passes its limit."""


class OverloadedError(ServingError):
    """More requests are waiting than the server keeps; sending again later may succeed."""

    retry_after = 1


class NotReadyError(ServingError):
    """The server is starting or going away."""

    retry_after = 1


class UnavailableError(ServingError):
    """Something outside that the answer needs, such as a feature table, does not answer."""

    retry_after = 1


class DeadlineExceededError(ServingError):
    """The answer would have come after the request's deadline."""


WORDS = {
    # what msgspec calls a kind of value, and what a person does
    "int": "a whole number",
    "float": "a number",
    "str": "a string",
    "bool": "true or false",
    "object": "an object",
    "array": "a list",
    "null": "null",
}


def explain(error: msgspec.MsgspecError | UnicodeDecodeError | RecursionError) -> str:
    """One line for a person: `path.to[0].field: expected a number, got a string`."""
    if not isinstance(error, msgspec.ValidationError):
        return f"not JSON: {error}"
    what, _, where = str(error).partition(" - at ")
    path = where.strip("`").removeprefix("$").removeprefix(".")
    for pattern, problem in (
        (r"Object missing required field `(.*)`", "missing"),
        (r"Object contains unknown field `(.*)`", "unknown"),
    ):
        if found := re.fullmatch(pattern, what):
            return f"{path}{'.' if path else ''}{found[1]}: {problem}"
    return f"{path}{': ' if path else ''}{words(what)}"


def words(message: str) -> str:
    """msgspec's message in the words of a person who knows JSON."""
    plain = re.sub(r"`([\w |]+)`", lambda kinds: " or ".join(WORDS.get(k, k) for k in kinds[1].split(" | ")), message)
    return plain[:1].lower() + plain[1:]
