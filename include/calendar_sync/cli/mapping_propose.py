"""`calendar-sync mapping propose`: match Welkin staff with accounts."""

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer

from calendar_sync.cli.config import Json
from calendar_sync.cli.environment import load_secrets, open_store
from calendar_sync.cli.output import as_json, console, errors, reported, table
from calendar_sync.config.mapping import format_of, write_mapping
from calendar_sync.core.model import Platform
from calendar_sync.operations.mapping.proposals import Proposal
from calendar_sync.operations.mapping.proposing import Proposals, find_proposals
from calendar_sync.state import Store
from calendar_sync.sync.runtime import open_services


def propose(
    platform: Annotated[
        Platform | None, typer.Option(help="Only this calendar system. Default: all.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Write present and proposed rows to this CSV or YAML file, for review and import.",
            dir_okay=False,
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Match unmapped users with accounts by e-mail address. Stores nothing."""
    with reported(), open_store() as store:
        found = asyncio.run(_find(store, platform))
        if out is not None:
            _write(out, found)
        if json:
            as_json(_document(found))
            return
        _print(found)
        if out is not None:
            console.print(
                f"written to {out}: review it, then run `calendar-sync mapping import {out}`",
                markup=False,
                highlight=False,
                soft_wrap=True,
            )


def _print(found: Proposals) -> None:
    if found.proposed:
        offered = [
            (each.account, each.platform, each.email, each.user_id, each.profile, each.rule)
            for each in found.proposed
        ]
        columns = ("account", "platform", "Welkin address", "user", "profile", "rule")
        table("Proposed", columns, offered)
    doubtful = found.doubtful
    if doubtful:
        rows = [
            (each.email or each.user_id, each.platform, each.account, each.reason)
            for each in doubtful
        ]
        table("Not proposed", ("Welkin address", "platform", "account", "why"), rows)
    rest = len(found.others) - len(doubtful)
    console.print(
        f"{len(found.proposed)} proposed, {len(doubtful)} not"
        + (f"; {rest} have an account on the other calendar system only" if rest else ""),
        highlight=False,
    )


async def _find(store: Store, only: Platform | None) -> Proposals:
    limits = store.config.revision().settings.limits
    async with open_services(load_secrets(), store.database, limits, own_tokens=True) as services:
        return await find_proposals(services, only, _tell)


def _tell(text: str) -> None:
    errors.print(text, style="yellow", markup=False, soft_wrap=True)


def _write(out: Path, found: Proposals) -> None:
    rows = [*found.rows, *(each.row for each in found.proposed)]
    rows.sort(key=lambda row: (row.user_id, row.platform.value))
    emails = {user.id: user.email for user in found.staff}
    text = write_mapping(rows, format_of(out.name), emails=emails, revision=found.revision)
    out.write_text(text, encoding="utf-8")


def _document(found: Proposals) -> dict[str, Any]:
    def shown(each: Proposal) -> dict[str, Any]:
        values = {
            "welkin_user_id": each.user_id,
            "email": each.email,
            "platform": each.platform.value,
            "account": each.account or None,
        }
        more = {"reason": each.reason, "profile": each.profile, "rule": each.rule}
        return values | {name: value for name, value in more.items() if value}

    return {
        "mapping_revision": found.revision,
        "proposed": [shown(each) for each in found.proposed],
        "not_proposed": [shown(each) for each in found.others],
    }
