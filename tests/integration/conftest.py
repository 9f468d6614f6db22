"""One checkout with the real platform in it for all of these tests: making one takes most of a minute."""

from collections.abc import Iterator

import pytest
from checkout import Checkout, Day, made


@pytest.fixture(scope="session")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    """The checkout after its first `slipway up`."""
    with made(tmp_path_factory.mktemp("integration")) as checkout:
        yield Day(checkout)


@pytest.fixture
def checkout(day: Day) -> Checkout:
    """The checkout, up and healthy, whatever the test before did to it."""
    if day.checkout.run("status", "--check").returncode != 0:
        day.checkout.slipway("up")
    return day.checkout
