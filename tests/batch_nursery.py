"""Run by the batch kill tests: imports what a batch worker imports, once, and forks a worker for each line `INDEX`.

Answers with the worker's pid, and when it has ended with its exit status (negative: the signal).
"""

import importlib
import os
import sys

from serving.__main__ import main

for name in ("serving.batch", "serving.batch.text", "serving.model"):
    importlib.import_module(name)

for line in sys.stdin:
    pid = os.fork()
    if not pid:
        os.environ["JOB_COMPLETION_INDEX"] = line.strip()
        devnull = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(devnull, stream)
        os._exit(main(["batch"]))
    print(pid, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
