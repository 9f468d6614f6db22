"""The proven answer that `up` and `release` end with, and the request that got it, ready to be copied."""

import json
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from release.cli.options import Session
from release.releases import read_releases
from release.verify import Answer


def curl_line(answer: Answer) -> str | None:
    """A one-line request with the very question that was asked; None when no address leads to the service from here."""
    if answer.url is None:
        return None
    question = json.dumps(answer.question, separators=(",", ":"), ensure_ascii=False)
    return f"curl -s {answer.url}{answer.path} -H 'Content-Type: application/json' -d {shlex.quote(question)}"


def say_answers(session: Session, answers: Sequence[Answer], seconds: float) -> None:
    """At most a dozen lines: what is live, a request that was just sent with its answer, where to look, how to undo."""
    flag = session.environment.flag()
    say = session.screen.line
    for answer in answers[:1]:
        say(f"{answer.service} serves {answer.release} in {session.environment.name}", style="bold green")
        if line := curl_line(answer):
            say(f"  ask      {line}")
        say(f"  answers  {short_answer(answer.answer)}")
        say(f"  logs     slipway logs {answer.service} -f{flag}")
        say(f"  status   slipway status{flag}")
        say(f"  undo     {_undo(session, answer.service)}")
    for answer in answers[1:4]:
        say(
            f"{answer.service} serves {answer.release}; ask it: slipway curl {answer.service}{flag}", style="bold green"
        )
    if len(answers) > 4:
        say(f"… and {len(answers) - 4} more: slipway status{flag}")
    if not answers:
        say(f"{session.environment.name} is up; nothing is released yet")
        say(f"  next     slipway models{flag}, then slipway release SERVICE VERSION{flag}")
    if shutil.which("slipway") is None:
        say(f"  first    export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH")
    say(f"  took     {seconds:.0f} s")


def short_answer(answer: Any) -> str:
    """An answer in one line of a bearable length."""
    text = json.dumps(answer, ensure_ascii=False)
    return text if len(text) <= 300 else text[:299] + "…"


def _undo(session: Session, service: str) -> str:
    """What takes the change back: the version before, where there is one; else everything."""
    environment = session.environment
    flag = environment.flag()
    confirm = "" if environment.is_local else f" --confirm {environment.name}"
    record = read_releases(environment).get(service)
    back = f"slipway rollback {service}{flag}{confirm}, or all of it: " if record and record.previous else ""
    return f"{back}slipway down{flag}{confirm}"
