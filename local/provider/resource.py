"""What a provider is made of: resource types, and the provider that knows them.

A resource type is one object with a handful of methods that work on plain properties; the servicer does everything that
concerns the engine's protocol (previews, unknowns, diffs, partial failures).
"""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from local.provider.diff import Change, differences, same_json
from local.provider.errors import CancelledError
from local.provider.values import Props


def _silent(_message: str) -> None:
    """For calls that nobody watches."""


@dataclass(frozen=True)
class Call:
    """What an operation knows about the resource it is for, and how it reaches the engine."""

    urn: str
    name: str
    """Logical name in the program."""
    token: str
    """Type token, such as `aws:s3/bucket:Bucket`."""
    cancelled: threading.Event = field(default_factory=threading.Event)
    """Set when the engine wants to stop: whoever waits looks at it."""
    timeout: float = 0.0
    """Seconds that the program allows (`custom_timeouts`); 0 is the type's own default."""
    status: Callable[[str], None] = _silent
    """Shows what is being waited for, in the engine's progress line of this resource."""
    warn: Callable[[str], None] = _silent
    """Tells a warning that stays on the screen."""
    seed: bytes = b""
    """Bytes to make a name from, the same for a preview and the update that follows it."""

    def wait(self, seconds: float) -> None:
        """Sleeps, unless the engine cancels: then raises CancelledError."""
        if self.cancelled.wait(seconds):
            raise CancelledError(f"{self.token} {self.name}: stopped because the run was cancelled")


@dataclass(frozen=True)
class Created:
    """A new resource."""

    id: str
    outputs: Props


class ResourceType(ABC):
    """One resource type. The defaults suit a type without autonaming, validation or replacement."""

    replace_on: Collection[str] = ()
    """Patterns (see `diff.matches`) of inputs that cannot change without making the resource anew."""
    volatile: Collection[str] = ()
    """Outputs that are not inputs and may change in an update; the others are shown unchanged in a preview."""

    def check(self, _call: Call, _olds: Props, news: Props) -> Props:
        """The inputs with defaults filled in; raises InvalidError when the API would refuse them."""
        return news

    def diff(self, _call: Call, old_inputs: Props, _state: Props, new_inputs: Props) -> list[Change]:
        """What differs. Documents in JSON are compared as documents."""
        return differences(old_inputs, new_inputs, lambda _path, old, new: same_json(old, new))

    def delete_before_replace(self, _state: Props, _new_inputs: Props) -> bool:
        """Whether old and new cannot exist side by side (they would have the same name)."""
        return False

    def preview(self, _call: Call, inputs: Props, _state: Props | None) -> Props:
        """What a create (no state yet) or update is expected to give; `UNKNOWN` where only the API can tell."""
        return inputs

    @abstractmethod
    def create(self, call: Call, inputs: Props) -> Created:
        """Makes it; may raise InitFailedError when it exists but is not well."""

    @abstractmethod
    def read(self, call: Call, resource_id: str, state: Props) -> Props | None:
        """What it is now, or None when it is not there. `state` is empty in an import."""

    @abstractmethod
    def update(self, call: Call, resource_id: str, state: Props, old_inputs: Props, new_inputs: Props) -> Props:
        """Changes it in place and returns what it is then."""

    @abstractmethod
    def delete(self, call: Call, resource_id: str, state: Props) -> None:
        """Removes it. What is not there any more is no error."""

    @abstractmethod
    def inputs_of(self, outputs: Props, old_inputs: Props) -> Props:
        """The inputs that would give `outputs`: how a refresh turns drift into a difference for the next update.

        `old_inputs` is empty in an import.
        """


class Provider(ABC):
    """A provider plugin."""

    name: ClassVar[str]
    """As in `pulumi-resource-<name>`."""
    version: ClassVar[str]
    """The version of the SDK that it stands in for, without `v`."""

    def check_config(self, news: Props) -> Props:
        """The provider's own inputs with defaults; raises InvalidError."""
        return news

    def diff_config(self, olds: Props, news: Props) -> list[Change]:
        """What differs between two configurations; never a reason to replace the provider."""
        return differences(olds, news)

    @abstractmethod
    def configure(self, config: Props) -> None:
        """Takes the configuration that the following calls work with."""

    @abstractmethod
    def resource_type(self, token: str) -> ResourceType:
        """The type of this token; raises UnknownTypeError."""

    @abstractmethod
    def invoke(self, token: str, args: Mapping[str, Any]) -> Props:
        """Calls a function; raises UnknownTypeError."""
