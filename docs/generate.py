"""Writes `docs/components/`: a page a component, from its docstrings and from what its smallest use makes.

Run by `make docs` (which puts `tests/` on the path, for the mocks); a test holds the pages to the code.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pulumi.provider.experimental.analyzer import ComponentDefinition, PropertyDefinition, TypeDefinition
from pulumi_mocks import Made, mocked_engine

from components.package import COMPONENTS, PACKAGE, InheritingAnalyzer

FOLDER = Path(__file__).parent / "components"
_KEY = "arn:aws:kms:eu-west-1:123456789012:key/1"
_TOPICS = {
    "page": ["arn:aws:sns:eu-west-1:123456789012:on-call"],
    "ticket": ["arn:aws:sns:eu-west-1:123456789012:team"],
}
_WORKLOAD = {
    "environment": "dev",
    "service": "flight-delay",
    "image": "registry.example.com/serving:0.1.0",
    "models_bucket": "my-models",
    "kms_key_arn": _KEY,
    "resources": {"cpu": "1", "memory": "1Gi"},
    "model": {"name": "flight-delay", "version": "1", "digest": "sha256:" + 64 * "0"},
}
SMALLEST: Mapping[str, dict[str, Any]] = {
    "Network": {"environment": "dev"},
    "DataStore": {"environment": "dev"},
    "ModelRegistry": {"environment": "dev", "models": ["flight-delay"], "kms_key_arn": _KEY},
    "FeatureStore": {
        "environment": "dev",
        "groups": {"airport": {"key": "code", "features": {"temp": "double"}}},
        "kms_key_arn": _KEY,
        "warehouse_bucket": "my-warehouse",
        "database": "my_database",
    },
    "Cluster": {"environment": "dev", "private_subnet_ids": ["subnet-1", "subnet-2"], "kms_key_arn": _KEY},
    "ComputePool": {
        "environment": "dev",
        "pool": "general",
        "node_role_name": "my-nodes",
        "subnet_ids": ["subnet-1", "subnet-2"],
        "security_group_id": "sg-1",
        "families": ["m7i", "m6i"],
    },
    "ServiceNamespace": {"environment": "dev", "service": "flight-delay"},
    "ModelService": {**_WORKLOAD, "replicas": {"min": 2, "max": 10}},
    "BatchScoring": {
        **_WORKLOAD,
        "schedule": "0 2 * * *",
        "input": "s3://my-flights/tomorrow/",
        "warehouse_bucket": "my-warehouse",
        "notify": _TOPICS,
    },
    "StreamScoring": {
        **_WORKLOAD,
        "source": "sqs",
        "replicas": {"min": 1, "max": 10},
        "capture_bucket": "my-capture",
        "notify": _TOPICS,
    },
    "Monitoring": {"environment": "dev", "kms_key_arn": _KEY, "event_bus": "my-bus", "services": ["flight-delay"]},
    "ServiceMonitoring": {
        **_WORKLOAD,
        "patterns": ["batch"],
        "notify": _TOPICS,
        "capture_bucket": "my-capture",
        "outcomes_bucket": "my-outcomes",
        "event_bus": "my-bus",
    },
    "Retraining": {
        **_WORKLOAD,
        "model_name": "flight-delay",
        "on": ["drift"],
        "approval": "manual",
        "capture_bucket": "my-capture",
        "outcomes_bucket": "my-outcomes",
        "event_bus": "my-bus",
        "notify": _TOPICS,
    },
    "Delivery": {"environment": "dev", "repository": "example/ml-platform"},
    "Budget": {"environment": "dev", "monthly_usd": 500.0, "topic_arns": _TOPICS["ticket"]},
}
"""The required arguments of each component, as a reader would give them."""
_INDEX = """\
# Components

What Slipway provisions, each usable by itself. `stacks/platform.py` composes them from an environment's config;
`examples/compose/` is another program that takes some of them into a VPC that is there already.

- **Python**: `from components.network import Network`, with this checkout installed (`pip install -e .`).
- **Other languages**: `pulumi package add <this checkout>/components` in your project; arguments and outputs have the
  same names in camel case. Components that make Kubernetes objects use the Kubernetes provider that they are given
  (`providers`); outside of Python make one from Cluster's `kubeconfig`.

| component | | resources of its smallest use |
|---|---|---|
"""


def pages() -> dict[Path, str]:
    """Each page with the content that it should have."""
    analyzed = InheritingAnalyzer(PACKAGE).analyze(list(COMPONENTS))
    types = analyzed["type_definitions"]
    result: dict[Path, str] = {}
    index = _INDEX
    for name, definition in analyzed["component_definitions"].items():
        file = FOLDER / f"{_file_name(name)}.md"
        made = made_by(name)
        result[file] = "\n".join(_page(definition, types, made)).rstrip() + "\n"
        summary = _cell(_text(definition.description).split(". ")[0].rstrip("."))
        index += f"| [{name}]({file.name}) | {summary} | {len(made) - 1} |\n"
    return {FOLDER / "index.md": index, **result}


@cache
def made_by(component: str) -> dict[str, Made]:
    """What the smallest use of a component makes, by name, the component itself included."""
    construct: Any = next(each for each in COMPONENTS if each.__name__ == component)
    with mocked_engine() as provision:
        return provision(lambda: construct(_instance(component), SMALLEST[component])).resources


def _page(
    definition: ComponentDefinition, types: Mapping[str, TypeDefinition], made: Mapping[str, Made]
) -> Iterator[str]:
    name = definition.name
    yield f"# {name}"
    yield ""
    yield _text(definition.description, keep_paragraphs=True)
    yield ""
    yield "```python"
    yield f"from {definition.module} import {name}"
    yield ""
    yield f"{_file_name(name).replace('-', '_')} = {name}("
    yield f'    "{_instance(name)}",'
    yield f"    {_literal(SMALLEST[name], '    ', spread=True)},"
    yield ")"
    yield "```"
    yield ""
    yield "## Arguments"
    yield ""
    yield from _table(definition.inputs, definition.inputs_mapping, arguments=True)
    for used in _used(definition.inputs, types):
        yield f"### {used.name}"
        yield ""
        yield _text(used.description, keep_paragraphs=True)
        yield ""
        yield from _table(used.properties, used.properties_mapping, arguments=True)
    yield "## Outputs"
    yield ""
    yield from _table(definition.outputs, definition.outputs_mapping, arguments=False)
    yield "## Resources"
    yield ""
    yield "What the use above makes:"
    yield ""
    yield from _tree(made, _instance(name), 0)


def _table(properties: Mapping[str, PropertyDefinition], names: Mapping[str, str], *, arguments: bool) -> Iterator[str]:
    """Required arguments first."""
    yield "| name | type | default | |" if arguments else "| name | type | |"
    yield "|---|---|---|---|" if arguments else "|---|---|---|"
    for key, found in sorted(properties.items(), key=lambda item: item[1].optional if arguments else False):
        text = _text(found.description)
        default = f" {_default(text) if found.optional else '**required**'} |" if arguments else ""
        yield f"| `{names[key]}` | {_type(found)} |{default} {_cell(text)} |"
    yield ""


def _default(text: str) -> str:
    """What a docstring gives as the default: the words after `Default`, up to the reason for it."""
    found = re.search(r"\bDefault:? (.+?)(?=[:;.](?:\s|$))", text)
    return _cell(found[1]) if found else "none"


def _type(found: PropertyDefinition) -> str:
    if found.items:
        return f"list of {_type(found.items)}"
    if found.additional_properties:
        return f"map of {_type(found.additional_properties)}"
    if found.ref:
        name = found.ref.rpartition(":")[2]
        return f"[{name}](#{name.lower()})" if found.ref.startswith("#/types") else "any"
    return found.type.value if found.type else "any"


def _used(properties: Mapping[str, PropertyDefinition], types: Mapping[str, TypeDefinition]) -> list[TypeDefinition]:
    """The types that arguments have, and that those have in turn, each once."""
    found: dict[str, TypeDefinition] = {}

    def look(one: PropertyDefinition | None) -> None:
        if one is None:
            return
        name = (one.ref or "").rpartition(":")[2]
        if name in types and name not in found:
            found[name] = types[name]
            for inner in types[name].properties.values():
                look(inner)
        look(one.items)
        look(one.additional_properties)

    for each in properties.values():
        look(each)
    return list(found.values())


def _tree(made: Mapping[str, Made], name: str, depth: int) -> Iterator[str]:
    for child in sorted(made.values(), key=lambda resource: resource.name):
        if child.parent == name:
            yield f"{'  ' * depth}- `{child.name}` {child.typ}"
            yield from _tree(made, child.name, depth + 1)


def _text(docstring: str | None, *, keep_paragraphs: bool = False) -> str:
    """A docstring without the line breaks of its source."""
    paragraphs = [" ".join(part.split()) for part in (docstring or "").split("\n\n")]
    return ("\n\n" if keep_paragraphs else " ").join(paragraphs)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def _file_name(component: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "-", component).lower()


def _instance(component: str) -> str:
    return _file_name(component).rpartition("-")[2]


def _literal(value: Any, indent: str, *, spread: bool = False) -> str:
    """Python source of nested dicts and lists, as the formatter has it; `spread`: one argument a line."""
    if isinstance(value, dict) and (spread or len(repr(value)) > 80):
        inner = indent + "    "
        lines = "".join(f'{inner}"{key}": {_literal(entry, inner)},\n' for key, entry in value.items())
        return "{\n" + lines + indent + "}"
    return repr(value).replace("'", '"')


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    current = pages()
    for gone in set(FOLDER.glob("*.md")) - current.keys():
        gone.unlink()
    for page, content in current.items():
        page.write_text(content, encoding="utf-8")
