"""Bucket policies without the statements that have conditions.

moto judges a statement as if its conditions always held: "refuse what is not TLS" would refuse everything, and on loopback
there is neither TLS nor a second account for such a condition to tell apart. Statements without conditions count.
"""

import json
from typing import Any

from moto.s3.models import FakeBucket


def install() -> None:
    """Make moto's buckets judge so."""
    FakeBucket.get_permission = _get_permission


def _get_permission(bucket: FakeBucket, action: str, resource: str) -> Any:
    from moto.iam.access_control import IAMPolicy, PermissionResult

    document = json.loads(bucket.policy) if bucket.policy else {}
    statements = document.get("Statement", [])
    listed = statements if isinstance(statements, list) else [statements]
    unconditional = [statement for statement in listed if not statement.get("Condition")]
    if not unconditional:
        return PermissionResult.NEUTRAL
    return IAMPolicy(document | {"Statement": unconditional}).is_action_permitted(action, resource)
