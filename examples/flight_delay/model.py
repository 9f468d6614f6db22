"""Training and judging the model: LightGBM on a table of flights."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from examples.flight_delay.boosting import lightgbm
from examples.flight_delay.data import CATEGORICAL, FEATURES
from examples.flight_delay.export import UNKNOWN

PARAMETERS: Mapping[str, Any] = {
    "objective": "binary",
    "learning_rate": 0.05,
    "num_leaves": 15,
    "min_data_in_leaf": 500,
    "seed": 2013,
    "deterministic": True,
    "force_row_wise": True,
    # One thread trains in a second. Several would wait for each other wherever the machine has something else to do.
    "num_threads": 1,
    "verbosity": -1,
}
TREES = 100


@dataclass(frozen=True)
class Trained:
    """A booster and the categories it knows, each in the order of its code."""

    booster: lightgbm.Booster
    categories: Mapping[str, tuple[str, ...]]

    def predict(self, flights: pa.Table) -> NDArray[np.float64]:
        """P(late) of each flight."""
        return np.asarray(self.booster.predict(matrix(flights, self.categories), num_threads=1), np.float64)


def train(flights: pa.Table, trees: int = TREES) -> Trained:
    """A model of P(late), trained on these flights; the same flights give the same model."""
    categories = {name: tuple(sorted(map(str, flights[name].unique().to_pylist()))) for name in CATEGORICAL}
    data = lightgbm.Dataset(
        matrix(flights, categories),
        flights["late"].to_numpy(),
        feature_name=list(FEATURES),
        categorical_feature=list(CATEGORICAL),
    )
    return Trained(lightgbm.train(dict(PARAMETERS), data, trees), categories)


def matrix(flights: pa.Table, categories: Mapping[str, tuple[str, ...]]) -> NDArray[np.float32]:
    """The booster's columns: categories as codes, an unknown one as UNKNOWN, numbers as float32, null as NaN.

    float32 because the graph computes in it: trained on anything finer, a value could fall on another side of a split.
    """
    return np.column_stack([_column(flights[name], categories.get(name)) for name in FEATURES])


def _column(values: Any, known: tuple[str, ...] | None) -> NDArray[np.float32]:
    if known is None:
        return values.to_numpy().astype(np.float32)
    codes: Any = cast("Any", pc).index_in(values, value_set=pa.array(known))
    return codes.fill_null(int(UNKNOWN)).to_numpy().astype(np.float32)


def judge(late: NDArray[np.bool_], probability: NDArray[np.float64]) -> dict[str, float]:
    """How good the probabilities are: AUC, log loss and Brier score, beside the share of late flights and the number.

    AUC is the Mann-Whitney statistic: the share of pairs of a late and an on-time flight in which the late one has the
    higher probability, a tie counting half.
    """
    p = np.clip(probability, 1e-15, 1 - 1e-15)
    _, rank, size = np.unique(p, return_inverse=True, return_counts=True)
    middle_rank = (np.cumsum(size) - (size - 1) / 2)[rank]
    n_late = int(late.sum())
    n_on_time = len(late) - n_late
    pairs_won = middle_rank[late].sum() - n_late * (n_late + 1) / 2
    metrics = {
        "auc": pairs_won / (n_late * n_on_time),
        "log_loss": -np.where(late, np.log(p), np.log1p(-p)).mean(),
        "brier": ((p - late) ** 2).mean(),
        "late_share": late.mean(),
    }
    return {name: round(float(value), 6) for name, value in metrics.items()} | {"rows": float(len(late))}
