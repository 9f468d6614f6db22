"""The user's path, all of it for real: the engine, the plugins, the daemon, the pods, the example's model."""

import json
import os
import re
import socket
import subprocess
import time

import pytest
from checkout import Checkout, Day, until

pytestmark = pytest.mark.integration


def test_up_ends_with_a_proven_answer_on_one_screen(day: Day):
    printed = day.first_words
    lines = printed.splitlines()
    begin = next(number for number, line in enumerate(lines) if line.startswith("flight-delay serves "))
    last = lines[begin:]
    assert len(last) <= 12
    assert last[0] == "flight-delay serves flight-delay 1 in local"
    text = "\n".join(last)
    for word in ("curl ", "logs ", "status ", "undo ", "took "):
        assert word in text
    assert "{placeholder}" not in text
    assert "\x1b" not in printed
    assert "urn:pulumi" not in printed


def test_the_printed_curl_works_as_it_stands(day: Day):
    printed = day.first_words
    (line,) = re.findall(r"^ +ask +(curl .*)$", printed, re.MULTILINE)
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True, timeout=10)
    answer = json.loads(done.stdout)
    assert answer["model_version"] == "1"
    assert 0 < answer["predictions"][0]["probability"] < 1


def test_curl_prints_it_again(checkout: Checkout):
    line = checkout.slipway("curl", "flight-delay")
    assert line.count("\n") == 1
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True, timeout=10)
    assert json.loads(done.stdout)["model_version"] == "1"


def test_status_says_so_too(checkout: Checkout):
    status = checkout.answer("status")
    assert status["environment"] == "local"
    assert status["aws_endpoint"].startswith("http://127.0.0.1:")
    assert status["healthy"] is True
    service = status["services"]["flight-delay"]
    assert service["rest"].startswith("http://127.0.0.1:")
    assert service["model_version"] == "1"
    assert service["ready"] is True
    assert [pod["version"] for pod in service["pods"]] == ["1", "1", "1"]
    assert len(checkout.rest_pods) == 2  # the third is the stream's worker
    assert checkout.run("status", "--check").returncode == 0


def test_a_second_up_changes_nothing_and_is_quick(checkout: Checkout):
    began = time.monotonic()
    answer = checkout.answer("up")
    assert answer["changes"] == []
    assert answer["services"]["flight-delay"]["version"] == "1"
    if os.getloadavg()[0] < (os.cpu_count() or 1):  # the time on a machine that is busy with others says nothing
        assert time.monotonic() - began < 10


def test_ask_it(checkout: Checkout):
    row = "carrier=UA origin=EWR dest=ORD hour=17 weekday=5 distance=719 temp=39 wind_speed=18 precip=0.1 visib=4"
    answer = checkout.answer("predict", "flight-delay", *row.split(), "pressure=1009")
    assert 0 < answer["predictions"][0]["probability"] < 1
    refused = checkout.run("predict", "flight-delay", "carrier=UA", "nonsense=1")
    assert refused.returncode == 1
    assert "nonsense" in refused.stderr


def test_look_at_it(checkout: Checkout):
    models = checkout.answer("models")["models"]
    assert [(model["version"], model["state"], model["live_in"]) for model in models] == [
        ("1", "approved", ["flight-delay"])
    ]
    assert "AUC" in checkout.slipway("models").upper()
    assert checkout.slipway("logs", "flight-delay", "-n", "3").count("flight-delay-rest-") >= 2
    assert checkout.run("doctor", "--check").returncode == 0


def test_the_engine_by_hand(checkout: Checkout):
    command = 'eval "$(python -m release.cli env)" && pulumi preview -s local --non-interactive --color never'
    done = subprocess.run(
        ["bash", "-c", f'PATH="{checkout.root}/.venv/bin:$PATH"; cd "{checkout.root}"; {command}'],
        env=checkout.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "unchanged" in done.stdout


def test_a_change_is_shown_with_its_path_and_then_made(checkout: Checkout):
    file = checkout.root / "stacks" / "Pulumi.local.yaml"
    before = file.read_text()
    try:
        file.write_text(before.replace("{min: 2, max: 2}", "{min: 3, max: 3}"))
        planned = checkout.slipway("preview")
        assert "spec.replicas: 2 → 3" in planned
        assert "LOST" not in planned
        assert len(checkout.rest_pods) == 2
        done = checkout.slipway("up")
        assert "spec.replicas: 2 → 3" in done
        assert len(checkout.rest_pods) == 3
    finally:
        file.write_text(before)
        checkout.slipway("up")


def test_a_killed_pod_is_noticed_within_two_seconds_and_replaced(checkout: Checkout):
    victim = checkout.pod_processes()[0]
    began = time.monotonic()
    victim.kill()
    until(lambda: checkout.run("status", "--check").returncode == 1, seconds=2)
    assert time.monotonic() - began < 3
    status = checkout.service
    assert sum(pod["restarts"] for pod in status["pods"]) >= 1
    assert status["next"] == "slipway logs flight-delay"
    until(lambda: all(pod["ready"] for pod in checkout.service["pods"]), seconds=15)


def test_a_machine_that_was_restarted_serves_the_same_version_again(checkout: Checkout):
    daemon = checkout.daemon()
    family = [*daemon.children(recursive=True), daemon]
    for process in family:
        process.kill()
    status = checkout.run("status", "--check")
    assert status.returncode == 1
    assert "run slipway up" in status.stdout
    answer = checkout.answer("up")
    assert answer["services"]["flight-delay"]["version"] == "1"
    assert checkout.service["ready"] is True


def test_down_leaves_nothing(checkout: Checkout):
    port = int(checkout.service["rest"].rsplit(":", 1)[1])
    printed = checkout.slipway("down")
    assert "lost: the registered versions" in printed
    assert checkout.processes() == []
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
    assert checkout.run("status", "--check").returncode == 1
    assert {path.name for path in (checkout.root / ".slipway" / "local").iterdir()} <= {"lock", "log"}
