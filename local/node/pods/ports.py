"""Free loopback ports that stay free: outside of the range that the kernel takes for outgoing connections."""

import random
import socket

FIRST, LAST = 20000, 32767
LOOPBACK = "127.0.0.1"


def is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: a port whose last connections are still in TIME_WAIT counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


class Ports:
    """Hands out free ports, none of them twice."""

    def __init__(self) -> None:
        self._taken: set[int] = set()

    def take(self, wanted: int | None = None) -> int:
        """`wanted` when it is free, else a free port of our range, else one that the kernel picks."""
        if wanted is not None and wanted not in self._taken and is_free(wanted):
            self._taken.add(wanted)
            return wanted
        for port in random.sample(range(FIRST, LAST + 1), 200):
            if port not in self._taken and is_free(port):
                self._taken.add(port)
                return port
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.bind((LOOPBACK, 0))
            port: int = probe.getsockname()[1]
        self._taken.add(port)
        return port

    def release(self, port: int) -> None:
        """Give a port back."""
        self._taken.discard(port)


def holder(port: int) -> str:
    """Which process listens on a port, as ` (python3, pid 42)`; empty when that cannot be told."""
    import psutil

    for process in psutil.process_iter(["name", "pid"]):
        try:
            listening = [c for c in process.net_connections("tcp") if c.status == psutil.CONN_LISTEN]
        except (psutil.Error, OSError):
            continue
        if any(c.laddr and c.laddr.port == port for c in listening):
            return f" ({process.info['name']}, pid {process.info['pid']})"
    return ""
