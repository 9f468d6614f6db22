"""The protobuf messages of `inference.GRPCInferenceService`, declared here and built when the module is imported.

The field numbers are those of `open_inference_grpc.proto` (https://github.com/kserve/open-inference-protocol). Building
the classes from this table needs no generated code, which would tie us to one version of the protobuf compiler, and a
pool of our own keeps them apart from a client library that declares the same package in this process.
"""

from typing import Any

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

SERVICE = "inference.GRPCInferenceService"
HEALTH_SERVICE = "grpc.health.v1.Health"

_PARAMETERS = "map<InferParameter>"

_INFERENCE: dict[str, list[tuple[str, str, int]]] = {
    "ServerLiveRequest": [],
    "ServerLiveResponse": [("live", "bool", 1)],
    "ServerReadyRequest": [],
    "ServerReadyResponse": [("ready", "bool", 1)],
    "ModelReadyRequest": [("name", "string", 1), ("version", "string", 2)],
    "ModelReadyResponse": [("ready", "bool", 1)],
    "ServerMetadataRequest": [],
    "ServerMetadataResponse": [("name", "string", 1), ("version", "string", 2), ("extensions", "repeated string", 3)],
    "ModelMetadataRequest": [("name", "string", 1), ("version", "string", 2)],
    "TensorMetadata": [("name", "string", 1), ("datatype", "string", 2), ("shape", "repeated int64", 3)],
    "ModelMetadataResponse": [
        ("name", "string", 1),
        ("versions", "repeated string", 2),
        ("platform", "string", 3),
        ("inputs", "repeated TensorMetadata", 4),
        ("outputs", "repeated TensorMetadata", 5),
    ],
    "InferParameter": [
        ("bool_param", "oneof bool", 1),
        ("int64_param", "oneof int64", 2),
        ("string_param", "oneof string", 3),
        ("double_param", "oneof double", 4),
        ("uint64_param", "oneof uint64", 5),
    ],
    "InferTensorContents": [
        ("bool_contents", "repeated bool", 1),
        ("int_contents", "repeated int32", 2),
        ("int64_contents", "repeated int64", 3),
        ("uint_contents", "repeated uint32", 4),
        ("uint64_contents", "repeated uint64", 5),
        ("fp32_contents", "repeated float", 6),
        ("fp64_contents", "repeated double", 7),
        ("bytes_contents", "repeated bytes", 8),
    ],
    "InferTensor": [
        ("name", "string", 1),
        ("datatype", "string", 2),
        ("shape", "repeated int64", 3),
        ("parameters", _PARAMETERS, 4),
        ("contents", "InferTensorContents", 5),
    ],
    "InferRequestedOutputTensor": [("name", "string", 1), ("parameters", _PARAMETERS, 2)],
    "ModelInferRequest": [
        ("model_name", "string", 1),
        ("model_version", "string", 2),
        ("id", "string", 3),
        ("parameters", _PARAMETERS, 4),
        ("inputs", "repeated InferTensor", 5),
        ("outputs", "repeated InferRequestedOutputTensor", 6),
        ("raw_input_contents", "repeated bytes", 7),
    ],
    "ModelInferResponse": [
        ("model_name", "string", 1),
        ("model_version", "string", 2),
        ("id", "string", 3),
        ("parameters", _PARAMETERS, 4),
        ("outputs", "repeated InferTensor", 5),
        ("raw_output_contents", "repeated bytes", 6),
    ],
}

_HEALTH: dict[str, list[tuple[str, str, int]]] = {
    "HealthCheckRequest": [("service", "string", 1)],
    "HealthCheckResponse": [("status", "int32", 1)],  # an enum on the wire is an int32
}

_SCALARS = {
    "bool": FieldDescriptorProto.TYPE_BOOL,
    "int32": FieldDescriptorProto.TYPE_INT32,
    "int64": FieldDescriptorProto.TYPE_INT64,
    "uint32": FieldDescriptorProto.TYPE_UINT32,
    "uint64": FieldDescriptorProto.TYPE_UINT64,
    "float": FieldDescriptorProto.TYPE_FLOAT,
    "double": FieldDescriptorProto.TYPE_DOUBLE,
    "string": FieldDescriptorProto.TYPE_STRING,
    "bytes": FieldDescriptorProto.TYPE_BYTES,
}


def _build() -> dict[str, type[Any]]:
    pool = DescriptorPool()
    classes: dict[str, type[Any]] = {}
    for package, messages in (("inference", _INFERENCE), ("grpc.health.v1", _HEALTH)):
        file = FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
        for name, fields in messages.items():
            message = file.message_type.add(name=name)
            for field in fields:
                _add_field(message, package, *field)
        pool.Add(file)  # type: ignore[no-untyped-call]
        for name in messages:
            classes[name] = GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}"))
    return classes


def _add_field(message: DescriptorProto, package: str, name: str, kind: str, number: int) -> None:
    field = message.field.add(name=name, number=number, label=FieldDescriptorProto.LABEL_OPTIONAL)
    if kind.startswith("map<"):
        entry = message.nested_type.add(name="".join(part.title() for part in name.split("_")) + "Entry")
        entry.options.map_entry = True
        _add_field(entry, package, "key", "string", 1)
        _add_field(entry, package, "value", kind[4:-1], 2)
        kind = f"repeated {message.name}.{entry.name}"
    if kind.startswith("repeated "):
        field.label, kind = FieldDescriptorProto.LABEL_REPEATED, kind.removeprefix("repeated ")
    if kind.startswith("oneof "):
        if not message.oneof_decl:
            message.oneof_decl.add(name="parameter_choice")
        field.oneof_index, kind = 0, kind.removeprefix("oneof ")
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
    else:
        field.type, field.type_name = FieldDescriptorProto.TYPE_MESSAGE, f".{package}.{kind}"


MESSAGES: dict[str, type[Any]] = _build()
"""The message classes by name."""
