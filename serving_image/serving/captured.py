"""From the spool's raw records to the rows of the event store: one a prediction, features and outputs by name."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple, cast

import msgspec

from serving import grpc_codec, v2
from serving.grpc_messages import MESSAGES
from serving.signature import Signature
from serving.spool import WHOLE, Kind, Record
from serving.tensors import Array, Feeds, from_bytes

_decode = msgspec.json.Decoder().decode


class Prediction(NamedTuple):
    """A row of the table `capture`."""

    prediction_id: str
    at_us: int
    model_version: str
    numeric: dict[str, float]
    categorical: dict[str, str]
    outputs: dict[str, float]
    latency_us: int


class Outcome(NamedTuple):
    """A row of the table `outcomes`."""

    prediction_id: str
    at_us: int
    label: str | None
    value: float | None


class Reader:
    """Makes rows of what one model version was asked and answered."""

    def __init__(self, model: Signature) -> None:
        self._model = model
        manifest = model.manifest
        self._by_input: dict[str, list[tuple[int, str]]] = {}
        for feature in manifest.features:
            self._by_input.setdefault(feature.input, []).append((feature.column, feature.name))
        self._classes = {name: float(index) for index, name in enumerate(manifest.classes)}

    def predictions(self, record: Record) -> Iterator[Prediction]:
        """The predictions in a record; a prediction's latency is that of its whole request."""
        rows, outputs, ids = {Kind.PREDICT: self._predict, Kind.INFER: self._infer, Kind.GRPC: self._grpc}[
            Kind(record.kind)
        ](record)
        for row, output, prediction_id in zip(rows, outputs, ids, strict=True):
            yield self.prediction(prediction_id, row, output, record.at_us, record.latency_us)

    def prediction(
        self, prediction_id: str, row: dict[str, Any], output: dict[str, Any], at_us: int, latency_us: int
    ) -> Prediction:
        """One row of the table, of features and outputs by name."""
        numeric = {k: float(v) for k, v in row.items() if isinstance(v, int | float) and not math.isnan(v)}
        categorical = {k: v for k, v in row.items() if isinstance(v, str)}
        given = {k: number for k, v in output.items() for k, number in self._numbers(k, v)}
        return Prediction(prediction_id, at_us, self._model.version, numeric, categorical, given, latency_us)

    def _predict(self, record: Record) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[str]]:
        rows: list[dict[str, Any]] = _decode(record.request)["rows"]
        answers: list[dict[str, Any]] = _decode(record.response)["predictions"]
        return rows, answers, [answer.pop("prediction_id") for answer in answers]

    def _infer(self, record: Record) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[str]]:
        length = None if record.request_json == WHOLE else record.request_json
        question = v2.read(self._model, record.request, length, 2**31)
        response = record.response if record.response_json == WHOLE else record.response[: record.response_json]
        answer, tail = _decode(response), record.response[len(response) :]
        arrays: dict[str, list[Any]] = {}
        for output in answer["outputs"]:
            name, shape = output["name"], tuple(output["shape"])
            if "data" in output:
                arrays[name] = _nested(output["data"], shape)
            else:
                size = output["parameters"]["binary_data_size"]
                arrays[name] = from_bytes(self._model.outputs[name], tail[:size], shape).tolist()
                tail = tail[size:]
        return self.joined(question.feeds or {}, arrays, question.count, answer["parameters"]["prediction_id"])

    def _grpc(self, record: Record) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[str]]:
        question = grpc_codec.read(self._model, MESSAGES["ModelInferRequest"].FromString(record.request), 2**31)
        answer = MESSAGES["ModelInferResponse"].FromString(record.response)
        arrays = {name: array.tolist() for name, array in grpc_codec.read_outputs(self._model, answer).items()}
        name = answer.parameters["prediction_id"].string_param
        return self.joined(question.feeds or {}, arrays, question.count, name)

    def joined(
        self, feeds: Feeds, outputs: dict[str, list[Any]], count: int, request_id: str
    ) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[str]]:
        """Tensors as rows: features by name, outputs by name, and prediction ids."""
        rows: list[dict[str, Any]] = [{} for _ in range(count)]
        for name, columns in self._by_input.items():
            for row, values in zip(rows, _as_rows(feeds[name], count), strict=True):
                row.update((feature, values[column]) for column, feature in columns)
        if not self._model.has_rows:
            return rows, [outputs], [f"{request_id}-0"]
        answers = [{name: values[i] for name, values in outputs.items()} for i in range(count)]
        return rows, answers, [f"{request_id}-{i}" for i in range(count)]

    def _numbers(self, name: str, value: Any) -> Iterator[tuple[str, float]]:
        """An output as numbers: a class as its index in the manifest, each of several values as `name[i]`."""
        if isinstance(value, list):
            for index, each in enumerate(_leaves(cast("list[Any]", value))):
                yield from self._numbers(f"{name}[{index}]", each)
        elif isinstance(value, str):
            if value in self._classes:
                yield name, self._classes[value]
        elif value is not None and not math.isnan(value):
            yield name, float(value)


def outcomes(record: Record) -> Iterator[Outcome]:
    """The outcomes in a record."""
    for given in _decode(record.request):
        yield Outcome(given["prediction_id"], record.at_us, given.get("label"), given.get("value"))


def _as_rows(array: Array, count: int) -> list[list[Any]]:
    return array.reshape(count, -1).tolist()


def _nested(data: list[Any], shape: tuple[int, ...]) -> list[Any]:
    if len(shape) < 2:
        return data
    step = math.prod(shape[1:])
    return [data[i * step : (i + 1) * step] for i in range(shape[0])]


def _leaves(values: list[Any]) -> Iterator[Any]:
    for value in values:
        if isinstance(value, list):
            yield from _leaves(cast("list[Any]", value))
        else:
            yield value
