"""`python -m local.emulation --root DIR --region REGION --port-file FILE`: AWS on loopback, until told to stop."""

import argparse
import json
import logging
import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType

from local.emulation.command import STATE

PARENT_CHECK_SECONDS = 1.0


def main() -> int:
    """Serves until SIGINT or SIGTERM, or until the parent is gone; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m local.emulation", description=__doc__)
    parser.add_argument("--root", type=Path, required=True, metavar="DIR", help="the checkout")
    parser.add_argument("--region", required=True, help="region of what is restored and of requests without one")
    parser.add_argument("--port-file", type=Path, required=True, metavar="FILE", help="written when it listens")
    parser.add_argument("--port", type=int, default=0, help="to listen on when it is free (default: any)")
    arguments = parser.parse_args()
    parent = os.getppid()
    ended = threading.Event()

    def end(_signal: int, _frame: FrameType | None) -> None:
        ended.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for name, value in _MOTO_SETTINGS.items():
        os.environ.setdefault(name, value)
    os.environ["AWS_DEFAULT_REGION"] = arguments.region
    port_file: Path = arguments.port_file
    port_file.unlink(missing_ok=True)

    # Only now: moto reads its settings when it is imported.
    from local.emulation.server import serve

    root: Path = arguments.root
    try:
        server = serve(root / STATE / "durable", arguments.region, arguments.port)
        _write(port_file, json.dumps({"port": server.port}))
    except OSError as error:
        print(f"the AWS emulation cannot start: {error}", file=sys.stderr)
        return 1
    while not ended.wait(PARENT_CHECK_SECONDS) and os.getppid() == parent:
        pass
    server.shutdown()
    port_file.unlink(missing_ok=True)
    return 0


_MOTO_SETTINGS = {
    # Machine images: half a second at the first EC2 call, and nothing here starts instances.
    "MOTO_EC2_LOAD_DEFAULT_AMIS": "false",
    # Roles attach AWS's own policies by ARN.
    "MOTO_IAM_LOAD_MANAGED_POLICIES": "true",
    # Certificates are issued at once.
    "MOTO_ACM_VALIDATION_WAIT": "0",
}


def _write(path: Path, text: str) -> None:
    """Whole or not at all: whoever polls for the file never reads half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(text)
    partial.replace(path)


if __name__ == "__main__":
    sys.exit(main())
