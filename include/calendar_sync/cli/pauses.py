"""`calendar-sync pause` and `resume`: leave a user alone for some days."""

from typing import Annotated

import typer

from calendar_sync.cli.config import Json
from calendar_sync.cli.environment import author, load_key, open_store
from calendar_sync.cli.output import as_json, console, reported
from calendar_sync.core.clock import SystemClock
from calendar_sync.operations import pausing
from calendar_sync.sync.roster import user_named

User = Annotated[str, typer.Argument(metavar="USER", help="Welkin user id, or address.")]


def pause(
    user: User,
    days: Annotated[
        int,
        typer.Option(help="Whole days from now.", min=pausing.SHORTEST, max=pausing.LONGEST),
    ],
    json: Json = False,
) -> None:
    """Pause the sync of a user for 1 to 14 days. Synced events and busy blocks stay as they are."""
    with reported(), open_store(load_key()) as store:
        user_id = user_named(store, user)
        until = pausing.pause(store, user_id, days, author(), SystemClock().now())
        if json:
            as_json({"user_id": user_id, "paused_until": until})
            return
        console.print(
            f"{user} is paused until {until:%Y-%m-%d %H:%M} UTC; nothing is written until then",
            markup=False,
            highlight=False,
        )


def resume(user: User, json: Json = False) -> None:
    """End the pause of a user. The next run compares everything and catches up."""
    with reported(), open_store(load_key()) as store:
        user_id = user_named(store, user)
        pausing.resume(store, user_id, author(), SystemClock().now())
        if json:
            as_json({"user_id": user_id, "paused_until": None})
            return
        console.print(f"{user} is synced again", markup=False, highlight=False)
