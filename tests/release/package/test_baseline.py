import math
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from serving.manifest import CategoricalBaseline, NumericBaseline

from release.baseline import MAX_CATEGORIES, MAX_EDGES, baseline, between, categorical, count, numeric

numbers = st.lists(st.one_of(st.none(), st.floats(), st.sampled_from([0.0, 1.0, 2.5, -7.0])), max_size=200)


@settings(deadline=None)
@given(numbers)
def test_every_row_is_counted_once_or_missing(values: list[float | None]) -> None:
    found = numeric(pa.array(values, pa.float64()))
    absent = sum(value is None or math.isnan(value) for value in values)
    assert sum(found.counts) == len(values) - absent
    assert found.missing == (round(absent / len(values), 6) if values else 0.0)
    assert len(found.counts) == len(found.edges) + 1
    assert 2 <= len(found.edges) <= MAX_EDGES
    assert all(map(math.isfinite, found.edges))
    assert all(low < high for low, high in pairwise(found.edges))


@settings(deadline=None)
@given(st.lists(st.floats(allow_nan=False, width=32, allow_infinity=False), min_size=1, max_size=100))
def test_a_value_falls_into_the_same_bin_as_float32_and_as_its_decimal(values: list[float]) -> None:
    """The client sends 39.02, the model is asked float32(39.02): both must count alike."""
    edges = numeric(np.array(values, np.float32)).edges
    as_decimals = np.array([float(str(np.float32(value))) for value in values])
    assert count(np.array(values, np.float64), edges) == count(as_decimals, edges)


@settings(deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False, allow_infinity=False))
def test_an_edge_lies_between_its_neighbours(one: float, other: float) -> None:
    low, high = sorted((one, other))
    if low < high:
        assert low < between(low, high) <= high


def test_bins_hold_about_as_many_rows_each() -> None:
    found = numeric(np.random.default_rng(1).normal(size=100_000))
    assert len(found.counts) == MAX_EDGES + 1
    assert min(found.counts) > 9_900
    assert max(found.counts) < 10_100


def test_edges_have_few_digits_and_lie_between_values() -> None:
    assert between(39.02, 39.92) == 39.5
    assert between(0.0, 0.01) == 0.005
    assert between(1.0, math.nextafter(1.0, 2)) == math.nextafter(1.0, 2)


@pytest.mark.parametrize(
    ("values", "counts"),
    [
        ([0.0] * 90 + [3.0] * 10, (90, 10, 0)),  # a value that most rows share stays whole
        ([5.0, 5.0], (0, 2, 0)),  # a constant: anything else is below or above
        ([], (0, 0, 0)),
        ([math.inf, -math.inf, 1.0], (1, 1, 1)),
    ],
)
def test_ties_constants_and_nothing(values: list[float], counts: tuple[int, ...]) -> None:
    assert numeric(pa.array(values, pa.float64())).counts == counts


def test_counts_follow_the_contract_at_the_edges() -> None:
    """Below e0, [e0, e1), [e1, e2], above e2."""
    values = np.array([-1.0, 0.0, 0.5, 1.0, 2.0, 2.1, np.nan])
    assert count(values, (0.0, 1.0, 2.0)) == (1, 2, 2, 1)


def test_integers_booleans_decimals_and_nulls_are_numbers() -> None:
    assert numeric(pa.array([True, False, None])).counts == (1, 1, 0)
    assert numeric(pa.array([2**62, 1])).counts == (1, 1, 0)
    assert numeric(pa.nulls(3)) == NumericBaseline(missing=1.0, edges=(0.0, 1.0), counts=(0, 0, 0))
    assert sum(numeric(pa.array([1, 2, 3], pa.decimal128(5, 2))).counts) == 3


def test_text_is_no_number() -> None:
    with pytest.raises(ValueError, match="expected numbers, got string"):
        numeric(pa.array(["12"]))


@settings(deadline=None)
@given(st.lists(st.one_of(st.none(), st.text(max_size=3)), max_size=200))
def test_every_category_is_counted_once_or_missing(values: list[str | None]) -> None:
    found = categorical(pa.array(values, pa.string()))
    assert sum(found.counts.values()) + found.other == len(values) - values.count(None)
    assert len(found.counts) <= MAX_CATEGORIES
    if found.other:
        assert min(found.counts.values()) >= 1
        assert len(found.counts) == MAX_CATEGORIES


def test_the_most_frequent_categories_have_names() -> None:
    values = [f"c{i:03}" for i in range(MAX_CATEGORIES + 10) for _ in range(100 - i)]
    found = categorical(pa.array(values))
    assert list(found.counts)[:2] == ["c000", "c001"]
    assert found.other == sum(100 - i for i in range(MAX_CATEGORIES, MAX_CATEGORIES + 10))


def test_categories_that_are_numbers() -> None:
    assert categorical(pa.array([3, 3, None, 1])) == CategoricalBaseline(missing=0.25, counts={"3": 2, "1": 1})
    assert categorical(pa.array([1.0, float("nan")])).missing == 0.5


def test_the_same_rows_in_another_order_give_the_same_baseline() -> None:
    rng = np.random.default_rng(7)
    values, names = rng.exponential(size=5_000), rng.choice(["a", "b", "c"], 5_000)
    order = rng.permutation(5_000)
    forward = baseline({"x": ("numeric", values), "n": ("categorical", names)}, {}, 5_000)
    assert forward == baseline({"x": ("numeric", values[order]), "n": ("categorical", names[order])}, {}, 5_000)


def test_columns_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match=r"x: expected 3 values, got 2"):
        baseline({"x": ("numeric", np.zeros(2))}, {}, 3)
