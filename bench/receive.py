"""`python -m bench.receive FOLDER`: the receiver of push, with a certificate as behind a proxy.

Its port is in `receiver.port` as soon as it listens.
"""

from __future__ import annotations

import sys
from pathlib import Path

import uvicorn

from bench.server import STATE
from bench.setup import HMAC_KEY, RECEIVER_PORT
from calendar_sync.core.identity import push_key
from calendar_sync.push.receiver import create
from calendar_sync.state import Database


def main() -> None:
    """Take notices until ended."""
    folder = Path(sys.argv[1])
    config = uvicorn.Config(
        create(Database(f"sqlite:///{folder / STATE}"), push_key(HMAC_KEY)),
        host="127.0.0.1",
        port=0,
        ssl_certfile=str(folder / "server.pem"),
        access_log=False,
        log_level="warning",
    )
    bound = config.bind_socket()
    (folder / RECEIVER_PORT).write_text(str(bound.getsockname()[1]))
    uvicorn.Server(config).run(sockets=[bound])


if __name__ == "__main__":
    main()
