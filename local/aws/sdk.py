"""What pulumi-aws knows about a resource type: its inputs, nested types and outputs.

Read from the source of the installed SDK, class by class: importing it takes seconds and hundreds of megabytes, and the
answers are all in the constructors' signatures, which are generated and so always have the same form.
"""

import ast
import importlib.util
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal

Kind = Literal["string", "boolean", "integer", "number", "list", "map", "object", "any"]
_SCALARS: dict[str, Kind] = {"str": "string", "bool": "boolean", "int": "integer", "float": "number"}


@dataclass(frozen=True)
class Type:
    """The type of a value."""

    kind: Kind
    element: "Type | None" = None
    """Of a list or map."""
    module: str = ""
    """Of an object: the SDK's folder."""
    name: str = ""
    """Of an object: its class, without `Args`."""
    also_string: bool = False
    """An object that may be given as a JSON document too."""

    def properties(self) -> "Mapping[str, Property]":
        """Of an object: its properties by name."""
        return _object(self.module, self.name)


ANY = Type("any")


@dataclass(frozen=True)
class Property:
    """One input property."""

    name: str
    type: Type
    required: bool


@dataclass(frozen=True)
class Schema:
    """A resource type."""

    token: str
    inputs: Mapping[str, Property]
    outputs: Mapping[str, Property]
    """All outputs; `required` are those that are always set."""
    types: Mapping[str, Type] = field(default_factory=dict[str, Type])
    """Of every input and output."""


class NoSuchTypeError(LookupError):
    """pulumi-aws has no such resource type."""


@cache
def schema(token: str) -> Schema:
    """The resource type of a token such as `aws:s3/bucket:Bucket`; raises NoSuchTypeError."""
    module, name = _module(token), token.rsplit(":", 1)[-1]
    file = _root() / module / f"{_snake_case(name)}.py"
    if not file.is_file():
        raise NoSuchTypeError(token)
    text = file.read_text()
    block = _block(text, f"{name}Args") or _block(text, f"{name}InitArgs")
    resource = _block(text, name)
    if block is None or resource is None:
        raise NoSuchTypeError(token)
    inputs, outputs = _parameters(block, module), _outputs(resource, module)
    # Arguments say more than outputs: there a nested type is named by its input class, here by its output class.
    types = {name: found.type for name, found in (outputs | inputs).items()}
    return Schema(token, inputs, outputs, types)


def _root() -> Path:
    spec = importlib.util.find_spec("pulumi_aws")
    if spec is None or spec.origin is None:
        raise NoSuchTypeError("pulumi_aws is not installed")
    return Path(spec.origin).parent


def _module(token: str) -> str:
    module = token.split(":")[1].split("/", maxsplit=1)[0]
    return {"lambda": "lambda_", "index": "."}.get(module, module)


def _snake_case(name: str) -> str:
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return spaced.lower()


@cache
def _source(module: str, file: str) -> str:
    return (_root() / module / file).read_text()


@cache
def _object(module: str, name: str) -> Mapping[str, Property]:
    block = _block(_source(module, "_inputs.py"), f"{name}Args")
    if block is not None:
        return _parameters(block, module)
    block = _block(_source(module, "outputs.py"), name)
    return {} if block is None else _outputs(block, module)


def _block(text: str, name: str) -> str | None:
    """The source of a class."""
    start = re.search(rf"^class {name}(?:\(.*\))?:$", text, re.MULTILINE)
    if start is None:
        return None
    end = re.search(r"^(?:class |@pulumi\.|if not MYPY)", text[start.end() :], re.MULTILINE)
    return text[start.start() : start.end() + end.start() if end else len(text)]


def _parameters(block: str, module: str) -> dict[str, Property]:
    """The properties that a class takes, from the signature of its constructor."""
    signature = re.search(r"def __init__\(__self__(?:, \*,\n(.*?))?\):\n", block, re.DOTALL)
    if signature is None or signature[1] is None:
        return {}
    names = _wire_names(block)
    found: dict[str, Property] = {}
    for line in signature[1].splitlines():
        python_name, _, annotation = line.strip().rstrip(",").partition(": ")
        annotation, has_default, _ = annotation.partition(" = ")
        name = names.get(python_name, python_name)
        found[name] = Property(name, _type(annotation, module), required=not has_default)
    return found


def _outputs(block: str, module: str) -> dict[str, Property]:
    """The properties that a class gives, from the annotations of its getters."""
    getter = re.compile(
        r'@pulumi\.getter(?:\(name="(\w+)"\))?\n(?:    @.*\n)*    def (\w+)\(self\) -> (?:pulumi\.Output\[)?(.*?):\n'
    )
    found: dict[str, Property] = {}
    for wire, python_name, annotation in getter.findall(block):
        name = wire or python_name
        text = annotation.removesuffix("]") if f"pulumi.Output[{annotation}" in block else annotation
        found[name] = Property(name, _type(text, module), required=not text.startswith("Optional["))
    return found


def _wire_names(block: str) -> dict[str, str]:
    getters = re.findall(r'@pulumi\.getter\(name="(\w+)"\)\n(?:    @.*\n)*    def (\w+)\(self\)', block)
    return {python_name: wire for wire, python_name in getters}


def _type(annotation: str, module: str) -> Type:
    return _parse(ast.parse(annotation, mode="eval").body, module)


def _parse(node: ast.expr, module: str) -> Type:
    match node:
        case ast.Attribute(value=ast.Name(id="_builtins"), attr=name):
            return Type(_SCALARS.get(name, "any"))
        case ast.Constant(value=str(name)):
            return _named(name, module)
        case ast.Subscript(value=outer, slice=inner):
            return _subscript(ast.unparse(outer), inner, module)
        case _:
            return ANY


def _subscript(outer: str, inner: ast.expr, module: str) -> Type:
    match outer, inner:
        case "pulumi.Input" | "Optional" | "pulumi.Output", _:
            return _parse(inner, module)
        case "Sequence", _:
            return Type("list", _parse(inner, module))
        case "Mapping", ast.Tuple(elts=[_, element]):
            return Type("map", _parse(element, module))
        case "Union", ast.Tuple(elts=elements):
            return _union([_parse(element, module) for element in elements])
        case _:
            return ANY


def _union(types: list[Type]) -> Type:
    """`Union['XArgs', 'XArgsDict', 'outputs.X']` is one object; with a string it is a document or an enumeration."""
    objects = [item for item in types if item.kind == "object"]
    strings = [item for item in types if item.kind == "string"]
    if objects and all(item.name == objects[0].name for item in objects):
        return Type("object", module=objects[0].module, name=objects[0].name, also_string=bool(strings))
    return strings[0] if strings and len(strings) == len(types) else ANY


def _named(name: str, module: str) -> Type:
    *packages, last = name.split(".")
    plain = last.removesuffix("Dict").removesuffix("Args")
    folder = packages[0].lstrip("_") if packages and packages[0] not in ("outputs", "_inputs", "pulumi") else module
    folder = module if folder == "outputs" else folder
    if plain == last and "outputs" not in packages:
        return Type("string")  # an enumeration; its values are suggestions
    return Type("object", module=folder, name=plain)
