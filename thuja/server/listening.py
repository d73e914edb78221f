"""The socket that a server listens on, and its address for people."""

import errno
import socket

from thuja.core.errors import SpecError

BACKLOG = 1024
"""Connections that wait to be accepted: a moment's while the server is busy, seconds' while it is started again."""


def listener(host: str, port: int) -> socket.socket:
    """A bound socket. Raises: SpecError when the port is taken or not ours to take, or the host is no address of this machine."""
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except socket.gaierror as error:
        raise SpecError("serve.host", expected="an address of this machine", found=repr(host), fix="Use 127.0.0.1, or 0.0.0.0 for all.") from error
    listening = socket.socket(family, kind, protocol)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(place)
        listening.listen(BACKLOG)  # binding alone does not notice another listener that also set SO_REUSEADDR
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            raise SpecError("serve.port", expected="a free port", found=f"port {port}, taken by another program",
                            fix="Choose another with --port, or --port 0 for any free one.") from error
        if error.errno == errno.EACCES:
            raise SpecError("serve.port", expected="a port this user may take", found=str(port), fix="Choose one above 1023.") from error
        if error.errno == errno.EADDRNOTAVAIL:
            raise SpecError("serve.host", expected="an address of this machine", found=repr(host), fix="Use 127.0.0.1, or 0.0.0.0 for all.") from error
        raise
    return listening


def address(host: str, listening: socket.socket) -> str:
    """What to type into a browser on this machine."""
    shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104 - compared, not bound
    return f"http://{f'[{shown}]' if ':' in shown else shown}:{listening.getsockname()[1]}"
