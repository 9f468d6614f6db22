"""The model as every peer runs it: one onnxruntime session of one thread, tensors in and out."""

import os
from typing import Any

import numpy as np
import onnxruntime


class OnnxModel:
    """A model file; `run` takes and gives arrays by name."""

    def __init__(self, path: str) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.inputs = [(given.name, given.type == "tensor(string)") for given in self._session.get_inputs()]
        self.outputs = [output.name for output in self._session.get_outputs()]

    def run(self, feeds: dict[str, Any]) -> dict[str, np.ndarray]:
        """One run; texts may come as bytes or as str."""
        arrays = {
            name: _texts(feeds[name]) if is_text else np.asarray(feeds[name], np.float32)
            for name, is_text in self.inputs
        }
        return dict(zip(self.outputs, self._session.run(self.outputs, arrays), strict=True))


def _texts(values: Any) -> np.ndarray:
    flat = [value.decode() if isinstance(value, bytes) else value for value in np.asarray(values, object).ravel()]
    return np.array(flat, object).reshape(np.shape(values))


def model_file() -> str:
    """For a process that a server starts by itself: the model's path is handed on in the environment."""
    return os.environ["BENCH_MODEL"]
