"""The aws plugin behind its real gRPC servicer, for tests: what the engine would call, in plain Python."""

from dataclasses import dataclass
from typing import Any

import grpc

from local.aws.provider import AwsProvider
from local.provider.protos import provider_pb2, provider_pb2_grpc
from local.provider.serve import start
from local.provider.servicer import Servicer
from local.provider.values import from_struct, to_struct

D = provider_pb2.PropertyDiff


@dataclass
class Resource:
    """What the engine remembers of a resource."""

    id: str
    inputs: dict[str, Any]
    state: dict[str, Any]


class RefusedError(Exception):
    """The plugin refused inputs or an operation, with this text."""


class Plugin:
    """One plugin process, without the process."""

    def __init__(self, config: dict[str, Any] | None = None) -> None:
        self._server, port = start(Servicer(AwsProvider()))
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        self.stub = provider_pb2_grpc.ResourceProviderStub(self._channel)
        self.stub.Configure(provider_pb2.ConfigureRequest(args=to_struct(config or {})))

    def stop(self) -> None:
        self._channel.close()
        self._server.stop(None).wait()

    def check(self, token, news, olds=None, name="thing"):
        request = provider_pb2.CheckRequest(
            urn=urn(token, name), news=to_struct(news), olds=to_struct(olds or {}), randomSeed=b"seed"
        )
        answer = self._call(self.stub.Check, request)
        if answer.failures:
            raise RefusedError("\n".join(failure.reason for failure in answer.failures))
        return from_struct(answer.inputs)

    def preview(self, token, inputs, name="thing"):
        properties = to_struct(inputs)
        request = provider_pb2.CreateRequest(urn=urn(token, name), properties=properties, preview=True)
        return from_struct(self._call(self.stub.Create, request).properties)

    def create(self, token, inputs, name="thing") -> Resource:
        checked = self.check(token, inputs, name=name)
        request = provider_pb2.CreateRequest(urn=urn(token, name), properties=to_struct(checked))
        answer = self._call(self.stub.Create, request)
        return Resource(answer.id, checked, from_struct(answer.properties))

    def diff(self, token, resource, inputs, name="thing"):
        """Path -> kind (`UPDATE_REPLACE`, …), and whether the old one goes first."""
        request = provider_pb2.DiffRequest(
            id=resource.id,
            urn=urn(token, name),
            olds=to_struct(resource.state),
            old_inputs=to_struct(resource.inputs),
            news=to_struct(inputs),
        )
        answer = self._call(self.stub.Diff, request)
        return {path: D.Kind.Name(item.kind) for path, item in answer.detailedDiff.items()}, answer.deleteBeforeReplace

    def update(self, token, resource, inputs, name="thing") -> Resource:
        request = provider_pb2.UpdateRequest(
            id=resource.id,
            urn=urn(token, name),
            olds=to_struct(resource.state),
            old_inputs=to_struct(resource.inputs),
            news=to_struct(inputs),
        )
        return Resource(resource.id, inputs, from_struct(self._call(self.stub.Update, request).properties))

    def read(self, token, resource, name="thing") -> Resource | None:
        request = provider_pb2.ReadRequest(
            id=resource.id,
            urn=urn(token, name),
            properties=to_struct(resource.state),
            inputs=to_struct(resource.inputs),
        )
        answer = self._call(self.stub.Read, request)
        return Resource(answer.id, from_struct(answer.inputs), from_struct(answer.properties)) if answer.id else None

    def delete(self, token, resource, name="thing") -> None:
        state = to_struct(resource.state)
        self._call(self.stub.Delete, provider_pb2.DeleteRequest(id=resource.id, urn=urn(token, name), properties=state))

    def invoke(self, token, **args):
        answer = self._call(self.stub.Invoke, provider_pb2.InvokeRequest(tok=token, args=to_struct(args)))
        return from_struct(getattr(answer, "return"))

    def _call(self, method, request):
        try:
            return method(request, timeout=60)
        except grpc.RpcError as error:
            raise RefusedError(error.details()) from error


def urn(token: str, name: str) -> str:
    return f"urn:pulumi:local::slipway::{token}::{name}"
