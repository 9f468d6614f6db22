"""Log lines on stderr: one JSON object a line, or plain words when a person's terminal is there."""

import json
import os
import sys
import traceback
from datetime import UTC, datetime

_LEVELS = ("debug", "info", "warning", "error")


class Log:
    """Writes lines at least as severe as `level`; `fixed` fields stand in every line."""

    def __init__(self, level: str = "info", **fixed: object) -> None:
        self._least = _LEVELS.index(level)
        self._fixed = {key: value for key, value in fixed.items() if value is not None}
        self._plain = sys.stderr is not None and sys.stderr.isatty()

    def debug(self, message: str, **fields: object) -> None:
        """What only matters when something is being hunted."""
        self._write("debug", message, fields)

    def info(self, message: str, **fields: object) -> None:
        """What happens once: started, ready, draining, stopped."""
        self._write("info", message, fields)

    def warning(self, message: str, **fields: object) -> None:
        """What works, but not as it should."""
        self._write("warning", message, fields)

    def error(self, message: str, error: BaseException | None = None, **fields: object) -> None:
        """What failed; the traceback of an unexpected `error` becomes a field."""
        if error is not None:
            fields["traceback"] = "".join(traceback.format_exception(error))
        self._write("error", message, fields)

    def _write(self, level: str, message: str, fields: dict[str, object]) -> None:
        if _LEVELS.index(level) < self._least:
            return
        if self._plain:
            line = f"{level}: {message}" + "".join(f" {key}={value}" for key, value in fields.items())
        else:
            at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            line = json.dumps({"at": at, "level": level, "message": message, **self._fixed, **fields}, default=str)
        # One write a line: several processes share this stream.
        os.write(2, line.encode() + b"\n")
