"""`calendar-sync receive`: the process that takes notices of changes. It imports no Airflow."""

import socket
from pathlib import Path
from typing import Annotated

import typer

from calendar_sync.cli.config import Json
from calendar_sync.cli.environment import load_key, open_store
from calendar_sync.cli.output import as_json, console, reported
from calendar_sync.core.errors import ConfigurationError
from calendar_sync.core.identity import push_key
from calendar_sync.push.keys import KEY_VARIABLE, WELKIN_HEADER, find_key, welkin_secret
from calendar_sync.push.receiver import WELKIN_PATH, create
from calendar_sync.state import Database
from calendar_sync.state.schema import require_current

#: Connections at the same time; more are answered 503.
AT_ONCE = 1_000
#: Connections that wait to be taken.
WAITING = 2_048


def receive(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port to listen on.")] = 8099,
    uds: Annotated[
        Path | None, typer.Option(help="A Unix socket to listen on instead of a port.")
    ] = None,
    prefix: Annotated[
        str, typer.Option(help="What paths begin with, if the reverse proxy does not cut it off.")
    ] = "",
    secrets: Annotated[
        bool,
        typer.Option(
            "--secrets",
            help="Print the receiver's key and Welkin's header, and exit. Needs Airflow.",
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Take notices of changes from Google, Microsoft and Welkin, until Ctrl-C.

    Listens without encryption: put a reverse proxy with a certificate in front of it. Needs the
    state database and CALENDAR_SYNC_PUSH_KEY only.
    """
    with reported():
        if secrets:
            _print_secrets(as_document=json)
            return
        key = find_key()
        database = Database()
        require_current(database)
        _serve(database, key, host, port, uds, prefix.rstrip("/"))


def _serve(
    database: Database, key: str, host: str, port: int, uds: Path | None, prefix: str
) -> None:
    import uvicorn

    if prefix and not prefix.startswith("/"):
        raise ConfigurationError(detail="--prefix: it begins with a slash")
    config = uvicorn.Config(
        create(database, key, prefix=prefix),
        host=host,
        port=port,
        uds=str(uds) if uds is not None else None,
        # Requests are not logged at all; what goes wrong is logged by us.
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        ws="none",
        limit_concurrency=AT_ONCE,
        backlog=WAITING,
        timeout_keep_alive=60,
        timeout_graceful_shutdown=5,
    )
    if uds is not None:
        _clear(uds)
    try:
        # Bound here: where it fails, uvicorn itself would only log it.
        bound = config.bind_socket()
        # From now on whoever comes waits until the server is ready, and is not refused.
        bound.listen(WAITING)
    except SystemExit:
        where = str(uds) if uds is not None else f"{host}:{port}"
        raise ConfigurationError(detail=f"cannot listen on {where}") from None
    where = str(uds) if uds is not None else "http://{}:{}".format(*bound.getsockname()[:2])
    console.print(f"taking notices at {where}{prefix} until Ctrl-C", markup=False, highlight=False)
    uvicorn.Server(config).run(sockets=[bound])


def _clear(uds: Path) -> None:
    """Delete the socket of a process that was killed: nobody answers there."""
    if not uds.is_socket():
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        try:
            client.connect(str(uds))
        except ConnectionRefusedError:
            uds.unlink(missing_ok=True)


def _print_secrets(*, as_document: bool) -> None:
    key = push_key(load_key())
    with open_store() as store:
        address = store.config.revision().settings.push.address
    secret = welkin_secret(key)
    if as_document:
        document = {"key": str(key), "header": WELKIN_HEADER, "secret": str(secret)}
        as_json(document | {"welkin": address + WELKIN_PATH if address else ""})
        return
    where = address or "ADDRESS"
    lines = [
        f"for the receiver:          {KEY_VARIABLE}={key!s}",
        f"for the webhook in Welkin: {where}{WELKIN_PATH} with the header",
        f"  {WELKIN_HEADER}: {secret!s}",
    ]
    for line in lines:
        print(line)
