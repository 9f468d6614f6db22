"""An environment for each peer below `.tools/peers`, made from its lock file when it is asked for the first time."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
_CHECKOUT = HERE.parents[1]


def python_of(peer: str) -> Path:
    """The interpreter of a peer's environment, with exactly what its lock file names.

    PEERS_PYTHON names the Python to make it with, where this one does not suit all of them.
    """
    folder = _CHECKOUT / ".tools" / "peers" / peer
    lock = HERE / f"{peer}.lock"
    base = os.environ.get("PEERS_PYTHON", sys.executable)
    digest = hashlib.sha256(lock.read_bytes() + base.encode()).hexdigest()
    stamp, python = folder / "stamp", folder / "bin" / "python"
    if stamp.exists() and stamp.read_text() == digest:
        return python
    uv = _CHECKOUT / ".tools" / "setup" / "bin" / "uv"
    sys.stderr.write(f"setting up {peer}\n")
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([uv, "venv", "--quiet", "--python", base, folder], check=True)
    subprocess.run([uv, "pip", "install", "--quiet", "--python", python, "--require-hashes", "-r", lock], check=True)
    stamp.write_text(digest)
    return python
