"""Deciding about conflicts and parked items, as a person does it on a page or by the API.

A decision changes what the planner finds: a mirror whose wanted content is forgotten is written
again, a dismissed one whose appointment is forgotten is made again. The next run acts on it.
"""

import uuid
from dataclasses import replace
from datetime import datetime
from typing import assert_never

from sqlalchemy import Connection, delete, update

from calendar_sync.core.codes import RequestCode
from calendar_sync.core.errors import ConfigurationError
from calendar_sync.core.model import BlockLink, Link, LinkState, MirrorLink, Platform, Source
from calendar_sync.insight.attention import (
    Choice,
    OpenConflict,
    Parked,
    item_of,
    item_of_link,
    of_account,
    open_conflict,
    parked_items,
)
from calendar_sync.state import Store
from calendar_sync.state import tables as t

TRY_AGAIN = "try_again"


def decide(store: Store, number: int, choice: Choice, author: str, now: datetime) -> OpenConflict:
    """Close a conflict with a decision, which the next run carries out; recorded with its author.

    Raises:
        ConfigurationError: it is not open, or the choice is not possible.
        LeaseHeld: the user is being synced just now, and the choice would change what is read.
    """
    found = open_conflict(store, number, now)
    if found is None:
        raise ConfigurationError(
            RequestCode.CONFLICT_CLOSED, detail="the conflict is no longer open"
        )
    if choice not in found.choices:
        raise ConfigurationError(
            RequestCode.NOT_POSSIBLE, detail=f"{choice.value} is not possible for this conflict"
        )
    if choice in {Choice.ACCEPT, Choice.DISMISS}:
        with store.database.write() as connection:
            _close(store, connection, found, choice, author, now)
        return found
    lease = store.leases.take(found.user_id, f"decision/{uuid.uuid4().hex}", now)
    try:
        # Read again now that no cycle can change it.
        mapped = store.config.mapped(found.user_id, found.platform)
        item = item_of(found.kind, found.user_id, found.platform, found.source)
        links = store.links.of_sources([found.source.id])
        mine = (link for link in links if item_of_link(link) == item)
        link = of_account(mine, mapped)
        with store.database.write() as connection:
            store.leases.check(connection, lease)
            if link is not None and mapped is not None:
                store.links.save(connection, _forgotten(link), now, mapped.revision)
            _look_again(store, connection, found.user_id, found.platform, now)
            _close(store, connection, found, choice, author, now)
    finally:
        store.leases.release(lease, now)
    return found


def _forgotten(link: Link) -> Link:
    """The link as the planner must find it to write our side again.

    What was read back stays: a difference from it would look like another edit by hand.
    """
    link = replace(link, restores=0, restored_at=None)
    if link.state is LinkState.LIVE:
        return replace(link, wanted_hash="")
    match link:
        case MirrorLink():
            return replace(link, appointment_hash="")
        case BlockLink():
            return replace(link, state=LinkState.DELETED)
        case _:
            assert_never(link)


def _close(
    store: Store,
    connection: Connection,
    found: OpenConflict,
    choice: Choice,
    author: str,
    now: datetime,
) -> None:
    statement = update(t.conflict).where(
        t.conflict.c.id == found.id, t.conflict.c.dismissed_at.is_(None)
    )
    if connection.execute(statement.values(dismissed_at=now)).rowcount != 1:
        raise ConfigurationError(
            RequestCode.CONFLICT_CLOSED, detail="the conflict is no longer open"
        )
    _record(store, connection, found, choice.value, author, now)


def try_again(
    store: Store,
    user_id: str,
    platform: Platform,
    step: str,
    source: Source,
    author: str,
    now: datetime,
) -> None:
    """Have the next run retry a parked item, with its tries counted from zero.

    Raises:
        ConfigurationError: it is not parked.
    """
    table = t.parked_item
    this = (
        table.c.user_id == user_id,
        table.c.step == step,
        table.c.source_id == source.id,
        table.c.original_start == source.original_start,
    )
    item = next(iter(parked_items(store, platform, *this)), None)
    if item is None:
        raise ConfigurationError(RequestCode.NOT_PARKED, detail="the item was retried already")
    with store.database.write() as connection:
        connection.execute(delete(table).where(table.c.platform == platform.value, *this))
        _look_again(store, connection, user_id, platform, now)
        _record(store, connection, item, TRY_AGAIN, author, now)


def _look_again(
    store: Store, connection: Connection, user_id: str, platform: Platform, now: datetime
) -> None:
    pair = (user_id, platform)
    store.marks.hurry(connection, [pair], now)
    store.marks.compare_fully(connection, [pair], now)


def _record(
    store: Store,
    connection: Connection,
    item: OpenConflict | Parked,
    choice: str,
    author: str,
    now: datetime,
) -> None:
    user, about = (item.user_id, item.platform, item.account), item.source.id
    store.audit.append_decision(connection, author, *user, choice, about, now)
