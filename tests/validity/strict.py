"""Kubernetes objects against their published schemas, as strictly as an API server with `fieldValidation=Strict`."""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft7Validator
from pulumi.runtime import rpc
from validity.worlds import World

SCHEMAS = Path(__file__).parent / "schemas"
UNPUBLISHED = {"eks.amazonaws.com/v1 NodeClass", "eks.amazonaws.com/v1 IngressClassParams"}
"""Kinds of EKS Auto Mode. AWS publishes no schema of them: their fields are held to the user guide by review only."""
NOT_OBJECTS = {"kubernetes:helm.sh/v3:Release"}
"""Resources of the Kubernetes provider that are no objects of the API."""
_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
_QUANTITY = r"^[+-]?([0-9]+|[0-9]+\.[0-9]*|\.[0-9]+)(([KMGTPE]i)|[numkMGTPE]|([eE][+-]?[0-9]+))?$"
_OF_SEVERAL_TYPES: Mapping[str, dict[str, Any]] = {
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": {"type": ["integer", "string"]},
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {"type": ["string", "number"], "pattern": _QUANTITY},
}
"""Kinds of values that OpenAPI 2 cannot describe and calls strings."""


def identity(manifest: Mapping[str, Any]) -> str:
    return f"{manifest['apiVersion']} {manifest['kind']}"


def manifests(world: World) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object that a world sends to a Kubernetes API, with the name of its resource."""
    for made in world.resources.values():
        if made.typ.startswith("kubernetes:") and made.typ not in NOT_OBJECTS:
            assert {"apiVersion", "kind"} <= made.inputs.keys(), made.name
            yield made.name, as_sent(made.inputs)


def as_sent(value: Any) -> Any:
    """`value` as the provider sends it: without the engine's mark on secrets, whole numbers as such."""
    if isinstance(value, dict):
        if rpc._special_sig_key in value:
            return as_sent(value["value"])
        return {key: as_sent(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [as_sent(entry) for entry in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


@cache
def _published(file: str) -> dict[str, Any]:
    return json.loads((SCHEMAS / file).read_text(encoding="utf-8"))["definitions"]


@cache
def versions() -> frozenset[str]:
    """The Kubernetes versions of which there are schemas."""
    return frozenset(v for forms in _published("kubernetes.json").values() for form in forms for v in form["versions"])


@cache
def _definitions(version: str) -> dict[str, Any]:
    definitions = {
        name: _closed(form["schema"])
        for name, forms in _published("kubernetes.json").items()
        for form in forms
        if version in form["versions"]
    }
    return {**definitions, **_OF_SEVERAL_TYPES}


def _closed(schema: Any) -> Any:
    """`schema` with unknown fields refused wherever fields are listed, and OpenAPI's own words in JSON Schema's."""
    if isinstance(schema, list):
        return [_closed(entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    result = {key: _closed(value) for key, value in schema.items()}
    fields = result.get("properties")
    if isinstance(fields, dict) and "type" in result and not result.get("x-kubernetes-preserve-unknown-fields"):
        result.setdefault("additionalProperties", False)
    if result.get("x-kubernetes-int-or-string"):
        result["type"] = ["integer", "string"]
    if result.get("nullable") and isinstance(result.get("type"), str):
        result["type"] = [result["type"], "null"]
    return result


@cache
def validator(version: str, kind: str) -> Draft7Validator:
    """Checks objects of `kind` (`apiVersion Kind`) for a cluster of `version`."""
    definitions = _definitions(version)
    if kind in _published("custom_resources.json"):
        schema = _closed(_published("custom_resources.json")[kind])
        schema["properties"]["metadata"] = {"$ref": f"#/definitions/{_META}"}
    else:
        schema = {"$ref": f"#/definitions/{_core(kind, definitions)}"}
    # Before draft 2019-09 nothing beside a `$ref` counts, hence `allOf`.
    return Draft7Validator({"allOf": [schema], "definitions": definitions})


def _core(kind: str, definitions: Mapping[str, Any]) -> str:
    for name, schema in definitions.items():
        for served in schema.get("x-kubernetes-group-version-kind", []):
            if f"{served['group']}/{served['version']} {served['kind']}".lstrip("/") == kind:
                return name
    raise LookupError(f"there is no schema of {kind}: add its kind to fetch_schemas.py and run `make schemas`")


def mistakes(version: str, manifest: Mapping[str, Any]) -> list[str]:
    """What a cluster of `version` would refuse about an object: path and reason of each."""
    errors = validator(version, identity(manifest)).iter_errors(manifest)
    return sorted(f"{'.'.join(map(str, error.absolute_path))}: {error.message}" for error in errors)
