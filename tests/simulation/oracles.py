"""The invariants of docs/rules.md, checked on both servers and the state database.

Nothing here uses the planner: what should be there is computed a second time, from the worlds.
"""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select

from calendar_sync.identity import Identity
from calendar_sync.model import Direction, Platform
from calendar_sync.state import tables as t
from tests.harness import HMAC_KEY
from tests.simulation.people import People

Interval = tuple[datetime, datetime]


class Oracles:
    """Compare both sides after a quiet period."""

    def __init__(self, people: People, direction: Direction) -> None:
        self.people = people
        self.world = people.world
        self.direction = direction
        sandbox = self.world.sandbox
        self.identity = Identity(HMAC_KEY, f"{sandbox.tenant}/{sandbox.instance}")

    def check(self, users: list[str]) -> None:
        """Everything that must hold now."""
        for user in users:
            if self.direction.writes_calendar:
                self.mirrors(user)
            if self.direction.writes_welkin:
                self.blocks(user)
        self.no_duplicates()
        self.no_foreign_write()
        assert not self.world.sandbox.requests.mail_risk, "I8: a write could have sent mail"

    # --- I1, I2, I5: one mirror for each visit, at its time -------------------------------------

    def mirrors(self, user: str) -> None:
        now = self.world.clock.now()
        account = self.people.accounts[user]
        wanted = {}
        for event in self.people.visits():
            if not self._wanted(event, user):
                continue
            if event.end < now - timedelta(days=1) or event.start > now + timedelta(days=300):
                continue
            wanted[self.identity.marker(user, event.id)] = (event.start, event.end)
        found = {}
        left_alone = self._left_alone(user)
        for mirror in self.world.google.mirrors_of(account):
            marker = mirror["extendedProperties"]["private"]["calendarSync"]
            start, end = _times(mirror, ZoneInfo("UTC"))
            assert marker not in found, f"I2: two mirrors of one visit for {user}"
            assert mirror["visibility"] == "private"
            if marker not in left_alone and end > now:
                assert mirror["summary"] == "Busy", "I7: text beyond the detail level"
            found[marker] = (start, end)
        missing = {key: value for key, value in wanted.items() if found.get(key) != value}
        missing = {k: v for k, v in missing.items() if v[1] > now and k not in left_alone}
        assert not missing, f"I5: mirrors missing or at another time for {user}: {missing}"
        extra = {
            key: value
            for key, value in found.items()
            if key not in wanted and value[1] > now and key not in left_alone
        }
        assert not extra, f"I1: mirrors without a visit for {user}: {extra}"

    def _wanted(self, event: Any, user: str) -> bool:
        if event.cancelled or event.end <= event.start:
            return False
        if user not in {*event.psm_ids(), event.host_id}:
            return False
        if event.type != "ENCOUNTER":
            return True
        encounter = self.world.welkin.encounter_of(event.id)
        return encounter is not None and encounter.status != "CANCELLED"

    def _left_alone(self, user: str) -> set[str]:
        """Visits whose mirror was parked after three restores: a person decides."""
        query = select(t.conflict.c.source_id).where(
            t.conflict.c.user_id == user, t.conflict.c.decision == "parked"
        )
        with self.world.database.read() as connection:
            return {self.identity.marker(user, key) for key in connection.scalars(query)}

    # --- I14: busy time is the same on both sides -----------------------------------------------

    def blocks(self, user: str) -> None:
        now = self.world.clock.now()
        low, high = now + timedelta(minutes=1), now + timedelta(days=100)
        account = self.people.accounts[user]
        zone = ZoneInfo(self.world.google.account(account).time_zone)
        busy = [
            _times(event, zone)
            for event in self.world.google.expanded(account, low, high)
            if _blocks(event, account)
        ]
        blocked = [
            (event.start, event.end) for event in self.world.welkin.blocks_of(user, "calsync-")
        ]
        wanted, found = _union(busy, low, high), _union(blocked, low, high)
        free = [f"{a:%m-%dT%H:%M}/{b:%m-%dT%H:%M}" for a, b in wanted if (a, b) not in found]
        extra = [f"{a:%m-%dT%H:%M}/{b:%m-%dT%H:%M}" for a, b in found if (a, b) not in wanted]
        assert not free + extra, f"I14: not blocked {free}, blocked in vain {extra}, for {user}"

    # --- I2 and I4 on the whole -----------------------------------------------------------------

    def no_duplicates(self) -> None:
        ids = Counter(
            event.external_id
            for event in self.world.welkin.events.values()
            if event.external_id and not event.cancelled
        )
        assert all(count == 1 for count in ids.values()), "I2: two blocks of one event"
        query = select(t.link.c.remote_id).where(
            t.link.c.kind == "block", t.link.c.state.in_(["live", "retired"])
        )
        with self.world.database.read() as connection:
            owned = Counter(connection.scalars(query))
        assert all(count == 1 for count in owned.values()), "I2: two links own one block"
        linked = set(owned)
        now = self.world.clock.now()
        loose = {
            event.id
            for user in self.people.users
            for event in self.world.welkin.blocks_of(user, "calsync-")
            if event.end > now
        } - linked
        assert not loose, f"I2: blocks that no link knows: {loose}"

    def no_foreign_write(self) -> None:
        ours = {
            version
            for account in self.people.accounts.values()
            for version in self._mirror_ids(account)
        }
        for entry in self.world.sandbox.requests:
            if not entry.is_write or entry.status >= 400:
                continue
            last = entry.path.rsplit("/", 1)[-1]
            if entry.kind in {"google.events.update", "google.events.delete"}:
                assert last in ours, f"I4: {entry.kind} on a foreign event"
            if entry.kind in {"welkin.events.patch", "welkin.events.delete"}:
                assert last in self.world.our_blocks, f"I4: {entry.kind} on a foreign event"
            if not self.direction.writes_calendar:
                assert entry.service != "google", "I13: a write on the source side"
            if not self.direction.writes_welkin:
                assert entry.service != "welkin", "I13: a write on the source side"

    def _mirror_ids(self, account: str) -> set[str]:
        link = t.link.c
        query = select(link.account, link.generation, link.source_id)
        ids = set()
        with self.world.database.read() as connection:
            for row in connection.execute(query.where(t.link.c.kind == "mirror")):
                for user, owner in self.people.accounts.items():
                    if owner == account == row.account:
                        ids |= {
                            self.identity.mirror_id(
                                Platform.GOOGLE, user, account, row.source_id, generation
                            )
                            for generation in range(1, row.generation + 1)
                        }
        return ids


def _times(event: Any, zone: ZoneInfo) -> Interval:
    moments = []
    for side in ("start", "end"):
        moment = event[side]
        if "date" in moment:
            value = datetime.fromisoformat(moment["date"]).replace(tzinfo=zone)
        else:
            value = datetime.fromisoformat(moment["dateTime"])
        moments.append(value.astimezone(UTC))
    return moments[0], moments[1]


def _blocks(event: Any, account: str) -> bool:
    if "calendarSync" in event.get("extendedProperties", {}).get("private", {}):
        return False
    if event.get("transparency") == "transparent" or event["status"] == "tentative":
        return False
    answers = {
        guest.get("responseStatus")
        for guest in event.get("attendees", [])
        if guest["email"] == account
    }
    return not answers & {"declined", "tentative"}


def _union(intervals: list[Interval], low: datetime, high: datetime) -> list[Interval]:
    merged: list[Interval] = []
    for start, end in sorted(intervals):
        start, end = max(start, low), min(end, high)
        if end <= start:
            continue
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
