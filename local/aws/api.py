"""Resource types that the emulation has an API for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, cast

from local.aws import sdk, templates
from local.aws.definition import Definition, Scope
from local.aws.errors import ClientError, is_missing
from local.aws.names import Names
from local.aws.shapes import from_api, scalar_from_api, scalar_to_api, to_api, value_from_api
from local.aws.tagging import Tags
from local.provider.values import Props


@dataclass(frozen=True)
class Call:
    """One operation of an API. Parameters take the properties of the same name (see `local.aws.names`)."""

    operation: str
    """botocore's name: `create_database`."""
    within: str = ""
    """The parameter that holds the properties, when they are not parameters themselves: `DatabaseInput`."""
    result: str = ""
    """Where in the answer the properties are: `Table`, `repositories.0`; empty: at its top."""
    keys: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Parameters that do not follow from the names: templates (of which one that cannot be filled is left out), or
    values that are no text. A parameter that is a list takes the text as its only item."""
    without: tuple[str, ...] = ()
    """Parameters that are left out although there is a property for them."""
    into: str = ""
    """The property that the result is the value of, when its members are not properties themselves."""
    select: tuple[str, str] = ("", "")
    """When the result is a list: the member and the template of its value that choose one item."""


Step = Call | Callable[[Scope, Props], Props | None]
"""A call, or a function where the API and the property are too far apart; it may return facts."""


@dataclass(frozen=True, kw_only=True)
class Api(Definition):
    """A resource type of one service."""

    service: str
    """botocore's name: `glue`."""
    make: Step
    after_make: tuple[Step, ...] = ()
    """What the making call does not take; they are made when the properties that they take are given."""
    find: tuple[Step, ...]
    """The first says whether it exists; what the others give is added."""
    gone: Callable[[Props], bool] | None = None
    """Whether what was found counts as deleted (a key that waits for its deletion)."""
    change: tuple[Step, ...] = ()
    """Each call is made when one of the properties that it takes has changed; functions see `__changed`."""
    before_remove: Step | None = None
    remove: Step | None
    """None: it goes with what it belongs to."""
    names: Names = field(default_factory=Names)
    attributes: Mapping[str, str] = field(default_factory=dict[str, str])
    """For APIs with a map of attributes (`within` names it): attribute -> property."""
    facts: tuple[str, ...] = ()
    """Names that only the calls share, and that are no properties."""
    tags: Tags | None = None

    def create(self, scope: Scope, facts: Props) -> Props:
        """Makes it; what the answers tell (ids, ARNs) is returned."""
        made = self._do(scope, self.make, facts) or {}
        for step in self.after_make:
            if not isinstance(step, Call) or self._takes(scope, step) & facts.keys():
                # What was asked for goes before what the API made of it so far.
                made |= self._do(scope, step, made | facts) or {}
        if self.tags is not None and self.tags.after_create and facts.get("tags"):
            self.tags.add(scope, self.service, scope.facts(facts | made), facts["tags"])
        return made

    def read(self, scope: Scope, facts: Props) -> Props | None:
        """What the API says; properties that it does not say are not there."""
        found = self._find(scope, self.find[0], facts)
        if found is None or (self.gone is not None and self.gone(found)):
            return None
        for step in self.find[1:]:
            found |= self._find(scope, step, facts | found) or {}
        if self.tags is not None and self.tags.list:
            found["tags"] = self.tags.of(scope, self.service, scope.facts(facts | found))
        return found

    def update(self, scope: Scope, facts: Props, changed: set[str]) -> None:
        """Makes the calls that take a changed property; tags are added and removed one by one."""
        for step in self.change:
            if not isinstance(step, Call) or changed & self._takes(scope, step):
                self._do(scope, step, {**facts, "__changed": changed})
        if self.tags is not None and "tags" in changed:
            has: dict[str, str] = (self.read(scope, facts) or {}).get("tags") or {}
            self.tags.become(scope, self.service, scope.facts(facts), has, facts.get("tags") or {})

    def delete(self, scope: Scope, facts: Props) -> None:
        """Removes it."""
        if self.before_remove is not None:
            self._do(scope, self.before_remove, facts)
        if self.remove is not None:
            self._do(scope, self.remove, facts, only_required=True)

    @cached_property
    def _types(self) -> Mapping[str, sdk.Type]:
        return {**self.schema.types, **dict.fromkeys(self.facts, sdk.ANY)}

    def _find(self, scope: Scope, step: Step, facts: Props) -> Props | None:
        try:
            return self._do(scope, step, facts, only_required=True)
        except ClientError as error:
            if is_missing(error):
                return None
            raise

    def _do(self, scope: Scope, step: Step, facts: Props, *, only_required: bool = False) -> Props | None:
        facts = scope.facts(facts)
        if not isinstance(step, Call):
            return step(scope, facts)
        client = scope.client(self.service)
        model = operation_model(client, step.operation)
        parameters = self._parameters(model.input_shape, step, facts, only_required)
        parameters |= _keys(model.input_shape, step, facts)
        answer = getattr(client, step.operation)(**parameters)
        shape, data = _at(model.output_shape, answer, step, facts)
        if data is None:
            return None
        if step.into:
            return {step.into: value_from_api(shape, self._types[step.into], data, self.names, step.into)}
        if shape is not None and shape.type_name == "map":
            return self._from_attributes(data)
        return {} if shape is None else from_api(shape, self._types, data, self.names)

    def _parameters(self, shape: Any, call: Call, facts: Props, only_required: bool) -> dict[str, Any]:
        if shape is None:
            return {}
        parameters = to_api(shape, self._types, facts, self.names)
        parameters = {name: value for name, value in parameters.items() if name not in call.without}
        if only_required:
            return {name: value for name, value in parameters.items() if name in shape.required_members}
        if not call.within:
            return parameters
        box, *path = call.within.split(".")
        shape = shape.members[box]
        for step in path:
            shape = shape.members[step]
        inside: Any = self._inside(shape, facts)
        for step in reversed(path):
            inside = {step: inside}
        return {**parameters, box: inside}

    def _inside(self, shape: Any, facts: Props) -> Any:
        match shape.type_name:
            case "map":
                given = {key: facts.get(name) for key, name in self.attributes.items()}
                return {key: _attribute(value) for key, value in given.items() if value is not None}
            case "list":
                return [to_api(shape.member, self._types, facts, self.names)]
            case _:
                return to_api(shape, self._types, facts, self.names)

    def _takes(self, scope: Scope, call: Call) -> set[str]:
        """The properties that a call can change: all that it takes, but not those that say which resource it is."""
        shape = operation_model(scope.client(self.service), call.operation).input_shape
        taken = self._named(shape, call)
        for step in call.within.split(".") if call.within else ():
            shape = shape.members[step]
            if shape.type_name == "map":
                return set(self.attributes.values())
            shape = shape.member if shape.type_name == "list" else shape
            taken |= self._named(shape, call)
        return taken - {*templates.fields(self.id)}

    def _named(self, shape: Any, call: Call) -> set[str]:
        known = self._types.keys()
        found = {
            self.names.property(member, "", known)
            for member in shape.members
            if member not in (*call.keys, *call.without)
        }
        return {name for name in found if name is not None}

    def _from_attributes(self, data: Mapping[str, Any]) -> Props:
        found = {name: (self.schema.types[name], data[key]) for key, name in self.attributes.items() if key in data}
        return {name: scalar_from_api(kind, value) for name, (kind, value) in found.items()}


def _attribute(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(scalar_to_api("string", value))


def operation_model(client: Any, operation: str) -> Any:
    """botocore's description of an operation."""
    return client.meta.service_model.operation_model(client.meta.method_to_api_mapping[operation])


def _keys(shape: Any, call: Call, facts: Props) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for name, value in call.keys.items():
        filled = filled_value(value, facts)
        if filled is None:
            continue
        kind = shape.members[name].type_name
        if isinstance(filled, str):
            given[name] = [filled] if kind == "list" else scalar_to_api(kind, filled)
        else:
            given[name] = filled
    return given


def filled_value(value: Any, facts: Props) -> Any:
    """A parameter's value with the templates in it filled; None when one cannot be."""
    if isinstance(value, str):
        return templates.fill(value, facts)
    if isinstance(value, dict):
        filled = {key: filled_value(item, facts) for key, item in cast("dict[str, Any]", value).items()}
        return None if None in filled.values() else filled
    if isinstance(value, list):
        items = [filled_value(item, facts) for item in cast("list[Any]", value)]
        return None if None in items else items
    return value


def _at(shape: Any, data: Any, call: Call, facts: Props) -> tuple[Any, Any]:
    """The part of an answer that a call is made for, and its shape; None when a list on the way has no such item."""
    if shape is None:
        return None, {}
    for step in call.result.split(".") if call.result else ():
        if data is None:
            break
        if step.isdigit():
            shape, data = shape.member, data[int(step)] if len(data) > int(step) else None
        else:
            shape, data = shape.members[step], data.get(step)
    member, template = call.select
    if member and data is not None:
        wanted = templates.fill(template, facts)
        shape, data = shape.member, next((item for item in data if item.get(member) == wanted), None)
    return shape, data
