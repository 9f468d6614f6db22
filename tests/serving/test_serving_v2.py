import json
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from serving import v2
from serving.errors import InvalidInputError, ServingError, TooLargeError
from serving.metrics import Metrics
from serving.model import Model
from serving.plane import Plane
from serving.tensors import DTYPES, from_bytes, to_bytes
from serving_packages import DATATYPES


def values_of(datatype: str) -> np.ndarray[Any, Any]:
    """Two rows with the datatype's extremes."""
    if datatype == "BYTES":
        return np.array([["", "ü 漢"], ['"\\', "a\x00b"]], object)
    dtype = DTYPES[datatype]
    if datatype == "BOOL":
        return np.array([[True, False], [False, False]])
    limits = np.finfo(dtype) if datatype.startswith("FP") else np.iinfo(dtype)
    return np.array([[limits.min, limits.max], [0, 1]], dtype)


def request_of(binary: bool, **parameters: Any) -> tuple[bytes, int | None]:
    """An infer request with a tensor of every datatype."""
    inputs: list[dict[str, Any]] = []
    tail = b""
    for datatype in DATATYPES:
        array = values_of(datatype)
        given: dict[str, Any] = {"name": f"in_{datatype.lower()}", "shape": list(array.shape), "datatype": datatype}
        if binary:
            given["parameters"] = {"binary_data_size": len(to_bytes(array))}
            tail += to_bytes(array)
        else:
            given["data"] = array.ravel().tolist() if datatype.startswith("U") else array.tolist()
        inputs.append(given)
    head = json.dumps({"id": "q", "inputs": inputs, "parameters": parameters}).encode()
    return head + tail, len(head) if binary else None


def ask(model: Model, body: bytes, length: int | None = None) -> tuple[bytes, int | None]:
    question = v2.read(model, body, length, 1000)
    plane = Plane([model], Metrics(), max_queue=1, deadline_seconds=10)
    return v2.write(question, plane.answer(question))


@pytest.mark.parametrize("binary", [False, True])
def test_every_datatype_goes_in_and_comes_out_as_json(identity: Model, binary: bool) -> None:
    body, length = ask(identity, *request_of(binary))
    assert length is None
    answer = json.loads(body)
    assert answer["id"] == "q"
    assert (answer["model_name"], answer["model_version"]) == ("identity", "1")
    for output, datatype in zip(answer["outputs"], DATATYPES, strict=True):
        expected = values_of(datatype)
        assert (output["name"], output["datatype"], output["shape"]) == (f"out_{datatype.lower()}", datatype, [2, 2])
        assert np.array_equal(np.array(output["data"], DTYPES[datatype]), expected.ravel())


@pytest.mark.parametrize("binary", [False, True])
def test_every_datatype_goes_in_and_comes_out_as_bytes(identity: Model, binary: bool) -> None:
    body, length = ask(identity, *request_of(binary, binary_data_output=True))
    assert length is not None
    answer, tail = json.loads(body[:length]), body[length:]
    for output, datatype in zip(answer["outputs"], DATATYPES, strict=True):
        size = output["parameters"]["binary_data_size"]
        tensor = identity.outputs[output["name"]]
        assert np.array_equal(from_bytes(tensor, tail[:size], (2, 2)), values_of(datatype))
        tail = tail[size:]
    assert tail == b""


def infer(**changes: Any) -> dict[str, Any]:
    """A right request to the test model, with some of it changed."""
    carrier = {"name": "carrier", "shape": [1, 1], "datatype": "BYTES", "data": ["UA"]} | changes.pop("carrier", {})
    weather = {"name": "weather", "shape": [1, 2], "datatype": "FP32", "data": [1, 2.5]} | changes.pop("weather", {})
    return {"inputs": [carrier, weather], **changes}


def test_null_is_not_a_number_and_outputs_can_be_chosen(model: Model) -> None:
    wanted = infer(weather={"data": [[None, 2]]}, outputs=[{"name": "label"}, {"name": "probability"}])
    answer = json.loads(ask(model, json.dumps(wanted).encode())[0])
    assert [output["name"] for output in answer["outputs"]] == ["label", "probability"]
    assert answer["outputs"][1]["data"] == [None]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "inputs: missing"),
        ([], "expected an object, got a list"),
        ({"inputs": []}, "inputs: 'carrier' is missing; the model takes carrier, weather"),
        (infer(weather={"name": "wx"}), "inputs: no input 'wx'; the model takes carrier, weather"),
        (infer(weather={"name": "carrier"}), "inputs: 'carrier' is there twice"),
        (infer(weather={"datatype": "FP64"}), "weather: datatype: expected FP32, got 'FP64'"),
        (infer(weather={"shape": [2, 1]}), "weather: shape: expected [-1, 2], got [2, 1]"),
        (infer(weather={"shape": [-1, 2]}), "weather: shape: expected [-1, 2], got [-1, 2]"),
        (
            infer(weather={"shape": [10**30, 2]}),
            f"weather: data: expected {2 * 10**30} values for [{10**30}, 2], got 2",
        ),
        (infer(weather={"data": [1]}), "weather: data: expected 2 values for [1, 2], got 1"),
        (infer(weather={"data": [1, "2"]}), "weather.data[1]: expected a number or null, got a string"),
        (infer(weather={"data": [1, True]}), "weather.data[1]: expected a number or null, got true or false"),
        (infer(weather={"data": 5}), "weather.data: expected a list, got a whole number"),
        (infer(carrier={"data": [5]}), "carrier.data[0]: expected a string, got a whole number"),
        (
            infer(carrier={"shape": [2, 1], "data": ["a", "b"]}),
            "weather: shape: expected 2 rows as in the other inputs, got 1",
        ),
        (
            infer(carrier={"shape": [0, 1], "data": []}, weather={"shape": [0, 2], "data": []}),
            "inputs: expected at least one row",
        ),
        (infer(outputs=[{"name": "x"}]), "outputs: no output 'x'; the model gives probability, label"),
        (infer(parameters={"timeout": "soon"}), "parameters.timeout: expected microseconds, got 'soon'"),
        (
            infer(weather={"parameters": {"binary_data_size": 8}}),
            "weather: expected either data or the parameter binary_data_size",
        ),
        (
            infer(outputs=[{"name": "label", "parameters": {"classification": 2}}]),
            "outputs.label.classification: the classification extension is not supported",
        ),
    ],
)
def test_a_wrong_request_is_refused_with_its_field(model: Model, body: Any, message: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        ask(model, json.dumps(body).encode())
    assert str(caught.value) == message


def test_wrong_binary_requests_are_refused(model: Model) -> None:
    def body(size: Any, tail: bytes, **changes: Any) -> tuple[bytes, int]:
        carrier = {"name": "carrier", "shape": [1, 1], "datatype": "BYTES", "parameters": {"binary_data_size": size}}
        weather = {"name": "weather", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}
        head = json.dumps({"inputs": [carrier | changes, weather]}).encode()
        return head + tail, len(head)

    assert ask(model, *body(6, b"\x02\0\0\0UA"))
    for request, message in [
        (body(7, b"\x02\0\0\0UA"), "carrier: binary_data_size: expected 0 to the 6 bytes left, got 7"),
        (body("6", b"\x02\0\0\0UA"), "carrier: binary_data_size: expected 0 to the 6 bytes left, got '6'"),
        (body(6, b"\x02\0\0\0UAxx"), "body: 2 bytes after the last tensor"),
        (body(6, b"\x03\0\0\0UA"), "carrier: string 0: says 3 bytes, only 2 left"),
        (body(6, b"\x01\0\0\0UA"), "carrier: 1 bytes after the last string"),
        (body(6, b"\x02\0\0\0\xff\xff"), "carrier: string 0: not UTF-8, which is what ONNX strings are"),
        (
            body(6, b"\x02\0\0\0UA", shape=[10**9, 1]),
            "carrier: expected 1000000000 strings with their lengths, got 6 bytes",
        ),
        ((b"{}", 3), "Inference-Header-Content-Length: expected 0 to 2, got 3"),
    ]:
        with pytest.raises(InvalidInputError) as caught:
            ask(model, *request)
        assert str(caught.value) == message


def test_too_many_rows_are_refused(model: Model) -> None:
    carrier = {"shape": [1001, 1], "data": ["UA"] * 1001}
    with pytest.raises(TooLargeError, match="inputs: at most 1000 rows in one request, got 1001"):
        ask(model, json.dumps(infer(carrier=carrier, weather={"shape": [1001, 2], "data": [1] * 2002})).encode())


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(
    data=json_values,
    shape=st.lists(st.integers(-2, 3), max_size=3) | json_values,
    datatype=st.sampled_from([*DATATYPES, "", "X"]),
)
def test_no_json_makes_anything_but_an_answer_or_a_refusal(
    identity: Model, data: Any, shape: Any, datatype: str
) -> None:
    body, _ = request_of(False)
    document = msgspec.json.decode(body)
    document["inputs"][len(datatype) % 13] |= {"data": data, "shape": shape, "datatype": datatype}
    try:
        answer, _ = ask(identity, msgspec.json.encode(document))
    except ServingError as error:
        answer = msgspec.json.encode({"error": str(error)})
    assert isinstance(msgspec.json.decode(answer), dict)


@settings(max_examples=300, deadline=None)
@given(position=st.integers(0, 10_000), value=st.binary(min_size=1, max_size=8), length=st.integers(-5, 5))
def test_no_bytes_make_anything_but_an_answer_or_a_refusal(
    identity: Model, position: int, value: bytes, length: int
) -> None:
    body, stated = request_of(True, binary_data_output=True)
    at = position % len(body)
    try:
        answer, end = ask(identity, body[:at] + value + body[at + len(value) :], (stated or 0) + length)
    except ServingError as error:
        answer, end = msgspec.json.encode({"error": str(error)}), None
    assert isinstance(msgspec.json.decode(answer[:end]), dict)
