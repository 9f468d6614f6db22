"""Counters and histograms in the Prometheus text format, shared by the worker processes of a pod.

A scrape reaches one worker and must tell about all: each keeps its numbers in its own stretch of one shared, unnamed
file that the supervisor hands down, and whoever is asked adds them up. A restarted worker goes on where its
predecessor was, so that counters never fall. One more stretch belongs to all: what of these numbers was taken to be
told elsewhere, by whichever worker came to do it.
"""

import fcntl
import mmap
import os
import tempfile
import time
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import NamedTuple

SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
ROWS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 1024.0, 4096.0, 16384.0)

_R20 = (1.0, 1.12, 1.25, 1.4, 1.6, 1.8, 2.0, 2.24, 2.5, 2.8, 3.15, 3.55, 4.0, 4.5, 5.0, 5.6, 6.3, 7.1, 8.0, 9.0)
LATENCY = (
    *(round(step * 10**decade, 7) for decade in range(-4, 1) for step in _R20),
    10.0,
    14.0,
    20.0,
    28.0,
    40.0,
    60.0,
)
"""Bounds that know a time to 6 %, the preferred numbers R20 (ISO 3); those of SECONDS are among them."""

_SLOTS = 8192
"""Numbers (8 bytes each) that one worker has."""
_TAKEN_AT = _SLOTS - 1
"""Where the stretch of all keeps when it was last taken from, in seconds of the monotonic clock."""


class Series:
    """One number of this worker: a counter, or a gauge that is added up over workers."""

    __slots__ = ("_at", "_values")

    def __init__(self, values: "memoryview[float]", at: int) -> None:
        self._values, self._at = values, at

    def add(self, amount: float = 1.0) -> None:
        """Count `amount` more (less, for a gauge, when negative)."""
        self._values[self._at] += amount

    def set(self, value: float) -> None:
        """Make a gauge `value`."""
        self._values[self._at] = value

    @property
    def value(self) -> float:
        """This worker's own number."""
        return self._values[self._at]


class Histogram:
    """How often values fell into each bucket, their sum and their number, in this worker."""

    __slots__ = ("_at", "_bounds", "_count", "_sum", "_values")

    def __init__(self, values: "memoryview[float]", at: int, bounds: Sequence[float]) -> None:
        self._values, self._at, self._bounds = values, at, bounds
        self._sum, self._count = at + len(bounds) + 1, at + len(bounds) + 2

    def observe(self, value: float) -> None:
        """Count one value."""
        self._values[self._at + bisect_left(self._bounds, value)] += 1
        self._values[self._sum] += value
        self._values[self._count] += 1


class Growth(NamedTuple):
    """What all workers added to one series since it was last taken."""

    name: str
    labels: Mapping[str, str]
    bounds: Sequence[float]
    """Of a histogram; empty for a counter."""
    numbers: Sequence[float]
    """Of a counter the one; of a histogram its buckets, the last one for what is above all bounds."""


class _Family:
    def __init__(
        self, name: str, kind: str, text: str, bounds: Sequence[float] = (), shown: Sequence[float] | None = None
    ) -> None:
        self.name, self.kind, self.text, self.bounds = name, kind, text, bounds
        self.shown = frozenset(bounds if shown is None else shown)
        self.series: dict[tuple[tuple[str, str], ...], int] = {}


class Metrics:
    """The numbers of one worker of `workers`, in a file that they share.

    Every worker must declare the same series in the same order: the order is where they lie.
    """

    def __init__(self, worker: int = 0, workers: int = 1, shared: int | None = None) -> None:
        self._file = new_shared(workers) if shared is None else shared
        self._map = mmap.mmap(self._file, (workers + 1) * _SLOTS * 8)
        self._all = memoryview(self._map).cast("d")
        self._mine = self._all[worker * _SLOTS : (worker + 1) * _SLOTS]
        self._taken = self._all[workers * _SLOTS :]
        self._workers = workers
        self._used = 0
        self._families: dict[str, _Family] = {}

    def counter(self, name: str, text: str, labels: Mapping[str, str] | None = None) -> Series:
        """Declare a counter; its name ends in `_total`."""
        return Series(self._mine, self._declare(_Family(name, "counter", text), labels))

    def gauge(self, name: str, text: str, labels: Mapping[str, str] | None = None) -> Series:
        """Declare a gauge; the scrape shows the sum over workers. It starts at 0 in a restarted worker."""
        at = self._declare(_Family(name, "gauge", text), labels)
        self._mine[at] = 0.0
        return Series(self._mine, at)

    def histogram(
        self,
        name: str,
        text: str,
        labels: Mapping[str, str] | None = None,
        bounds: Sequence[float] = SECONDS,
        shown: Sequence[float] | None = None,
    ) -> Histogram:
        """Declare a histogram with upper `bounds`, increasing; a scrape shows those in `shown`, all unless given."""
        return Histogram(self._mine, self._declare(_Family(name, "histogram", text, bounds, shown), labels), bounds)

    def series(self, name: str) -> list[tuple[Mapping[str, str], Series]]:
        """This worker's own numbers of a counter or gauge, with the labels of each."""
        family = self._families.get(name)
        return [] if family is None else [(dict(key), Series(self._mine, at)) for key, at in family.series.items()]

    def take(self, every: float = 0.0) -> list[Growth] | None:
        """What was added since any worker last took; None where that is less than `every` seconds ago.

        Whichever worker asks first gets the numbers of all, and nobody gets them again.
        """
        if not self._is_due(every):
            return None
        fcntl.lockf(self._file, fcntl.LOCK_EX)
        try:
            if not self._is_due(every):
                return None
            self._taken[_TAKEN_AT] = time.monotonic()
            return [
                self._grown(family, labels, at)
                for family in self._families.values()
                if family.kind != "gauge"
                for labels, at in family.series.items()
            ]
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN)

    def _is_due(self, every: float) -> bool:
        if not every:
            return True
        if not self._taken[_TAKEN_AT]:  # nobody has taken yet: the time begins
            self._taken[_TAKEN_AT] = time.monotonic()
        return time.monotonic() - self._taken[_TAKEN_AT] >= every

    def _grown(self, family: _Family, labels: tuple[tuple[str, str], ...], start: int) -> Growth:
        numbers: list[float] = []
        for at in range(start, start + len(family.bounds) + 1):
            total = self._sum(at)
            numbers.append(total - self._taken[at])
            self._taken[at] = total
        return Growth(family.name, dict(labels), family.bounds, numbers)

    def render(self) -> str:
        """The Prometheus text format (version 0.0.4) of all workers' numbers together."""
        lines: list[str] = []
        for family in self._families.values():
            lines += (f"# HELP {family.name} {family.text}", f"# TYPE {family.name} {family.kind}")
            for labels, at in family.series.items():
                if family.kind == "histogram":
                    lines += self._buckets(family, labels, at)
                else:
                    lines.append(f"{family.name}{_braces(labels)} {_number(self._sum(at))}")
        return "\n".join(lines) + "\n"

    def _declare(self, wanted: _Family, labels: Mapping[str, str] | None) -> int:
        family = self._families.setdefault(wanted.name, wanted)
        at, key = self._used, tuple((labels or {}).items())
        if key in family.series:
            return family.series[key]
        self._used += len(family.bounds) + 3 if family.kind == "histogram" else 1
        if self._used > _TAKEN_AT:
            raise MemoryError(f"more than {_TAKEN_AT} metric values in one worker")
        family.series[key] = at
        return at

    def _buckets(self, family: _Family, labels: tuple[tuple[str, str], ...], at: int) -> list[str]:
        lines: list[str] = []
        total = 0.0
        for index, bound in enumerate((*family.bounds, float("inf"))):
            total += self._sum(at + index)
            if bound not in family.shown and bound != float("inf"):
                continue
            upper = "+Inf" if bound == float("inf") else _number(bound)
            lines.append(f"{family.name}_bucket{_braces((*labels, ('le', upper)))} {_number(total)}")
        end = at + len(family.bounds) + 1
        lines.append(f"{family.name}_sum{_braces(labels)} {_number(self._sum(end))}")
        lines.append(f"{family.name}_count{_braces(labels)} {_number(self._sum(end + 1))}")
        return lines

    def _sum(self, at: int) -> float:
        return sum(self._all[worker * _SLOTS + at] for worker in range(self._workers))


def new_shared(workers: int) -> int:
    """A descriptor of an empty, unnamed file with room for the numbers of so many workers."""
    with tempfile.TemporaryFile() as file:
        os.ftruncate(file.fileno(), (workers + 1) * _SLOTS * 8)
        return os.dup(file.fileno())


def _braces(labels: tuple[tuple[str, str], ...]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{key}="{_escaped(value)}"' for key, value in labels) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)
