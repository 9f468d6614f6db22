"""Arguments of the workload components for tests: a service that has everything, to be varied."""

from typing import Any

from components.pod import ResourcesArgs

DIGEST = "sha256:" + "ab" * 32
KEY = "arn:aws:kms:eu-west-1:123456789012:key/1"
PAGE = "arn:aws:sns:eu-west-1:123456789012:page"
TICKET = "arn:aws:sns:eu-west-1:123456789012:ticket"
LONGEST = "a" + "b" * 38 + "c"
"""The longest service name."""


def workload(**more: Any) -> Any:
    """What every workload is given."""
    resources: ResourcesArgs = {"cpu": "500m", "memory": "512Mi"}
    return {
        "environment": "staging",
        "service": "flight-delay",
        "image": "registry/serving@sha256:1",
        "models_bucket": "models",
        "kms_key_arn": KEY,
        "resources": resources,
        "model": {"name": "flights", "version": "7", "digest": DIGEST},
        "cluster_name": "cluster",
        **more,
    }


def model_service(**more: Any) -> Any:
    return workload(**{"replicas": {"min": 2, "max": 6}, "capture_bucket": "capture", **more})


def batch_scoring(**more: Any) -> Any:
    own = {
        "schedule": "0 2 * * *",
        "input": "s3://lake/flights/",
        "warehouse_bucket": "warehouse",
        "notify": {"page": [PAGE], "ticket": [TICKET]},
    }
    return workload(**{**own, **more})


def stream_scoring(**more: Any) -> Any:
    own = {
        "source": "sqs",
        "replicas": {"min": 1, "max": 4},
        "capture_bucket": "capture",
        "notify": {"page": [PAGE], "ticket": [TICKET]},
        "scaler_role_name": "keda",
    }
    return workload(**{**own, **more})


def service_monitoring(**more: Any) -> Any:
    own = {
        "patterns": ["rest", "batch", "stream"],
        "notify": {"page": [PAGE], "ticket": [TICKET]},
        "capture_bucket": "capture",
        "outcomes_bucket": "outcomes",
        "event_bus": "slipway-staging",
        "slo": {"availability_percent": 99.9, "p95_ms": 200},
        "drift": {"psi": 0.2, "window_hours": 24, "min_samples": 1000, "schedule": "15 * * * *"},
        "quality": {"max_loss_percent": 5, "window_hours": 168, "min_labels": 500},
        "business_metrics": {"rebooked_share": {"max": 0.2}, "revenue": {"min": 10, "max": 90}},
    }
    return workload(**{**own, **more})


def retraining(**more: Any) -> Any:
    own = {
        "model_name": "flights",
        "on": ["drift", "quality", "schedule"],
        "schedule": "0 3 * * 1",
        "approval": "manual",
        "capture_bucket": "capture",
        "outcomes_bucket": "outcomes",
        "event_bus": "slipway-staging",
        "notify": {"page": [PAGE], "ticket": [TICKET]},
        "scaler_role_name": "keda",
    }
    return workload(**{**own, **more})
