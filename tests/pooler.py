"""PgBouncer in front of a PostgreSQL of the tests: each transaction may get another connection."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from typing import TYPE_CHECKING

import psycopg

from calendar_sync_sandbox.ports import free_port
from calendar_sync_sandbox.processes import Program
from tests.servers import PostgresServer, ServerUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE = 60.0
#: Fewer than ask at once: they meet what others have left in a connection.
CONNECTIONS = 2


@contextlib.contextmanager
def pooled(
    server: PostgresServer, url: str, folder: Path, connections: int = CONNECTIONS
) -> Iterator[str]:
    """The URL of the same database behind a PgBouncer in transaction mode.

    `connections`: so many to each database.

    Raises:
        ServerUnavailableError: there is no PgBouncer here, or it does not start.
    """
    program = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        raise ServerUnavailableError("PgBouncer is not installed")
    port = free_port()
    lines = [
        "[databases]", f"* = host=127.0.0.1 port={server.port} user=tests",
        "[pgbouncer]", "listen_addr = 127.0.0.1", f"listen_port = {port}", "unix_socket_dir =",
        "auth_type = any", "pool_mode = transaction", f"default_pool_size = {connections}",
        "max_client_conn = 1000",
    ]  # fmt: skip
    (folder / "pgbouncer.ini").write_text("\n".join([*lines, ""]))
    folder.chmod(0o755)
    # It refuses to run as root.
    who = ["-u", "postgres"] if os.geteuid() == 0 else []
    (folder / "pgbouncer.ini").chmod(0o644)
    command = [program, *who, str(folder / "pgbouncer.ini")]
    log = folder / "pgbouncer.log"
    with Program(command, log=log, folder=folder, env=os.environ) as running:
        deadline = time.monotonic() + PATIENCE
        while not _answers(port):
            if not running.running or time.monotonic() > deadline:
                raise ServerUnavailableError(f"PgBouncer did not start: {running.tail()}")
            time.sleep(0.1)
        yield url.replace(f":{server.port}/", f":{port}/")


def _answers(port: int) -> bool:
    where = f"host=127.0.0.1 port={port} user=tests dbname=postgres connect_timeout=2"
    try:
        psycopg.connect(where).close()
    except psycopg.OperationalError:
        return False
    return True
