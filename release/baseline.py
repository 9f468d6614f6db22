"""The training distribution of a model version, which drift is measured against.

A numeric column becomes at most 10 bins of about equal count. Their edges lie *between* values that occur, written with
as few digits as tell the two apart: so a value falls into the same bin whether it is counted as float64 here or as the
float32 that the model was asked, and a value that many rows share (no rain) is never split.
"""

import math
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from serving.manifest import Baseline, CategoricalBaseline, Distribution, NumericBaseline

MAX_EDGES = 9
"""Inner cut points: 9 of them make 10 bins, the two open ones included. For ten, the usual limits of the population
stability index were found (0.1 for a small shift, 0.2 for a large one); more bins raise it by chance alone."""

MAX_CATEGORIES = 50
"""Categories counted by name, the most frequent first; the rest is `other`."""

Kind = Literal["numeric", "categorical"]
Column: TypeAlias = "pa.Array[Any] | pa.ChunkedArray[Any] | NDArray[Any]"


def baseline(
    features: Mapping[str, tuple[Kind, Column]], outputs: Mapping[str, tuple[Kind, Column]], rows: int
) -> Baseline:
    """The baseline of a model whose features and outputs were these columns, each of `rows` values.

    Raises:
        ValueError: a column has another length, or a numeric one holds something else than numbers.
    """
    for name, (_, column) in (*features.items(), *outputs.items()):
        if len(column) != rows:
            raise ValueError(f"{name}: expected {rows} values, got {len(column)}")
    return Baseline(
        rows=rows,
        features={name: distribution(kind, column) for name, (kind, column) in features.items()},
        outputs={name: distribution(kind, column) for name, (kind, column) in outputs.items()},
    )


def distribution(kind: Kind, column: Column) -> Distribution:
    """How one column is distributed; null and NaN are missing values."""
    return numeric(column) if kind == "numeric" else categorical(column)


def numeric(column: Column) -> NumericBaseline:
    """Quantile bins of a numeric column. Infinite values count below or above; they move no edge."""
    values = numbers(column)
    present = values[~np.isnan(values)]
    edges = _edges(present[np.isfinite(present)])
    return NumericBaseline(
        missing=_share(len(values) - len(present), len(values)), edges=edges, counts=count(present, edges)
    )


def count(values: NDArray[np.float64], edges: tuple[float, ...]) -> tuple[int, ...]:
    """Values in each cell of `edges`: below e0, [e0, e1), …, [ek-1, ek], above ek. NaN is not counted."""
    cells = np.searchsorted(edges, values[~np.isnan(values)], side="right")
    cells[values[~np.isnan(values)] == edges[-1]] -= 1
    return tuple(np.bincount(cells, minlength=len(edges) + 1).tolist())


def categorical(column: Column) -> CategoricalBaseline:
    """Rows of each of the most frequent categories, as text; equally frequent ones in the order of their names."""
    values = _arrow(column)
    present: Any = values.filter(pc.invert(values.is_null(nan_is_null=True))).cast(pa.string())
    counted: list[tuple[str, int]] = [tuple(entry.values()) for entry in present.value_counts().to_pylist()]
    counted.sort(key=lambda entry: (-entry[1], entry[0]))
    return CategoricalBaseline(
        missing=_share(len(values) - len(present), len(values)),
        counts=dict(counted[:MAX_CATEGORIES]),
        other=sum(rows for _, rows in counted[MAX_CATEGORIES:]),
    )


def numbers(column: Column) -> NDArray[np.float64]:
    """A numeric or boolean column as float64, null as NaN.

    Raises:
        ValueError: it holds something else.
    """
    values = _arrow(column)
    if pa.types.is_null(values.type) or pa.types.is_boolean(values.type):
        values = values.cast(pa.int8())
    if not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type) or pa.types.is_decimal(values.type)):
        raise ValueError(f"expected numbers, got {values.type}")
    # Unsafe: an integer above 2^53 is rounded, which moves it by less than any bin is wide.
    return values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False).astype(np.float64)


def _arrow(column: Column) -> Any:
    """The column as an Arrow array; typed Any, as the stubs know no operation on an array of any type."""
    if isinstance(column, pa.ChunkedArray):
        return column.combine_chunks()
    return column if isinstance(column, pa.Array) else pa.array(column)


def _edges(values: NDArray[np.float64]) -> tuple[float, ...]:
    distinct, counts = np.unique(values, return_counts=True)
    if len(distinct) == 0:
        return (0.0, 1.0)  # nothing was seen; the contract wants two edges
    targets = len(values) * np.arange(1, MAX_EDGES + 1) / (MAX_EDGES + 1)
    last_below = np.unique(np.searchsorted(np.cumsum(counts), targets))
    edges = [between(float(distinct[i]), float(distinct[i + 1])) for i in last_below if i + 1 < len(distinct)]
    if not edges:
        edges = [_beyond(float(distinct[0]), -math.inf)]
    if len(edges) == 1:
        edges.append(_beyond(float(distinct[-1]), math.inf))
    return tuple(edges)


def between(low: float, high: float) -> float:
    """The number with the fewest digits that is above `low` and not above `high`; the middle, as far as these allow."""
    middle = low / 2 + high / 2
    for digits in range(1, 18):
        rounded = float(f"{middle:.{digits}g}")
        if low < rounded < high:
            return rounded
    return high  # neighbouring floats: `high` starts the next bin


def _beyond(value: float, direction: float) -> float:
    """An edge on one side of all values, so that one that differs by more than 1 % of the largest is seen."""
    step = max(abs(value) * 0.01, 1e-6)
    moved = value + math.copysign(step, direction)
    return moved if math.isfinite(moved) else value


def _share(part: int, rows: int) -> float:
    return round(part / rows, 6) if rows else 0.0
