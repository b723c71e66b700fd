"""`calendar-sync check`: are the connections right, and what is wrong with them?"""

import asyncio
from typing import Annotated

import typer

from calendar_sync.checks import (
    MAILBOXES,
    Finding,
    check_platform,
    check_settings,
    check_welkin,
    mailboxes,
)
from calendar_sync.cli.environment import load_secrets, open_store, who_may_decide
from calendar_sync.cli.output import FAILED, console, reported, table
from calendar_sync.errors import ConfigurationError
from calendar_sync.model import Platform
from calendar_sync.reporting import deletions_told_by
from calendar_sync.runtime import Secrets, open_services
from calendar_sync.state import Store


def check(
    account: Annotated[
        list[str] | None,
        typer.Option(help="A mailbox to look at (repeat for more); some mapped ones otherwise."),
    ] = None,
    platform: Annotated[
        Platform | None, typer.Option(help="Only this calendar system, beside Welkin.")
    ] = None,
) -> None:
    """Try each connection without writing anything; exit 1 when something is wrong."""
    findings: list[tuple[str, Finding]] = []
    with reported():
        secrets = load_secrets()
        with open_store(secrets.hmac_key) as store:
            findings = asyncio.run(_check(store, secrets, account or [], platform))
            deletions = deletions_told_by(store)
        rows = [
            (name, each.account or "everybody", each.code, each.advice) for name, each in findings
        ]
        if rows:
            table("connections", ("system", "who", "code", "what to do"), rows)
        else:
            console.print("all connections work")
        if deletions:
            console.print(f"deletions in Welkin are found by: {deletions}")
        for sentence in who_may_decide():
            console.print(f"rights: {sentence}", markup=False, highlight=False, soft_wrap=True)
    if findings:
        raise typer.Exit(FAILED)


async def _check(
    store: Store, secrets: Secrets, accounts: list[str], only: Platform | None
) -> list[tuple[str, Finding]]:
    limits = store.config.revision().settings.limits
    async with open_services(secrets, store.database, limits) as services:
        if only is not None and only not in services.platforms:
            raise ConfigurationError(detail=f"no connection for {only.value} is configured")
        found = [("settings", each) for each in check_settings(services)]
        found += [("welkin", each) for each in await check_welkin(services)]
        mapped = {platform: mailboxes(services, platform) for platform in services.platforms}
        known = {account for of_one in mapped.values() for account in of_one}
        for platform in services.platforms:
            if only in (None, platform):
                # Whose mailbox it is, the mapping says; one that it does not know may be any's.
                named = [
                    a for a in accounts if a.lower() in mapped[platform] or a.lower() not in known
                ]
                some = named if accounts else mapped[platform][:MAILBOXES]
                faults = await check_platform(services, platform, some)
                found += [(platform.value, each) for each in faults]
    return found
