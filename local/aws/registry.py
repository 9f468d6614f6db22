"""Finds the entry of a resource type: one module of `local/aws/services/` a service, imported when it is needed."""

import difflib
import importlib
import importlib.util
from functools import cache
from pathlib import Path

from local.aws import sdk
from local.aws.definition import Definition
from local.provider.errors import UnknownTypeError

SERVICES = "local.aws.services"
_DOCS = "docs/local-types.md"


@cache
def definition(token: str) -> Definition:
    """The entry of a type; raises UnknownTypeError that names the file where it belongs."""
    module = token.split(":")[1].split("/", maxsplit=1)[0] if token.count(":") == 2 else token
    file = f"{module}_" if module == "lambda" else module
    found = _table(file).get(token)
    if found is not None:
        return found
    where = f"add an entry in local/aws/services/{file}.py, see {_DOCS}"
    try:
        sdk.schema(token)
    except sdk.NoSuchTypeError:
        near = difflib.get_close_matches(token, _table(file), n=1)
        hint = f"did you mean {near[0]}?" if near else "check the spelling"
        raise UnknownTypeError(f"{token} is not a resource type of pulumi-aws; {hint}") from None
    raise UnknownTypeError(f"{token} is not known to local; {where}")


def all_definitions() -> dict[str, Definition]:
    """Every entry, by token."""
    folder = Path(__file__).parent / "services"
    names = sorted(file.stem for file in folder.glob("*.py") if file.stem != "__init__")
    return {token: found for name in names for token, found in _table(name).items()}


@cache
def _table(name: str) -> dict[str, Definition]:
    module = f"{SERVICES}.{name}"
    if not name.isidentifier() or importlib.util.find_spec(module) is None:
        return {}
    types: tuple[Definition, ...] = importlib.import_module(module).TYPES
    return {found.token: found for found in types}
