"""`calendar-sync probe`: find out what this Welkin tenant allows."""

import asyncio
from typing import Annotated

import typer

from calendar_sync.cli.config import Json
from calendar_sync.cli.environment import load_secrets, open_store
from calendar_sync.cli.output import as_json, console, reported
from calendar_sync.operations.probes import probe_reschedule
from calendar_sync.state import Store
from calendar_sync.sync.runtime import Secrets, open_services


def probe(
    appointment: Annotated[
        str,
        typer.Option(help="Id of the Welkin calendar event of an encounter made for this test."),
    ],
    json: Json = False,
) -> None:
    """Test if encounters can be rescheduled: move one by 15 minutes, and back."""
    with reported():
        secrets = load_secrets()
        with open_store(secrets.hmac_key) as store:
            moves = asyncio.run(_probe(store, secrets, appointment))
        if json:
            as_json({"encounters_can_be_rescheduled": moves})
        elif moves:
            console.print(
                "encounters can be rescheduled: `mirror_moved: reschedule` applies to them, too"
            )
        else:
            console.print("encounters cannot be rescheduled: moved mirrors are put back")


async def _probe(store: Store, secrets: Secrets, appointment: str) -> bool:
    limits = store.config.revision().settings.limits
    async with open_services(secrets, store.database, limits) as services:
        return await probe_reschedule(services, appointment)
