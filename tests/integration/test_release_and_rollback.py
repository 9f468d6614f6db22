"""Releases against the real engine and real pods: one that is good, ones that are not, and the way back."""

import json
import os
import shlex
import shutil
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
import msgspec
import pytest
from checkout import Checkout
from serving.manifest import encode
from serving.package import file_entries, pack, verify_directory

pytestmark = pytest.mark.integration


class Versions:
    """Further versions of the example's model, each with its own twist."""

    def __init__(self, checkout: Checkout, folder: Path) -> None:
        self._checkout, self._folder = checkout, folder
        self._first = checkout.root / ".slipway/local/work/flight-delay/flight-delay-1"

    def make(self, version: str, *, golden_off_by: float = 0.0) -> Path:
        """A package of version 1's model under another version, its golden answer right or wrong."""
        directory = self._folder / version
        shutil.copytree(self._first, directory)
        golden = json.loads((directory / "golden.json").read_text())
        golden["outputs"]["probability"][0] += golden_off_by
        (directory / "golden.json").write_text(json.dumps(golden))
        manifest = json.loads((directory / "manifest.json").read_text())
        manifest |= {"version": version, "files": json.loads(msgspec.json.encode(file_entries(directory)))}
        (directory / "manifest.json").write_text(json.dumps(manifest))
        (directory / "manifest.json").write_bytes(encode(verify_directory(directory).manifest))
        archive, _ = pack(directory)
        return archive

    def approved(self, version: str, *, golden_off_by: float = 0.0) -> str:
        """Such a package, registered and approved."""
        self._checkout.slipway("register", str(self.make(version, golden_off_by=golden_off_by)))
        self._checkout.slipway("approve", "flight-delay", version, "--note", "a test")
        return version


@pytest.fixture
def versions(checkout: Checkout, tmp_path: Path) -> Versions:
    return Versions(checkout, tmp_path)


@contextmanager
def asked_all_the_time(checkout: Checkout) -> Iterator[list[str]]:
    """Ask the service one question after another; what went wrong."""
    service = checkout.service
    body = shlex.split(checkout.slipway("curl", "flight-delay"))[-1].encode()
    troubles: list[str] = []
    asked = 0
    over = threading.Event()

    def ask() -> None:
        nonlocal asked
        while not over.is_set():
            request = urllib.request.Request(service["rest"] + "/predict", body, {"Content-Type": "application/json"})
            try:
                with urllib.request.urlopen(request, timeout=10) as answer:
                    json.load(answer)
            except (OSError, ValueError) as error:
                troubles.append(repr(error))
            asked += 1
            time.sleep(0.005)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield troubles
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert asked > 100


def test_a_good_version_goes_live_without_a_failed_request_and_back_by_one_word(checkout: Checkout, versions: Versions):
    versions.approved("2")
    with asked_all_the_time(checkout) as troubles:
        answer = checkout.answer("release", "flight-delay", "2")
        assert answer["version"] == "2"
        assert checkout.service["model_version"] == "2"
        assert [model["version"] for model in checkout.answer("models")["models"] if model["live_in"]] == ["2"]
        checkout.slipway("rollback", "flight-delay")
        service = checkout.service
    assert troubles == []
    assert service["model_version"] == "1"
    assert service["note"].startswith("2 rolled back by ")
    assert service["ready"] is True
    assert "serving 1 (2 rolled back by " in checkout.slipway("status")


def test_a_version_whose_answer_is_wrong_is_taken_back_in_the_pods_words(checkout: Checkout, versions: Versions):
    versions.approved("3", golden_off_by=0.25)
    began = time.monotonic()
    with asked_all_the_time(checkout) as troubles:
        done = checkout.run("release", "flight-delay", "3")
        seconds = time.monotonic() - began
    assert done.returncode == 1
    assert "exited with 81 (golden mismatch)" in done.stderr
    assert "rolled back: flight-delay serves 1" in done.stderr, done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert troubles == []
    if os.getloadavg()[0] < (os.cpu_count() or 1):
        assert seconds < 25  # until it is known to be hopeless, and until what ran before is proven again
    service = checkout.service
    assert (service["model_version"], service["ready"], service["problem"]) == ("1", True, None)
    assert service["note"].startswith("3 rolled back: ")
    assert checkout.answer("up")["services"]["flight-delay"]["version"] == "1"


def test_a_package_that_was_exchanged_in_the_bucket_is_not_served(checkout: Checkout, versions: Versions):
    versions.approved("4")
    entry = next(model for model in checkout.answer("models")["models"] if model["version"] == "4")
    other = versions.make("5")
    status = checkout.answer("status")
    s3 = boto3.client(
        "s3",
        endpoint_url=status["aws_endpoint"],
        region_name="eu-west-1",
        aws_access_key_id="local",
        aws_secret_access_key="local",
    )
    deployed = json.loads((checkout.root / ".slipway/local/state/.pulumi/stacks/slipway/local.json").read_text())
    stack = next(r for r in deployed["checkpoint"]["latest"]["resources"] if r["type"] == "pulumi:pulumi:Stack")
    key = f"flight-delay/{entry['digest'].removeprefix('sha256:')}.tar.gz"
    s3.put_object(Bucket=stack["outputs"]["models_bucket"], Key=key, Body=other.read_bytes())
    done = checkout.run("release", "flight-delay", "4")
    assert done.returncode == 1
    assert "container fetch exited with 80 (digest mismatch)" in done.stderr
    assert checkout.service["model_version"] == "1"


@pytest.mark.parametrize(
    ("version", "words"), [("9", "there is no version '9' of flight-delay in local"), ("6", "is a candidate in local")]
)
def test_what_may_not_be_released_is_refused_at_once(checkout: Checkout, versions: Versions, version: str, words: str):
    if version == "6":
        checkout.slipway("register", str(versions.make("6")))
    done = checkout.run("release", "flight-delay", version)
    assert done.returncode == 2
    assert words in done.stderr
    assert checkout.service["model_version"] == "1"


def test_the_same_package_twice_and_another_under_its_name(checkout: Checkout, versions: Versions):
    archive = versions.make("7")
    assert checkout.answer("register", str(archive))["new"] is True
    assert checkout.answer("register", str(archive))["new"] is False
    other = Versions(checkout, archive.parent / "other").make("7", golden_off_by=0.1)
    done = checkout.run("register", str(other), "--json")
    assert json.loads(done.stdout)["code"] == "version-taken"
