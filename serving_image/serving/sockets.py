"""Listening sockets, bound before anything slow happens and listening only once the model answers."""

import errno
import socket

from serving.exits import CommandError, Exit

BACKLOG = 2048


def bind(address: str, port: int, count: int, variable: str) -> list[socket.socket]:
    """So many sockets bound to one port (a free one for 0), between which the kernel spreads connections.

    `variable` is the setting to name when it cannot be done.

    Raises:
        CommandError: the port is taken or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        # Alone first: with SO_REUSEPORT another process of this user on the same port would go unnoticed.
        alone = _bound(family, address, port, shared=False)
        if count == 1:
            return [alone]
        port = alone.getsockname()[1]
        alone.close()
        return [_bound(family, address, port, shared=True) for _ in range(count)]
    except OSError as error:
        why = {
            errno.EADDRINUSE: f"port {port} is taken by another process; stop it or set {variable} to a free port",
            errno.EACCES: f"port {port} may not be opened by this user; set {variable} to one above 1023",
            errno.EADDRNOTAVAIL: "SLIPWAY_BIND is not an address of this machine",
        }.get(error.errno or 0, str(error))
        raise CommandError(Exit.UNAVAILABLE, f"cannot listen on {address}: {why}") from None


def reserve(address: str, port: int, variable: str) -> socket.socket:
    """A socket that holds a port (a free one for 0) without listening, for a server that shares it with SO_REUSEPORT.

    Raises:
        CommandError: as `bind`.
    """
    first, second = bind(address, port, 2, variable)
    second.close()
    return first


def _bound(family: int, address: str, port: int, *, shared: bool) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind((address, port))
    except BaseException:
        sock.close()
        raise
    sock.setblocking(False)
    sock.set_inheritable(True)
    return sock
