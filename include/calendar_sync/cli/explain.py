"""`calendar-sync explain`: why something was synced, or was not."""

import asyncio
from typing import Annotated

import typer

from calendar_sync.cli.environment import load_secrets, open_store
from calendar_sync.cli.output import FAILED, as_json, console, reported
from calendar_sync.core.errors import ConfigurationError
from calendar_sync.core.model import Platform
from calendar_sync.insight.explain import (
    Explanation,
    Fact,
    Look,
    Part,
    explain_appointment,
    explain_event,
    explain_user,
)
from calendar_sync.insight.explain.explanation import DECIDES, NOT_ASKED, PASSES
from calendar_sync.insight.explain.look import by_address
from calendar_sync.state import Store
from calendar_sync.sync.runtime import Secrets, open_services

OUTCOMES = {PASSES: "green", DECIDES: "bold yellow", NOT_ASKED: "dim"}


def explain(
    appointment: Annotated[
        str | None, typer.Option(help="Id of a Welkin calendar event, or of its encounter.")
    ] = None,
    event: Annotated[
        str | None, typer.Option(help="Id of a calendar event, a series or a mirror.")
    ] = None,
    user: Annotated[
        str | None,
        typer.Option(help="Welkin user id, or address. With another option: only for this user."),
    ] = None,
    platform: Annotated[Platform | None, typer.Option(help="Only this calendar system.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Explain why an appointment, an event or a user was synced or not. Writes nothing.

    Exit 1: the id is unknown.
    """
    with reported():
        if (appointment is not None and event is not None) or not (appointment or event or user):
            raise ConfigurationError(
                detail="give one of --appointment ID, --event ID and --user ID"
            )
        secrets = load_secrets()
        with open_store(secrets.hmac_key) as store:
            found = asyncio.run(_explain(store, secrets, appointment, event, user, platform))
        if json:
            as_json(found.document())
        else:
            _print(found)
    if not found.found:
        raise typer.Exit(FAILED)


async def _explain(
    store: Store,
    secrets: Secrets,
    appointment: str | None,
    event: str | None,
    user: str | None,
    platform: Platform | None,
) -> Explanation:
    revision = store.config.revision()
    async with open_services(secrets, store.database, revision.settings.limits) as services:
        look = Look(services, revision)
        user = by_address(look, user) if user is not None else None
        if appointment is not None:
            return await explain_appointment(look, appointment, user_id=user, platform=platform)
        if event is not None:
            return await explain_event(look, event, user_id=user, platform=platform)
        return await explain_user(look, user or "", platform=platform)


def _line(text: str, style: str = "") -> None:
    console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)


def _print(answer: Explanation) -> None:
    _line(f"{answer.about} {answer.id}: {answer.text}", "" if answer.found else "red")
    _facts(answer.facts, "  ")
    for part in answer.parts:
        _print_part(part)
    for where in answer.looked_at:
        _line(f"  searched: {where}")
    for hint in answer.hints:
        _line(f"  try: {hint}")


def _print_part(part: Part) -> None:
    who = part.account or part.user_id
    _line("")
    _line(f"{who} on {part.platform}: {part.text}", "bold")
    for rule in part.rules:
        said = rule.text if rule.outcome == PASSES else rule.name
        _line(f"  {rule.outcome:9}  {said}", OUTCOMES[rule.outcome])
    _facts(part.facts, "  ")


def _facts(facts: tuple[Fact, ...], indent: str) -> None:
    width = max((len(fact.name) for fact in facts), default=0)
    for fact in facts:
        _line(f"{indent}{fact.name:{width}}  {fact.value}")
