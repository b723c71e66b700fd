"""`calendar-sync mapping rules`: evaluate the mapping rules of the settings."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer

from calendar_sync.cli.config import Json
from calendar_sync.cli.environment import author, load_secrets, open_store
from calendar_sync.cli.output import FAILED, as_json, console, reported, table
from calendar_sync.core.errors import ConfigurationError
from calendar_sync.core.plurals import plural
from calendar_sync.insight.mapping_rules import Evaluation, RuleChange, to_look_at
from calendar_sync.operations.mapping.rules import Mode, evaluate
from calendar_sync.state import Store
from calendar_sync.sync.runtime import open_services


def rules(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change. Stores nothing.")
    ] = False,
    apply: Annotated[
        bool,
        typer.Option("--apply", help="Also take over what rules without `apply: true` propose."),
    ] = False,
    json: Json = False,
) -> None:
    """Evaluate the mapping rules, as the DAG sync_health does every day.

    Exit 1: something needs attention.
    """
    with reported(), open_store() as store:
        if dry_run and apply:
            raise ConfigurationError(detail="give only one of --dry-run and --apply")
        mode = Mode.DRY_RUN if dry_run else Mode.APPLY if apply else Mode.DAILY
        found = asyncio.run(_evaluate(store, mode))
        as_json(asdict(found)) if json else _print(found)
    if found.held or to_look_at(found):
        raise typer.Exit(FAILED)


async def _evaluate(store: Store, mode: Mode) -> Evaluation:
    limits = store.config.revision().settings.limits
    async with open_services(load_secrets(), store.database, limits, own_tokens=True) as services:
        return await evaluate(services, mode, author())


def _print(found: Evaluation) -> None:
    if not found.rules:
        console.print("the settings have no mapping rules")
        return
    table(
        "Mapping rules",
        ("rule", "platform", "condition", "profile", "people", "rows"),
        [
            (one.name, one.platform, one.condition, one.profile, one.people, one.rows)
            for one in found.rules
        ],
    )
    _changes("Would change" if found.dry_run else "Changed", found.done)
    _changes("Proposed", found.waiting)
    _changes("To disable after approval", found.held)
    if found.doubts:
        rows = [
            (one.email or one.user_id, one.platform, one.account, one.rule, one.reason)
            for one in found.doubts
        ]
        table("Not proposed", ("Welkin address", "platform", "account", "rule", "why"), rows)
    for one in to_look_at(found):
        _say(f"{one.platform} rule {one.rule}: {one.advice} [{one.code}]", "yellow")
    if found.unruled:
        said = plural(found.unruled, "row")
        _say(f"{said} of rules that the settings no longer have: unchanged")
    _say(f"{found.sentence}{'; nothing was stored' if found.dry_run else ''}")


def _changes(title: str, changes: Sequence[RuleChange]) -> None:
    if changes:
        rows = [
            (one.what, one.account, one.platform, one.email or one.user_id, one.profile, one.rule)
            for one in changes
        ]
        table(title, ("", "account", "platform", "Welkin address", "profile", "rule"), rows)


def _say(text: str, style: str = "") -> None:
    console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)
