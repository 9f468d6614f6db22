"""KServe's Python server, REST and gRPC of the Open Inference Protocol."""

import sys
from functools import cached_property

from kserve import InferOutput, InferResponse, Model, ModelServer
from onnx_model import OnnxModel


class Flights(Model):
    def __init__(self, path: str) -> None:
        super().__init__("flight-delay")
        self.path, self.ready = path, True

    @cached_property
    def model(self) -> OnnxModel:
        """Loaded by each worker for itself: a session cannot be handed to another process."""
        return OnnxModel(self.path)

    def predict(self, payload, headers=None, response_headers=None):  # noqa: ARG002 - KServe's signature
        outputs = self.model.run({given.name: given.as_numpy() for given in payload.inputs})
        found = []
        for name, array in outputs.items():
            output = InferOutput(name, list(array.shape), "FP32")
            output.set_data_from_numpy(array, binary_data=payload.from_grpc)
            found.append(output)
        return InferResponse(payload.id or "", self.name, found)


if __name__ == "__main__":
    path, workers, rest, grpc = sys.argv[1:]
    ModelServer(http_port=int(rest), grpc_port=int(grpc), workers=int(workers), enable_latency_logging=False).start(
        [Flights(path)]
    )
