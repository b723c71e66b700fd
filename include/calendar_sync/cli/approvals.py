"""`calendar-sync approvals …`: list what needs your approval, and grant it."""

from dataclasses import asdict
from typing import Annotated

import typer

from calendar_sync.cli.config import Json
from calendar_sync.cli.environment import NO_KEY, author, close_in_airflow, load_key, open_store
from calendar_sync.cli.output import FAILED, as_json, console, errors, reported, table
from calendar_sync.core.clock import SystemClock
from calendar_sync.core.errors import ConfigurationError
from calendar_sync.core.plurals import plural
from calendar_sync.operations.approvals import WORDS, grant

approvals = typer.Typer(help="Changes that need your approval.", no_args_is_help=True)
Ids = Annotated[list[str] | None, typer.Argument(metavar="ID", help="As the list shows them.")]
Everything = Annotated[bool, typer.Option("--all", help="Approve everything in the list.")]
STAYS_OPEN = (
    "Airflow's own database cannot be reached from here, so Airflow's question under Required "
    "Actions stays open. An answer there is ignored."
)


@approvals.command("list")
def show_waiting(json: Json = False) -> None:
    """List the changes that need your approval."""
    with reported(), open_store(NO_KEY) as store:
        waiting = store.runs.pending()
        if json:
            as_json([asdict(entry) for entry in waiting])
            return
        accounts = {(u.user_id, u.platform): u.account for u in store.config.mapping()}
        rows = [
            (
                entry.digest,
                accounts.get((entry.user_id, entry.platform), entry.user_id),
                entry.platform.value,
                f"{entry.count} {WORDS.get(entry.reason, entry.reason)}"
                + (", kept for now" if entry.declined else ""),
                f"{entry.requested_at:%Y-%m-%d %H:%M}",
            )
            for entry in waiting
        ]
        if rows:
            table("Needs your approval", ("id", "user", "platform", "what", "since (UTC)"), rows)
        else:
            console.print("nothing needs your approval")


@approvals.command("grant")
def give(ids: Ids = None, everything: Everything = False, json: Json = False) -> None:
    """Approve changes. An approval is valid for 24 hours."""
    with reported(), open_store(load_key()) as store:
        if not ids and not everything:
            raise ConfigurationError(
                detail="give the ids to approve (`calendar-sync approvals list`), or --all"
            )
        wanted = list(dict.fromkeys(ids or [entry.digest for entry in store.runs.pending()]))
        now = SystemClock().now()
        users = {key: grant(store, key, author(), now) for key in wanted}
        granted = [key for key, count in users.items() if count]
        closed = close_in_airflow(granted, author()) if granted else True
        if json:
            as_json({"approved": users, "closed_in_airflow": closed})
        unknown = [key for key, count in users.items() if not count]
        for key in unknown:
            errors.print(f"no approval is needed for {key}", style="red", markup=False)
        if not wanted:
            errors.print("nothing needs your approval", style="red")
        if not closed and not json:
            console.print(STAYS_OPEN, highlight=False, soft_wrap=True)
        if unknown or not wanted:
            raise typer.Exit(FAILED)
        if not json:
            console.print(f"approved for {plural(sum(users.values()), 'user')}, for 24 hours")


def approve(digest: Ids = None, everything: Everything = False, json: Json = False) -> None:
    """Both commands under their old name: without an id, the list."""
    if digest or everything:
        give(digest, everything, json)
    else:
        show_waiting(json)
