"""Finds the entry of a resource type: one module of `local/aws/services/` a service, imported when it is needed."""

import difflib
import importlib
import importlib.util
import keyword
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from local.aws import sdk
from local.aws.definition import Definition
from local.aws.session import Session
from local.provider.errors import UnknownTypeError
from local.provider.values import Props

Function = Callable[[Session, Mapping[str, Any]], Props]
"""What a program may call, such as `aws.get_region()`."""
SERVICES = "local.aws.services"
_DOCS = "docs/local-types.md"


@cache
def definition(token: str) -> Definition:
    """The entry of a type; raises UnknownTypeError that names the file where it belongs."""
    file = _file(token)
    found = _table(file).get(token)
    if found is not None:
        return found
    try:
        sdk.schema(token)
    except sdk.NoSuchTypeError:
        near = difflib.get_close_matches(token, _table(file), n=1)
        hint = f"did you mean {near[0]}?" if near else "check the spelling"
        raise UnknownTypeError(f"{token} is not a resource type of pulumi-aws; {hint}") from None
    raise UnknownTypeError(f"{token} is not known to local; {_remedy(file)}")


def function(token: str) -> Function:
    """The function of a token; raises UnknownTypeError that names the file where it belongs."""
    file = _file(token)
    functions: Mapping[str, Function] = getattr(_module(file), "FUNCTIONS", {})
    if token not in functions:
        raise UnknownTypeError(f"the function {token} is not known to local; {_remedy(file)}")
    return functions[token]


def all_definitions() -> dict[str, Definition]:
    """Every entry, by token."""
    folder = Path(__file__).parent / "services"
    names = sorted(file.stem for file in folder.glob("*.py") if file.stem != "__init__")
    return {token: found for name in names for token, found in _table(name).items()}


def _remedy(file: str) -> str:
    return f"add an entry in local/aws/services/{file}.py, see {_DOCS}"


def _file(token: str) -> str:
    """`s3` of `aws:s3/bucket:Bucket`; names that Python keeps for itself get an underscore."""
    name = token.split(":")[1].split("/", maxsplit=1)[0] if token.count(":") == 2 else token
    return f"{name}_" if keyword.iskeyword(name) else name


@cache
def _table(name: str) -> dict[str, Definition]:
    types: tuple[Definition, ...] = getattr(_module(name), "TYPES", ())
    return {found.token: found for found in types}


@cache
def _module(name: str) -> ModuleType | None:
    module = f"{SERVICES}.{name}"
    if not name.isidentifier() or importlib.util.find_spec(module) is None:
        return None
    return importlib.import_module(module)
