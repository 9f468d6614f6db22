"""The JSON Schema of a stack's file: editors complete keys, show their reasons and underline mistakes with it."""

from typing import Any, cast

from pydantic.json_schema import GenerateJsonSchema

from stacks.config.mistakes import NAMESPACE
from stacks.config.model import DERIVED, StackConfig
from stacks.config.source import KEYS, NOTES


class _Untitled(GenerateJsonSchema):
    """Without the titles that only repeat a key in capitals."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Never."""
        del schema
        return False


def json_schema() -> dict[str, Any]:
    """The schema (draft 2020-12) of `Pulumi.<environment>.yaml`."""
    whole = StackConfig.model_json_schema(schema_generator=_Untitled)
    definitions = cast("dict[str, dict[str, Any]]", whole["$defs"])
    properties = cast("dict[str, Any]", whole["properties"])
    for definition in definitions.values():
        definition.pop("title", None)
        for entry in definition.get("properties", {}).values():
            _tidy(entry)
    _tidy(properties["services"])
    for section, derived in DERIVED:
        definitions[section.__name__]["required"].remove(derived)
    return {
        "$schema": GenerateJsonSchema.schema_dialect,
        "title": "Slipway's stack config",
        "type": "object",
        "properties": {
            "config": {
                "type": "object",
                "properties": {f"{NAMESPACE}:{key}": properties[key] for key in KEYS},
                "required": [f"{NAMESPACE}:platform"],
                # Providers' keys may stand there too; of ours, no other one.
                "propertyNames": {"pattern": f"^(?!{NAMESPACE}:)|^{NAMESPACE}:({'|'.join((*KEYS, NOTES))})$"},
            }
        },
        "required": ["config"],
        "$defs": {name: definitions[name] for name in sorted(definitions) if name != "Environment"},
    }


def _tidy(entry: dict[str, Any]) -> None:
    """What pydantic says and the loader does not: an absent key is left out, never null; a wrong name is wrong."""
    if entry.get("default", ...) is None:
        del entry["default"]
    if "anyOf" in entry:
        entry["anyOf"] = [choice for choice in entry["anyOf"] if choice != {"type": "null"}]
        if len(entry["anyOf"]) == 1:
            entry.update(entry.pop("anyOf")[0])
    if "patternProperties" in entry:
        entry.pop("propertyNames", None)
        entry["additionalProperties"] = False
