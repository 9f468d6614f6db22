"""Run by stream_support.Lives: imports what a stream worker imports, once, and forks a worker for each `start`."""

import importlib
import os
import signal
import sys

from serving.__main__ import main

for name in (
    "botocore.session",
    "serving.event_store",
    "serving.model",
    "serving.stream.kinesis",
    "serving.stream.sqs",
    "serving.stream.worker",
):
    importlib.import_module(name)

pids: set[int] = set()


def start() -> int:
    if pid := os.fork():
        pids.add(pid)
        return pid
    devnull = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1):
        os.dup2(devnull, stream)
    os._exit(main(["stream"]))


def end(how: str, pid: int) -> int:
    os.kill(pid, signal.SIGKILL if how == "kill" else signal.SIGTERM)
    _, status = os.waitpid(pid, 0)
    pids.discard(pid)
    return status


for line in sys.stdin:
    word, _, argument = line.strip().partition(" ")
    print(start() if word == "start" else end(word, int(argument)), flush=True)
for left in list(pids):
    end("kill", left)
