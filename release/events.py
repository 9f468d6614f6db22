"""The engine's event log, understood: what happens to which resource, by component, and what went wrong."""

from dataclasses import dataclass, field
from typing import Any

from release.differences import Difference, differences
from release.documents import part

CHANGES = {
    "create": "create",
    "update": "change",
    "delete": "delete",
    "replace": "replace",
    "import": "import",
}
"""The engine's operations that a person is told about, in the words of a plan. The parts of a replacement
(create-replacement, delete-replaced) are steps of its `replace`."""

_INSTANT = {"same", "replace"}
"""Steps that take no time: nothing to do, and the announcement of a replacement (its parts are steps of their own)."""

LOSES_DATA = {
    "aws:s3/bucket:Bucket": "the objects in it",
    "aws:s3/bucketV2:BucketV2": "the objects in it",
    "aws:dynamodb/table:Table": "the rows in it",
    "aws:kms/key:Key": "the key: what it encrypted can no longer be read",
    "aws:ecr/repository:Repository": "the images in it",
    "aws:sagemaker/modelPackageGroup:ModelPackageGroup": "the registered versions and their approvals",
    "aws:sqs/queue:Queue": "the messages in it",
    "aws:kinesis/stream:Stream": "the records in it",
    "aws:msk/serverlessCluster:ServerlessCluster": "the topics in it",
    "aws:cloudwatch/logGroup:LogGroup": "the logs in it",
    "kubernetes:core/v1:PersistentVolumeClaim": "the files on it",
}
"""Resource types that hold something which cannot be made again, and what goes with them."""


@dataclass
class Change:
    """What happens to one resource."""

    urn: str
    operation: str
    """One of CHANGES' values."""
    component: str
    type: str
    name: str
    differences: list[Difference] = field(default_factory=list[Difference])

    @property
    def loses(self) -> str | None:
        """What is lost with it; None when nothing is."""
        return LOSES_DATA.get(self.type) if self.operation in {"delete", "replace"} else None

    def as_json(self) -> dict[str, Any]:
        """The change as `slipway preview --json` has it."""
        return {
            "operation": self.operation,
            "component": self.component,
            "type": self.type,
            "name": self.name,
            "loses": self.loses,
            "differences": [vars(difference) for difference in self.differences],
        }


@dataclass(frozen=True)
class Diagnostic:
    """Something that the engine, the program or a provider said."""

    severity: str
    """`error`, `warning`, `info`, or `info#err` (what the program wrote to standard error)."""
    message: str
    urn: str


@dataclass
class Story:
    """One run of the engine, put together event by event."""

    changes: dict[str, Change] = field(default_factory=dict[str, Change])
    diagnostics: list[Diagnostic] = field(default_factory=list[Diagnostic])
    counts: dict[str, int] = field(default_factory=dict[str, int])
    """The engine's own count of resources by operation, once it has ended."""
    outputs: dict[str, Any] = field(default_factory=dict[str, Any])
    done: dict[str, int] = field(default_factory=dict[str, int])
    """Resources that are finished, by component."""
    _parents: dict[str, str] = field(default_factory=dict[str, str])
    _open: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def at_work(self) -> str | None:
        """The resource that is worked on for the longest, as `Deployment flight-delay-rest`; None when none is."""
        return next(iter(self._open.values()), None)

    def add(self, event: dict[str, Any]) -> Change | None:
        """Take in one line of the log; the change that it finished, if it did."""
        if "resourcePreEvent" in event:
            self._begins(event["resourcePreEvent"]["metadata"])
        elif "resOutputsEvent" in event:
            return self._finished(event["resOutputsEvent"]["metadata"])
        elif "resOpFailedEvent" in event:
            self._open.pop(event["resOpFailedEvent"]["metadata"]["urn"], None)
        elif "diagnosticEvent" in event:
            self._said(event["diagnosticEvent"])
        elif "policyEvent" in event:
            said = event["policyEvent"]
            if said.get("enforcementLevel") == "mandatory":
                text = f"policy {said.get('policyName')}: {said.get('message', '').strip()}"
                self.diagnostics.append(Diagnostic("error", text, said.get("resourceUrn") or ""))
        elif "summaryEvent" in event:
            self.counts = dict(event["summaryEvent"].get("resourceChanges") or {})
        return None

    def _begins(self, metadata: dict[str, Any]) -> None:
        urn = metadata["urn"]
        state = part(metadata, "new") or part(metadata, "old")
        self._parents[urn] = str(state.get("parent") or "")
        operation = CHANGES.get(metadata["op"])
        if metadata["op"] not in _INSTANT and not urn_type(urn).startswith(("pulumi:", "slipway:")):
            self._open[urn] = f"{urn_type(urn).rsplit(':', 1)[-1]} {urn_name(urn)}"
        if operation and not urn_type(urn).startswith(("pulumi:pulumi:", "pulumi:providers:", "slipway:")):
            self.changes[urn] = Change(
                urn=urn,
                operation=operation,
                component=self.component_of(urn),
                type=urn_type(urn),
                name=urn_name(urn),
                differences=differences(metadata) if operation in {"change", "replace"} else [],
            )

    def _finished(self, metadata: dict[str, Any]) -> Change | None:
        urn = metadata["urn"]
        self._open.pop(urn, None)
        if urn_type(urn) == "pulumi:pulumi:Stack":
            self.outputs = part(metadata, "new", "outputs")
        change = self.changes.get(urn)
        if change and metadata["op"] in CHANGES:
            self.done[change.component] = self.done.get(change.component, 0) + 1
            return change
        return None

    def _said(self, event: dict[str, Any]) -> None:
        if event.get("ephemeral"):
            return
        message = str(event.get("message") or "")
        self.diagnostics.append(Diagnostic(event.get("severity") or "info", message, event.get("urn") or ""))

    def component_of(self, urn: str) -> str:
        """The component that a resource belongs to, as `ModelService flight-delay`; `environment` when to none."""
        place = urn
        while place:
            kind = urn_type(place)
            if kind.startswith("slipway:"):
                return f"{kind.rsplit(':', 1)[1]} {urn_name(place)}"
            place = self._parents.get(place, "")
        return "environment"

    def errors(self) -> list[Diagnostic]:
        """The diagnostics that tell of a failure."""
        return [said for said in self.diagnostics if said.severity == "error"]


def urn_type(urn: str) -> str:
    """The resource type in a URN (`urn:pulumi:stack::project::parent$type::name`)."""
    parts = urn.split("::", 3)
    return parts[2].rsplit("$", 1)[-1] if len(parts) == 4 else ""


def urn_name(urn: str) -> str:
    """The resource's name in a URN."""
    parts = urn.split("::", 3)
    return parts[3] if len(parts) == 4 else urn
