"""`calendar-sync mapping propose`: who of Welkin's staff could be mapped to which account."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from calendar_sync.cli.config import Json
from calendar_sync.cli.environment import load_secrets, open_store
from calendar_sync.cli.output import as_json, console, errors, reported, table
from calendar_sync.errors import ConfigurationError, TenantMisconfigured
from calendar_sync.mapping import format_of, write_mapping
from calendar_sync.mapping.proposals import (
    UNKNOWN,
    UNKNOWN_OR_SUSPENDED,
    Proposal,
    look_at,
    unmapped,
)
from calendar_sync.mapping.proposals import propose as match
from calendar_sync.model import MappedUser, Platform, WelkinUser
from calendar_sync.runtime import open_services
from calendar_sync.services import Services
from calendar_sync.state import Store


@dataclass(frozen=True)
class _Found:
    revision: int
    rows: list[MappedUser]
    staff: list[WelkinUser]
    proposals: list[Proposal]

    @property
    def proposed(self) -> list[Proposal]:
        return [each for each in self.proposals if not each.reason]

    @property
    def elsewhere(self) -> set[str]:
        """Users of whom an account is known on some platform: the others they do without."""
        found = {each.user_id for each in self.proposals if each.account}
        return found | {row.user_id for row in self.rows}

    @property
    def others(self) -> list[Proposal]:
        return [each for each in self.proposals if each.reason]


def propose(
    platform: Annotated[
        Platform | None, typer.Option(help="Only this calendar system; all without.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Write a complete mapping file, CSV or YAML by its name: what there is and what "
            "is proposed, to be looked through and imported.",
            dir_okay=False,
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Match users who are not mapped with accounts, by e-mail address; nothing is stored."""
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
                f"written to {out}: look through it, then `calendar-sync mapping import {out}`",
                markup=False,
                highlight=False,
                soft_wrap=True,
            )


def _print(found: _Found) -> None:
    if found.proposed:
        rows = [(each.account, each.platform, each.email, each.user_id) for each in found.proposed]
        table("Proposed", ("account", "platform", "Welkin address", "user"), rows)
    doubtful = [
        each
        for each in found.others
        if each.reason not in (UNKNOWN, UNKNOWN_OR_SUSPENDED) or each.user_id not in found.elsewhere
    ]
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


async def _find(store: Store, only: Platform | None) -> _Found:
    limits = store.config.revision().settings.limits
    async with open_services(load_secrets(), store.database, limits) as services:
        wanted = [only] if only else list(services.directories)
        for platform in wanted:
            if platform not in services.directories:
                raise ConfigurationError(detail=f"no connection for {platform.value} is configured")
        staff = await services.welkin.users()
        if staff:
            store.config.save_welkin_users(staff, services.clock.now())
        # The number first: a change meanwhile is then refused by the import, not undone.
        revision, rows = store.config.mapping_revision(), store.config.mapping()
        proposals: list[Proposal] = []
        for platform in wanted:
            proposals += await _of_platform(services, platform, staff, rows)
    return _Found(revision, rows, staff, proposals)


async def _of_platform(
    services: Services, platform: Platform, staff: list[WelkinUser], rows: list[MappedUser]
) -> list[Proposal]:
    directory = services.directories[platform]
    try:
        accounts = await directory.accounts()
    except TenantMisconfigured as error:
        accounts = None
        errors.print(
            f"{platform.value}: {error.detail}; addresses are tried one by one",
            style="yellow",
            markup=False,
            soft_wrap=True,
        )
    if accounts is not None:
        return match(staff, rows, platform, accounts)
    answered, reasons = await look_at(directory, unmapped(staff, rows, platform))
    return match(staff, rows, platform, answered, reasons)


def _write(out: Path, found: _Found) -> None:
    rows = [*found.rows, *(each.row for each in found.proposed)]
    rows.sort(key=lambda row: (row.user_id, row.platform.value))
    emails = {user.id: user.email for user in found.staff}
    text = write_mapping(rows, format_of(out.name), emails=emails, revision=found.revision)
    out.write_text(text, encoding="utf-8")


def _document(found: _Found) -> dict[str, Any]:
    def shown(each: Proposal) -> dict[str, Any]:
        values = {
            "welkin_user_id": each.user_id,
            "email": each.email,
            "platform": each.platform.value,
            "account": each.account or None,
        }
        return values | ({"reason": each.reason} if each.reason else {})

    return {
        "mapping_revision": found.revision,
        "proposed": [shown(each) for each in found.proposed],
        "not_proposed": [shown(each) for each in found.others],
    }
