"""Infer requests and responses of gRPC, to questions and from answers of the data plane."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from serving.errors import InvalidInputError
from serving.grpc_messages import MESSAGES
from serving.ids import new_id
from serving.manifest import Tensor
from serving.plane import Answer, Question
from serving.signature import Signature
from serving.tensors import DTYPES, Array, Feeds, from_bytes, from_values, to_bytes
from serving.v2 import check_feeds, check_input, check_outputs

_Response = MESSAGES["ModelInferResponse"]

_CONTENTS = {
    "BOOL": "bool_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
"""The typed field of each datatype; FP16 has none and travels as raw bytes only."""


class Asked(Question):
    """A question over gRPC, which also keeps how its tensors came: the answer goes the same way."""

    __slots__ = ("client_id", "raw")
    client_id: str
    raw: bool


def read(model: Signature, request: Any, max_rows: int) -> Asked:
    """The question in a ModelInferRequest.

    Raises:
        InvalidInputError: naming the field.
        TooLargeError: more rows than one request may have.
    """
    inputs, raw = request.inputs, request.raw_input_contents
    if raw and len(raw) != len(inputs):
        raise InvalidInputError(
            f"raw_input_contents: expected one for each of the {len(inputs)} inputs, got {len(raw)}"
        )
    feeds: Feeds = {}
    for index, given in enumerate(inputs):
        name, shape = given.name, tuple(given.shape)
        tensor = check_input(model, name, given.datatype, shape, feeds)
        if not raw:
            feeds[name] = _from_contents(tensor, given.contents, shape)
        elif given.HasField("contents"):
            raise InvalidInputError(f"{name}: contents: expected none beside raw_input_contents")
        else:
            feeds[name] = from_bytes(tensor, raw[index], shape)
    count = check_feeds(model, feeds, max_rows)
    outputs = check_outputs(model, [output.name for output in request.outputs])
    question = Asked(model, count, feeds=feeds, outputs=outputs, id=new_id())
    question.raw = bool(raw) or any(model.outputs[name].datatype == "FP16" for name in outputs)
    question.client_id = request.id
    return question


def write(question: Asked, answer: Answer) -> Any:
    """The ModelInferResponse; its parameter `prediction_id` names the request, row i of it is `<prediction_id>-<i>`."""
    model = question.model
    response = _Response(model_name=model.name, model_version=model.version, id=question.client_id)
    response.parameters["prediction_id"].string_param = question.id
    for name in question.outputs:
        array, datatype = answer.array(name), model.outputs[name].datatype
        output = response.outputs.add(name=name, datatype=datatype, shape=array.shape)
        if question.raw:
            response.raw_output_contents.append(to_bytes(array))
        else:
            getattr(output.contents, _CONTENTS[datatype]).extend(_plain(array))
    return response


def read_outputs(model: Signature, response: Any) -> dict[str, Array]:
    """The output tensors in a ModelInferResponse that `write` made."""
    arrays: dict[str, Array] = {}
    for index, output in enumerate(response.outputs):
        tensor, shape = model.outputs[output.name], tuple(output.shape)
        if response.raw_output_contents:
            arrays[output.name] = from_bytes(tensor, response.raw_output_contents[index], shape)
        else:
            arrays[output.name] = _from_contents(tensor, output.contents, shape)
    return arrays


def _from_contents(tensor: Tensor, contents: Any, shape: tuple[int, ...]) -> Array:
    field = _CONTENTS.get(tensor.datatype)
    if field is None:
        raise InvalidInputError(f"{tensor.name}: {tensor.datatype} travels in raw_input_contents only")
    values: Sequence[Any] = getattr(contents, field)
    if tensor.datatype == "BYTES":
        return from_values(tensor, _decoded(tensor, values), shape)
    if field in {"int_contents", "uint_contents"}:  # wider on the wire than the datatype may be
        limits = np.iinfo(DTYPES[tensor.datatype])
        for index, value in enumerate(values):
            if not limits.min <= value <= limits.max:
                raise InvalidInputError(f"{tensor.name}: {field}[{index}]: {value} does not fit {tensor.datatype}")
    return from_values(tensor, list(values), shape)


def _decoded(tensor: Tensor, values: Sequence[bytes]) -> list[str]:
    try:
        return [value.decode() for value in values]
    except UnicodeDecodeError:
        raise InvalidInputError(f"{tensor.name}: bytes_contents: not UTF-8, which is what ONNX strings are") from None


def _plain(array: Array) -> list[Any]:
    values: list[Any] = array.ravel().tolist()
    return [value.encode() for value in values] if array.dtype == object else values
