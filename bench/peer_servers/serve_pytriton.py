"""NVIDIA's PyTriton: Triton in front of Python workers, dynamic batching on."""

import sys

import numpy as np
from onnx_model import OnnxModel
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig


def inference(path: str):
    model = OnnxModel(path)

    @batch
    def infer(**feeds: np.ndarray) -> dict[str, np.ndarray]:
        return model.run(feeds)

    return infer


if __name__ == "__main__":
    path, workers, rest, grpc = sys.argv[1:]
    known = OnnxModel(path)
    config = TritonConfig(
        http_address="127.0.0.1",
        http_port=int(rest),
        grpc_address="127.0.0.1",
        grpc_port=int(grpc),
        allow_metrics=False,
    )
    with Triton(config=config) as triton:
        triton.bind(
            model_name="flight-delay",
            infer_func=[inference(path) for _ in range(int(workers))],
            inputs=[
                Tensor(name=name, dtype=np.bytes_ if is_text else np.float32, shape=(1,))
                for name, is_text in known.inputs
            ],
            outputs=[Tensor(name=name, dtype=np.float32, shape=(-1,)) for name in known.outputs],
            config=ModelConfig(max_batch_size=64, batcher=DynamicBatcher(max_queue_delay_microseconds=100)),
        )
        triton.serve()
