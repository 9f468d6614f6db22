"""Run the Pulumi CLI on an environment, and read what it says from its event log.

The CLI is a process of its own session: Ctrl-C reaches it once, from here, so that it can finish the operation in hand
and write its state. All its output goes to `.slipway/<environment>/log/`.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

from release.causes import causes, readable
from release.environment import Environment
from release.errors import SlipwayError
from release.events import Change, Story
from release.lock import EnvironmentLock

Operation = Literal["up", "preview", "refresh", "destroy"]

_POLL_SECONDS = 0.05
_KEPT_LOGS = 40
_COMMON = ["--non-interactive", "--color", "never"]


@dataclass(frozen=True)
class Engine:
    """A Pulumi CLI, with the variables that this environment's runs need."""

    environment: Environment
    executable: str
    version: str
    variables: dict[str, str]

    def call(self, *arguments: str) -> str:
        """Run a short command of the CLI; its standard output. A failure is raised in the CLI's words."""
        done = subprocess.run(
            [self.executable, *arguments, *_COMMON],
            cwd=self.environment.root,
            env=self.variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode == 0:
            return done.stdout
        log = _new_log(self.environment, arguments[0])
        log.write_text(f"{done.stdout}\n{done.stderr}", encoding="utf-8")
        raise SlipwayError("engine-failed", _last_words(done.stderr or done.stdout), log=log)


@dataclass
class Outcome:
    """How a run ended."""

    operation: Operation
    exit_code: int
    story: Story
    log: Path
    seconds: float
    stopped: str | None = None
    """Why it was stopped on the way, if it was."""

    @property
    def changes(self) -> list[Change]:
        """What it changed (or, in a preview, would)."""
        return list(self.story.changes.values())

    def raise_if_failed(self) -> None:
        """Raise what went wrong, cause first."""
        if self.exit_code == 0 and not self.stopped:
            return
        found = [self.stopped] if self.stopped else causes(self.story)
        message = "\n".join(found) or _last_words(self.log.read_text(encoding="utf-8", errors="replace"))
        raise SlipwayError(f"{self.operation}-failed", message, _hint(message), log=self.log)


def run(
    engine: Engine,
    operation: Operation,
    lock: EnvironmentLock | None,
    *,
    arguments: tuple[str, ...] = (),
    on_change: Callable[[Change, Story], None] | None = None,
    stop: Callable[[], str | None] | None = None,
    waiting: Callable[[str], None] | None = None,
) -> Outcome:
    """Run one operation to its end.

    `lock` is the held lock of the environment; only a preview may go without. `on_change` hears of each resource that
    is done. `stop` is asked several times a second; when it gives a reason the engine is told to stop. `waiting` hears
    which resource the engine waits for.
    """
    began = time.monotonic()
    log = _new_log(engine.environment, operation)
    events = log.with_suffix(".events.jsonl")
    events.touch(mode=0o600)
    quick = [] if operation == "preview" else ["--yes", "--skip-preview"]
    command = [engine.executable, operation, "--stack", engine.environment.name, *_COMMON, *quick]
    command += ["--suppress-outputs", "--suppress-progress", "--event-log", str(events), *arguments]
    story = Story()
    unsettled = engine.environment.unsettled_file
    was_settled = not unsettled.exists()
    if not was_settled and operation != "refresh":
        command.append("--refresh")
    if operation != "preview":
        unsettled.touch()
    with log.open("wb") as record, events.open(encoding="utf-8") as feed:
        process = subprocess.Popen(
            command,
            cwd=engine.environment.root,
            env=engine.variables | {"PULUMI_DEBUG_COMMANDS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=record,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            if lock:
                lock.engine_started(process.pid)
            stopped = _watch(process, _Feed(feed), story, on_change, stop, waiting)
        except BaseException:
            _end(process)
            raise
        finally:
            if lock:
                lock.engine_ended()
    if operation != "preview" and (process.returncode == 0 or (was_settled and not story.changes)):
        unsettled.unlink(missing_ok=True)
    return Outcome(operation, process.returncode, story, log, time.monotonic() - began, stopped)


class _Feed:
    """The lines that the engine has added to its event log since they were last taken."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._begun = ""

    def take(self) -> list[dict[str, Any]]:
        text = self._begun + self._file.read()
        lines = text.split("\n")
        self._begun = lines.pop()
        return [json.loads(line) for line in lines if line.strip()]


def _watch(
    process: subprocess.Popen[bytes],
    feed: _Feed,
    story: Story,
    on_change: Callable[[Change, Story], None] | None,
    stop: Callable[[], str | None] | None,
    waiting: Callable[[str], None] | None,
) -> str | None:
    while True:
        over = process.poll() is not None  # asked first, so that the last events are still read
        for event in feed.take():
            change = story.add(event)
            if change and on_change:
                on_change(change, story)
        if over:
            return None
        if waiting and story.at_work:
            waiting(f"waiting for {story.at_work}")
        if stop and (reason := stop()):
            _end(process, patience_seconds=3)
            for event in feed.take():
                story.add(event)
            return reason
        time.sleep(_POLL_SECONDS)


def _end(process: subprocess.Popen[bytes], patience_seconds: float = 20) -> None:
    """Tell the engine to stop; a second telling makes it drop what it is doing, and then it is killed."""
    for wait in (patience_seconds, 3):
        if process.poll() is not None:
            return
        process.send_signal(signal.SIGINT)
        try:
            process.wait(wait)
        except subprocess.TimeoutExpired:
            continue
    import psutil

    try:
        family = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        family = []
    process.kill()
    process.wait()
    for child in family:
        try:
            child.kill()
        except psutil.NoSuchProcess:
            continue


def _new_log(environment: Environment, operation: str) -> Path:
    folder = environment.log_directory
    folder.mkdir(parents=True, exist_ok=True)
    old = sorted(folder.glob("engine-*"), key=lambda path: path.name)
    for path in old[:-_KEPT_LOGS]:
        path.unlink(missing_ok=True)
    stamp = time.strftime("%Y%m%d-%H%M%S")
    log = folder / f"engine-{stamp}-{time.time_ns() % 10**6:06d}-{operation}.log"
    os.close(os.open(log, os.O_WRONLY | os.O_CREAT, 0o600))
    return log


def _last_words(text: str) -> str:
    lines = [line.strip().removeprefix("error: ") for line in readable(text).splitlines()]
    telling = [line for line in lines if line and not line.startswith(("Resources:", "Duration:", "Diagnostics:"))]
    return "\n".join(telling[-3:]) or "the engine gave no reason"


def _hint(message: str) -> str:
    if "slipway:services" in message or "slipway:platform" in message:
        return "correct the configuration, then run it again"
    if "currently locked" in message:
        return "another `pulumi` changes this environment: wait for it (or, if it died elsewhere, `pulumi cancel`)"
    return ""
