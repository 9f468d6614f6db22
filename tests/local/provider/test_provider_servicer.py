"""The engine's protocol against a provider of one small type, over a real gRPC channel."""

import grpc
import pytest
from google.protobuf import any_pb2, empty_pb2

from local.provider.diff import Change
from local.provider.errors import Failure, InitFailedError, InvalidError, ProviderError, UnknownTypeError
from local.provider.protos import provider_pb2, provider_pb2_grpc, status_pb2
from local.provider.resource import Call, Created, Provider, ResourceType
from local.provider.serve import start
from local.provider.servicer import Servicer
from local.provider.values import UNKNOWN, Props, from_struct, to_struct

URN = "urn:pulumi:local::slipway::slipway:index:DataStore$shelf:index:Book::novel"
D = provider_pb2.PropertyDiff


class Book(ResourceType):
    replace_on = ("title",)

    def __init__(self):
        self.shelf: dict[str, Props] = {}

    def check(self, call: Call, olds: Props, news: Props) -> Props:
        if "title" not in news:
            raise InvalidError([Failure("title", "title is missing")])
        return {"pages": 1, **news}

    def delete_before_replace(self, state, new_inputs):
        return state.get("shelfMark") == new_inputs.get("shelfMark")

    def preview(self, call, inputs, state):
        return {**inputs, "isbn": state["isbn"] if state else UNKNOWN}

    def create(self, call, inputs):
        if inputs["title"] == "crash":
            raise ZeroDivisionError("by\nzero")
        self.shelf["1"] = {**inputs, "isbn": "1"}
        if inputs["title"] == "torn":
            raise InitFailedError("1", self.shelf["1"], ["page 3 is missing"])
        return Created("1", self.shelf["1"])

    def read(self, call, resource_id, state):
        return self.shelf.get(resource_id)

    def update(self, call, resource_id, state, old_inputs, new_inputs):
        self.shelf[resource_id] = {**new_inputs, "isbn": state["isbn"]}
        return self.shelf[resource_id]

    def delete(self, call, resource_id, state):
        self.shelf.pop(resource_id, None)

    def inputs_of(self, outputs, old_inputs):
        return {key: value for key, value in outputs.items() if key != "isbn"}


class Shelf(Provider):
    name = "shelf"
    version = "1.2.3"

    def __init__(self):
        self.book = Book()
        self.config: Props = {}

    def configure(self, config):
        self.config = config

    def resource_type(self, token):
        if token != "shelf:index:Book":
            raise UnknownTypeError(f"{token} is not known")
        return self.book

    def invoke(self, token, args):
        if token == "shelf:index:count":
            return {"count": len(self.book.shelf)}
        raise ProviderError(f"{token} is no function")


@pytest.fixture
def provider():
    return Shelf()


@pytest.fixture
def stub(provider):
    server, port = start(Servicer(provider))
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield provider_pb2_grpc.ResourceProviderStub(channel)
    server.stop(None).wait()


def create(stub, **props):
    return stub.Create(provider_pb2.CreateRequest(urn=URN, properties=to_struct(props)))


def test_says_who_it_is(stub):
    assert stub.GetPluginInfo(empty_pb2.Empty()).version == "1.2.3"
    assert stub.GetSchema(provider_pb2.GetSchemaRequest()).schema == '{"name": "shelf", "version": "1.2.3"}'
    assert stub.Handshake(provider_pb2.ProviderHandshakeRequest()).accept_secrets is False


def test_configure_hands_over_the_arguments(stub, provider):
    answer = stub.Configure(provider_pb2.ConfigureRequest(args=to_struct({"region": "eu-west-1"})))
    assert (answer.supportsPreview, answer.acceptSecrets) == (True, False)
    assert provider.config == {"region": "eu-west-1"}


def test_the_type_is_found_below_a_component(stub):
    answer = stub.Check(provider_pb2.CheckRequest(urn=URN, news=to_struct({"title": "Emma"})))
    assert from_struct(answer.inputs) == {"title": "Emma", "pages": 1}


def test_invalid_inputs_are_named(stub):
    answer = stub.Check(provider_pb2.CheckRequest(urn=URN))
    assert [(f.property, f.reason) for f in answer.failures] == [("title", "title is missing")]


def test_a_preview_creates_nothing(stub, provider):
    request = provider_pb2.CreateRequest(urn=URN, properties=to_struct({"title": UNKNOWN}), preview=True)
    assert from_struct(stub.Create(request).properties) == {"title": UNKNOWN, "isbn": UNKNOWN}
    assert provider.book.shelf == {}


def test_create_read_update_delete(stub):
    created = create(stub, title="Emma", pages=1)
    assert (created.id, from_struct(created.properties)["isbn"]) == ("1", "1")
    state = created.properties
    news = to_struct({"title": "Emma", "pages": 474})
    updated = stub.Update(provider_pb2.UpdateRequest(id="1", urn=URN, olds=state, news=news))
    assert from_struct(updated.properties) == {"title": "Emma", "pages": 474, "isbn": "1"}
    read = stub.Read(provider_pb2.ReadRequest(id="1", urn=URN))
    assert (read.id, from_struct(read.inputs)) == ("1", {"title": "Emma", "pages": 474})
    stub.Delete(provider_pb2.DeleteRequest(id="1", urn=URN))
    stub.Delete(provider_pb2.DeleteRequest(id="1", urn=URN))
    assert stub.Read(provider_pb2.ReadRequest(id="1", urn=URN)).id == ""


def compared(stub, old, new, state=None):
    request = provider_pb2.DiffRequest(
        id="1", urn=URN, olds=to_struct(state or old), old_inputs=to_struct(old), news=to_struct(new)
    )
    return stub.Diff(request)


def test_diff_tells_updates_from_replacements(stub):
    answer = compared(stub, {"title": "Emma", "pages": 1}, {"title": "Persuasion", "pages": 2, "shelfMark": "A"})
    assert {path: item.kind for path, item in answer.detailedDiff.items()} == {
        "title": D.UPDATE_REPLACE,
        "pages": D.UPDATE,
        "shelfMark": D.ADD,
    }
    assert list(answer.replaces) == ["title"]
    assert sorted(answer.diffs) == ["pages", "shelfMark", "title"]
    assert answer.deleteBeforeReplace is False


def test_what_keeps_its_name_is_deleted_first(stub):
    answer = compared(stub, {"title": "a", "shelfMark": "A"}, {"title": "b", "shelfMark": "A"})
    assert answer.deleteBeforeReplace is True


def test_nothing_changed(stub):
    answer = compared(stub, {"title": "a"}, {"title": "a"})
    assert (answer.changes, dict(answer.detailedDiff)) == (provider_pb2.DiffResponse.DIFF_NONE, {})


def test_refusals_are_one_line(stub):
    with pytest.raises(grpc.RpcError) as refused:
        stub.Check(provider_pb2.CheckRequest(urn=URN.replace("Book", "Scroll")))
    assert (refused.value.code(), refused.value.details()) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "shelf:index:Scroll is not known",
    )


def test_a_fault_of_the_plugin_is_one_line_with_its_place(stub):
    with pytest.raises(grpc.RpcError) as fault:
        create(stub, title="crash")
    details = fault.value.details()
    assert details.startswith(
        "fault in the local shelf provider: ZeroDivisionError: by zero (test_provider_servicer.py:"
    )
    assert "\n" not in details


def test_what_exists_but_is_not_well_is_recorded(stub):
    with pytest.raises(grpc.RpcError) as failed:
        create(stub, title="torn")
    (packed,) = [value for key, value in failed.value.trailing_metadata() if key == "grpc-status-details-bin"]
    (detail,) = status_pb2.Status.FromString(packed).details
    assert isinstance(detail, any_pb2.Any)
    state = provider_pb2.ErrorResourceInitFailed()
    assert detail.Unpack(state)
    assert (state.id, list(state.reasons), from_struct(state.properties)["isbn"]) == ("1", ["page 3 is missing"], "1")


def test_a_marker_never_reaches_the_api(stub, provider):
    with pytest.raises(grpc.RpcError, match="title is not known"):
        create(stub, title=UNKNOWN)
    assert provider.book.shelf == {}


def test_functions(stub):
    answer = stub.Invoke(provider_pb2.InvokeRequest(tok="shelf:index:count"))
    assert from_struct(getattr(answer, "return")) == {"count": 0}
    with pytest.raises(grpc.RpcError, match="is no function"):
        stub.Invoke(provider_pb2.InvokeRequest(tok="shelf:index:burn"))


def test_config_changes_never_replace_the_provider(stub):
    request = provider_pb2.DiffRequest(old_inputs=to_struct({"region": "a"}), news=to_struct({"region": "b"}))
    answer = stub.DiffConfig(request)
    assert (list(answer.diffs), list(answer.replaces)) == (["region"], [])


def test_cancel_reaches_who_waits(provider):
    servicer = Servicer(provider)
    servicer.Cancel(empty_pb2.Empty(), None)
    with pytest.raises(ProviderError, match="cancelled"):
        Call(urn=URN, name="novel", token="shelf:index:Book", cancelled=servicer.cancelled).wait(60)


def test_the_default_diff_compares_documents():
    old, new = {"policy": '{"a":1,"b":2}'}, {"policy": '{"b": 2, "a": 1}', "more": True}
    assert [c.path for c in Book().diff(Call(URN, "n", "t"), old, {}, new)] == [("more",)]
    assert isinstance(Book().diff(Call(URN, "n", "t"), old, {}, new)[0], Change)
