"""`python -m serving ship`: the spool's segments become Parquet, and Parquet goes to S3, beside the server.

It also brings the API keys from Secrets Manager: the server itself never talks to AWS.
A process of its own with the lowest priority: it decodes, compresses and waits for S3 where no prediction can notice.
Every step can be done again: a file's name follows from its segment's, so a second try overwrites the first.
"""

import contextlib
import fcntl
import os
import select
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from serving import spool
from serving.captured import Outcome, Prediction, Reader, outcomes
from serving.event_store import by_hour, key_below, parquet
from serving.logs import Log
from serving.manifest import decode_manifest
from serving.secret_keys import SecretKeys
from serving.settings import Settings, keys_file
from serving.signature import Signature

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_LONGEST_WAIT_SECONDS = 60.0
_LAST_TRY_SECONDS = 5.0


class Shipper:
    """Empties the spool of `settings` into the places that they name."""

    def __init__(self, settings: Settings, log: Log, client: "S3Client | None" = None) -> None:
        self._root, self._log = settings.spool_dir, log
        places = {"capture": settings.capture_uri, "outcomes": settings.outcomes_uri}
        self._places = {name: urlsplit(uri) for name, uri in places.items() if uri is not None}
        config = Config(connect_timeout=5, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 2})
        self._client: S3Client = client or boto3.client("s3", config=config)
        file = keys_file(settings)
        secret = settings.api_keys_secret
        self._keys = None if file is None or secret is None else SecretKeys(secret, file, log)
        self._wait = 0.0
        self._try_at = 0.0
        self._failing = ""

    def run(self, parent: int) -> None:
        """Ship until the other end of the pipe `parent` is closed, then once more what was left."""
        while not select.select([parent], [], [], 1.0)[0]:
            if self._keys is not None:
                self._keys.refresh()
            self.convert()
            if time.monotonic() >= self._try_at:
                self.upload()
        until = time.monotonic() + _LAST_TRY_SECONDS
        self.convert()
        self.upload(until)

    def convert(self) -> None:
        """Turn every segment that nobody writes to into Parquet files in the outbox."""
        for name in self._places:
            for segment in self._segments(name):
                try:
                    header, records = spool.read(segment.read_bytes())
                    rows = self._rows(name, header, records)
                    self._write(name, "-".join(segment.stem.split("-")[:2]), rows)
                except FileNotFoundError:  # it was the oldest of too many, and is gone
                    continue
                except ValueError as error:  # also a manifest that this version cannot read
                    self._log.error(
                        f"a segment of the spool cannot be read and is left out: {error}", file=segment.name
                    )
                segment.unlink(missing_ok=True)

    def upload(self, until: float = float("inf")) -> None:
        """Send what is in the outbox, oldest first; after a failure wait longer each time, up to a minute."""
        for file in sorted((self._root / "outbox").rglob("*.parquet"), key=lambda found: found.name):
            if time.monotonic() > until:
                return
            name, *rest = file.relative_to(self._root / "outbox").parts
            place = self._places.get(name)
            if place is None:  # it was set when these were captured, and may be again
                continue
            try:
                self._client.put_object(Bucket=place.netloc, Key=key_below(place, *rest), Body=file.read_bytes())
            except FileNotFoundError:
                continue
            except (ClientError, BotoCoreError) as error:
                self._postpone(str(error))
                return
            file.unlink(missing_ok=True)
        if self._failing:
            self._log.info("captured records reach S3 again")
        self._failing, self._wait, self._try_at = "", 0.0, 0.0

    def _postpone(self, why: str) -> None:
        self._wait = min(_LONGEST_WAIT_SECONDS, max(1.0, 2 * self._wait))
        self._try_at = time.monotonic() + self._wait
        if why != self._failing:
            self._failing = why
            self._log.warning(f"captured records do not reach S3 and wait in the spool: {why}")

    def _segments(self, name: str) -> Iterator[Path]:
        directory = self._root / name
        if not directory.is_dir():
            return
        for file in sorted(directory.iterdir()):
            if file.suffix == ".ready" or (file.suffix == ".open" and _is_orphan(file)):
                yield file

    def _rows(self, name: str, header: bytes, records: list[spool.Record]) -> list[Prediction] | list[Outcome]:
        if name == "outcomes":
            return [outcome for record in records for outcome in outcomes(record)]
        signature = Signature(decode_manifest(header), max_rows=2**31)
        reader, rows, unread = Reader(signature), list[Prediction](), 0
        for record in records:
            try:
                rows += reader.predictions(record)
            except Exception as error:  # noqa: BLE001 - one record must not cost the others of its segment
                unread += 1
                self._log.error("a captured record cannot be read and is left out", error if unread == 1 else None)
        return rows

    def _write(self, name: str, stem: str, rows: list[Prediction] | list[Outcome]) -> None:
        for partition, group in by_hour(rows):
            directory = self._root / "outbox" / name / partition
            directory.mkdir(parents=True, exist_ok=True)
            file = directory / f"{stem}-{len(group)}.parquet"
            file.with_suffix(".new").write_bytes(parquet(group, "rest"))
            file.with_suffix(".new").rename(file)


def _is_orphan(file: Path) -> bool:
    """Whether the process that wrote to a segment is gone: it held a lock as long as it lived."""
    with contextlib.suppress(OSError):
        handle = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        finally:
            os.close(handle)
        return file.exists()
    return False
