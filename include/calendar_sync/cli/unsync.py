"""`calendar-sync unsync`: delete everything that the sync created for some users."""

import asyncio
import os
from dataclasses import asdict
from typing import Annotated

import typer

from calendar_sync.cli.environment import author, load_secrets, new_run_id, open_store
from calendar_sync.cli.output import USERS_FAILED, as_json, console, reported, table
from calendar_sync.core.clock import SystemClock
from calendar_sync.core.errors import ConfigurationError
from calendar_sync.core.model import Platform
from calendar_sync.core.plurals import plural
from calendar_sync.operations.unsync import SyncedItems, Unsynced, disable, standing, unsync
from calendar_sync.state import Store
from calendar_sync.state.seals import seal
from calendar_sync.sync.runtime import Secrets, open_services


def take_back(
    user: Annotated[
        list[str] | None, typer.Option(help="Welkin user id, or address; repeatable.")
    ] = None,
    everybody: Annotated[bool, typer.Option("--all", help="All users.")] = False,
    platform: Annotated[Platform | None, typer.Option(help="Only this calendar system.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Disable users, delete the events that the sync created for them, and verify it."""
    with reported():
        if bool(user) == everybody:
            raise ConfigurationError(detail="give either --user or --all")
        if json and not yes:
            raise ConfigurationError(detail="--json needs --yes, since it cannot ask")
        secrets = load_secrets()
        with open_store(secrets.hmac_key) as store:
            platforms = [platform] if platform else list(Platform)
            rows = standing(store, platforms, user or [])
            if not yes:
                _ask(rows)
            results = _run(store, secrets, rows)
        _print(results, json=json)
    if not all(result.clean for result in results):
        raise typer.Exit(USERS_FAILED)


def _ask(rows: list[SyncedItems]) -> None:
    shown = [(row.account, row.platform.value, row.mirrors, row.blocks) for row in rows[:50]]
    table("To delete", ("account", "platform", "mirrors", "blocks"), shown)
    mirrors, blocks = sum(row.mirrors for row in rows), sum(row.blocks for row in rows)
    typer.confirm(
        f"Disable {plural(len(rows), 'row')} of the mapping and delete {plural(mirrors, 'mirror')} "
        f"and {plural(blocks, 'block')}?",
        abort=True,
    )


def _run(store: Store, secrets: Secrets, rows: list[SyncedItems]) -> list[Unsynced]:
    run_id = new_run_id()

    async def work() -> list[Unsynced]:
        revision = store.config.revision()
        async with open_services(secrets, store.database, revision.settings.limits) as services:
            disable(services, rows, author())
            return await unsync(
                services, revision, rows, run_id=run_id, owner=f"{run_id}/{os.getpid()}"
            )

    results = asyncio.run(work())
    seal(store, run_id, SystemClock().now())
    return results


def _print(results: list[Unsynced], *, json: bool) -> None:
    if json:
        as_json([{**asdict(result), "clean": result.clean} for result in results])
        return
    rows = [
        (
            result.account,
            result.platform.value,
            sum(result.removed.values()),
            ", ".join(f"{count} {kind}" for kind, count in result.left.items()),
            result.history or "",
            result.own_calendar,
            result.code,
        )
        for result in results
    ]
    columns = (
        "account", "platform", "deleted", "left", "past blocks kept", "own calendar", "failure"
    )  # fmt: skip
    table("Un-sync", columns, rows)
    clean = sum(result.clean for result in results)
    console.print(f"verified: {clean} of {plural(len(results), 'account')} without synced events")
