"""Bucket policies without the statements that have conditions.

moto judges a statement as if its conditions always held: "refuse what is not TLS" would refuse everything. On loopback
there is neither TLS nor a second account for such a condition to tell apart. Statements without conditions count.
"""

import json
from typing import Any, cast

from moto.s3.models import FakeBucket


def install() -> None:
    """Make moto's buckets judge so."""
    FakeBucket.get_permission = _get_permission


def _get_permission(self: FakeBucket, action: str, resource: str) -> Any:
    from moto.iam.access_control import IAMPolicy, PermissionResult

    document: dict[str, Any] = json.loads(self.policy) if self.policy else {}
    found: Any = document.get("Statement", [])
    statements = cast("list[dict[str, Any]]", found if isinstance(found, list) else [found])
    unconditional = [statement for statement in statements if not statement.get("Condition")]
    if not unconditional:
        return PermissionResult.NEUTRAL
    return IAMPolicy(json.dumps(document | {"Statement": unconditional})).is_action_permitted(action, resource)
