"""The other rooms that work as processes: `python -m engine …`, `python -m local …`, which answer in JSON."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from release.documents import as_object
from release.errors import SlipwayError


class Room:
    """A started `python -m <arguments>`; what it says on standard error goes to `log` and, by line, to `progress`."""

    def __init__(
        self, arguments: list[str], root: Path, log: Path, progress: Callable[[str], None] | None = None
    ) -> None:
        self._arguments, self._log, self._progress = arguments, log, progress
        log.parent.mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            cwd=root,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        self._words = threading.Thread(target=self._follow, daemon=True)
        self._words.start()

    def answer(self) -> dict[str, Any]:
        """Wait for it to end; its answer.

        A refusal of its own (`{"code", "message", "hint"}` and a non-zero exit) is raised as it is.
        """
        try:
            answer = self._process.stdout.read() if self._process.stdout else ""
            code = self._process.wait()
            self._words.join(timeout=2)
        except BaseException:
            self.end()
            raise
        return self._understood(answer, code)

    def end(self) -> None:
        """Stop it, if it still runs."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._words.join(timeout=2)
        for stream in (self._process.stdout, self._process.stderr):
            if stream and not self._words.is_alive():
                stream.close()

    def _follow(self) -> None:
        with self._log.open("a", encoding="utf-8") as record:
            for line in self._process.stderr or ():
                record.write(line)
                record.flush()
                if self._progress and line.strip():
                    self._progress(line.rstrip())

    def _understood(self, answer: str, code: int) -> dict[str, Any]:
        self.end()
        try:
            content = as_object(json.loads(answer))
        except ValueError:
            content = None
        if code == 0 and content is not None:
            return content
        if content and "message" in content:
            raise SlipwayError(
                content.get("code", "failed"), content["message"], content.get("hint", ""), log=self._log
            )
        what = f"python -m {' '.join(self._arguments[:2])}"
        raise SlipwayError(
            "room-failed", f"`{what}` ended with exit code {code} and no answer", "run: slipway doctor", log=self._log
        )


def ask_room(
    arguments: list[str], root: Path, log: Path, progress: Callable[[str], None] | None = None
) -> dict[str, Any]:
    """Run `python -m <arguments>` in `root` to its end; its answer."""
    return Room(arguments, root, log, progress).answer()
