"""The Open Inference Protocol v2 over HTTP: JSON, and the binary tensor data extension.

https://github.com/kserve/open-inference-protocol and, for tensors after the JSON, Triton's
`extension_binary_data.md`: the header `Inference-Header-Content-Length` says where the JSON ends.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from serving.errors import InvalidInputError, TooLargeError, explain
from serving.ids import new_id
from serving.manifest import FLOATS, Tensor
from serving.plane import Answer, Question
from serving.signature import Signature
from serving.tensors import Array, Feeds, check_shape, from_bytes, from_values, to_bytes

Parameters = dict[str, Any]


class _Input(Struct):
    name: str
    shape: list[int]
    datatype: str
    parameters: Parameters = {}
    data: Raw | UnsetType = UNSET


class _Output(Struct):
    name: str
    parameters: Parameters = {}


class _Request(Struct):
    inputs: list[_Input]
    id: str = ""
    parameters: Parameters = {}
    outputs: list[_Output] = []


class _Answered(Struct, omit_defaults=True):
    name: str
    shape: tuple[int, ...]
    datatype: str
    parameters: Parameters = {}
    data: list[Any] | UnsetType = UNSET


class _Response(Struct, omit_defaults=True):
    model_name: str
    model_version: str
    outputs: list[_Answered]
    parameters: Parameters
    id: str = ""


_request = msgspec.json.Decoder(_Request)
_response = msgspec.json.Encoder()
_any = msgspec.json.Decoder(list[Any])
_LISTS: dict[str, Any] = {"FP": list[float | None], "INT": list[int], "BOOL": list[bool], "BYTES": list[str]}
_lists = {kind: msgspec.json.Decoder(values) for kind, values in _LISTS.items()}
_UNSUPPORTED = {
    "classification": "the classification extension is not supported",
    "shared_memory_region": "shared memory is not supported: it needs a client on the same machine",
    "sequence_id": "sequences are not supported: no model here keeps state",
}


class Asked(Question):
    """A question over v2 HTTP: `binary` has the names of the outputs that are wanted as bytes."""

    __slots__ = ("binary", "client_id")
    binary: frozenset[str]
    client_id: str


def read(model: Signature, body: bytes, json_length: int | None, max_rows: int) -> Asked:
    """The question in the body of an infer request; `json_length` is where its JSON ends when tensors follow.

    Raises:
        InvalidInputError: naming the field.
        TooLargeError: more rows than one request may have.
    """
    if json_length is not None and not 0 <= json_length <= len(body):
        raise InvalidInputError(f"Inference-Header-Content-Length: expected 0 to {len(body)}, got {json_length}")
    try:
        asked = _request.decode(body if json_length is None else memoryview(body)[:json_length])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInputError(explain(error)) from None
    _check_parameters("parameters", asked.parameters)
    feeds = _feeds(model, asked.inputs, memoryview(body)[json_length or len(body) :])
    count = check_feeds(model, feeds, max_rows)
    outputs = check_outputs(model, [output.name for output in asked.outputs])
    question = Asked(model, count, feeds=feeds, outputs=outputs, id=new_id())
    question.client_id = asked.id
    question.deadline = _deadline(asked.parameters, question.started)
    question.binary = _binary(asked, outputs)
    return question


def write(question: Asked, answer: Answer) -> tuple[bytes, int | None]:
    """The response's body and, where binary tensors follow it, the length of its JSON.

    The parameter `prediction_id` names the request; row i of it is `<prediction_id>-<i>`.
    """
    outputs: list[_Answered] = []
    tensors: list[bytes] = []
    for name in question.outputs:
        array, datatype = answer.array(name), question.model.outputs[name].datatype
        if name in question.binary:
            tensors.append(to_bytes(array))
            described = {"binary_data_size": len(tensors[-1])}
            outputs.append(_Answered(name, array.shape, datatype, described))
        else:
            outputs.append(_Answered(name, array.shape, datatype, data=array.ravel().tolist()))
    model = question.model
    response = _Response(model.name, model.version, outputs, {"prediction_id": question.id}, question.client_id)
    body = _response.encode(response)
    return (body + b"".join(tensors), len(body)) if tensors else (body, None)


def metadata(model: Signature, versions: Sequence[str]) -> Mapping[str, Any]:
    """What `GET /v2/models/{model}` answers."""
    return {
        "name": model.name,
        "versions": list(versions),
        "platform": "onnx_onnxruntime",
        "inputs": [_described(tensor) for tensor in model.inputs.values()],
        "outputs": [_described(tensor) for tensor in model.outputs.values()],
    }


def check_feeds(model: Signature, feeds: Feeds, max_rows: int) -> int:
    """The number of rows in a question's tensors, which must be all that the model takes.

    Raises:
        InvalidInputError: a tensor is missing, or they disagree about the rows.
        TooLargeError: more rows than one request may have.
    """
    if missing := [name for name in model.inputs if name not in feeds]:
        raise InvalidInputError(f"inputs: {missing[0]!r} is missing; the model takes {', '.join(model.inputs)}")
    if not model.has_rows:
        return 1
    counts = {name: len(array) for name, array in feeds.items()}
    count = next(iter(counts.values()))
    for name, found in counts.items():
        if found != count:
            raise InvalidInputError(f"{name}: shape: expected {count} rows as in the other inputs, got {found}")
    if not count:
        raise InvalidInputError("inputs: expected at least one row")
    if count > max_rows:
        raise TooLargeError(f"inputs: at most {max_rows} rows in one request, got {count}")
    return count


def check_outputs(model: Signature, names: Sequence[str]) -> list[str]:
    """The outputs that are wanted: all when none is named."""
    for name in names:
        if name not in model.outputs:
            raise InvalidInputError(f"outputs: no output {name!r}; the model gives {', '.join(model.outputs)}")
    return list(dict.fromkeys(names)) or model.output_names


def check_input(model: Signature, name: str, datatype: str, shape: tuple[int, ...], feeds: Feeds) -> Tensor:
    """The model's input of that name, when datatype and shape are its own and it is not there yet."""
    tensor = model.inputs.get(name)
    if tensor is None:
        raise InvalidInputError(f"inputs: no input {name!r}; the model takes {', '.join(model.inputs)}")
    if name in feeds:
        raise InvalidInputError(f"inputs: {name!r} is there twice")
    if datatype != tensor.datatype:
        raise InvalidInputError(f"{name}: datatype: expected {tensor.datatype}, got {datatype!r}")
    check_shape(tensor, shape)
    return tensor


def _feeds(model: Signature, inputs: list[_Input], tail: memoryview) -> Feeds:
    feeds: Feeds = {}
    position = 0
    for given in inputs:
        shape = tuple(given.shape)
        tensor = check_input(model, given.name, given.datatype, shape, feeds)
        _check_parameters(f"{given.name}: parameters", given.parameters)
        size = given.parameters.get("binary_data_size")
        if (size is None) == (given.data is UNSET):
            raise InvalidInputError(f"{given.name}: expected either data or the parameter binary_data_size")
        if size is None:
            feeds[given.name] = from_json(tensor, given.data, shape)
            continue
        left = len(tail) - position
        if not isinstance(size, int) or not 0 <= size <= left:
            raise InvalidInputError(
                f"{given.name}: binary_data_size: expected 0 to the {left} bytes left, got {size!r}"
            )
        feeds[given.name] = from_bytes(tensor, tail[position : position + size], shape)
        position += size
    if position != len(tail):
        raise InvalidInputError(f"body: {len(tail) - position} bytes after the last tensor")
    return feeds


def from_json(tensor: Tensor, data: Any, shape: tuple[int, ...]) -> Array:
    """An array of a JSON list (`data` is its bytes), flat in row-major order or nested; null stands for NaN."""
    kind = "FP" if tensor.datatype in FLOATS else "INT" if "INT" in tensor.datatype else tensor.datatype
    try:
        values = _lists[kind].decode(data)
    except msgspec.ValidationError:
        values = _unnested(tensor, data, kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInputError(f"{tensor.name}.data: {explain(error)}") from None
    return from_values(tensor, values, shape)


def _unnested(tensor: Tensor, data: Any, kind: str) -> list[Any]:
    try:
        return msgspec.convert(list(_leaves(_any.decode(data))), _LISTS[kind])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        why = explain(error)
        raise InvalidInputError(f"{tensor.name}.data{'' if why.startswith('[') else ': '}{why}") from None


def _leaves(values: list[Any]) -> Iterator[Any]:
    for value in values:
        if isinstance(value, list):
            yield from _leaves(cast("list[Any]", value))
        else:
            yield value


def _check_parameters(where: str, parameters: Parameters) -> None:
    for name, why in _UNSUPPORTED.items():
        if parameters.get(name):
            raise InvalidInputError(f"{where}.{name}: {why}")


def _deadline(parameters: Parameters, started: float) -> float:
    """When the parameter `timeout` (microseconds, as Triton's clients send it) runs out."""
    timeout = parameters.get("timeout")
    if timeout is None:
        return float("inf")
    if not isinstance(timeout, int) or timeout < 0:
        raise InvalidInputError(f"parameters.timeout: expected microseconds, got {timeout!r}")
    return started + timeout / 1e6 if timeout else float("inf")


def _binary(asked: _Request, outputs: Sequence[str]) -> frozenset[str]:
    """Names of the outputs that are wanted as bytes: all, or those that say so themselves."""
    for output in asked.outputs:
        _check_parameters(f"outputs.{output.name}", output.parameters)
    if not asked.outputs:
        return frozenset(outputs if asked.parameters.get("binary_data_output") else ())
    everything = bool(asked.parameters.get("binary_data_output", False))
    return frozenset(output.name for output in asked.outputs if output.parameters.get("binary_data", everything))


def _described(tensor: Tensor) -> Mapping[str, Any]:
    return {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape)}
