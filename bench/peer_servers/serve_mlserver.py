"""MLServer with a runtime of its own kind, REST and gRPC of the Open Inference Protocol."""

import asyncio
import os
import sys
import tempfile

from mlserver import MLModel, MLServer, ModelSettings, Settings
from mlserver.codecs import NumpyCodec, StringCodec
from mlserver.types import InferenceRequest, InferenceResponse
from onnx_model import OnnxModel, model_file


class Flights(MLModel):
    async def load(self) -> bool:
        self.model = OnnxModel(model_file())
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        feeds = {}
        for given in payload.inputs:
            if given.datatype == "BYTES":
                feeds[given.name] = [[text] for text in StringCodec.decode_input(given)]
            else:
                feeds[given.name] = NumpyCodec.decode_input(given)
        outputs = [NumpyCodec.encode_output(name, array) for name, array in self.model.run(feeds).items()]
        return InferenceResponse(model_name=self.name, outputs=outputs)


async def main(path: str, workers: int, rest: int, grpc: int) -> None:
    os.environ["BENCH_MODEL"] = path
    settings = Settings(
        parallel_workers=workers,
        host="127.0.0.1",
        http_port=rest,
        grpc_port=grpc,
        metrics_endpoint=None,
        metrics_dir=tempfile.mkdtemp(),
        debug=False,
    )
    server = MLServer(settings)
    import serve_mlserver  # its workers find the class by its module's name

    await server.start([ModelSettings(name="flight-delay", implementation=serve_mlserver.Flights)])


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], *map(int, sys.argv[2:])))
