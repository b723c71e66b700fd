"""`calendar-sync choices`: what a person has chosen for their own calendar, and may choose."""

from dataclasses import asdict, replace
from typing import Annotated

import typer

from calendar_sync.cli.config import Json
from calendar_sync.cli.environment import author, load_key, open_store
from calendar_sync.cli.output import as_json, console, reported, table
from calendar_sync.core.clock import SystemClock
from calendar_sync.core.codes import RequestCode
from calendar_sync.core.errors import ConfigurationError
from calendar_sync.operations.choosing import Offer, choose, offer
from calendar_sync.state import Store
from calendar_sync.sync.roster import user_named

USUAL = "usual"
Chosen = Annotated[str | None, typer.Option(help=f"A value that is offered, or `{USUAL}`.")]


def choices(
    user: Annotated[str, typer.Argument(metavar="USER", help="Welkin user id, or address.")],
    level: Chosen = None,
    reminder: Chosen = None,
    colour: Chosen = None,
    category: Chosen = None,
    json: Json = False,
) -> None:
    """Show what a person has chosen for their calendar, or choose for them.

    Only what the settings let people choose is offered (people_may_choose).
    """
    named = {"level": level, "reminder": reminder, "colour": colour, "category": category}
    given = {name: value for name, value in named.items() if value is not None}
    with reported(), open_store(load_key() if given else "") as store:
        user_id = user_named(store, user)
        if given:
            usual = {name: "" if value == USUAL else value for name, value in given.items()}
            chosen = replace(_offer(store, user_id).chosen, **usual)
            choose(store, user_id, chosen, author(), SystemClock().now())
        found = _offer(store, user_id)
    values = asdict(found.chosen)
    if json:
        as_json({"user_id": user_id, "chosen": values, "offered": found.possible})
        return
    if not found:
        console.print("The settings let people choose nothing (people_may_choose).")
        return
    rows = [
        (name, values[name] or USUAL, ", ".join(possible))
        for name, possible in found.possible.items()
        if possible
    ]
    table(f"choices of {user}", ("choice", "chosen", "offered"), rows)


def _offer(store: Store, user_id: str) -> Offer:
    rows = store.config.mapping(users=[user_id])
    if not rows:
        raise ConfigurationError(RequestCode.NOT_MAPPED, detail=f"{user_id} is not mapped")
    return offer(store.config.revision().settings, rows)
