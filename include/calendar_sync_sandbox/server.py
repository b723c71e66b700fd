"""Serving the sandbox over HTTPS: for the demo, and in a thread for tests."""

from __future__ import annotations

import asyncio
import json
import socket
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import uvicorn

from calendar_sync_sandbox.courier import carrying
from calendar_sync_sandbox.tls import LOCAL, connections, make_certificate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from calendar_sync_sandbox.sandbox import Sandbox

START_SECONDS = 20.0


def serve(
    sandbox: Sandbox,
    port: int = 8443,
    directory: str | Path = "sandbox-data",
    *,
    address: str = "127.0.0.1",
    host: str = "localhost",
    tell: Callable[[str, Path], None] = lambda root, ca: None,
) -> None:
    """Serve until interrupted; see :func:`serve_async`."""
    asyncio.run(serve_async(sandbox, port, directory, address=address, host=host, tell=tell))


async def serve_async(
    sandbox: Sandbox,
    port: int = 8443,
    directory: str | Path = "sandbox-data",
    *,
    address: str = "127.0.0.1",
    host: str = "localhost",
    tell: Callable[[str, Path], None] = lambda root, ca: None,
) -> None:
    """Serve over HTTPS until interrupted.

    Args:
        sandbox: its ``root`` is set to where it can be reached.
        port: 0 for a free one.
        directory: receives ``ca.pem``, ``server.pem``, ``connections.json`` and, last of all,
            ``sandbox.json`` with the root URL.
        address: network address to listen on.
        host: name by which clients reach it; becomes part of the certificate.
        tell: hears of the root URL and the CA bundle before the first request.

    Raises:
        OSError: the port is taken, or the directory cannot be written.
    """
    listener = _listen(address, port)
    try:
        server, ca = _prepare(sandbox, listener, Path(directory), host)
        tell(sandbox.root, ca)
        await _serve(sandbox, server, listener)
    finally:
        listener.close()


@contextmanager
def running(sandbox: Sandbox, directory: str | Path | None = None) -> Iterator[tuple[str, Path]]:
    """Serve from a thread on a free port of this machine.

    Args:
        sandbox: changed directly only while no request is being answered.
        directory: for certificate and connections; a temporary one for None.

    Yields:
        The root URL and the path of the CA bundle.

    Raises:
        RuntimeError: when the server does not start.
    """
    with tempfile.TemporaryDirectory() as temporary:
        listener = _listen("127.0.0.1", 0)
        server, ca = _prepare(sandbox, listener, Path(directory or temporary), "localhost")
        thread = threading.Thread(
            target=lambda: asyncio.run(_serve(sandbox, server, listener)), daemon=True
        )
        thread.start()
        try:
            deadline = monotonic() + START_SECONDS
            while not server.started:
                if not thread.is_alive() or monotonic() > deadline:
                    raise RuntimeError("the sandbox server did not start")
                sleep(0.01)
            yield sandbox.root, ca
        finally:
            server.should_exit = True
            thread.join(START_SECONDS)
            listener.close()


async def _serve(sandbox: Sandbox, server: uvicorn.Server, listener: socket.socket) -> None:
    """Answer requests and carry notices until the server is told to end."""
    async with carrying(sandbox.outbox):
        await server.serve(sockets=[listener])
    # A client that keeps its connection for later does not answer the farewell of TLS.
    for connection in server.server_state.connections.copy():
        connection.transport.abort()
    while server.server_state.connections:
        await asyncio.sleep(0)


def _listen(address: str, port: int) -> socket.socket:
    # asyncio switches Nagle's algorithm off only where the protocol is named; with it the second
    # half of an answer waits 40 ms for the client's acknowledgement of the first.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address, port))
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener


def _prepare(
    sandbox: Sandbox, listener: socket.socket, directory: Path, host: str
) -> tuple[uvicorn.Server, Path]:
    """Write certificate and connections; return the server and the path of the CA bundle."""
    port = listener.getsockname()[1]
    sandbox.root = f"https://{host}:{port}"
    name = urlsplit(sandbox.root).hostname or host
    hosts = LOCAL if name in LOCAL else (name, *LOCAL)
    ca, certificate = make_certificate(directory.resolve(), hosts)
    sandbox.ca = ca
    target = ca.with_name("connections.json")
    target.touch(mode=0o600)
    target.write_text(json.dumps(connections(sandbox, ca), indent=2) + "\n", encoding="utf-8")
    place = json.dumps({"root": sandbox.root, "ca": str(ca)}) + "\n"
    ca.with_name("sandbox.json").write_text(place, encoding="utf-8")
    config = uvicorn.Config(
        sandbox.app,
        ssl_certfile=str(certificate),
        interface="asgi3",
        # A broken answer is what a fault asks for, not an error of the server.
        log_level="critical",
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=1,
        # As load balancers do; after 5 s, uvicorn's default, hardly a client would use one again.
        timeout_keep_alive=60,
    )
    return uvicorn.Server(config), ca
