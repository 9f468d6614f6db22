"""Rows that a person gives to a command: a file of CSV or JSON, or a value on the command line."""

from pathlib import Path
from typing import Any

from release.documents import as_list, as_object
from release.errors import SlipwayError


def read_rows(file: str) -> list[dict[str, Any]]:
    """The rows of a file, `-` for standard input: CSV where its name says so, else JSON in any of its usual forms.

    In CSV an empty field is left out, and one that reads as a number, `true` or `false` is taken as such.
    """
    import sys

    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise SlipwayError("no-such-file", f"{file}: {reason}", "check the path", exit_code=2) from error
    rows = _from_csv(text, file) if file.endswith(".csv") else _from_json(text, file)
    if rows and all(as_object(row) is not None for row in rows):
        return rows
    raise SlipwayError("usage", f"{file}: expected rows, each one an object of feature: value", exit_code=2)


def value_of(text: str) -> Any:
    """A value as JSON where it reads as such, else the text itself."""
    import json

    try:
        return json.loads(text)
    except ValueError:
        return text


def _from_csv(text: str, file: str) -> list[Any]:
    import csv

    rows: list[dict[str, Any]] = []
    for number, row in enumerate(csv.DictReader(text.splitlines()), 2):
        if None in row or None in row.values():
            raise SlipwayError("usage", f"{file}: line {number}: not as many fields as names", exit_code=2)
        rows.append({name: value_of(value) for name, value in row.items() if value != ""})
    return rows


def _from_json(text: str, file: str) -> list[Any]:
    import json

    try:
        content = json.loads(text)
    except ValueError:
        try:
            content = [json.loads(line) for line in text.splitlines() if line.strip()]
        except ValueError as error:
            raise SlipwayError("usage", f"{file}: not JSON, and not JSON lines: {error}", exit_code=2) from error
    single = as_object(content)
    return as_list(single.get("rows", [single]) if single else content) or []
