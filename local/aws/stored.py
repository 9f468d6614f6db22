"""Resource types that the emulation has no API for: the plugin keeps their properties, and nothing acts on them."""

# The interface gives each method all that any type may need.
# ruff: noqa: ARG002

from dataclasses import dataclass

from local.aws import records, templates
from local.aws.api import filled_value
from local.aws.definition import Definition, Scope
from local.provider.errors import ProviderError
from local.provider.values import Props


@dataclass(frozen=True, kw_only=True)
class Stored(Definition):
    """A resource type of which only the properties are kept. `stored` says what is missing."""

    made: tuple[tuple[str, str], ...] = ()
    """Outputs that are made up once, at creation: property and template (`{digest}` and `{name}` are at hand)."""

    def create(self, scope: Scope, facts: Props) -> Props:
        """Writes it down."""
        made = {name: templates.fill(template, scope.facts(facts)) for name, template in self.made}
        facts = scope.facts(facts) | {name: value for name, value in made.items() if value is not None}
        for name, value in self.outputs.items():
            if name not in facts and (filled := filled_value(value, facts)) is not None:
                facts[name] = filled
        identity = self.identity(facts)
        if identity is None:
            raise ProviderError(f"{self.token} {scope.call.name}: its id needs {self.id}, which is not all there")
        before = records.load(self.token, identity)
        if before is not None and before.urn != scope.call.urn:
            raise ProviderError(f"{self.token} {scope.call.name}: {identity} already exists ({before.urn})")
        self._save(scope, identity, facts)
        return self._properties(facts)

    def read(self, scope: Scope, facts: Props) -> Props | None:
        """What was written down."""
        identity = self.identity(facts)
        record = records.load(self.token, identity) if identity else None
        return None if record is None else record.properties

    def update(self, scope: Scope, facts: Props, changed: set[str]) -> None:
        """Writes it down anew."""
        identity = self.identity(facts)
        if identity is not None:
            self._save(scope, identity, facts)

    def delete(self, scope: Scope, facts: Props) -> None:
        """Forgets it."""
        identity = self.identity(facts)
        if identity is not None:
            records.remove(self.token, identity)

    def _save(self, scope: Scope, identity: str, facts: Props) -> None:
        record = records.Record(self.token, identity, scope.call.urn, stored=True, properties=self._properties(facts))
        records.save(record)

    def _properties(self, facts: Props) -> Props:
        return {name: value for name, value in facts.items() if name in self.schema.types}
