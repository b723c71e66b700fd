"""`python -m calendar_sync_sandbox.proxy SOCKET CERTIFICATE PLACE`: TLS for the receiver of push.

Stands where a reverse proxy with a certificate stands in production. What arrives goes to the
Unix socket as it came; where nobody listens there, the connection ends. PLACE gets the port.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import sys
from pathlib import Path

CHUNK = 65_536


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    """Pass on until one of the two ends; then the other side of the target has had everything."""
    with contextlib.suppress(OSError):
        while chunk := await source.read(CHUNK):
            target.write(chunk)
            await target.drain()
    # TLS cannot end one direction alone: an answer is complete when its sender hangs up.
    target.close()


async def serve(socket: str, certificate: str, place: Path) -> None:
    """Take connections until ended."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            behind_reader, behind = await asyncio.open_unix_connection(socket)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_pump(reader, behind), _pump(behind_reader, writer))

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context)
    ready = place.with_suffix(".new")
    ready.write_text(str(server.sockets[0].getsockname()[1]))
    # Whoever waits for the file finds the whole number in it.
    ready.rename(place)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
