"""The golden question of a package: which it is, and its answer. `serving.model.load` checks it."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from serving.errors import ServingError
from serving.manifest import Golden, Manifest, Scalar
from serving.rows import Rows

from release.errors import SlipwayError
from release.model_file import ModelFile

TOLERANCE = 1e-5
"""Absolute and relative; float32 sums in another order, as another machine may do them, differ by less."""


def answered(question: Mapping[str, Any], manifest: Manifest, model: ModelFile) -> Golden:
    """The golden question with the model's answer; a row for a model with features, else one row of tensors.

    Raises:
        SlipwayError: the row is none of the model's, or the answer cannot be written down.
    """
    if manifest.features:
        rows, inputs = (dict(question),), {}
        answers = model.ask(_tensors(rows, manifest))
    else:
        tensors = {name: np.asarray(value) for name, value in question.items()}
        rows, inputs = (), {name: value.tolist() for name, value in tensors.items()}
        answers = model.ask(tensors)
    for name, answer in answers.items():
        if not _finite(answer):
            raise SlipwayError(
                "bad-golden",
                f"golden question: the model's {name!r} is not a finite number: {answer.tolist()}",
                "choose a row that the model has an answer for",
            )
    outputs = {name: _rounded(answer.tolist()) for name, answer in answers.items()}
    return Golden(rows=rows, inputs=inputs, outputs=outputs, tolerance=TOLERANCE)


def choose(manifest: Manifest, table: pa.Table, answers: Mapping[str, NDArray[Any]]) -> dict[str, Scalar]:
    """The first row of `table` that has all its values and finite answers; else the first with finite answers."""
    datatypes = {tensor.name: tensor.datatype for tensor in manifest.inputs}
    answered = np.ones(table.num_rows, bool)
    for answer in answers.values():
        if np.issubdtype(answer.dtype, np.floating):
            answered &= np.isfinite(answer.reshape(len(answer), -1)).all(axis=1)
    complete = answered.copy()
    for feature in manifest.features:
        complete &= table[feature.name].is_valid().to_numpy()
    index = int(np.argmax(complete if complete.any() else answered))
    row: dict[str, Scalar] = {}
    for feature in manifest.features:
        value = table[feature.name][index].as_py()
        row[feature.name] = value if value is None else _typed(value, datatypes[feature.input])
    return row


def _finite(answer: NDArray[Any]) -> bool:
    """Whether an answer has neither NaN nor an infinity."""
    return not np.issubdtype(answer.dtype, np.floating) or bool(np.isfinite(answer).all())


def _tensors(rows: Sequence[Mapping[str, Scalar]], manifest: Manifest) -> dict[str, NDArray[Any]]:
    """Through the serving runtime's own reader: what it would refuse is refused here."""
    reader = Rows(manifest, max_rows=len(rows))
    try:
        return reader.tensors([reader.convert(dict(row)) for row in rows])
    except ServingError as error:
        raise SlipwayError(
            "bad-golden", f"golden question: {error}", "give a row with the model's features, as /predict takes it"
        ) from None


def _typed(value: Any, datatype: str) -> Scalar:
    """A sample's value as the JSON type that the input takes."""
    if datatype == "BYTES":
        return str(value)
    if datatype == "BOOL":
        return bool(value)
    return float(value) if datatype.startswith("FP") else int(float(value))


def _rounded(value: Any) -> Any:
    """Seven significant digits, float32's precision: the last ones differ from machine to machine."""
    if isinstance(value, list):
        return [_rounded(item) for item in cast("list[Any]", value)]
    return float(f"{value:.7g}") if isinstance(value, float) else value
