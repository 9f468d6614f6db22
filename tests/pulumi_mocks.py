"""How a component is tested: record what was registered, resolve it, assert outside of any apply."""

import asyncio
import gc
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pytest
from google.protobuf import json_format
from pulumi.runtime import rpc
from pulumi.runtime.mocks import MockMonitor

# As in stacks/__main__.py: looking for garbage among the SDKs' types takes a quarter of the time.
gc.set_threshold(200_000)

ACCOUNT = "123456789012"
REGION = "eu-west-1"
CALLS = {
    "aws:index/getCallerIdentity:getCallerIdentity": {"accountId": ACCOUNT, "arn": "", "id": ACCOUNT, "userId": ""},
    "aws:index/getRegion:getRegion": {
        "region": REGION,
        "name": REGION,
        "id": REGION,
        "description": "",
        "endpoint": "",
    },
    "aws:index/getPartition:getPartition": {
        "partition": "aws",
        "id": "aws",
        "dnsSuffix": "amazonaws.com",
        "reverseDnsPrefix": "com.amazonaws",
    },
    "aws:index/getAvailabilityZones:getAvailabilityZones": {
        "names": [f"{REGION}a", f"{REGION}b", f"{REGION}c"],
        "zoneIds": ["euw1-az1", "euw1-az2", "euw1-az3"],
        "groupNames": [REGION],
        "id": REGION,
    },
    "aws:msk/getBootstrapBrokers:getBootstrapBrokers": {"bootstrapBrokersSaslIam": "b-1.theirs:9098,b-2.theirs:9098"},
    "aws:ec2/getVpc:getVpc": {"id": "vpc-12345678", "cidrBlock": "10.9.0.0/16"},
    "aws:eks/getCluster:getCluster": {
        "name": "theirs",
        "endpoint": "https://theirs.example",
        "certificateAuthorities": [{"data": "Y2E="}],
        "vpcConfig": {"clusterSecurityGroupId": "sg-theirs"},
    },
}


@dataclass
class Made:
    """One registration, as the engine would see it."""

    name: str
    typ: str
    inputs: dict[str, Any]
    parent: str
    """Name of the parent; empty for the stack."""
    protect: bool
    depends_on: list[str]
    ignore_changes: list[str]
    raw: dict[str, Any] = field(repr=False)
    """The inputs as sent, secrets and unknowns marked."""

    def json(self, key: str) -> Any:
        return json.loads(self.inputs[key])


class Recorder(pulumi.runtime.Mocks):
    """Answers as AWS would (ids, ARNs) and remembers every registration."""

    def __init__(self, *, preview: bool) -> None:
        self.preview = preview
        self.resources: dict[str, Made] = {}

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        outputs: dict[str, Any] = dict(args.inputs)
        if args.typ == "aws:eks/cluster:Cluster":
            outputs["endpoint"] = "https://made.example"
            outputs["certificateAuthority"] = {"data": "Y2E="}
            outputs["vpcConfig"] = {**args.inputs["vpcConfig"], "clusterSecurityGroupId": "sg-made"}
        if self.preview:
            return None, outputs
        if args.typ.startswith("aws:"):
            service = args.typ.split(":")[1].split("/")[0]
            outputs = {
                "arn": f"arn:aws:{service}:{REGION}:{ACCOUNT}:{args.inputs.get('name', args.name)}",
                "name": args.name,
                **outputs,
                "url": f"https://{service}.{REGION}.amazonaws.com/{ACCOUNT}/{args.name}",
                "repositoryUrl": f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{args.inputs.get('name')}",
                "keyId": f"{args.name}-key-id",
            }
        return f"{args.name}-id", outputs

    def call(self, args: pulumi.runtime.MockCallArgs) -> dict[str, Any]:
        return CALLS[args.token]

    def of_type(self, typ: str) -> list[Made]:
        return [made for made in self.resources.values() if made.typ == typ]

    def types(self) -> dict[str, str]:
        return {made.name: made.typ for made in self.resources.values()}


class _Monitor(MockMonitor):
    """Also keeps what a mock is not told: parent, protection, dependencies, secrets and unknowns."""

    def RegisterResource(self, request):  # noqa: N802 - gRPC's name
        if request.type != "pulumi:pulumi:Stack":
            recorder = self.mocks
            assert isinstance(recorder, Recorder)
            assert request.name not in recorder.resources, f"two resources named {request.name}"
            recorder.resources[request.name] = Made(
                name=request.name,
                typ=request.type,
                inputs=rpc.deserialize_properties(request.object),
                parent="" if "pulumi:pulumi:Stack" in request.parent.split("::")[2:3] else _name(request.parent),
                protect=request.protect,
                depends_on=[_name(urn) for urn in request.dependencies],
                ignore_changes=list(request.ignoreChanges),
                raw=json_format.MessageToDict(request.object),
            )
        return super().RegisterResource(request)


def _name(urn: str) -> str:
    return urn.rsplit("::", 1)[-1]


Provision = Callable[..., Recorder]


@contextmanager
def mocked_engine(recorder_class: type[Recorder] = Recorder) -> Iterator[Provision]:
    """Runs a program under mocks until every output has settled, then hands over what it registered."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    # Mocks deserialize in the loop's worker threads, each with an event loop that somebody has to close.
    loops: list[asyncio.AbstractEventLoop] = []

    def own_loop() -> None:
        loops.append(asyncio.new_event_loop())
        asyncio.set_event_loop(loops[-1])

    loop.set_default_executor(ThreadPoolExecutor(max_workers=4, initializer=own_loop))

    def run(program: Callable[[], object], *, preview: bool = False) -> Recorder:
        recorder = recorder_class(preview=preview)
        pulumi.runtime.set_mocks(recorder, project="test", stack="test", preview=preview, monitor=_Monitor(recorder))
        pulumi.runtime.test(lambda: program() and None)()
        return recorder

    yield run
    pulumi.runtime.reset_options()
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(loop.shutdown_default_executor())
    for other in (*loops, loop):
        other.close()
    asyncio.set_event_loop(None)


@pytest.fixture
def provision() -> Iterator[Provision]:
    """`mocked_engine` for one test."""
    with mocked_engine() as run:
        yield run


@pytest.fixture
def settled() -> Callable[[pulumi.Output[Any]], Any]:
    """The value of an output, once its program has run."""

    def wait(output: pulumi.Output[Any]) -> Any:
        return asyncio.get_event_loop().run_until_complete(output.future())

    return wait


@pytest.fixture
def unknown() -> Callable[[], pulumi.Output[Any]]:
    """An output that a preview does not know yet."""

    def make() -> pulumi.Output[Any]:
        loop = asyncio.get_event_loop()
        value, known, secret = loop.create_future(), loop.create_future(), loop.create_future()
        value.set_result(rpc.UNKNOWN)
        known.set_result(False)
        secret.set_result(False)
        return pulumi.Output(set(), value, known, secret)

    return make
