"""Waiting for what other processes and threads bring about."""

import time
from collections.abc import Callable
from typing import Any


def until(condition: Callable[[], Any], seconds: float) -> Any:
    """What `condition` gives, once it gives something; a failure of the test when it does not in time."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.05)
    return found
