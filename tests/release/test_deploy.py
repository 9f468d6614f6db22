"""A release: proven, or undone and said.

The engine and the cluster are stand-ins here: the engine is a process that makes the cluster "run" what the records
say, at once. What they cannot prove is that a real engine and real pods behave like that: rollout order, probes, the
exit codes of the runtime, what an interrupted engine leaves behind. tests/integration does, with all of it for real.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fake_pulumi
import pytest
from release_support import deployed
from serving.manifest import Golden, Manifest

from release import deploy
from release.cluster import Exit, Pod, WayIn, Workload
from release.deploy import Work
from release.engine import Engine
from release.environment import DeployedService, Environment
from release.errors import SlipwayError
from release.lock import changing
from release.registry import ModelVersion
from release.releases import Record, Release, read_releases, write_release

ROW = {"carrier": "UA"}
SERVICE = "flight-delay"


def digest(version: str) -> str:
    return "sha256:" + version.encode().hex().rjust(64, "0")


def release_of(version: str) -> Release:
    return Release(SERVICE, version, digest(version))


class World:
    """What the stand-ins share, in a file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.write(
            calls=[],
            running=None,
            exits={},
            wrong=[],
            fails=[],
            hangs=[],
            rolling=None,
            closed="",
            states={"1": "approved", "2": "approved", "3": "candidate"},
        )

    def read(self) -> dict[str, Any]:
        return json.loads(self.path.read_text())

    def write(self, **change: Any) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # In one step: the engine that stands in reads it at any moment, and so do the tests.
        whole = self.path.with_suffix(".new")
        whole.write_text(json.dumps((self.read() if self.path.exists() else {}) | change))
        whole.replace(self.path)


@dataclass
class FakeCluster:
    world: World

    def _version(self) -> str | None:
        return self.world.read()["running"]

    def pods(self, service: DeployedService) -> list[Pod]:
        world = self.world.read()
        version = world["running"]
        found: list[Pod] = []
        for one in {version, world["rolling"]} - {None}:
            code = world["exits"].get(str(one))
            end = Exit("rest", code, "Error", "2026-01-01T00:00:00Z", initial=False) if code else None
            ready = end is None and one == version
            found.append(
                Pod(f"pod-{one}", service.namespace, one, digest(str(one)), "Running", ready, 0, "", False, "", end)
            )
        return found

    def workload(self, service: DeployedService) -> Workload | None:
        version = self._version()
        crashing = version in self.world.read()["exits"]
        return Workload(1, 0 if crashing else 1, 1, not crashing) if version else None

    def ask_pod(self, pod: Pod, path: str) -> tuple[int, Any]:
        return 200, {"name": SERVICE, "versions": [pod.version]}

    def ask_service(
        self, service: DeployedService, path: str, question: Any = None, timeout: float = 1
    ) -> tuple[int, Any]:
        version = self._version()
        if path == "/predict":
            assert question == {"rows": [ROW]}
            wrong = version in self.world.read()["wrong"]
            return 200, {"model_version": version, "predictions": [{"probability": 0.9 if wrong else 0.25}]}
        return 200, {"name": SERVICE, "versions": [version]}

    def way_in(self, service: DeployedService) -> WayIn:
        return WayIn(rest="http://127.0.0.1:1", problem=self.world.read()["closed"])

    def log(self, pod: Pod, container: str, **_: Any) -> Iterator[str]:
        yield from ['{"message": "loading"}', '{"message": "the graph is not sound"}']


@dataclass
class FakeRegistry:
    world: World

    def find(self, model: str, version: str) -> ModelVersion:
        state = self.world.read()["states"].get(version)
        if state is None:
            raise SlipwayError("unknown-version", f"there is no version {version!r}", exit_code=2)
        return ModelVersion(model, version, digest(version), state, None, "", {})  # type: ignore[arg-type]

    def golden(self, entry: ModelVersion) -> tuple[Manifest | None, Golden]:
        return None, Golden(rows=(ROW,), outputs={"probability": [0.25]})


@dataclass
class Stage:
    """An environment with stand-ins."""

    world: World
    environment: Environment
    engine: Engine
    said: list[str] = field(default_factory=list[str])

    def run(self, change: Any) -> Any:
        with changing(self.environment, "a test") as lock:
            work = Work(
                self.environment,
                self.engine,
                lock,
                self.said.append,
                open_cluster=lambda _: FakeCluster(self.world),  # type: ignore[arg-type,return-value]
                open_registry=lambda _: FakeRegistry(self.world),  # type: ignore[arg-type,return-value]
            )
            return change(work)

    def release(self, version: str) -> deploy.Applied:
        return self.run(lambda work: deploy.release(work, SERVICE, version))

    @property
    def record(self) -> Record:
        return read_releases(self.environment)[SERVICE]


@pytest.fixture
def stage(local: Environment, tmp_path: Path) -> Stage:
    deployed(local)
    world = World(local.directory / "world.json")
    script = tmp_path / "pulumi"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{fake_pulumi.__file__}" "{world.path}" "$@"\n')
    script.chmod(0o755)
    return Stage(world, local, Engine(local, str(script), "3.259.0", dict(os.environ)))


def test_a_release_is_recorded_run_and_asked(stage: Stage):
    applied = stage.release("1")
    assert stage.world.read()["running"] == "1"
    assert stage.record.current == release_of("1")
    assert stage.record.verified
    (answer,) = applied.answers
    assert answer.answer["predictions"] == [{"probability": 0.25}]
    assert (answer.url, answer.path, answer.question) == ("http://127.0.0.1:1", "/predict", {"rows": [ROW]})


def test_what_ran_before_is_remembered_and_one_word_brings_it_back(stage: Stage):
    stage.release("1")
    stage.release("2")
    assert stage.record.previous == release_of("1")
    stage.run(lambda work: deploy.roll_back(work, SERVICE, "ana"))
    assert stage.world.read()["running"] == "1"
    assert (stage.record.current, stage.record.note) == (release_of("1"), "2 rolled back by ana")
    with pytest.raises(SlipwayError, match="has no version to go back to"):
        stage.run(lambda work: deploy.roll_back(work, SERVICE, "ana"))


@pytest.mark.parametrize(
    ("version", "message"), [("3", "is a candidate in local: only approved"), ("9", "no version '9'")]
)
def test_what_is_not_approved_touches_nothing(stage: Stage, version: str, message: str):
    stage.release("1")
    before = stage.world.read(), stage.record
    with pytest.raises(SlipwayError, match=message) as refused:
        stage.release(version)
    assert refused.value.exit_code == 2
    assert (stage.world.read(), stage.record) == before


def test_a_wrong_answer_is_undone(stage: Stage):
    stage.release("1")
    stage.world.write(wrong=["2"])
    with pytest.raises(SlipwayError) as failed:
        stage.release("2")
    assert failed.value.code == "rolled-back"
    assert failed.value.message.splitlines() == [
        "golden answer differs: probability[0]: expected 0.25, got 0.9",
        "rolled back: flight-delay serves 1",
    ]
    assert stage.world.read()["running"] == "1"
    assert (stage.record.current, stage.record.verified) == (release_of("1"), True)
    assert stage.record.note == "2 rolled back: golden answer differs: probability[0]: expected 0.25, got 0.9"


def test_a_first_release_that_fails_leaves_the_service_waiting(stage: Stage):
    stage.world.write(wrong=["2"])
    with pytest.raises(SlipwayError, match="rolled back: flight-delay waits for a release"):
        stage.release("2")
    assert stage.world.read()["running"] is None
    assert stage.record.current is None


def test_an_engine_that_fails_is_undone_with_its_cause(stage: Stage):
    stage.release("1")
    stage.world.write(fails=["2"])
    with pytest.raises(SlipwayError) as failed:
        stage.release("2")
    assert failed.value.message == "Bucket data-models: no quota\nrolled back: flight-delay serves 1"
    assert failed.value.log is not None
    assert stage.record.current == release_of("1")


@pytest.mark.parametrize("code", [65, 70, 78, 80, 81])
def test_a_hopeless_start_ends_the_wait_in_the_pods_words(stage: Stage, code: int):
    """The engine waits for pods that never come up: the watch ends it long before any timeout."""
    stage.release("1")
    stage.world.write(exits={"2": code}, hangs=["2"])
    began = time.monotonic()
    with pytest.raises(SlipwayError) as failed:
        stage.release("2")
    assert time.monotonic() - began < 10
    lines = failed.value.message.splitlines()
    assert lines[0].startswith(f"pod pod-2: container rest exited with {code} (")
    assert lines[1:3] == ["  | loading", "  | the graph is not sound"]
    assert stage.world.read()["calls"] == ["up", "up", "up --refresh"]  # what was cut off is looked at before
    assert not stage.environment.unsettled_file.exists()
    assert stage.record.current == release_of("1")
    assert stage.world.read()["running"] == "1"


def test_a_port_that_is_taken_ends_the_wait(stage: Stage):
    stage.release("1")
    stage.world.write(closed="port 8080 is taken (python3, pid 42)", exits={"1": 69})
    with pytest.raises(SlipwayError, match=r"flight-delay has no address: port 8080 is taken \(python3, pid 42\)"):
        stage.run(deploy.apply)
    assert stage.record.current == release_of("1")


def test_an_exit_that_may_pass_is_told_and_waited_for(stage: Stage):
    stage.world.write(exits={"1": 69})
    threading.Timer(1.0, lambda: stage.world.write(exits={})).start()
    stage.release("1")
    assert any("exited with 69 (unavailable)" in line for line in stage.said)


def test_the_same_version_again_is_only_proven_again(stage: Stage):
    stage.release("1")
    record = stage.record
    stage.release("1")
    assert stage.record == record


def test_a_release_that_was_cut_off_is_finished_by_the_next_run(stage: Stage):
    stage.release("1")
    write_release(stage.environment, SERVICE, Record(current=release_of("2"), previous=release_of("1")))
    stage.run(deploy.apply)
    assert (stage.record.current, stage.record.verified) == (release_of("2"), True)


def test_a_release_that_was_cut_off_and_is_bad_is_undone_by_the_next_run(stage: Stage):
    stage.release("1")
    stage.world.write(wrong=["2"])
    write_release(stage.environment, SERVICE, Record(current=release_of("2"), previous=release_of("1")))
    with pytest.raises(SlipwayError, match="rolled back: flight-delay serves 1"):
        stage.run(deploy.apply)
    assert stage.record.current == release_of("1")


def test_a_release_over_one_that_was_never_proven_goes_back_to_the_proven_one(stage: Stage):
    stage.release("1")
    write_release(stage.environment, SERVICE, Record(current=release_of("3"), previous=release_of("1")))
    stage.world.write(wrong=["2"])
    with pytest.raises(SlipwayError):
        stage.release("2")
    assert stage.record.current == release_of("1")


def test_a_proven_service_that_fails_later_is_reported_and_left_as_it_is(stage: Stage):
    stage.release("1")
    stage.world.write(wrong=["1"])
    with pytest.raises(SlipwayError, match="golden answer differs") as failed:
        stage.run(deploy.apply)
    assert failed.value.code == "golden-differs"
    assert stage.record.current == release_of("1")


def test_when_going_back_fails_too_both_causes_are_said(stage: Stage):
    stage.release("1")
    stage.world.write(wrong=["1", "2"])
    with pytest.raises(SlipwayError, match="going back failed too") as failed:
        stage.release("2")
    assert failed.value.code == "rollback-failed"


KILLED = """
import os, sys
from pathlib import Path
from release.engine import Engine, run
from release.environment import Environment
from release.lock import changing
environment = Environment("local", Path(sys.argv[1]))
with changing(environment, "slipway up") as lock:
    print("begun", flush=True)
    run(Engine(environment, sys.argv[2], "", dict(os.environ)), "up", lock)
"""


def test_a_killed_run_leaves_an_engine_that_the_next_one_ends(stage: Stage):
    write_release(stage.environment, SERVICE, Record(current=release_of("2")))
    stage.world.write(hangs=["2"])
    killed = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(stage.environment.root), stage.engine.executable], stdout=subprocess.PIPE
    )
    assert killed.stdout is not None
    assert killed.stdout.readline() == b"begun\n"
    while "up" not in stage.world.read()["calls"]:
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    killed.stdout.close()
    stage.world.write(hangs=[])
    from release.healing import heal

    with changing(stage.environment, "slipway up") as lock:
        assert lock.left_behind is not None
        assert lock.left_behind.engine is not None
        engine = lock.left_behind.engine
        assert engine.running()
        heal(stage.engine, lock, stage.said.append)
        assert not engine.running()
    assert any("an earlier run was killed" in line for line in stage.said)


def test_ctrl_c_ends_the_engine_too(stage: Stage):
    write_release(stage.environment, SERVICE, Record(current=release_of("2")))
    stage.world.write(hangs=["2"])
    cut = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(stage.environment.root), stage.engine.executable],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert cut.stdout is not None
    assert cut.stdout.readline() == b"begun\n"
    while "up" not in stage.world.read()["calls"]:
        time.sleep(0.02)
    time.sleep(0.2)
    cut.send_signal(signal.SIGINT)
    cut.wait(10)
    cut.stdout.close()
    with changing(stage.environment, "next") as lock:
        assert lock.left_behind is None
    assert stage.environment.unsettled_file.exists()
    stage.world.write(hangs=[])
    stage.run(deploy.apply)
    assert stage.world.read()["calls"][-1] == "up --refresh"
    assert not stage.environment.unsettled_file.exists()


def test_a_run_that_failed_before_it_changed_anything_needs_no_second_look(stage: Stage):
    stage.world.write(fails=["1"])
    with pytest.raises(SlipwayError):
        stage.release("1")
    assert not stage.environment.unsettled_file.exists()
