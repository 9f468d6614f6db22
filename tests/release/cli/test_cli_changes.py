"""A change on one screen: loss of data first, then what is made anew, then the rest with whole paths."""

import io
import json
import shlex
import sys
from pathlib import Path

import pytest

from release.cli.answers import curl_line, say_answers, short_answer
from release.cli.changes import show_changes
from release.cli.options import Session
from release.cli.screen import Screen
from release.differences import Difference
from release.environment import Environment
from release.events import Change
from release.releases import Record, Release, write_release
from release.verify import Answer


def change(operation: str, name: str, kind: str = "aws:s3/bucket:Bucket", **fields: list[Difference]) -> Change:
    return Change(f"urn::{name}", operation, "DataStore data", kind, name, **fields)


def shown(*changes: Change, done: bool = False) -> list[str]:
    words = io.StringIO()
    show_changes(Screen(words=words), changes, done=done)
    return words.getvalue().splitlines()


IMAGE = Difference("spec.containers[0].image", "a", "b", replaces=False)
NAME = Difference("bucket", "x", "y", replaces=True)


def test_the_order_of_a_plan():
    policy = "aws:s3/bucketPolicy:BucketPolicy"
    lines = shown(
        change("create", "one", policy),
        change("create", "two", policy),
        change("change", "pod", "kubernetes:apps/v1:Deployment", differences=[IMAGE]),
        change("replace", "models", differences=[NAME]),
        change("delete", "old"),
    )
    assert lines == [
        "WILL BE LOST: the objects in it (DataStore data / Bucket models, to replace)",
        "WILL BE LOST: the objects in it (DataStore data / Bucket old, to delete)",
        "to replace DataStore data / Bucket models",
        "    bucket: x → y  (forces a replacement)",
        "to delete DataStore data / Bucket old",
        "to change DataStore data / Deployment pod",
        "    spec.containers[0].image: a → b",
        "DataStore data: 2 to create",
        "1 to replace, 1 to delete, 1 to change, 2 to create",
    ]


def test_the_same_when_it_is_done():
    lines = shown(change("replace", "models", differences=[NAME]), done=True)
    assert lines[0] == "lost: the objects in it (DataStore data / Bucket models, replaced)"
    assert lines[-1] == "1 replaced"


def test_nothing_to_change():
    assert shown() == ["nothing would change"]
    assert shown(done=True) == []


def test_a_plan_that_is_too_long_says_how_much_is_left_out():
    lines = shown(*(change("change", f"n{number}", "x:y:Z", differences=[IMAGE]) for number in range(100)))
    assert len(lines) < 65
    assert "  … and 140 more lines (--json has all)" in lines


def answer(name: str = "flight-delay", url: str | None = "http://127.0.0.1:9") -> Answer:
    question = {"rows": [{"carrier": "O'Hare", "temp": 39.0}]}
    predictions = {"model_version": "2", "predictions": [{"probability": 0.25}]}
    return Answer(name, Release(name, "2", "sha256:0"), url, "/predict", question, predictions)


@pytest.fixture(autouse=True)
def on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))


def said(environment: Environment, *answers: Answer) -> list[str]:
    words = io.StringIO()
    say_answers(Session(environment, Screen(words=words), "slipway up"), answers, 41.4)
    return words.getvalue().splitlines()


def test_the_last_screen(local: Environment):
    assert said(local, answer()) == [
        "flight-delay serves flight-delay 2 in local",
        (
            "  ask      curl -s http://127.0.0.1:9/predict -H 'Content-Type: application/json' -d "
            """'{"rows":[{"carrier":"O'"'"'Hare","temp":39.0}]}'"""
        ),
        '  answers  {"model_version": "2", "predictions": [{"probability": 0.25}]}',
        "  logs     slipway logs flight-delay -f",
        "  status   slipway status",
        "  undo     slipway down",
        "  took     41 s",
    ]


def test_where_the_command_is_not_found_the_last_screen_says_how(local: Environment, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "/nowhere")
    assert said(local, answer())[-2] == f"  first    export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH"


def test_elsewhere_every_command_names_the_environment(dev: Environment):
    lines = said(dev, answer())
    assert "  logs     slipway logs flight-delay -f -e dev" in lines
    assert "  undo     slipway down -e dev --confirm dev" in lines


def test_undo_is_the_version_before_where_there_is_one(local: Environment):
    one, two = (Release("flight-delay", version, "sha256:0") for version in "12")
    write_release(local, "flight-delay", Record(current=two, previous=one, verified=True))
    assert "  undo     slipway rollback flight-delay, or all of it: slipway down" in said(local, answer())


def test_many_services_stay_on_one_screen(local: Environment):
    assert len(said(local, *(answer(f"s{number}") for number in range(30)))) <= 12


def test_without_a_way_in_there_is_no_curl():
    assert curl_line(answer(url=None)) is None


def test_a_long_answer_is_shortened():
    assert len(short_answer({"predictions": list(range(1000))})) <= 300


def test_a_curl_line_is_one_shell_word_after_another():
    line = curl_line(answer())
    assert line is not None
    words = shlex.split(line)
    assert words[:3] == ["curl", "-s", "http://127.0.0.1:9/predict"]
    assert json.loads(words[-1]) == {"rows": [{"carrier": "O'Hare", "temp": 39.0}]}
