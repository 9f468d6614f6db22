"""What AWS's errors mean to a provider, and one line for each."""

import re
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local.provider.errors import ProviderError

__all__ = ["BotoCoreError", "ClientError", "explained", "is_missing", "is_taken"]

_MISSING_CODE = re.compile(r"NotFound|NoSuch|DoesNotExist|NonExistent|NotExist|UnknownResource|^404$|\.NotFound$")
_MISSING_TEXT = re.compile(r"not found|not exist|could not find|cannot find|unable to find", re.IGNORECASE)
_TAKEN_CODE = re.compile(r"AlreadyExists|AlreadyOwnedByYou|Duplicate|ResourceInUse|Conflict|AlreadyAssociated")
_TAKEN_TEXT = re.compile(r"already (?:exists|in use|associated)|duplicate", re.IGNORECASE)
_GENERIC = ("ValidationException", "ValidationError", "ClientException", "InvalidRequestException", "InvalidParameter")


def is_missing(error: ClientError) -> bool:
    """Whether the resource is not there."""
    code, message = _parts(error)
    return bool(_MISSING_CODE.search(code)) or (code in _GENERIC and bool(_MISSING_TEXT.search(message)))


def is_taken(error: ClientError) -> bool:
    """Whether something of this name is there already."""
    code, message = _parts(error)
    return bool(_TAKEN_CODE.search(code)) or bool(_TAKEN_TEXT.search(message))


def explained(error: ClientError | BotoCoreError, token: str, name: str) -> ProviderError:
    """One line: what, what AWS says, in which call."""
    if isinstance(error, ClientError):
        code, message = _parts(error)
        said = f"{_one_line(message) or code} ({code}, {error.operation_name})"
    else:
        said = _one_line(str(error))
        if "Could not connect" in said or "Connection" in type(error).__name__:
            said = f"the local AWS emulation does not answer ({said}): run `slipway up`"
    return ProviderError(f"{f'{token} {name}'.strip()}: {said}")


def _parts(error: ClientError) -> tuple[str, str]:
    about: Any = error.response.get("Error", {})
    return str(about.get("Code", "")), str(about.get("Message", ""))


def _one_line(text: str) -> str:
    return " ".join(text.split())
