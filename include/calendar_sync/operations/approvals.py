"""What needs approval, as a question with everything needed to answer it, and the answer."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo

from sqlalchemy import Connection

from calendar_sync.core.model import Platform, Step, parse_iso
from calendar_sync.core.plurals import plural
from calendar_sync.planner.orphans import ORPHAN
from calendar_sync.planner.plan import DELETION_GUARD, WRITE_BACK
from calendar_sync.state import Store
from calendar_sync.state.marks import Pair
from calendar_sync.sync.roster import LEAVING, LEFT_RULE

APPROVED, DECLINED = "approved", "kept_for_now"
WORDS = {
    DELETION_GUARD: "deletions of events whose appointment or event was not found",
    WRITE_BACK: "changes of appointments because their events were edited",
    ORPHAN: "orphans: synced events and busy blocks that match nothing",
    LEAVING: "synced events and busy blocks of many users who left Welkin",
    LEFT_RULE: "synced events and busy blocks of many users whom no mapping rule names any more",
}
#: Why it waits, and what happens meanwhile.
WHY: Mapping[str, str] = {
    DELETION_GUARD: "So many deletions may be a mistake: the appointments or events were not "
    "found, but were not reported as deleted either. Nothing is deleted until you approve.",
    WRITE_BACK: "Edits in a user's calendar change at most three appointments a day without "
    "approval. Nothing is changed in Welkin until you approve.",
    ORPHAN: "The sync created them, but they match no appointment and no event, for example after "
    "the state database was lost. Nothing is deleted until you approve.",
    LEAVING: "So many users became inactive in Welkin at the same time that its list of users may "
    "be wrong. They are synced until you approve.",
    LEFT_RULE: "So many people left their groups at once that it may be a mistake. They are "
    "synced until you approve. The next evaluation of the rules then disables them: every day, or "
    "with `calendar-sync mapping rules`.",
}
_CALENDARS = {each.value: each.label for each in Platform}


@dataclass(frozen=True)
class Waiting:
    """What one approval covers; `users` are accounts with their counts.

    `steps` counts by step, `first` and `last` are the starts of the earliest and the latest item
    (ISO 8601), empty if unknown.
    """

    digest: str
    platform: str
    reason: str
    users: dict[str, int]
    since: datetime
    steps: dict[str, int] = field(default_factory=dict)
    first: str = ""
    last: str = ""

    @property
    def words(self) -> str:
        """What it is, without users: `12 deletions of events whose …`."""
        return f"{self._count} {WORDS.get(self.reason, self.reason)}"

    @property
    def question(self) -> str:
        """What is asked: `Delete 1 event from ada@example.org's Google calendar? …`."""
        asked = [self._asked(step, count) for step, count in sorted(self.steps.items())]
        if self.reason == LEAVING:
            people = plural(len(self.users), "person", "people")
            return f"Delete all synced events and busy blocks of {people} who left Welkin?"
        if self.reason == LEFT_RULE:
            people = plural(len(self.users), "person", "people")
            return f"Disable {people} whom no mapping rule names any more?"
        if not asked:
            return f"Approve {self.words} ({self._whose()})?"
        return " ".join(asked)

    @property
    def why(self) -> str:
        """Why it needs approval, as sentences."""
        return WHY.get(self.reason, "")

    def when(self, zone: tzinfo) -> str:
        """The days of the items: `2026-03-02 to 2026-03-09`; empty if unknown."""
        days = [_day(text, zone) for text in (self.first, self.last) if text]
        return " to ".join(dict.fromkeys(days))

    @property
    def _count(self) -> int:
        return sum(self.users.values())

    def _whose(self) -> str:
        return next(iter(self.users)) if len(self.users) == 1 else f"{len(self.users)} users"

    def _asked(self, step: str, count: int) -> str:
        name = _CALENDARS.get(self.platform, self.platform)
        where = f"{self._whose()}'s {name} calendar"
        if len(self.users) > 1:
            where = f"the {name} calendars of {self._whose()}"
        its, was = ("Its", "was") if count == 1 else ("Their", "were")
        many = "" if count == 1 else "s"
        left = "orphaned " if self.reason == ORPHAN else ""
        match step:
            case Step.DELETE_MIRROR:
                why = "" if left else f" {its} appointment{many} {was} not found in Welkin."
                return f"Delete {plural(count, f'{left}synced event')} from {where}?{why}"
            case Step.DELETE_BLOCK:
                why = "" if left else f" {its} event{many} {was} not found in {where}."
                return f"Delete {plural(count, f'{left}busy block')} from Welkin?{why}"
            case Step.RESCHEDULE:
                how = f"to where {its.lower()} event{many} {was} moved in {where}"
                return f"Move {plural(count, 'appointment')} in Welkin {how}?"
            case Step.CANCEL:
                how = f"as {its.lower()} event{many} {was} deleted in {where}"
                return f"Cancel {plural(count, 'appointment')} in Welkin, {how}?"
        return f"Carry out {count} of {step}?"


def _day(text: str, zone: tzinfo) -> str:
    found = parse_iso(text)
    return f"{found.astimezone(zone):%Y-%m-%d}" if isinstance(found, datetime) else str(found)


def waiting(store: Store) -> list[Waiting]:
    """What is asked, one entry a digest and platform, newest first."""
    pending = [one for one in store.runs.pending() if not one.declined]
    if not pending:
        return []
    accounts = _accounts(store)
    found: dict[tuple[str, str], Waiting] = {}
    for one in pending:
        key = (one.digest, one.platform.value)
        before = found.get(key) or Waiting(*key, one.reason, {}, one.requested_at)
        account = accounts.get((one.user_id, one.platform), one.user_id)
        begins = sorted(filter(None, (before.first, before.last, one.first, one.last)))
        found[key] = Waiting(
            *key,
            one.reason,
            {**before.users, account: one.count},
            one.requested_at if not before.users else before.since,
            dict(Counter(before.steps) + Counter(one.steps)),
            begins[0] if begins else "",
            begins[-1] if begins else "",
        )
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
    steps: Counter[str] = Counter()
    for entry in alike:
        users.update(entry.users)
        steps.update(entry.steps)
    return replace(
        alike[0],
        digest=",".join(entry.digest for entry in alike),
        users=dict(users),
        since=min(entry.since for entry in alike),
        steps=dict(steps),
        first=min((entry.first for entry in alike if entry.first), default=""),
        last=max((entry.last for entry in alike), default=""),
    )


def _accounts(store: Store) -> dict[Pair, str]:
    return {(row.user_id, row.platform): row.account for row in store.config.mapping()}


def _record(
    store: Store,
    connection: Connection,
    pairs: Iterable[Pair],
    accounts: Mapping[Pair, str],
    what: str,
    digest: str,
    author: str,
    now: datetime,
) -> None:
    for user_id, platform in pairs:
        account = accounts.get((user_id, platform), "")
        store.audit.append_decision(
            connection, author, user_id, platform, account, what, digest, now
        )


def grant(store: Store, digest: str, author: str, now: datetime) -> int:
    """Approve for 24 hours, and read the users concerned in full: no list names the changes again.

    Who approved it stands in the audit log, for each user; `store` has the key.
    Returns how many users it concerns; 0 when nothing waits under this digest.
    """
    accounts = _accounts(store)
    with store.database.write() as connection:
        pairs = store.runs.grant(connection, digest, author, now)
        _record(store, connection, pairs, accounts, APPROVED, digest, author, now)
        store.marks.mark(connection, pairs, now)
        store.marks.compare_fully(connection, pairs, now)
    return len(pairs)


def decline(store: Store, digest: str, author: str, now: datetime) -> int:
    """Keep for now: the question is not asked again for a day. Recorded like an approval.

    Returns how many users it concerns; 0 when nothing is asked under this digest.
    """
    accounts = _accounts(store)
    with store.database.write() as connection:
        pairs = store.runs.decline(connection, digest, now)
        _record(store, connection, pairs, accounts, DECLINED, digest, author, now)
    return len(pairs)
