"""What pulumi-kubernetes' SDK says about the properties of a kind, read from its source.

Importing the SDK's type modules takes seconds (core/v1 alone is 2.5 MB of Python); finding one class in the text takes
milliseconds. What is read is the generated shape of an input class: `__init__` with its annotations, and a getter for
each property with the name that the engine uses.
"""

import functools
import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

GETTER = re.compile(r'@pulumi\.getter(?:\(name="(\w+)"\))?\n    def (\w+)\(self\) -> (.+):\n')
REQUIRED = re.compile(r"^                 (\w+): (?!.* = None)", re.MULTILINE)
Shape = Literal["one", "list", "map"]


@dataclass(frozen=True)
class Property:
    """One property of an input type."""

    name: str
    """As the engine and Kubernetes call it."""
    shape: Shape
    types: tuple[str, ...]
    """Of the value or its items: `str`, `int`, `float`, `bool`, `Any`, or `class module`'s name in `reference`."""
    reference: "TypeName | None"
    required: bool


@dataclass(frozen=True)
class TypeName:
    """An input type of the SDK."""

    module: str
    """Such as `core/v1`."""
    name: str
    """Such as `ContainerArgs`."""

    @property
    def title(self) -> str:
        """As a person calls it."""
        return self.name.removesuffix("InitArgs").removesuffix("Args")


def resource_type(module: str, kind: str) -> TypeName | None:
    """The inputs of a resource (`apps/v1`, `Deployment`), None when the SDK has no such resource."""
    name = TypeName(module, f"{kind}InitArgs")
    return name if _source(_folder() / _directory(module) / f"{kind}.py") is not None else None


def resource_modules() -> dict[str, list[str]]:
    """Every module that the SDK has, with the names of its resources: for suggestions."""
    found: dict[str, list[str]] = {}
    for path in _folder().glob("*/v*/*.py"):
        if path.stem[0].isupper() and not path.stem.endswith(("Patch", "List")):
            found.setdefault(path.parent.relative_to(_folder()).as_posix(), []).append(path.stem)
    return found


@functools.cache
def properties(of: TypeName) -> dict[str, Property]:
    """The properties of an input type by their names. Empty when the SDK does not have it."""
    text = _class_text(of)
    if text is None:
        return {}
    body, _, getters = text.partition("@_builtins.property")
    required = set(REQUIRED.findall(body.partition('"""')[0]))
    found: dict[str, Property] = {}
    for name, snake, annotation in GETTER.findall("@_builtins.property" + getters):
        shape, types, reference = _parse(annotation, of.module)
        found[name or snake] = Property(name or snake, shape, types, reference, snake in required)
    return found


def _class_text(of: TypeName) -> str | None:
    folder = _folder() / _directory(of.module)
    own = folder / f"{of.title}.py"
    files = (own,) if of.name.endswith("InitArgs") else (folder / "_inputs.py", own)
    texts = [text for file in files if (text := _source(file)) is not None]
    source = next((text for text in texts if f"\nclass {of.name}:\n" in text), None)
    if source is None:
        return None
    start = source.find(f"\nclass {of.name}:\n")
    end = source.find("\n@pulumi.", start + 1)
    later = source.find("\nclass ", start + 1)
    return source[start : min(e for e in (end, later, len(source)) if e > 0)]


def _parse(annotation: str, module: str) -> tuple[Shape, tuple[str, ...], TypeName | None]:
    """The shape and item types of an annotation such as `pulumi.Input[Optional[Sequence[pulumi.Input['XArgs']]]]`."""
    shape: Shape = "list" if "Sequence[" in annotation else "map" if "Mapping[" in annotation else "one"
    if shape == "map":
        annotation = annotation.partition(",")[2]
    reference = re.search(r"'((?:_(\w+)\.(\w+)\.)?(\w+Args))'", annotation)
    if reference is not None:
        where = f"{reference[2]}/{reference[3]}" if reference[2] else module
        return shape, (), TypeName(where, reference[4])
    return shape, tuple(re.findall(r"_builtins\.(\w+)|(?<![\w.])(Any)\b", annotation) and _names(annotation)), None


def _names(annotation: str) -> list[str]:
    return re.findall(r"(?:_builtins\.|\b)(str|int|float|bool|Any)\b", annotation)


@functools.cache
def _folder() -> Path:
    spec = importlib.util.find_spec("pulumi_kubernetes")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("pulumi_kubernetes is not installed: run `make .venv/.dev`")
    return Path(spec.origin).parent


def _directory(module: str) -> str:
    """Where a token's module is in the SDK: `networking.k8s.io/v1` is `networking/v1`."""
    group, _, version = module.partition("/")
    return f"{group.partition('.')[0]}/{version}"


@functools.cache
def _source(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None
