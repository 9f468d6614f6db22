"""What `python -m local` answers when something cannot be done."""


class LocalError(Exception):
    """One line for the person who asked: a code for scripts, what happened and what to do."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint

    def answer(self) -> dict[str, str]:
        """As the commands print it."""
        return {"code": self.code, "message": self.message, "hint": self.hint}
