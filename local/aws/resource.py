"""One resource type at work: what the definition says, as the engine wants it."""

# The interface gives each method all that any type may need.
# ruff: noqa: ARG002

from typing import Any

from local.aws import reality, records, templates, validate
from local.aws.api import filled_value
from local.aws.definition import Definition, Scope
from local.aws.errors import BotoCoreError, ClientError, explained, is_missing, is_taken
from local.aws.session import Session
from local.provider.diff import Change, Kind, Path, any_matches, differences, same_json, same_set, text
from local.provider.errors import InvalidError, ProviderError
from local.provider.resource import Call, Created, ResourceType
from local.provider.values import UNKNOWN, Props


class AwsResource(ResourceType):
    """A definition in a session."""

    def __init__(self, definition: Definition, session: Session) -> None:
        self._definition = definition
        self._session = session
        self._types = definition.schema.types
        self.replace_on = (*definition.replace_on, *(["region"] if "region" in definition.schema.inputs else []))
        self.volatile = definition.volatile

    # ---- before anything happens

    def check(self, call: Call, olds: Props, news: Props) -> Props:
        """Refuses what pulumi-aws's types refuse; fills in the name and the provider's default tags."""
        inputs = {key: value for key, value in news.items() if not key.startswith("__")}
        wrong = validate.failures(self._definition.schema.inputs, inputs)
        if wrong:
            raise InvalidError(wrong)
        inputs = {key: reality.coerced(value, self._types[key]) for key, value in inputs.items()}
        self._name(call, olds, inputs)
        default_tags = self._session.settings.default_tags
        if default_tags and "tagsAll" in self._types and "tags" in self._types and inputs.get("tags") is not UNKNOWN:
            inputs["tags"] = {**default_tags, **inputs.get("tags", {})}
        return inputs

    def _name(self, call: Call, olds: Props, inputs: Props) -> None:
        name, prefix = self._definition.autoname, f"{self._definition.autoname}Prefix"
        if not name or name in inputs:
            return
        if name in olds and olds.get(prefix) == inputs.get(prefix):
            inputs[name] = olds[name]
        else:
            start = inputs.get(prefix, f"{call.name}-")
            inputs[name] = UNKNOWN if start is UNKNOWN else f"{start}{_random(call)}"

    def diff(self, call: Call, old_inputs: Props, state: Props, new_inputs: Props) -> list[Change]:
        """What differs; documents and sets are compared as such. A provider that moves takes its resources along."""
        changes = differences(_plain(old_inputs), _plain(new_inputs), self._same)
        here = self._session.settings.region
        if "region" in self._types and "region" not in new_inputs and state.get("region", here) != here:
            changes.append(Change(("region",), Kind.UPDATE))
        return changes

    def delete_before_replace(self, state: Props, new_inputs: Props) -> bool:
        """When the new one would have the id of the old one."""
        scope = {"account": "-", "partition": "-", "region": "-", "digest": "-"}
        new = self._definition.identity({**scope, **new_inputs})
        return new is not None and new == self._definition.identity({**state, **scope})

    def preview(self, call: Call, inputs: Props, state: Props | None) -> Props:
        """The inputs, and what is computed: known from the state in an update, unknown before a create."""
        computed = [name for name, found in self._definition.schema.outputs.items() if found.required]
        expected: Props = dict.fromkeys(computed, UNKNOWN)
        expected |= state or {}
        expected |= dict.fromkeys(self.volatile, UNKNOWN) if state else {}
        expected = {key: value for key, value in expected.items() if key in inputs or key not in self._inputs_only()}
        return self._complete(expected | inputs)

    def _inputs_only(self) -> set[str]:
        """Inputs that nothing but the program sets: gone from the program, they are gone."""
        outputs = self._definition.schema.outputs
        return {name for name in self._definition.schema.inputs if name not in outputs or not outputs[name].required}

    def _complete(self, outputs: Props) -> Props:
        if "tagsAll" in self._types:
            outputs["tagsAll"] = outputs.get("tags", {})
        if "region" in self._types:
            outputs.setdefault("region", self._session.settings.region)
            if outputs["region"] is UNKNOWN:
                outputs["region"] = self._session.settings.region
        return outputs

    # ---- the resource

    def create(self, call: Call, inputs: Props) -> Created:
        """Makes it, and reads what came of it."""
        scope = self._scope(call, inputs)
        identity = self._definition.identity(scope.facts(inputs))
        ours = records.claim(self._definition.token, identity, call.urn) if identity and not self._stored else False
        try:
            made = self._definition.create(scope, inputs)
        except (ClientError, BotoCoreError) as error:
            if not (isinstance(error, ClientError) and is_taken(error)):
                raise self._explained(error, call) from error
            if not ours:
                hint = f"choose another name, or take it over: pulumi import {call.token} {call.name} '{identity}'"
                raise ProviderError(f"{self._explained(error, call)}; {hint}") from error
            # An interrupted run of ours made it and could not tell the engine: it is brought to what is wanted now.
            made = {}
            self._guarded(call, lambda: self._definition.update(scope, scope.facts(inputs), set(inputs)))
        outputs = self._settled(scope, inputs, inputs | made)
        resource_id = self._definition.identity(scope.facts(inputs | made | outputs))
        if resource_id is None:
            raise ProviderError(f"{call.token} {call.name}: was made, but {self._definition.id} is not all known")
        return Created(resource_id, outputs)

    def read(self, call: Call, resource_id: str, state: Props) -> Props | None:
        """What there is now."""
        facts = {**self._definition.facts_of(resource_id), **state}
        scope = self._scope(call, facts)
        actual = self._guarded(call, lambda: self._actual(scope, facts))
        if actual is None:
            return None
        kept = list(state.get(reality.KEPT) or [])
        # An output that the API does not give stays what it was; an input that it does not give is gone.
        lasting = {key: value for key, value in facts.items() if key not in self._definition.schema.inputs}
        lasting |= {key: facts[key] for key in templates.fields(self._definition.id) if key in facts}
        outputs = self._outputs(scope, reality.restored(lasting | actual, state, kept), kept)
        # What means the same stays as it was written: a refresh shows what has changed, not how the API writes it.
        unchanged = [key for key in outputs if key in state and not self._differ(key, state[key], outputs[key])]
        return outputs | {key: state[key] for key in unchanged}

    def update(self, call: Call, resource_id: str, state: Props, old_inputs: Props, new_inputs: Props) -> Props:
        """Changes what has changed."""
        scope = self._scope(call, new_inputs)
        changed = {str(change.path[0]) for change in self.diff(call, old_inputs, state, new_inputs)}
        removed = {key for key in old_inputs if key not in new_inputs}
        facts = self._definition.facts_of(resource_id)
        facts |= {key: value for key, value in state.items() if key not in removed} | new_inputs
        self._guarded(call, lambda: self._definition.update(scope, scope.facts(facts), changed))
        return self._settled(scope, new_inputs, facts)

    def delete(self, call: Call, resource_id: str, state: Props) -> None:
        """Removes it, and what is remembered of it."""
        facts = {**self._definition.facts_of(resource_id), **state}
        scope = self._scope(call, facts)
        try:
            self._definition.delete(scope, scope.facts(facts))
        except (ClientError, BotoCoreError) as error:
            if not (isinstance(error, ClientError) and is_missing(error)):
                raise self._explained(error, call) from error
        records.remove(self._definition.token, resource_id)

    def inputs_of(self, outputs: Props, old_inputs: Props) -> Props:
        """The old inputs as they are now; in an import, all inputs that are set."""
        if not old_inputs:
            known = self._definition.schema.inputs
            return {key: value for key, value in outputs.items() if key in known and value not in ({}, [], "")}
        inputs: Props = {}
        for key, wanted in _plain(old_inputs).items():
            if key not in outputs:
                continue
            actual = reality.projected(outputs[key], wanted, self._types[key])
            inputs[key] = actual if self._differ(key, actual, wanted) else wanted
        return inputs

    # ---- how the operations share it

    @property
    def _stored(self) -> bool:
        return bool(self._definition.stored)

    def _scope(self, call: Call, facts: Props) -> Scope:
        return Scope(self._session, call, facts.get("region") or self._session.settings.region)

    def _differ(self, name: str, old: Any, new: Any) -> bool:
        return bool(differences({name: old}, {name: new}, self._same))

    def _same(self, path: Path, old: Any, new: Any) -> bool:
        if any_matches(path, self._definition.unordered) and same_set(old, new):
            return True
        return same_json(old, new)

    def _actual(self, scope: Scope, facts: Props) -> Props | None:
        actual = self._definition.read(scope, scope.facts(facts))
        if actual is None:
            return None
        # What it was found by is what it is.
        by = [name for name in templates.fields(self._definition.id) if name in self._types and name in facts]
        actual = {name: facts[name] for name in by} | actual
        return actual if self._definition.adapt is None else self._definition.adapt(actual)

    def _settled(self, scope: Scope, inputs: Props, facts: Props) -> Props:
        """What there is after a change, and the paths that the emulation did not take."""
        actual = self._guarded(scope.call, lambda: self._actual(scope, facts))
        if actual is None:
            raise ProviderError(f"{scope.call.token} {scope.call.name}: is not there right after it was written")
        changes = reality.drift(actual, inputs, self._types, self._same)
        # Where there is more than was wanted, it is the list or map as a whole that is kept.
        kept = {text(change.path[:-1] if change.kind is Kind.DELETE else change.path) for change in changes}
        lasting = {key: value for key, value in facts.items() if key in self._types}
        return self._outputs(scope, {**lasting, **actual, **reality.overlaid(actual, inputs)}, sorted(kept))

    def _outputs(self, scope: Scope, values: Props, kept: list[str]) -> Props:
        outputs = {key: value for key, value in values.items() if key in self._types and (key != "tags" or value)}
        for name, value in self._definition.outputs.items():
            if outputs.get(name) is None:
                filled = filled_value(value, scope.facts(outputs))
                outputs |= {name: filled} if filled is not None else {}
        for name, found in self._definition.schema.outputs.items():
            if found.required and found.type.kind == "list":
                outputs.setdefault(name, [])
        outputs = self._complete(outputs)
        outputs["region"] = scope.region if "region" in self._types else None
        return {**{key: value for key, value in outputs.items() if value is not None}, reality.KEPT: kept}

    def _guarded(self, call: Call, operation: Any) -> Any:
        try:
            return operation()
        except (ClientError, BotoCoreError) as error:
            raise self._explained(error, call) from error

    def _explained(self, error: ClientError | BotoCoreError, call: Call) -> ProviderError:
        return explained(error, self._definition.token, call.name)


def _plain(inputs: Props) -> Props:
    """Without what the engine and the plugin add, and without empty tags, which are no tags."""
    return {key: value for key, value in inputs.items() if not key.startswith("__") and (key != "tags" or value)}


def _random(call: Call) -> str:
    """Seven hexadecimal digits, as pulumi-aws gives; the engine's seed makes preview and update agree."""
    import hashlib
    import os

    seed = call.seed or os.urandom(16)
    return hashlib.sha256(seed + call.urn.encode()).hexdigest()[:7]
