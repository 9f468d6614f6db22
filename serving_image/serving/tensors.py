"""Open Inference Protocol datatypes in numpy and in ONNX, and the checks that every tensor passes on its way in."""

import math
import struct
from typing import Any

import numpy as np
import numpy.typing as npt

from serving.errors import InvalidInputError
from serving.manifest import Tensor

Array = npt.NDArray[Any]
Feeds = dict[str, Array]
"""Input tensors by name."""

DTYPES: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype(np.bool_),
    "UINT8": np.dtype(np.uint8),
    "UINT16": np.dtype(np.uint16),
    "UINT32": np.dtype(np.uint32),
    "UINT64": np.dtype(np.uint64),
    "INT8": np.dtype(np.int8),
    "INT16": np.dtype(np.int16),
    "INT32": np.dtype(np.int32),
    "INT64": np.dtype(np.int64),
    "FP16": np.dtype(np.float16),
    "FP32": np.dtype(np.float32),
    "FP64": np.dtype(np.float64),
    "BYTES": np.dtype(object),
}

ONNX_TYPES: dict[str, str] = {
    "tensor(bool)": "BOOL",
    "tensor(uint8)": "UINT8",
    "tensor(uint16)": "UINT16",
    "tensor(uint32)": "UINT32",
    "tensor(uint64)": "UINT64",
    "tensor(int8)": "INT8",
    "tensor(int16)": "INT16",
    "tensor(int32)": "INT32",
    "tensor(int64)": "INT64",
    "tensor(float16)": "FP16",
    "tensor(float)": "FP32",
    "tensor(double)": "FP64",
    "tensor(string)": "BYTES",
}

_LENGTH = struct.Struct("<I")


def check_shape(tensor: Tensor, shape: tuple[int, ...]) -> None:
    """Raise InvalidInputError unless `shape` is one that the model's input `tensor` takes."""
    stated = tensor.shape
    if len(shape) == len(stated):
        for found, expected in zip(shape, stated, strict=True):
            if found < 0 or expected not in (found, -1):
                break
        else:
            return
    raise InvalidInputError(f"{tensor.name}: shape: expected {list(stated)}, got {list(shape)}")


def from_values(tensor: Tensor, values: list[Any], shape: tuple[int, ...]) -> Array:
    """An array of values in row-major order; they must have been checked to be of the kind that the datatype wants."""
    if len(values) != math.prod(shape):
        raise InvalidInputError(
            f"{tensor.name}: data: expected {math.prod(shape)} values for {list(shape)}, got {len(values)}"
        )
    try:
        return np.array(values, DTYPES[tensor.datatype]).reshape(shape)
    except (OverflowError, ValueError) as error:
        raise InvalidInputError(f"{tensor.name}: data: not {tensor.datatype}: {error}") from None


def from_bytes(tensor: Tensor, content: bytes | memoryview, shape: tuple[int, ...]) -> Array:
    """An array of the binary tensor format: little-endian values, or for BYTES each with its length before it."""
    count = math.prod(shape)
    if tensor.datatype == "BYTES":
        return _strings(tensor, bytes(content), count).reshape(shape)
    dtype = DTYPES[tensor.datatype]
    if len(content) != (size := count * dtype.itemsize):
        raise InvalidInputError(
            f"{tensor.name}: expected {size} bytes of {tensor.datatype} for {list(shape)}, got {len(content)}"
        )
    if dtype == np.bool_:  # a byte other than 0 and 1 would be no valid bool in memory
        return np.frombuffer(content, np.uint8).astype(np.bool_).reshape(shape)
    # A copy: a slice of a request's body need not be aligned as onnxruntime expects its tensors to be.
    return np.frombuffer(content, dtype.newbyteorder("<")).astype(dtype).reshape(shape)


def to_bytes(array: Array) -> bytes:
    """The binary tensor format of an array."""
    if array.dtype == object:
        parts: list[bytes] = []
        for value in array.ravel().tolist():
            content = value.encode() if isinstance(value, str) else bytes(value)
            parts += (_LENGTH.pack(len(content)), content)
        return b"".join(parts)
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()


def _strings(tensor: Tensor, content: bytes, count: int) -> Array:
    if (
        count > len(content) // 4
    ):  # each string takes at least its length: checked before `count` of them are made room for
        raise InvalidInputError(f"{tensor.name}: expected {count} strings with their lengths, got {len(content)} bytes")
    found: Array = np.empty(count, object)
    position = 0
    for index in range(count):
        if position + 4 > len(content):
            raise InvalidInputError(f"{tensor.name}: string {index}: its length is cut off")
        (length,) = _LENGTH.unpack_from(content, position)
        end = position + 4 + length
        if end > len(content):
            raise InvalidInputError(
                f"{tensor.name}: string {index}: says {length} bytes, only {len(content) - position - 4} left"
            )
        try:
            found[index] = content[position + 4 : end].decode()
        except UnicodeDecodeError:
            raise InvalidInputError(
                f"{tensor.name}: string {index}: not UTF-8, which is what ONNX strings are"
            ) from None
        position = end
    if position != len(content):
        raise InvalidInputError(f"{tensor.name}: {len(content) - position} bytes after the last string")
    return found
