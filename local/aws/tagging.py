"""Tags, which nearly every service changes by calls of their own."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from local.aws import templates
from local.aws.definition import Scope
from local.aws.names import Names
from local.aws.sdk import Type
from local.aws.shapes import from_api, to_api
from local.provider.values import Props

_TYPES = {"tags": Type("map", Type("string"))}
_NAMES = Names(renames=dict.fromkeys(["TagList", "TagSet", "TagsToAdd", "AddTags"], "tags"))
_KEYS = ("tagkeys", "tagkeylist", "tags", "tagstoremove", "removetagkeys")


@dataclass(frozen=True)
class Tags:
    """The tag calls of a service."""

    key: str
    """The parameter that says which resource: `ResourceArn`."""
    value: str = "{arn}"
    """Template of its value."""
    add_call: str = "tag_resource"
    remove_call: str = "untag_resource"
    list: str = "list_tags_for_resource"
    """Empty: the resource is described with its tags."""
    result: str = ""
    """The member of the list call's answer that holds the tags, when they are not at its top."""
    after_create: bool = False
    """The call that makes the resource does not take tags."""
    more: Mapping[str, str] = field(default_factory=dict[str, str])
    """Further parameters of all three calls (templates)."""

    def of(self, scope: Scope, service: str, facts: Props) -> dict[str, str]:
        """The tags that it has now; AWS's own are left out."""
        client = scope.client(service)
        model = _model(client, self.list)
        answer = getattr(client, self.list)(**self._who(facts, model))
        shape = model.output_shape
        if self.result:
            shape, answer = shape.members[self.result], answer[self.result]
        tags: dict[str, str] = from_api(shape, _TYPES, answer, _NAMES).get("tags") or {}
        return {key: value for key, value in tags.items() if not key.startswith("aws:")}

    def add(self, scope: Scope, service: str, facts: Props, tags: Mapping[str, str]) -> None:
        """Adds or overwrites tags."""
        client = scope.client(service)
        model = _model(client, self.add_call)
        parameters = to_api(model.input_shape, _TYPES, {"tags": tags}, _NAMES)
        getattr(client, self.add_call)(**parameters, **self._who(facts, model))

    def become(self, scope: Scope, service: str, facts: Props, has: Mapping[str, str], tags: Mapping[str, str]) -> None:
        """Adds, overwrites and removes, until the tags that it `has` are these."""
        client = scope.client(service)
        if gone := [key for key in has if key not in tags]:
            model = _model(client, self.remove_call)
            keys = next(name for name in model.input_shape.members if name.lower() in _KEYS)
            wanted: Any = gone if keys.lower() != "tags" else [{"Key": key} for key in gone]
            getattr(client, self.remove_call)(**{keys: wanted}, **self._who(facts, model))
        if tags:
            self.add(scope, service, facts, tags)

    def _who(self, facts: Props, model: Any) -> dict[str, Any]:
        given: dict[str, Any] = {}
        for name, template in {self.key: self.value, **self.more}.items():
            if name in model.input_shape.members:
                text = templates.fill(template, facts)
                given[name] = [text] if model.input_shape.members[name].type_name == "list" else text
        return given


def pairs(facts: Props) -> list[dict[str, str]]:
    """The tags of a resource as most APIs take them."""
    tags: dict[str, str] = facts.get("tags") or {}
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _model(client: Any, operation: str) -> Any:
    return client.meta.service_model.operation_model(client.meta.method_to_api_mapping[operation])
