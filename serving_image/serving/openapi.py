"""The OpenAPI description of one model's service, and a page that shows it without fetching anything."""

import json
from collections.abc import Mapping
from html import escape
from typing import Any

from serving.manifest import FLOATS, Feature, Tensor
from serving.model import Model

_ERROR = {
    "description": "Not answered; `error` says why.",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
}

_KEYS = {"string": "string", "bigint": "integer"}


def document(model: Model, keys: Mapping[str, str] | None = None) -> Mapping[str, Any]:
    """The OpenAPI 3.1 document of a service with this model; examples are the package's golden question.

    `keys` are the columns (with their types) by which rows may name entities whose features are looked up.
    """
    paths: dict[str, Any] = {}
    if model.manifest.features:
        paths["/predict"] = {
            "post": _operation(
                "Predictions by feature name", "PredictRequest", "PredictResponse", _predict_example(model)
            )
        }
    base = f"/v2/models/{model.name}"
    for path in (base, f"{base}/versions/{model.version}"):
        paths[f"{path}/infer"] = {
            "post": _operation("Tensors in, tensors out", "InferRequest", "InferResponse", infer_example(model))
        }
        paths[path] = {"get": _read("Names, datatypes and shapes of the model's tensors")}
        paths[f"{path}/ready"] = {"get": _read("200 when this model answers")}
    paths |= {
        "/v2": {"get": _read("What this server is")},
        "/v2/health/live": {"get": _read("200 while the process is alive")},
        "/v2/health/ready": {"get": _read("200 while it takes requests, 503 when it is going away")},
        "/metrics": {"get": _read("Counters and histograms for Prometheus", "text/plain")},
        "/openapi.json": {"get": _read("This description")},
        "/docs": {"get": _read("This description as a page", "text/html")},
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": model.name, "version": model.version, "description": f"A {model.manifest.task} model."},
        "paths": paths,
        "components": {"schemas": _schemas(model, keys)},
    }


def page(model: Model, keys: Mapping[str, str] | None = None) -> bytes:
    """An HTML page of the description, with a question to copy."""
    described = document(model, keys)
    rows: list[str] = []
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            rows.append(
                f"<tr><td>{method.upper()}</td><td><code>{escape(path)}</code></td><td>{escape(operation['summary'])}</td></tr>"
            )
    path, body = (
        ("/predict", _predict_example(model))
        if model.manifest.features
        else (f"/v2/models/{model.name}/infer", infer_example(model))
    )
    question = json.dumps(body, indent=2)
    title = f"{escape(model.name)} {escape(model.version)}"
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{title}</title>
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}}
td{{padding:.2rem .8rem .2rem 0;vertical-align:top}}pre{{background:#f4f4f4;padding:1rem;overflow:auto}}</style>
<h1>{title}</h1>
<p>A {escape(model.manifest.task)} model. Machine-readable: <a href="openapi.json">openapi.json</a>.</p>
<table>{"".join(rows)}</table>
<h2>A question</h2>
<pre id="ask"></pre>
<script>document.getElementById("ask").textContent =
"curl " + location.origin + {_script(path)} + " -H 'Content-Type: application/json' " +
"-d '" + {_script(question)} + "'"</script>
<noscript><pre>POST {escape(path)}\n{escape(question)}</pre></noscript>
</html>""".encode()


def infer_example(model: Model) -> Mapping[str, Any]:
    """The golden question as a v2 infer request."""
    return {
        "inputs": [
            {
                "name": name,
                "shape": list(array.shape),
                "datatype": model.inputs[name].datatype,
                "data": [None if value != value else value for value in array.ravel().tolist()],  # noqa: PLR0124 - NaN
            }
            for name, array in model.golden_feeds().items()
        ]
    }


def _predict_example(model: Model) -> Mapping[str, Any]:
    return {"rows": list(model.golden.rows)}


def _operation(summary: str, request: str, response: str, example: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        "summary": summary,
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": {"$ref": f"#/components/schemas/{request}"}, "example": example}
            },
        },
        "responses": {
            "200": {
                "description": "Answered.",
                "headers": {"Slipway-Model-Version": {"schema": {"type": "string"}}},
                "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{response}"}}},
            },
            **dict.fromkeys(("400", "413", "429", "503", "504"), _ERROR),
        },
    }


def _read(summary: str, content: str = "application/json") -> Mapping[str, Any]:
    return {
        "summary": summary,
        "responses": {"200": {"description": "Answered.", "content": {content: {}}}, "503": _ERROR},
    }


def _schemas(model: Model, keys: Mapping[str, str] | None) -> Mapping[str, Any]:
    inputs = {tensor.name: tensor for tensor in model.manifest.inputs}
    features = model.manifest.features
    row: dict[str, Any] = {
        "type": "object",
        "properties": {feature.name: _feature(feature, inputs[feature.input]) for feature in features},
        "required": [feature.name for feature in features if feature.missing.rule == "reject"],
        "additionalProperties": False,
    }
    if keys is not None:
        row["properties"] |= {name: {"type": _KEYS[kind]} for name, kind in keys.items()}
        row["required"] = []  # what a row does not give may be looked up
    prediction = {
        "type": "object",
        "properties": {"prediction_id": {"type": "string"}} | {name: {} for name in model.outputs},
    }
    tensor = {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "datatype": {"type": "string"},
            "shape": {"type": "array", "items": {"type": "integer"}},
            "data": {"type": "array"},
        },
        "required": ["name", "datatype", "shape"],
    }
    named = {"model_name": {"type": "string"}, "model_version": {"type": "string"}}
    return {
        "Error": {"type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]},
        "PredictRequest": {
            **_object({"rows": {"type": "array", "minItems": 1, "items": row}}),
            "additionalProperties": False,
        },
        "PredictResponse": _object({**named, "predictions": {"type": "array", "items": prediction}}),
        "InferRequest": {
            "type": "object",
            "properties": {"id": {"type": "string"}, "inputs": {"type": "array", "items": tensor}},
            "required": ["inputs"],
        },
        "InferResponse": _object({**named, "outputs": {"type": "array", "items": tensor}}),
    }


def _object(properties: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _feature(feature: Feature, tensor: Tensor) -> Mapping[str, Any]:
    kind = "string" if tensor.datatype == "BYTES" else "boolean" if tensor.datatype == "BOOL" else "number"
    if kind == "number" and tensor.datatype not in FLOATS:
        kind = "integer"
    if feature.missing.rule == "reject":
        return {"type": kind}
    described: dict[str, Any] = {"type": [kind, "null"]}
    if feature.missing.rule == "fill":
        described["default"] = feature.missing.value
    return described


def _script(text: str) -> str:
    """A JavaScript string literal that cannot end the script it stands in."""
    return json.dumps(text).replace("<", "\\u003c")
