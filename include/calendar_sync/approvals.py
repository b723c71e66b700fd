"""What waits for a person: in words, and letting it go on."""

import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from calendar_sync.members import LEAVING
from calendar_sync.planner.plan import BRAKE, WRITE_BACK
from calendar_sync.planner.strays import STRAY
from calendar_sync.state import Store
from calendar_sync.state.audit import DECISION, RECORDED, CycleLog, Operation

APPROVED = "approved"
WORDS = {
    BRAKE: "removals that rest on absence",
    WRITE_BACK: "appointments changed by edits of mirrors",
    STRAY: "mirrors and blocks with our mark that belong to nothing (any more)",
    LEAVING: "mirrors and blocks of people who left Welkin, many at once",
}


@dataclass(frozen=True)
class Waiting:
    """All that one approval would let go on; `users` are accounts with their counts."""

    digest: str
    platform: str
    reason: str
    users: dict[str, int]
    since: datetime

    @property
    def words(self) -> str:
        """What it is, without whom: `12 removals that rest on absence`."""
        return f"{sum(self.users.values())} {WORDS.get(self.reason, self.reason)}"


def waiting(store: Store) -> list[Waiting]:
    """What waits, one entry a digest and platform, newest first."""
    pending = store.runs.pending()
    if not pending:
        return []
    accounts = {(row.user_id, row.platform): row.account for row in store.config.mapping()}
    found: dict[tuple[str, str], Waiting] = {}
    for one in pending:
        entry = found.setdefault(
            (one.digest, one.platform.value),
            Waiting(one.digest, one.platform.value, one.reason, {}, one.requested_at),
        )
        entry.users[accounts.get((one.user_id, one.platform), one.user_id)] = one.count
    return list(found.values())


def grouped(entries: Sequence[Waiting], most: int) -> list[Waiting]:
    """Few enough to be asked one by one: beyond `most`, those of one kind are asked together.

    The digest of a group is those of its members, with commas.
    """
    if len(entries) <= most:
        return list(entries)
    size = -(-len(entries) // most)
    kinds: dict[tuple[str, str], list[Waiting]] = {}
    for entry in entries:
        kinds.setdefault((entry.platform, entry.reason), []).append(entry)
    return [
        _together(alike[first : first + size])
        for alike in kinds.values()
        for first in range(0, len(alike), size)
    ]


def _together(alike: Sequence[Waiting]) -> Waiting:
    users: Counter[str] = Counter()
    for entry in alike:
        users.update(entry.users)
    digests = ",".join(entry.digest for entry in alike)
    return replace(
        alike[0], digest=digests, users=dict(users), since=min(entry.since for entry in alike)
    )


def grant(store: Store, digest: str, author: str, now: datetime) -> int:
    """Approve for 24 hours, and have the users concerned read in full: no delta tells of it again.

    Who approved it stands in the record of operations, for each user; `store` has the key.
    Returns how many users it concerns; 0 when nothing waits under this digest.
    """
    accounts = {(row.user_id, row.platform): row.account for row in store.config.mapping()}
    decided = Operation(DECISION, APPROVED, digest, "", "", "", RECORDED, 0)
    with store.database.write() as connection:
        pairs = store.runs.grant(connection, digest, author, now)
        for user_id, platform in pairs:
            account = accounts.get((user_id, platform), "")
            log = CycleLog(uuid.uuid4().hex, author[:255], user_id, platform.value, account, 0)
            store.audit.append(connection, log, decided, now)
        store.marks.mark(connection, pairs, now)
        store.marks.compare_fully(connection, pairs, now)
    return len(pairs)
