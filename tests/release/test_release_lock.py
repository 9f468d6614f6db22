"""One change at a time, whatever happens to the process that makes it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from release.environment import Environment
from release.errors import SlipwayError
from release.lock import ProcessId, changing, current_owner, end_engine_left_behind

HOLDER = """
import sys, time
from pathlib import Path
from release.environment import Environment
from release.lock import changing
with changing(Environment("local", Path(sys.argv[1])), "slipway up") as lock:
    if len(sys.argv) > 2:
        lock.engine_started(int(sys.argv[2]))
    print("held", flush=True)
    time.sleep(60)
"""


def start_holder(environment: Environment, *arguments: str) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(environment.root), *arguments], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def end(process: "subprocess.Popen[str]", number: int) -> None:
    process.send_signal(number)
    process.wait(10)
    assert process.stdout is not None
    process.stdout.close()


def test_the_lock_of_a_living_process_is_refused_by_name(local: Environment):
    holder = start_holder(local)
    try:
        with pytest.raises(SlipwayError) as refused, changing(local, "slipway release"):
            pass
    finally:
        end(holder, signal.SIGKILL)
    assert refused.value.code == "environment-busy"
    assert f"`slipway up` (pid {holder.pid} on " in refused.value.message


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_lock_of_a_dead_process_is_taken_over(local: Environment, number: signal.Signals):
    end(start_holder(local), number)
    with changing(local, "slipway release") as lock:
        # Only a kill leaves a name behind: SIGINT unwinds, and SIGTERM (as a plain process takes it) does not.
        assert (lock.left_behind is None) == (number == signal.SIGINT)


def test_an_owner_is_named_while_it_holds_and_no_longer(local: Environment):
    assert current_owner(local) is None
    with changing(local, "slipway up") as lock:
        lock.engine_started(os.getpid())
        owner = current_owner(local)
        assert owner is not None
        assert (owner.command, owner.process.pid) == ("slipway up", os.getpid())
        lock.engine_ended()
        again = current_owner(local)
        assert again is not None
        assert again.engine is None
    assert current_owner(local) is None


def test_two_who_come_at_once_do_not_both_get_it(local: Environment):
    with changing(local, "one"), pytest.raises(SlipwayError), changing(local, "two"):
        pass


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"process": 1}', b"\x00" * 40])
def test_a_lock_file_that_was_cut_short_is_no_obstacle(local: Environment, content: bytes):
    local.directory.mkdir(parents=True)
    local.lock_file.write_bytes(content)
    with changing(local, "slipway up") as lock:
        assert lock.left_behind is None


def test_a_reused_pid_is_not_taken_for_the_old_process():
    me = ProcessId.of(os.getpid())
    assert me.running()
    assert not ProcessId(me.pid, me.started - 100).running()


def test_a_killed_owners_engine_is_ended_with_all_that_it_started(local: Environment, tmp_path: Path):
    child_file = tmp_path / "child"
    engine = subprocess.Popen(
        ["sh", "-c", f"trap '' INT; sleep 60 & echo $! > '{child_file}'; wait"], start_new_session=True
    )
    try:
        while not (child_file.exists() and child_file.read_text().strip()):
            time.sleep(0.01)
        child = int(child_file.read_text())
        end(start_holder(local, str(engine.pid)), signal.SIGKILL)
        with changing(local, "slipway up") as lock:
            assert lock.left_behind is not None
            assert end_engine_left_behind(lock.left_behind, patience_seconds=0.2)
        engine.wait(5)
        assert not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE
    finally:
        engine.kill()
        engine.wait()


def test_nothing_is_ended_when_the_engine_is_gone_already(local: Environment):
    gone = subprocess.Popen(["sleep", "60"])
    holder = start_holder(local, str(gone.pid))
    gone.kill()
    gone.wait()
    end(holder, signal.SIGKILL)
    with changing(local, "slipway up") as lock:
        assert lock.left_behind is not None
        assert not end_engine_left_behind(lock.left_behind)
