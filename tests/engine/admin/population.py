"""An organisation of any size in the state database, as if it had been synced for days."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert

from calendar_sync.config.settings import parse
from calendar_sync.core.model import MappedUser, Platform, Step
from calendar_sync.state import tables as t
from calendar_sync.state.audit import CycleLog, Operation

if TYPE_CHECKING:
    from calendar_sync.state import Store

ERRORS = ("google_account_refused", "microsoft_no_mailbox", "google_unauthorized", "rate_limited")
WRITES = tuple(step for step in Step if step is not Step.NOTE)


def populate(
    store: Store, now: datetime, users: int, *, links: int = 4, operations: int = 300, seed: int = 1
) -> None:
    """So many users, two thirds with Google; every fortieth in trouble, some waiting, some off."""
    chance = random.Random(seed)  # noqa: S311 - seeded on purpose
    store.config.save_settings(parse({}), "tests", now)
    mapped = [_user(number) for number in range(users)]
    store.config.edit_mapping(lambda _: mapped, "tests", now)
    _states(store, mapped, now, chance)
    _links(store, mapped, now, links)
    _operations(store, mapped, now, operations, chance)
    for hours in range(30):
        for platform in Platform:
            start = now - timedelta(hours=hours, minutes=3)
            done = {"create_mirror": chance.randrange(9), "noted": 2}
            store.runs.record(
                f"scheduled__{start.isoformat()}",
                platform,
                start,
                start + timedelta(seconds=chance.randrange(2, 30)),
                users=chance.randrange(40),
                failed=chance.choice([0, 0, 0, 1]),
                summary={
                    "done": done,
                    "seal": "",
                    "requests": {f"{platform.value}.events.list": chance.randrange(20_000)},
                },
            )


def _user(number: int) -> MappedUser:
    platform = Platform.MICROSOFT if number % 3 == 2 else Platform.GOOGLE
    return MappedUser(
        f"user-{number:05}", platform, f"person{number:05}@example.org", enabled=number % 50 != 49
    )


def _states(store: Store, mapped: list[MappedUser], now: datetime, chance: random.Random) -> None:
    rows: list[dict[str, Any]] = []
    for number, user in enumerate(mapped):
        failures = (0, 1, 5)[chance.randrange(3)] if number % 40 == 7 else 0
        marked = failures > 0 or number % 90 == 3
        since = now - timedelta(seconds=chance.randrange(20, 900))
        rows.append(
            {
                "user_id": user.user_id,
                "platform": user.platform.value,
                "mark_seq": 9,
                "done_seq": 8 if marked else 9,
                "marked_at": since if marked else None,
                "failures": failures,
                "attention": failures >= 3,
                "error_code": chance.choice(ERRORS) if failures else None,
                "failing_since": since if failures else None,
                "retry_at": now + timedelta(minutes=2**failures) if failures else None,
                "last_success_at": None if number % 200 == 11 else now - timedelta(seconds=number),
                "last_poll_at": now,
            }
        )
    with store.database.write() as connection:
        connection.execute(t.user_sync.delete())
        connection.execute(insert(t.user_sync), rows)
        waiting = [
            {
                "digest": f"digest{number}",
                "user_id": mapped[number].user_id,
                "platform": mapped[number].platform.value,
                "reason": "brake",
                "removals": 12,
                "requested_at": now,
            }
            for number in range(5, len(mapped), 1000)
        ]
        if waiting:
            connection.execute(insert(t.approval), waiting)


def _links(store: Store, mapped: list[MappedUser], now: datetime, links: int) -> None:
    rows = [
        {
            "kind": "mirror" if number % 2 else "block",
            "user_id": user.user_id,
            "platform": user.platform.value,
            "account": user.account,
            "calendar": "primary",
            "source_id": f"{user.user_id}-{number}",
            "generation": 1,
            "state": "live" if number % 8 else "deleted",
            "remote_id": f"remote-{user.user_id}-{number}",
            "span": "",
            "created_at": now,
            "updated_at": now,
        }
        for user in mapped
        for number in range(links)
    ]
    with store.database.write() as connection:
        for first in range(0, len(rows), 10_000):
            connection.execute(insert(t.link), rows[first : first + 10_000])


def _operations(
    store: Store, mapped: list[MappedUser], now: datetime, count: int, chance: random.Random
) -> None:
    """Real ones, with their chain, over the last thirty hours."""
    with store.database.write() as connection:
        for number in range(count):
            user = chance.choice(mapped[:50]) if number % 2 else chance.choice(mapped)
            at = now - timedelta(hours=30) * (1 - number / count)
            start = at.replace(second=0, microsecond=0)
            log = CycleLog(
                f"cycle-{number}",
                f"scheduled__{start.isoformat()}",
                user.user_id,
                user.platform.value,
                user.account,
                1,
            )
            operation = Operation(
                step=chance.choice(WRITES).value,
                reason=chance.choice(("new", "changed", "cancelled")),
                source_id=f"appointment-{number}",
                remote_id=f"event-{number}",
                calendar="primary",
                level="busy/busy",
                outcome="google_refused" if number % 25 == 24 else "ok",
                milliseconds=chance.randrange(60, 900),
            )
            store.audit.append(connection, log, operation, at)
    store.audit.seal("tests", now)
