"""The plugin as the engine sees it: a process that starts fast, prints its port, and ends quietly."""

import os
import signal
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import grpc
import psutil
import pytest
from google.protobuf import empty_pb2

from local.aws.provider import VERSION
from local.provider.protos import provider_pb2_grpc

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[3]


@pytest.fixture
def process():
    plugin = subprocess.Popen(
        [sys.executable, "-m", "local.aws", "127.0.0.1:1"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    yield plugin
    plugin.kill()
    plugin.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_answers_and_ends_without_a_word(process, number):
    port = int(process.stdout.readline())
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = provider_pb2_grpc.ResourceProviderStub(channel)
        assert stub.GetPluginInfo(empty_pb2.Empty(), timeout=30).version == VERSION
    process.send_signal(number)
    out, error = process.communicate(timeout=30)
    assert (process.returncode, out, error) == (0, "", "")


def test_it_ends_when_the_engine_was_killed():
    program = (
        "import subprocess, sys, time\n"
        "plugin = subprocess.Popen([sys.executable, '-m', 'local.aws'], stdout=subprocess.PIPE, text=True)\n"
        "plugin.stdout.readline(); print(plugin.pid, flush=True); time.sleep(60)"
    )
    engine = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    plugin = psutil.Process(int(engine.stdout.readline()))
    engine.kill()
    engine.communicate()
    deadline = time.monotonic() + 20
    while plugin.is_running() and plugin.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_its_start_imports_nothing_heavy():
    """Every engine run waits for it: the SDKs and the clients are imported when they are used, or not at all."""
    program = "import sys, local.aws.__main__; print(*sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    loaded = subprocess.check_output([sys.executable, "-c", program], env=environment, text=True).split()
    heavy = {"pulumi", "pulumi_aws", "boto3", "botocore.client", "botocore.session", "moto", "pydantic", "rich"}
    assert heavy & set(loaded) == set()


def test_it_stands_in_for_the_installed_sdk():
    assert version("pulumi-aws") == VERSION
