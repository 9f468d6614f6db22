"""How the daemon starts the AWS emulation.

    process = subprocess.Popen(emulation_command(root, region, port_file))
    port = read_port(port_file)   # None until it listens; what a restart must bring back is there by then

It serves on a free loopback port, keeps what must survive a restart under `<root>/.slipway/local/aws/durable/`, logs
warnings and worse on stderr, and ends on SIGTERM, SIGINT or when the process that started it is gone.
"""

import json
import sys
from pathlib import Path

STATE = Path(".slipway", "local", "aws")
"""Below the checkout: all that the AWS half of `local` keeps."""


def emulation_command(root: Path, region: str, port_file: Path, port: int = 0) -> list[str]:
    """The command line of the emulation for the checkout `root`; `port_file` is written when it listens.

    With `port` it listens there when it can, and else on a free port.
    """
    arguments = ["--root", str(root), "--region", region, "--port-file", str(port_file), "--port", str(port)]
    return [sys.executable, "-m", "local.emulation", *arguments]


def read_port(port_file: Path) -> int | None:
    """The port of a running emulation, or None when it does not listen yet."""
    try:
        return int(json.loads(port_file.read_text())["port"])
    except FileNotFoundError:
        return None
