"""The process beside the server that talks to AWS: it ships the spool and brings the API keys.

It is started with the server, started again when it dies, and ends after it.
"""

import os
import subprocess
import sys
import time

from serving.logs import Log
from serving.settings import Settings

_LAST_SECONDS = 8.0
_PAUSE_SECONDS = 5.0


def is_wanted(settings: Settings) -> bool:
    """Whether there is anything to ship, or keys to bring."""
    return any(each is not None for each in (settings.capture_uri, settings.outcomes_uri, settings.api_keys_secret))


class Companion:
    """Runs `python -m serving ship`. It ends by itself once this process has closed, or lost, its end of a pipe."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._theirs, self._ours = os.pipe()
        self._started = 0.0
        self._process: subprocess.Popen[bytes] | None = None
        self.look_after()

    def look_after(self) -> None:
        """Start it where it does not run, not more often than every few seconds. Call now and then."""
        if self._process is not None and self._process.poll() is None:
            return
        if self._started and time.monotonic() - self._started < _PAUSE_SECONDS:
            return
        if self._process is not None:
            self._log.error(
                "the process that ships records and brings keys died; starting it again", code=self._process.returncode
            )
        self._started = time.monotonic()
        command = [sys.executable, "-m", "serving", "ship", str(self._theirs)]
        self._process = subprocess.Popen(command, pass_fds=(self._theirs,), stdin=subprocess.DEVNULL)

    def end(self) -> None:
        """Let it ship what is left, for some seconds at most."""
        os.close(self._ours)
        os.close(self._theirs)
        if self._process is not None:
            try:
                self._process.wait(_LAST_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
