"""API keys from Secrets Manager, copied into the file that the server reads, so that a rotation needs no restart."""

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from serving.api_keys import parse
from serving.logs import Log

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

_EVERY_SECONDS = 60.0
_AGAIN_SECONDS = 5.0


class SecretKeys:
    """Keeps `file` equal to the secret `arn`: one key a line, as `serving.api_keys` reads them."""

    def __init__(self, arn: str, file: Path, log: Log) -> None:
        self._arn, self._file, self._log = arn, file, log
        self._client: SecretsManagerClient = boto3.client("secretsmanager")
        self._next = 0.0
        self._failing = ""

    def refresh(self) -> None:
        """Copy the secret when it is time to; what cannot be read now leaves the file as it is."""
        if time.monotonic() < self._next:
            return
        try:
            text = self._client.get_secret_value(SecretId=self._arn).get("SecretString", "")
            parse(text)
            if not self._file.exists() or self._file.read_text() != text:
                self._write(text)
        except (ClientError, BotoCoreError, OSError, ValueError) as error:
            self._next = time.monotonic() + _AGAIN_SECONDS
            if str(error) != self._failing:
                self._failing = str(error)
                self._log.error(f"{self._arn}: the API keys cannot be brought: {error}")
            return
        self._failing, self._next = "", time.monotonic() + _EVERY_SECONDS

    def _write(self, text: str) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        new = self._file.with_suffix(".new")
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
        new.replace(self._file)
