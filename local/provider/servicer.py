"""The engine's `ResourceProvider` protocol on top of a `Provider`.

Errors leave as one status with one line. The codes are ones that the engine takes as "nothing has happened", except
for a resource that exists but is not well, which is sent with its properties so that it is recorded.
"""

# The protocol names and documents the methods, and gives each a request and a context.
# ruff: noqa: ARG002, D102, N802

import threading
import traceback
from collections.abc import Callable, Collection
from typing import Any, NoReturn, TypeVar

import grpc
from google.protobuf import any_pb2, empty_pb2, struct_pb2

from local.provider import diff
from local.provider.engine_log import EngineLog
from local.provider.errors import Failure, InitFailedError, InvalidError, ProviderError
from local.provider.protos import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2
from local.provider.resource import Call, Provider, ResourceType
from local.provider.values import Props, from_struct, has_unknown, to_struct

Answer = TypeVar("Answer")
_KINDS = {
    (diff.Kind.ADD, False): provider_pb2.PropertyDiff.ADD,
    (diff.Kind.ADD, True): provider_pb2.PropertyDiff.ADD_REPLACE,
    (diff.Kind.UPDATE, False): provider_pb2.PropertyDiff.UPDATE,
    (diff.Kind.UPDATE, True): provider_pb2.PropertyDiff.UPDATE_REPLACE,
    (diff.Kind.DELETE, False): provider_pb2.PropertyDiff.DELETE,
    (diff.Kind.DELETE, True): provider_pb2.PropertyDiff.DELETE_REPLACE,
}


class Servicer(provider_pb2_grpc.ResourceProviderServicer):
    """Serves one provider to one engine."""

    def __init__(self, provider: Provider, engine_address: str | None = None) -> None:
        self._provider = provider
        self._log = EngineLog(engine_address)
        self.cancelled = threading.Event()

    # ---- the plugin itself

    def Handshake(
        self, request: provider_pb2.ProviderHandshakeRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ProviderHandshakeResponse:
        if request.engine_address:
            self._log = EngineLog(request.engine_address)
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=False, accept_outputs=False)

    def Attach(self, request: plugin_pb2.PluginAttach, context: grpc.ServicerContext) -> empty_pb2.Empty:
        self._log = EngineLog(request.address)
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo(version=self._provider.version)

    def GetSchema(
        self, request: provider_pb2.GetSchemaRequest, context: grpc.ServicerContext
    ) -> provider_pb2.GetSchemaResponse:
        schema = f'{{"name": "{self._provider.name}", "version": "{self._provider.version}"}}'
        return provider_pb2.GetSchemaResponse(schema=schema)

    def CheckConfig(
        self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext
    ) -> provider_pb2.CheckResponse:
        return self._answer(context, lambda: _checked(lambda: self._provider.check_config(from_struct(request.news))))

    def DiffConfig(self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext) -> provider_pb2.DiffResponse:
        olds, news = from_struct(request.old_inputs), from_struct(request.news)
        return self._answer(context, lambda: _diff_response(self._provider.diff_config(olds, news), ()))

    def Configure(
        self, request: provider_pb2.ConfigureRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ConfigureResponse:
        def configure() -> provider_pb2.ConfigureResponse:
            self._provider.configure(from_struct(request.args))
            return provider_pb2.ConfigureResponse(acceptSecrets=False, supportsPreview=True, acceptOutputs=False)

        return self._answer(context, configure)

    def Cancel(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> empty_pb2.Empty:
        self.cancelled.set()
        return empty_pb2.Empty()

    # ---- resources

    def Check(self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext) -> provider_pb2.CheckResponse:
        def check() -> provider_pb2.CheckResponse:
            kind, call = self._for(request)
            return _checked(lambda: kind.check(call, from_struct(request.olds), from_struct(request.news)))

        return self._answer(context, check)

    def Diff(self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext) -> provider_pb2.DiffResponse:
        def compare() -> provider_pb2.DiffResponse:
            kind, call = self._for(request)
            state, news = from_struct(request.olds), from_struct(request.news)
            changes = kind.diff(call, from_struct(request.old_inputs), state, news)
            response = _diff_response(changes, kind.replace_on)
            response.deleteBeforeReplace = bool(response.replaces) and kind.delete_before_replace(state, news)
            return response

        return self._answer(context, compare)

    def Create(self, request: provider_pb2.CreateRequest, context: grpc.ServicerContext) -> provider_pb2.CreateResponse:
        def create() -> provider_pb2.CreateResponse:
            kind, call = self._for(request, request.timeout)
            inputs = from_struct(request.properties)
            if request.preview:
                return provider_pb2.CreateResponse(properties=to_struct(kind.preview(call, inputs, None)))
            _require_known(call, inputs)
            created = kind.create(call, inputs)
            return provider_pb2.CreateResponse(id=created.id, properties=to_struct(created.outputs))

        return self._answer(context, create)

    def Read(self, request: provider_pb2.ReadRequest, context: grpc.ServicerContext) -> provider_pb2.ReadResponse:
        def read() -> provider_pb2.ReadResponse:
            kind, call = self._for(request)
            outputs = kind.read(call, request.id, from_struct(request.properties))
            if outputs is None:
                return provider_pb2.ReadResponse()
            inputs = kind.inputs_of(outputs, from_struct(request.inputs))
            return provider_pb2.ReadResponse(id=request.id, properties=to_struct(outputs), inputs=to_struct(inputs))

        return self._answer(context, read)

    def Update(self, request: provider_pb2.UpdateRequest, context: grpc.ServicerContext) -> provider_pb2.UpdateResponse:
        def update() -> provider_pb2.UpdateResponse:
            kind, call = self._for(request, request.timeout)
            state, news = from_struct(request.olds), from_struct(request.news)
            if request.preview:
                return provider_pb2.UpdateResponse(properties=to_struct(kind.preview(call, news, state)))
            _require_known(call, news)
            outputs = kind.update(call, request.id, state, from_struct(request.old_inputs), news)
            return provider_pb2.UpdateResponse(properties=to_struct(outputs))

        return self._answer(context, update)

    def Delete(self, request: provider_pb2.DeleteRequest, context: grpc.ServicerContext) -> empty_pb2.Empty:
        def delete() -> empty_pb2.Empty:
            kind, call = self._for(request, request.timeout)
            kind.delete(call, request.id, from_struct(request.properties))
            return empty_pb2.Empty()

        return self._answer(context, delete)

    def Invoke(self, request: provider_pb2.InvokeRequest, context: grpc.ServicerContext) -> provider_pb2.InvokeResponse:
        def invoke() -> provider_pb2.InvokeResponse:
            try:
                result = self._provider.invoke(request.tok, from_struct(request.args))
            except InvalidError as error:
                return provider_pb2.InvokeResponse(failures=_failures(error))
            response = provider_pb2.InvokeResponse()
            getattr(response, "return").CopyFrom(to_struct(result))  # a keyword in Python
            return response

        return self._answer(context, invoke)

    # ---- how all of them begin and end

    def _for(self, request: Any, timeout: float = 0.0) -> tuple[ResourceType, Call]:
        token = request.type or request.urn.split("::")[2].rsplit("$", 1)[-1]
        call = Call(
            urn=request.urn,
            name=request.name or request.urn.rsplit("::", 1)[-1],
            token=token,
            cancelled=self.cancelled,
            timeout=timeout,
            status=lambda message: self._log.status(request.urn, message),
            warn=lambda message: self._log.warn(request.urn, message),
            seed=getattr(request, "randomSeed", b""),
        )
        return self._provider.resource_type(token), call

    def _answer(self, context: grpc.ServicerContext, operation: Callable[[], Answer]) -> Answer:
        try:
            return operation()
        except InitFailedError as error:
            _abort_with_state(context, error)
        except ProviderError as error:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
        except Exception as error:  # noqa: BLE001 - a fault of the plugin: the engine gets one line, the log the rest
            self._log.debug(traceback.format_exc())
            where = traceback.extract_tb(error.__traceback__)[-1]
            fault = f"{type(error).__name__}: {error} ({where.filename.rsplit('/', 1)[-1]}:{where.lineno})"
            context.abort(
                grpc.StatusCode.INTERNAL,
                f"fault in the local {self._provider.name} provider: {' '.join(fault.split())}",
            )


def _checked(check: Callable[[], Props]) -> provider_pb2.CheckResponse:
    try:
        return provider_pb2.CheckResponse(inputs=to_struct(check()))
    except InvalidError as error:
        return provider_pb2.CheckResponse(failures=_failures(error))


def _failures(error: InvalidError) -> list[provider_pb2.CheckFailure]:
    return [provider_pb2.CheckFailure(property=item.property, reason=item.reason) for item in error.failures]


def _diff_response(changes: list[diff.Change], replace_on: Collection[str]) -> provider_pb2.DiffResponse:
    response = provider_pb2.DiffResponse(
        changes=provider_pb2.DiffResponse.DIFF_SOME if changes else provider_pb2.DiffResponse.DIFF_NONE,
        hasDetailedDiff=True,
    )
    for change in changes:
        replaces = diff.any_matches(change.path, replace_on)
        response.detailedDiff[diff.text(change.path)].CopyFrom(
            provider_pb2.PropertyDiff(kind=_KINDS[change.kind, replaces], inputDiff=True)
        )
        top = str(change.path[0])
        if top not in response.diffs:
            response.diffs.append(top)
        if replaces and top not in response.replaces:
            response.replaces.append(top)
    return response


def _require_known(call: Call, inputs: Props) -> None:
    """The engine resolves everything before it creates or updates; a marker must never reach the API."""
    for name, value in inputs.items():
        if has_unknown(value):
            raise InvalidError([Failure(name, f"{call.token} {call.name}: {name} is not known")])


def _abort_with_state(context: grpc.ServicerContext, error: InitFailedError) -> NoReturn:
    detail = any_pb2.Any()
    detail.Pack(
        provider_pb2.ErrorResourceInitFailed(
            id=error.id, properties=to_struct(error.outputs), inputs=struct_pb2.Struct(), reasons=error.reasons
        )
    )
    code: int = grpc.StatusCode.UNKNOWN.value[0]
    status = status_pb2.Status(code=code, message=str(error), details=[detail])
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(grpc.StatusCode.UNKNOWN, str(error))
