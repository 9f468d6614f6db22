"""Prediction ids."""

import itertools
import os
import time

_process = os.urandom(6).hex()
_count = itertools.count()


def new_id() -> str:
    """A new id, unique over all processes: 32 hex digits of time (ms), of this process (random) and a count.

    Ids of one process sort by time. Row i of a request is called `<id>-<i>`.
    """
    return f"{time.time_ns() // 1_000_000:012x}{_process}{next(_count) & 0xFFFFFFFF:08x}"
