"""gRPC and the official clients, against real server processes."""

import json
from typing import Any

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from serving.grpc_messages import MESSAGES
from serving.tensors import DTYPES
from serving_packages import DATATYPES, score
from serving_process import Server
from tritonclient.grpc import service_pb2
from tritonclient.utils import InferenceServerException

pytestmark = pytest.mark.integration


def values_of(datatype: str) -> np.ndarray[Any, Any]:
    if datatype == "BYTES":
        return np.array([["", "ü 漢"], ["x", "a b"]], object)
    dtype = DTYPES[datatype]
    if datatype == "BOOL":
        return np.array([[True, False], [False, True]])
    limits = np.finfo(dtype) if datatype.startswith("FP") else np.iinfo(dtype)
    return np.array([[limits.min, limits.max], [0, 1]], dtype)


def as_text(array: np.ndarray[Any, Any]) -> list[Any]:
    """An array's values; the clients give strings as bytes."""
    return [value.decode() if isinstance(value, bytes) else value for value in array.ravel().tolist()]


def all_inputs(library: Any, **options: Any) -> list[Any]:
    inputs: list[Any] = []
    for datatype in DATATYPES:
        given = library.InferInput(f"in_{datatype.lower()}", [2, 2], datatype)
        given.set_data_from_numpy(values_of(datatype), **({} if datatype == "FP16" else options))
        inputs.append(given)
    return inputs


def check_all(result: Any) -> None:
    for datatype in DATATYPES:
        found, expected = result.as_numpy(f"out_{datatype.lower()}"), values_of(datatype)
        assert found.shape == (2, 2)
        assert as_text(found) == expected.ravel().tolist(), datatype


def test_the_messages_have_the_field_numbers_of_the_official_client() -> None:
    """The client was generated from Triton's file, a superset of the protocol's; bytes are what both agree on."""
    request = service_pb2.ModelInferRequest(model_name="m", model_version="1", id="i", raw_input_contents=[b"x"])
    tensor = request.inputs.add(name="a", datatype="FP32", shape=[1, 2])
    tensor.parameters["p"].int64_param = 3
    contents = {
        "bool": [True],
        "int": [1],
        "int64": [2],
        "uint": [3],
        "uint64": [4],
        "fp32": [0.5],
        "fp64": [0.25],
        "bytes": [b"b"],
    }
    for kind, values in contents.items():
        getattr(tensor.contents, f"{kind}_contents").extend(values)
    request.outputs.add(name="o").parameters["q"].string_param = "s"
    request.parameters["r"].bool_param = True
    ours = MESSAGES["ModelInferRequest"].FromString(request.SerializeToString())
    assert str(ours) == str(request)
    answer = MESSAGES["ModelInferResponse"](model_name="m", model_version="1", id="i", raw_output_contents=[b"y"])
    answer.outputs.add(name="a", datatype="FP32", shape=[1]).contents.fp32_contents.append(1)
    assert str(service_pb2.ModelInferResponse.FromString(answer.SerializeToString())) == str(answer)
    metadata = MESSAGES["ModelMetadataResponse"](name="m", versions=["1"], platform="p")
    metadata.inputs.add(name="a", datatype="FP32", shape=[-1])
    assert str(service_pb2.ModelMetadataResponse.FromString(metadata.SerializeToString())) == str(metadata)


def test_triton_client_over_grpc_for_every_datatype(identity_server: Server) -> None:
    with triton_grpc.InferenceServerClient(f"127.0.0.1:{identity_server.grpc_port}") as client:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("identity")
        assert client.is_model_ready("identity", "1")
        assert client.get_server_metadata().name == "slipway"
        metadata = client.get_model_metadata("identity", as_json=True)
        assert {tensor["datatype"] for tensor in metadata["inputs"]} == set(DATATYPES)
        result = client.infer("identity", all_inputs(triton_grpc), request_id="mine")
        check_all(result)
        response = result.get_response()
        assert (response.model_name, response.model_version, response.id) == ("identity", "1", "mine")
        wanted = [triton_grpc.InferRequestedOutput("out_int8")]
        assert len(client.infer("identity", all_inputs(triton_grpc), outputs=wanted).get_response().outputs) == 1


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False])
def test_triton_client_over_http_for_every_datatype(identity_server: Server, binary_in: bool, binary_out: bool) -> None:
    with triton_http.InferenceServerClient(f"127.0.0.1:{identity_server.port}") as client:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("identity", "1")
        assert client.get_server_metadata()["name"] == "slipway"
        assert client.get_model_metadata("identity")["platform"] == "onnx_onnxruntime"
        outputs = [
            triton_http.InferRequestedOutput(f"out_{datatype.lower()}", binary_data=binary_out or datatype == "FP16")
            for datatype in DATATYPES
        ]
        result = client.infer("identity", all_inputs(triton_http, binary_data=binary_in), outputs=outputs)
        check_all(result)
        assert result.get_response()["model_version"] == "1"


def test_triton_clients_get_errors_in_their_own_shape(server: Server) -> None:
    with triton_http.InferenceServerClient(f"127.0.0.1:{server.port}") as client:
        with pytest.raises(
            InferenceServerException, match="no model 'x' here; this server has delay version 1"
        ) as caught:
            client.get_model_metadata("x")
        assert caught.value.status() == "404"
        assert not client.is_model_ready("delay", "2")
    with triton_grpc.InferenceServerClient(f"127.0.0.1:{server.grpc_port}") as client:
        with pytest.raises(InferenceServerException, match="no model 'x' here") as caught:
            client.get_model_metadata("x")
        assert caught.value.status() == "StatusCode.NOT_FOUND"
        carrier = triton_grpc.InferInput("carrier", [1, 1], "BYTES")
        carrier.set_data_from_numpy(np.array([["UA"]], object))
        with pytest.raises(InferenceServerException, match="inputs: 'weather' is missing") as caught:
            client.infer("delay", [carrier])
        assert caught.value.status() == "StatusCode.INVALID_ARGUMENT"


class Calls:
    """Calls by hand, with our own messages."""

    def __init__(self, server: Server) -> None:
        self.channel = grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}")

    def __enter__(self) -> "Calls":
        return self

    def __exit__(self, *_: object) -> None:
        self.channel.close()

    def call(
        self, method: str, content: bytes, timeout: float = 10
    ) -> tuple[grpc.StatusCode, str, bytes, dict[str, Any]]:
        """Status, details, response and trailing metadata."""
        multi = self.channel.unary_unary(f"/inference.GRPCInferenceService/{method}")
        try:
            response, call = multi.with_call(content, timeout=10)
        except grpc.RpcError as error:
            failed: Any = error  # it is a grpc.Call too
            return failed.code(), failed.details(), b"", dict(failed.trailing_metadata() or ())
        return call.code(), "", response, dict(call.trailing_metadata() or ())


def typed_request(carrier: str = "UA", temp: float = 2, wind: float = 4) -> Any:
    request = MESSAGES["ModelInferRequest"](model_name="delay", id="q")
    request.inputs.add(name="carrier", datatype="BYTES", shape=[1, 1]).contents.bytes_contents.append(carrier.encode())
    request.inputs.add(name="weather", datatype="FP32", shape=[1, 2]).contents.fp32_contents.extend([temp, wind])
    return request


def test_typed_contents_are_answered_with_typed_contents(server: Server) -> None:
    with Calls(server) as calls:
        code, _, content, trailing = calls.call("ModelInfer", typed_request().SerializeToString())
    assert code == grpc.StatusCode.OK
    response = MESSAGES["ModelInferResponse"].FromString(content)
    assert response.outputs[0].contents.fp32_contents[0] == pytest.approx(score("UA", 2, 4), abs=1e-6)
    assert response.outputs[1].contents.bytes_contents[0] == b"late"
    assert response.parameters["prediction_id"].string_param
    assert trailing["slipway-model-version"] == "1"


def test_what_is_wrong_is_said_with_the_right_status(server: Server) -> None:
    raw = typed_request()
    raw.raw_input_contents.append(b"x")
    both = typed_request()
    both.raw_input_contents.extend([b"\x02\0\0\0UA", b"x" * 8])
    many = MESSAGES["ModelInferRequest"](model_name="delay")
    many.inputs.add(name="carrier", datatype="BYTES", shape=[51, 1]).contents.bytes_contents.extend([b"UA"] * 51)
    many.inputs.add(name="weather", datatype="FP32", shape=[51, 2]).contents.fp32_contents.extend([0] * 102)
    latin = typed_request()
    latin.inputs[0].contents.bytes_contents[0] = b"\xff"
    invalid = grpc.StatusCode.INVALID_ARGUMENT
    with Calls(server) as calls:
        for request, status, message in [
            (b"\xff\xff\xff", invalid, "the message cannot be decoded"),
            (raw.SerializeToString(), invalid, "raw_input_contents: expected one for each of the 2 inputs, got 1"),
            (both.SerializeToString(), invalid, "carrier: contents: expected none beside raw_input_contents"),
            (many.SerializeToString(), invalid, "inputs: at most 50 rows in one request, got 51"),
            (latin.SerializeToString(), invalid, "carrier: bytes_contents: not UTF-8, which is what ONNX strings are"),
            (MESSAGES["ModelInferRequest"](model_name="delay", model_version="9").SerializeToString(),
             grpc.StatusCode.NOT_FOUND, "no model 'delay' version '9' here; this server has delay version 1"),
        ]:  # fmt: skip
            code, details, _, trailing = calls.call("ModelInfer", request)
            assert (code, details) == (status, message)
            assert trailing["slipway-model-version"] == "1"
        big = calls.call("ModelInfer", b"\x0a" + b"\xff\xff\x7f" + bytes(200_000))
        assert big[0] == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert calls.call("NoSuchMethod", b"")[0] == grpc.StatusCode.UNIMPLEMENTED


def test_an_integer_that_does_not_fit_is_refused(identity_server: Server) -> None:
    request = MESSAGES["ModelInferRequest"](model_name="identity")
    request.inputs.add(name="in_int8", datatype="INT8", shape=[1, 2]).contents.int_contents.extend([1, 128])
    with Calls(identity_server) as calls:
        assert (
            calls.call("ModelInfer", request.SerializeToString())[1]
            == "in_int8: int_contents[1]: 128 does not fit INT8"
        )


def test_the_standard_health_service(server: Server) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        check = channel.unary_unary("/grpc.health.v1.Health/Check")
        assert check(b"", timeout=10) == b"\x08\x01"
        with pytest.raises(grpc.RpcError) as caught:
            check(MESSAGES["HealthCheckRequest"](service="x").SerializeToString(), timeout=10)
    assert isinstance(caught.value, grpc.Call)
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.integers(0, 1000), value=st.binary(min_size=1, max_size=6), cut=st.integers(0, 100))
def test_no_bytes_make_an_internal_error(server: Server, position: int, value: bytes, cut: int) -> None:
    content = typed_request().SerializeToString()
    at = position % len(content)
    mutated = (content[:at] + value + content[at + len(value) :])[: len(content) * cut // 100 or None]
    with Calls(server) as calls:
        code, details, _, _ = calls.call("ModelInfer", mutated)
    assert code in {grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND}, details


def test_rest_and_grpc_are_counted_apart(server: Server) -> None:
    with Calls(server) as calls:
        for _ in range(3):
            assert calls.call("ModelInfer", typed_request().SerializeToString())[0] == grpc.StatusCode.OK
    server.post("/predict", json.dumps({"rows": [{"carrier": "UA"}]}).encode())
    text = server.get("/metrics").body.decode()
    counted = [
        line
        for line in text.splitlines()
        if line.startswith('slipway_requests_total{protocol="grpc"') and '"OK"' in line
    ]
    assert float(counted[0].rsplit(" ", 1)[1]) >= 3
