"""Every world is provisioned once, for all tests that look at it."""

import pytest
from validity import worlds as provisioning
from validity.worlds import World


@pytest.fixture(scope="session")
def worlds() -> list[World]:
    return provisioning.worlds()
