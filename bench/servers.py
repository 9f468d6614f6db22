"""What Slipway is compared with, each as `python -m bench.servers KIND PORT PACKAGE`.

bare:    our HTTP server with a handler that decodes, runs the model and encodes, and does nothing else
asgi:    the same as an ASGI application on uvicorn (uvloop, httptools)
fastapi: the service that one writes by hand: FastAPI, pydantic, onnxruntime
grpc:    grpcio's synchronous server with a handler that decodes, runs the model and encodes
"""

import asyncio
import sys
from pathlib import Path
from typing import Any

import msgspec
from serving.model import Model, load
from serving.package import verify_directory


class Bare:
    """Decode, run, encode."""

    def __init__(self, model: Model) -> None:
        self.model, self.encode = model, msgspec.json.Encoder().encode

    def answer(self, body: bytes) -> bytes:
        rows = self.model.rows.decode(body)
        arrays = self.model.run(self.model.rows.tensors(rows), self.model.output_names)
        columns = [array.tolist() for array in arrays]
        names = self.model.output_names
        return self.encode({"predictions": [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]})


def bare(model: Model, port: int) -> None:
    import uvloop
    from serving.http_server import HttpServer, Limits

    app = Bare(model)

    async def serve() -> None:
        server = HttpServer(
            lambda request: request.respond(200, app.answer(request.body)),
            lambda _: (400, b"", b""),
            Limits(max_body_bytes=1 << 20),
        )
        listener = await asyncio.get_running_loop().create_server(server.connection, "127.0.0.1", port)
        await asyncio.gather(listener.serve_forever(), server.keep_time())

    uvloop.run(serve())


def asgi(model: Model, port: int) -> None:
    import uvicorn

    app = Bare(model)

    async def application(_: Any, receive: Any, send: Any) -> None:
        message = await receive()
        body: bytes = message["body"]
        while message.get("more_body"):
            message = await receive()
            body += message["body"]
        answer = app.answer(body)
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    uvicorn.run(application, host="127.0.0.1", port=port, log_level="critical", access_log=False, lifespan="off")


def fastapi(model: Model, port: int) -> None:
    import uvicorn
    from fastapi import FastAPI
    from pydantic import create_model

    kinds = {
        feature.name: (str if feature.kind == "categorical" else float | None, ...)
        for feature in model.manifest.features
    }
    row = create_model("Row", **kinds)  # type: ignore[call-overload]
    request = create_model("Request", rows=(list[row], ...))  # type: ignore[valid-type]
    application = FastAPI()

    @application.post("/predict")
    def predict(asked: request) -> dict[str, Any]:  # type: ignore[valid-type]
        rows = [model.rows.convert(each.model_dump()) for each in asked.rows]  # type: ignore[attr-defined]
        arrays = model.run(model.rows.tensors(rows), model.output_names)
        columns = [array.tolist() for array in arrays]
        return {
            "predictions": [dict(zip(model.output_names, values, strict=True)) for values in zip(*columns, strict=True)]
        }

    uvicorn.run(application, host="127.0.0.1", port=port, log_level="critical", access_log=False)


def grpc(model: Model, port: int) -> None:
    from concurrent.futures import ThreadPoolExecutor

    import grpc as library
    from serving.grpc_messages import MESSAGES
    from serving.tensors import from_bytes, to_bytes

    def answer(request: Any, _: Any) -> Any:
        feeds = {
            given.name: from_bytes(model.inputs[given.name], content, tuple(given.shape))
            for given, content in zip(request.inputs, request.raw_input_contents, strict=True)
        }
        response = MESSAGES["ModelInferResponse"](model_name=model.name)
        for name, array in zip(model.output_names, model.run(feeds, model.output_names), strict=True):
            response.outputs.add(name=name, datatype=model.outputs[name].datatype, shape=array.shape)
            response.raw_output_contents.append(to_bytes(array))
        return response

    handler = library.unary_unary_rpc_method_handler(
        answer, MESSAGES["ModelInferRequest"].FromString, lambda message: message.SerializeToString()
    )
    server = library.server(ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers(
        (library.method_handlers_generic_handler("inference.GRPCInferenceService", {"ModelInfer": handler}),)
    )
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    kind, port, package = sys.argv[1:]
    {"bare": bare, "asgi": asgi, "fastapi": fastapi, "grpc": grpc}[kind](
        load(verify_directory(Path(package))), int(port)
    )
