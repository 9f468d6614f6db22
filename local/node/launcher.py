"""Becomes a container's process, tied to the daemon's life: `python -I -S launcher.py DAEMON_PID COMMAND [ARGUMENT …]`.

On Linux the kernel sends SIGTERM to the process when the daemon dies, however it dies (PR_SET_PDEATHSIG, which
survives exec). Elsewhere the next start or stop of the daemon ends what is left (`local.node.leftovers`).
"""

import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Bind to the parent, then exec the command."""
    daemon, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != daemon:  # it died before the line above
        sys.exit(143)
    try:
        os.execvpe(command[0], command, os.environ)  # noqa: S606 (an exec without a shell is the point)
    except OSError as error:
        sys.exit(f"cannot run {command[0]}: {error.strerror}")


if __name__ == "__main__":
    main()
