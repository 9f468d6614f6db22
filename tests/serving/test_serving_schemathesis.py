"""Requests made out of the service's own description, sound and malformed, and what each answer must be."""

from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi import checks as untyped_checks
from serving_process import Server

pytestmark = pytest.mark.integration

CHECKS: Any = untyped_checks
SLOW: Any = [*HealthCheck]


@pytest.fixture(scope="module")
def described(server: Server) -> Any:
    """The description as schemathesis reads it."""
    untyped: Any = schemathesis
    schema = untyped.openapi.from_dict(server.get("/openapi.json").json)
    schema.config.update(base_url=f"http://127.0.0.1:{server.port}")
    return schema


def fuzz(described: Any, examples: int) -> int:
    """Ask each operation so often, as described and otherwise; the number of requests.

    Every check of schemathesis holds: no 5xx, no status, content type or body that is not described, what does not
    match the description is refused. What does match is accepted, except of tensors: that their data are as many as
    their shape says no schema can say.
    """
    asked = 0
    with requests.Session() as session:
        for found in described.get_all_operations():
            operation = found.ok()
            takes_tensors = operation.path.endswith("/infer")
            modes = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE] if operation.body else [GenerationMode.POSITIVE]
            for mode in modes:

                @settings(
                    max_examples=examples if operation.body else 2,
                    deadline=None,
                    database=None,
                    phases=[Phase.generate],
                    suppress_health_check=SLOW,
                )
                @given(case=operation.as_strategy(generation_mode=mode))
                def ask(case: Any, *, excluded: list[Any]) -> None:
                    nonlocal asked
                    asked += 1
                    response = case.call(session=session)
                    case.validate_response(response, excluded_checks=excluded)

                ask(excluded=[CHECKS.positive_data_acceptance] if takes_tensors else [])
    return asked


def test_answers_are_as_described(described: Any, server: Server) -> None:
    assert fuzz(described, 20) > 120
    assert server.get("/v2/health/ready").status == 200


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_thousands_of_answers_are_as_described(described: Any, server: Server) -> None:
    assert fuzz(described, 1000) > 5000
    assert server.get("/v2/health/ready").status == 200
