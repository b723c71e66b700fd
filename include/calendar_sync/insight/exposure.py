"""What a mailbox has shown of appointments: for whoever must answer for it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from calendar_sync.core.model import LinkKind, LinkState, Step
from calendar_sync.state import Store
from calendar_sync.state import tables as t

_MIRROR_STEPS = (
    Step.CREATE_MIRROR,
    Step.ADOPT_MIRROR,
    Step.UPDATE_MIRROR,
    Step.DELETE_MIRROR,
)


@dataclass(frozen=True)
class Exposure:
    """One appointment that a mailbox showed: to what detail, from when until when.

    `until` is None while the mirror is there (`state` live or retired), may be there (intent: its
    creation was interrupted), or was taken away by its owner (dismissed).
    """

    platform: str
    user_id: str
    appointment_id: str
    calendar: str
    levels: tuple[str, ...]
    since: datetime
    until: datetime | None
    state: str


def exposure(store: Store, account: str) -> list[Exposure]:
    """What one mailbox has shown, or may have, former owners' mirrors included, oldest first.

    A write that failed counts as shown: its answer may be all that was lost.
    """
    link, operation = t.link, t.operation
    links = select(link).where(
        func.lower(link.c.account) == account.lower(), link.c.kind == LinkKind.MIRROR.value
    )
    writes = (
        select(operation)
        .where(
            func.lower(operation.c.account) == account.lower(),
            operation.c.step.in_(_MIRROR_STEPS),
        )
        .order_by(operation.c.id)
    )
    done: dict[tuple[str, ...], list[Any]] = {}
    with store.database.read() as connection:
        for row in connection.execute(writes):
            key = (row.platform, row.user_id, row.source_id)
            done.setdefault(key, []).append(row)
        rows = connection.execute(links).all()
    found = []
    for row in rows:
        written = done.get((row.platform, row.user_id, row.source_id), [])
        shown = [op for op in written if op.step != Step.DELETE_MIRROR]
        if not shown and row.state == LinkState.DELETED.value:
            continue  # its creation was given up before anything was written
        gone = row.state == LinkState.DELETED.value
        last = written[-1] if written else None
        ended = last is not None and last.step == Step.DELETE_MIRROR and last.outcome == "ok"
        removed = last.at if last is not None and ended else None
        found.append(
            Exposure(
                platform=row.platform,
                user_id=row.user_id,
                appointment_id=row.source_id,
                calendar=row.calendar,
                levels=tuple(dict.fromkeys([*(op.level for op in shown), row.level])),
                since=shown[0].at if shown else row.created_at,
                until=(removed or row.updated_at) if gone else None,
                state=row.state,
            )
        )
    return sorted(found, key=lambda entry: (entry.since, entry.user_id, entry.appointment_id))
