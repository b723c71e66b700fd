"""Ports of 127.0.0.1 for servers that take a number and listen later."""

from __future__ import annotations

import secrets
import socket

#: Below what systems give to those who ask for any port, and for the near end of a connection:
#: from 32768 on in Linux, from 49152 on elsewhere (RFC 6335, section 6). A port from there may be
#: somebody else's by the time the server listens.
PORTS = range(20_000, 32_768)


def is_free(port: int) -> bool:
    """Whether a server could listen on a port; not for 0, which is none."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
        return port != 0


def free_port() -> int:
    """A port that nobody listens on and that the system will not give to anybody else."""
    while not is_free(port := secrets.choice(PORTS)):
        pass
    return port
