"""The environment's events: names on the bus, and the patterns that rules match them with."""

import json
from collections.abc import Mapping, Sequence
from enum import StrEnum

from components.naming import Limit, named


class DetailType(StrEnum):
    """What happened: the `detail-type` of the events on the bus `slipway-<environment>`."""

    DRIFT_DETECTED = "Drift Detected"
    QUALITY_DEGRADED = "Quality Degraded"
    RETRAINING_REQUESTED = "Retraining Requested"
    CANDIDATE_REGISTERED = "Candidate Registered"
    MODEL_APPROVED = "Model Approved"
    RELEASE_SUCCEEDED = "Release Succeeded"
    RELEASE_ROLLED_BACK = "Release Rolled Back"


def bus_name(environment: str) -> str:
    """Name of the environment's EventBridge bus."""
    return named(environment, limit=Limit.EVENTBRIDGE)


def pattern(types: Sequence[DetailType], detail: Mapping[str, Sequence[str]] | None = None) -> str:
    """Event pattern (JSON) for Slipway's own events of these types, with these values in their detail."""
    matched: dict[str, object] = {
        "source": [{"prefix": "slipway."}],
        "detail-type": [str(kind) for kind in types],
    }
    if detail:
        matched["detail"] = {key: list(values) for key, values in detail.items()}
    return json.dumps(matched)


def approval_pattern(environment: str) -> str:
    """Event pattern (JSON) for changes of approval of the environment's models (SageMaker tells on the default bus).

    One prefix for all of them: a list of every group would reach EventBridge's 2,048 characters at about 40 models.
    """
    return json.dumps(
        {
            "source": ["aws.sagemaker"],
            "detail-type": ["SageMaker Model Package State Change"],
            "detail": {"ModelPackageGroupName": [{"prefix": f"{bus_name(environment)}-"}]},
        }
    )
