"""Ray Serve: a deployment behind its HTTP proxy, JSON in and out (it has no Open Inference Protocol)."""

import os
import signal
import sys
from pathlib import Path

import ray
from onnx_model import OnnxModel
from ray import serve
from starlette.requests import Request


@serve.deployment
class Flights:
    def __init__(self, path: str) -> None:
        self.model = OnnxModel(path)

    async def __call__(self, request: Request) -> dict:
        asked = await request.json()
        outputs = self.model.run({given["name"]: [[value] for value in given["data"]] for given in asked["inputs"]})
        return {"outputs": [{"name": name, "data": array.tolist()} for name, array in outputs.items()]}


if __name__ == "__main__":
    path, workers, rest, _ = sys.argv[1:]
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    here = str(Path(__file__).resolve().parent)
    ray.init(num_cpus=int(workers) + 2, include_dashboard=False, runtime_env={"env_vars": {"PYTHONPATH": here}})
    serve.start(http_options={"host": "127.0.0.1", "port": int(rest)})
    serve.run(Flights.options(num_replicas=int(workers)).bind(path), route_prefix="/v2/models/flight-delay/infer")
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    serve.shutdown()
    ray.shutdown()
