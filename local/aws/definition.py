"""What an entry of the tables in `local/aws/services/` says about a resource type."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property
from typing import Any

from local.aws import sdk, templates
from local.aws.session import ACCOUNT, PARTITION, Session
from local.provider.resource import Call
from local.provider.values import Props


@dataclass(frozen=True)
class Scope:
    """Where an operation runs."""

    session: Session
    call: Call
    region: str

    def client(self, service: str) -> Any:
        """A client of the resource's region."""
        return self.session.client(service, self.region)

    def facts(self, values: Props) -> Props:
        """Properties, and what else a template may name: `account`, `region`, `partition` and `digest` (40 hex digits
        that are the same for the same resource of a program)."""
        return {
            "account": ACCOUNT,
            "partition": PARTITION,
            "digest": digest(self.call.urn),
            **values,
            "region": self.region,
        }


def digest(urn: str) -> str:
    """40 hex digits, the same for the same resource of a program."""
    import hashlib

    return hashlib.sha256(urn.encode()).hexdigest()[:40]


@dataclass(frozen=True)
class Definition(ABC):
    """A resource type."""

    token: str
    _: KW_ONLY
    id: str
    """Template of the resource's id, from its outputs: `{catalogId}:{name}`."""
    replace_on: tuple[str, ...] = ()
    """Inputs that cannot change in place (patterns of `local.provider.diff.matches`)."""
    unordered: tuple[str, ...] = ()
    """Lists that are sets (patterns)."""
    autoname: str = ""
    """The property that gets the logical name and seven random digits when the program leaves it out."""
    outputs: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Outputs that do not come from the API: templates, or values that are no text."""
    volatile: tuple[str, ...] = ()
    """Outputs that an update changes."""
    stored: str = ""
    """Why the emulation does not act on this type but only keeps it; empty when it does act."""
    adapt: Callable[[Props], Props] | None = None
    """Changes what a read gave: for what the API says in another way than the property."""

    @cached_property
    def schema(self) -> sdk.Schema:
        """What pulumi-aws knows about it."""
        return sdk.schema(self.token)

    def identity(self, facts: Props) -> str | None:
        """The id, or None while it cannot be told."""
        return templates.fill(self.id, facts)

    def facts_of(self, resource_id: str) -> Props:
        """What an id alone tells: where an import starts from."""
        facts: Props = dict(templates.read(self.id, resource_id))
        if "arn" in facts:
            facts["name"] = re.split("[/:]", facts["arn"])[-1]
        return facts

    @abstractmethod
    def create(self, scope: Scope, facts: Props) -> Props:
        """Makes it; returns facts that `read` needs to find it."""

    @abstractmethod
    def read(self, scope: Scope, facts: Props) -> Props | None:
        """What there is, or None."""

    @abstractmethod
    def update(self, scope: Scope, facts: Props, changed: set[str]) -> None:
        """Brings the properties named in `changed` to what they are in `facts`."""

    @abstractmethod
    def delete(self, scope: Scope, facts: Props) -> None:
        """Removes it; raises what the API raises when it is not there."""
