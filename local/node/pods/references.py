"""What a pod may say about itself in its environment and files: fieldRef and resourceFieldRef."""

import math
import re
from decimal import Decimal, InvalidOperation

from local.node.objects import Object, annotations_of, labels_of, name_of, namespace_of, section, uid_of
from local.node.pods.images import ContainerProblemError

SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['(.+)'\]")
QUANTITY = re.compile(r"([0-9.]+)([A-Za-z]*)")
UNITS = {"": 1, "m": Decimal("0.001"), "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12,
         "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}  # fmt: skip


def field_value(pod: Object, path: str) -> str:
    """The value of a fieldRef. Raises ContainerProblemError for a field that cannot be referred to."""
    simple = {
        "metadata.name": lambda: name_of(pod),
        "metadata.namespace": lambda: namespace_of(pod),
        "metadata.uid": lambda: uid_of(pod),
        "metadata.labels": lambda: _lines(labels_of(pod)),
        "metadata.annotations": lambda: _lines(annotations_of(pod)),
        "spec.nodeName": lambda: "local",
        "spec.serviceAccountName": lambda: pod["spec"].get("serviceAccountName", "default"),
        "status.hostIP": lambda: "127.0.0.1",
        "status.podIP": lambda: "127.0.0.1",
        "status.podIPs": lambda: "127.0.0.1",
    }.get(path)
    if simple is not None:
        return str(simple())
    subscript = SUBSCRIPT.fullmatch(path)
    if subscript is None:
        raise ContainerProblemError("CreateContainerConfigError", f"field {path} cannot be referred to")
    values = labels_of(pod) if subscript[1] == "labels" else annotations_of(pod)
    return values.get(subscript[2], "")


def resource_value(container: Object, reference: Object) -> str:
    """The value of a resourceFieldRef (`limits.cpu`, …) in its divisor, rounded up. Raises ContainerProblemError."""
    group, _, resource = reference["resource"].partition(".")
    found = section(section(container, "resources"), group).get(resource, "0")
    amount = quantity(str(found)) / quantity(str(reference.get("divisor") or "1"))
    return str(math.ceil(amount))


def quantity(text: str) -> Decimal:
    """A Kubernetes quantity (`250m`, `2Gi`) as a number. Raises ContainerProblemError."""
    found = QUANTITY.fullmatch(text)
    try:
        if found is None or found[2] not in UNITS:
            raise InvalidOperation
        return Decimal(found[1]) * UNITS[found[2]]
    except InvalidOperation as error:
        raise ContainerProblemError("CreateContainerConfigError", f"{text!r} is not a quantity") from error


def _lines(values: dict[str, str]) -> str:
    return "\n".join(f'{key}="{value}"' for key, value in sorted(values.items()))
