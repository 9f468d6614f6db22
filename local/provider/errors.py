"""What a provider may refuse, each as one line for the person who wrote the program."""

from collections.abc import Sequence
from dataclasses import dataclass

from local.provider.values import Props


class ProviderError(Exception):
    """An operation that cannot be done. The message is one line: what, where, what to do."""


class UnknownTypeError(ProviderError):
    """A resource type or function that the provider does not know."""


class CancelledError(ProviderError):
    """The engine asked to stop while the operation was waiting."""


@dataclass(frozen=True)
class Failure:
    """One property that is not valid."""

    property: str
    """Path of the property; empty when it is about the resource as a whole."""
    reason: str


class InvalidError(ProviderError):
    """Inputs that the API would refuse; all that is wrong with them at once."""

    def __init__(self, failures: Sequence[Failure]) -> None:
        super().__init__("; ".join(failure.reason for failure in failures))
        self.failures = tuple(failures)


class InitFailedError(ProviderError):
    """The resource exists but did not become what it should be (a Deployment that is not ready, say).

    The engine records it with its id, so that the next run mends it instead of making a second one.
    """

    def __init__(self, resource_id: str, outputs: Props, reasons: Sequence[str]) -> None:
        super().__init__("; ".join(reasons))
        self.id = resource_id
        self.outputs = outputs
        self.reasons = tuple(reasons)
