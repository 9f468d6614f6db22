"""API keys: who may ask. Read from a file, again whenever it changes, and compared in constant time."""

import hashlib
import hmac
import os
import time
from pathlib import Path

from serving.errors import NotReadyError, UnauthenticatedError
from serving.logs import Log

MIN_LENGTH = 16
_LOOK_SECONDS = 1.0


class ApiKeys:
    """The keys in `file`, one a line; empty lines and lines that start with # do not count.

    While there has never been a sound file nobody is let in: an absent secret must not open the door. A file that
    becomes unreadable or empty later changes nothing but the log, so that a rotation cannot lock everyone out.
    """

    def __init__(self, file: Path, log: Log) -> None:
        self._file, self._log = file, log
        self._seen: tuple[int, int, int] | None = None
        self._digests: tuple[bytes, ...] = ()
        self._looked = 0.0
        self._complained = ""

    @property
    def known(self) -> bool:
        """Whether there are keys to compare with."""
        self._look()
        return bool(self._digests)

    def check(self, authorization: str | None, key: str | None) -> None:
        """Let the caller pass who sent `Authorization: Bearer KEY` or `X-API-Key: KEY`.

        Raises:
            UnauthenticatedError: the key is missing or wrong.
            NotReadyError: no key has been read yet.
        """
        self._look()
        if not self._digests:
            raise NotReadyError("the API keys are not there yet")
        if key is None and authorization is not None and authorization[:7].lower() == "bearer ":
            key = authorization[7:].strip()
        if key is None:
            raise UnauthenticatedError("an API key is needed: send it as Authorization: Bearer KEY, or X-API-Key: KEY")
        given = hashlib.sha256(key.encode(errors="surrogateescape")).digest()
        # Every key is compared, and digests of equal length: the time taken tells nothing about any of them.
        if sum(hmac.compare_digest(given, digest) for digest in self._digests) == 0:
            raise UnauthenticatedError("this API key is not known here")

    def _look(self) -> None:
        now = time.monotonic()
        if now - self._looked < _LOOK_SECONDS and self._looked:
            return
        self._looked = now
        try:
            found = os.stat(self._file)  # noqa: PTH116 - Path.stat would be the same with one more object
            state = (found.st_mtime_ns, found.st_ino, found.st_size)
            if state == self._seen:
                return
            keys = parse(self._file.read_text())
        except (OSError, ValueError) as error:
            self._complain(f"the API keys cannot be read from {self._file}: {error}")
            return
        self._seen, self._complained = state, ""
        self._digests = tuple(hashlib.sha256(key.encode()).digest() for key in keys)
        self._log.info("API keys read", keys=len(keys))

    def _complain(self, message: str) -> None:
        if message != self._complained:
            self._complained = message
            self._log.warning(message)


def parse(text: str) -> list[str]:
    """The keys in a text.

    Raises:
        ValueError: there is none, or one is too short to be safe.
    """
    keys = [line for line in map(str.strip, text.splitlines()) if line and not line.startswith("#")]
    if not keys:
        raise ValueError("expected one key a line, found none")
    if short := [number for number, key in enumerate(keys, 1) if len(key) < MIN_LENGTH]:
        raise ValueError(f"key {short[0]} is shorter than {MIN_LENGTH} characters")
    return keys
