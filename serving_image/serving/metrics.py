"""Counters and histograms in the Prometheus text format, shared by the worker processes of a pod.

A scrape reaches one worker and must tell about all: each keeps its numbers in its own stretch of one shared, unnamed
file that the supervisor hands down, and whoever is asked adds them up. A restarted worker goes on where its
predecessor was, so that counters never fall.
"""

import mmap
import os
import tempfile
from bisect import bisect_left
from collections.abc import Mapping, Sequence

SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
ROWS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 1024.0, 4096.0, 16384.0)

_SLOTS = 8192
"""Numbers (8 bytes each) that one worker has."""


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


class _Family:
    def __init__(self, name: str, kind: str, text: str, bounds: Sequence[float]) -> None:
        self.name, self.kind, self.text, self.bounds = name, kind, text, bounds
        self.series: dict[tuple[tuple[str, str], ...], int] = {}


class Metrics:
    """The numbers of one worker of `workers`, in a file that they share.

    Every worker must declare the same series in the same order: the order is where they lie.
    """

    def __init__(self, worker: int = 0, workers: int = 1, shared: int | None = None) -> None:
        self._file = new_shared(workers) if shared is None else shared
        self._map = mmap.mmap(self._file, workers * _SLOTS * 8)
        self._all = memoryview(self._map).cast("d")
        self._mine = self._all[worker * _SLOTS : (worker + 1) * _SLOTS]
        self._workers = workers
        self._used = 0
        self._families: dict[str, _Family] = {}

    def counter(self, name: str, text: str, labels: Mapping[str, str] | None = None) -> Series:
        """Declare a counter; its name ends in `_total`."""
        return Series(self._mine, self._declare(name, "counter", text, labels, ()))

    def gauge(self, name: str, text: str, labels: Mapping[str, str] | None = None) -> Series:
        """Declare a gauge; the scrape shows the sum over workers. It starts at 0 in a restarted worker."""
        at = self._declare(name, "gauge", text, labels, ())
        self._mine[at] = 0.0
        return Series(self._mine, at)

    def histogram(
        self, name: str, text: str, labels: Mapping[str, str] | None = None, bounds: Sequence[float] = SECONDS
    ) -> Histogram:
        """Declare a histogram with upper `bounds`, increasing."""
        return Histogram(self._mine, self._declare(name, "histogram", text, labels, bounds), bounds)

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

    def _declare(
        self, name: str, kind: str, text: str, labels: Mapping[str, str] | None, bounds: Sequence[float]
    ) -> int:
        family = self._families.setdefault(name, _Family(name, kind, text, bounds))
        at, key = self._used, tuple((labels or {}).items())
        if key in family.series:
            return family.series[key]
        self._used += len(bounds) + 3 if kind == "histogram" else 1
        if self._used > _SLOTS:
            raise MemoryError(f"more than {_SLOTS} metric values in one worker")
        family.series[key] = at
        return at

    def _buckets(self, family: _Family, labels: tuple[tuple[str, str], ...], at: int) -> list[str]:
        lines: list[str] = []
        total = 0.0
        for index, bound in enumerate((*family.bounds, float("inf"))):
            total += self._sum(at + index)
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
        os.ftruncate(file.fileno(), workers * _SLOTS * 8)
        return os.dup(file.fileno())


def _braces(labels: tuple[tuple[str, str], ...]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{key}="{_escaped(value)}"' for key, value in labels) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)
