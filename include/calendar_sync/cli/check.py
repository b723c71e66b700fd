"""`calendar-sync check`: do the connections work?"""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer

from calendar_sync.cli.config import Json
from calendar_sync.cli.environment import load_fields, load_key, open_store, who_may_decide
from calendar_sync.cli.output import FAILED, as_json, console, reported
from calendar_sync.config.credentials import (
    CONNECTION_IDS,
    HMAC_KEY,
    WELKIN,
    Missing,
    welkin_credentials,
)
from calendar_sync.core.clock import SystemClock
from calendar_sync.core.codes import SyncCode
from calendar_sync.core.errors import ConfigurationError
from calendar_sync.core.model import Platform
from calendar_sync.core.plurals import plural
from calendar_sync.insight.noticing import standing_still
from calendar_sync.insight.status import deletions_told_by
from calendar_sync.insight.sweeps import sweep_coverage
from calendar_sync.operations.connection_checks import (
    MAILBOXES,
    Checked,
    Finding,
    check_platform,
    check_settings,
    check_welkin,
    found,
    mailboxes,
    with_own_calendars,
)
from calendar_sync.operations.mapping.rule_checks import check_rules, of_directory
from calendar_sync.operations.push_checks import check_push
from calendar_sync.state import Store
from calendar_sync.sync.roster import members

CLOCK = SystemClock()


def check(
    account: Annotated[
        list[str] | None,
        typer.Option(help="Mailbox to open (repeat for more). Default: a few mapped ones."),
    ] = None,
    platform: Annotated[
        Platform | None, typer.Option(help="Check Welkin and only this calendar system.")
    ] = None,
    json: Json = False,
) -> None:
    """Test all connections. Writes nothing. Exit 1: a connection does not work."""
    with reported(), open_store() as store:
        checked = asyncio.run(_check(store, account or [], platform))
        works = not any(one.works is False for one in checked)
        if json:
            rows = [{**asdict(one), "works": one.works} for one in checked]
            as_json(
                {
                    "works": works,
                    "connections": rows,
                    "deletions_told_by": deletions_told_by(store),
                    "found_late": _found_late(store),
                    "rights": who_may_decide(),
                }
            )
        else:
            for one in checked:
                _print(one)
            if all(one.works for one in checked):
                console.print("all connections work")
            if told_by := deletions_told_by(store):
                console.print(f"deletions in Welkin are found through: {told_by}")
            for sentence in _found_late(store):
                console.print(sentence, markup=False, highlight=False, soft_wrap=True)
            for sentence in who_may_decide():
                console.print(f"rights: {sentence}", markup=False, highlight=False, soft_wrap=True)
    if not works:
        raise typer.Exit(FAILED)


def _found_late(store: Store) -> list[str]:
    """Why changes may be found later than they could be."""
    now, settings = CLOCK.now(), store.config.revision().settings
    said = [part.sentence for part in standing_still(store, now)]
    synced = members(store, settings, Platform.GOOGLE, now).synced.values()
    sweeps = sweep_coverage(store, settings, Platform.GOOGLE, synced, now)
    return [*said, *([sweeps.sentence] if sweeps is not None and sweeps.refused else [])]


async def _check(store: Store, accounts: list[str], only: Platform | None) -> list[Checked]:
    """Each connection on its own: a fault of one does not hide another's."""
    checked = [_key(), await _welkin(store)]
    if refused := check_settings(store):
        checked.append(Checked("settings", "", refused))
    mapped = {platform: mailboxes(store, platform) for platform in Platform}
    known = {account for of_one in mapped.values() for account in of_one}
    calendars = []
    for platform in Platform:
        if only in (None, platform):
            # The mapping says whose mailbox it is; an unknown one is tried on every system.
            named = [a for a in accounts if a.lower() in mapped[platform] or a.lower() not in known]
            if not accounts:
                named = mapped[platform][:MAILBOXES]
            elif not named:
                continue
            # A connection that is not used yet is no failure.
            needed = bool(only or mapped[platform] or not known)
            calendars += await _calendar(store, platform, named, needed=needed)
            calendars += await _groups(store, platform)
    if not calendars:
        said = "no calendar system is connected yet: see docs/setup-google.md and "
        fault = Finding("", SyncCode.CONFIGURATION, said + "docs/setup-microsoft.md")
        calendars = [Checked("calendars", "", [fault])]
    push = check_push(store, CLOCK.now())
    return [*checked, *calendars, *([] if push is None else [Checked("push", "", push)])]


def _key() -> Checked:
    try:
        load_key()
    except ConfigurationError as error:
        return Checked("key", HMAC_KEY, [found(error)])
    return Checked("key", HMAC_KEY)


async def _welkin(store: Store) -> Checked:
    try:
        credentials = welkin_credentials(load_fields(WELKIN))
    except ConfigurationError as error:
        return Checked("welkin", WELKIN, [found(error)])
    ids = {user.user_id for user in store.config.mapping() if user.enabled}
    return Checked("welkin", WELKIN, await check_welkin(credentials, CLOCK, ids))


async def _calendar(
    store: Store, platform: Platform, accounts: Sequence[str], *, needed: bool
) -> list[Checked]:
    """One calendar system; an empty list if it is neither connected nor needed."""
    name, settings = CONNECTION_IDS[platform], store.config.revision().settings
    try:
        fields = load_fields(name)
    except Missing:
        if not needed:
            return []
        said = f"no connection for {platform.value} is configured: create {name} in Airflow; "
        fault = Finding("", SyncCode.CONFIGURATION, f"{said}see docs/setup-{platform.value}.md")
        return [Checked(platform.value, name, [fault])]
    except ConfigurationError as error:
        return [Checked(platform.value, name, [found(error)])]
    own = with_own_calendars(store, platform)
    faults = await check_platform(fields, platform, accounts, settings, CLOCK, own)
    return [Checked(platform.value, name, faults, len(accounts), needed)]


async def _groups(store: Store, platform: Platform) -> list[Checked]:
    """Whether groups and units can be read, if a mapping rule needs that."""
    settings, name = store.config.revision().settings, CONNECTION_IDS[platform]
    rules = of_directory(settings.mapping_rules, platform)
    if not rules:
        return []
    try:
        faults = await check_rules(load_fields(name), platform, rules, settings.limits, CLOCK)
    except ConfigurationError as error:
        faults = [found(error)]
    return [Checked(f"{platform.value} mapping rules", name, faults)]


def _print(checked: Checked) -> None:
    """One line for the connection, and one for each fault: what to do, and the code."""
    said = {True: "works", False: "does not work", None: "not tested"}[checked.works]
    looked = f", {plural(checked.tried, 'mailbox', 'mailboxes')} opened" if checked.tried else ""
    name = f" ({checked.connection})" if checked.connection else ""
    console.print(
        f"{checked.system}{name}: {said}{looked}", markup=False, highlight=False, soft_wrap=True
    )
    for fault in checked.faults:
        whom = f"{fault.account}: " if fault.account else ""
        console.print(
            f"  {whom}{fault.advice} [{fault.code}]",
            style="red" if checked.works is False else "yellow",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
