"""`calendar-sync sandbox`: made-up servers, if their package is installed."""

import errno
from pathlib import Path
from typing import Annotated, Literal

import typer

from calendar_sync.cli.output import console, reported
from calendar_sync.core.errors import ConfigurationError


def sandbox(
    port: Annotated[int, typer.Option(help="0: any free port.")] = 8443,
    users: Annotated[int, typer.Option(help="How many members of staff.")] = 25,
    encounters: Annotated[int, typer.Option(help="How many encounters each.")] = 20,
    directory: Annotated[
        Path, typer.Option(help="Where ca.pem, connections.json and sandbox.json are written.")
    ] = Path(".sandbox"),
    seed: Annotated[int, typer.Option(help="Another number makes another organisation.")] = 1,
    welkin_rate: Annotated[int, typer.Option(help="Requests a second that Welkin allows.")] = 5,
    microsoft: Annotated[
        Literal["none", "half", "all"],
        typer.Option(help="Who has a mailbox there instead of at Google. half: one user has both."),
    ] = "half",
) -> None:
    """Run made-up Welkin, Google and Microsoft servers over HTTPS, until Ctrl-C."""
    from calendar_sync_sandbox import Sandbox, serve

    def tell(root: str, ca: Path) -> None:
        folder = ca.parent
        console.print(
            f"{users} made-up users at {root} until Ctrl-C; connections for Airflow: "
            f"{folder / 'connections.json'}, certificate: {ca}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )

    with reported():
        made = Sandbox(seed=seed)
        made.organise(users=users, encounters=encounters, microsoft=microsoft)
        made.welkin.rate_limit = welkin_rate
        try:
            serve(made, port, directory, tell=tell)
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES) or error.filename is not None:
                raise
            raise ConfigurationError(
                detail=f"port {port} is in use or not allowed: choose another with --port (0: any)"
            ) from None
