"""The one exception that carries a message meant for a person."""

from pathlib import Path


class SlipwayError(Exception):
    """Something a person can act on.

    `code` is a stable word for scripts (`model-not-approved`), `message` says what happened, where, and what was
    expected, and `hint` is the command or the change that mends it. `log` names the file that holds the whole story.
    """

    def __init__(self, code: str, message: str, hint: str = "", *, log: Path | None = None, exit_code: int = 1) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.log = log
        self.exit_code = exit_code

    def as_json(self) -> dict[str, str]:
        """The shape every `--json` command answers with when it fails."""
        answer = {"code": self.code, "message": self.message, "hint": self.hint}
        if self.log:
            answer["log"] = str(self.log)
        return answer
