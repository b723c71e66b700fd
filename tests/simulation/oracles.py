"""The invariants of docs/rules.md, checked on both servers and the state database.

Nothing here uses the planner: what should be there is computed a second time, from the worlds,
the settings and the mapping.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import unquote
from zoneinfo import ZoneInfo

from sqlalchemy import select

from calendar_sync.config.buffers import LONGEST
from calendar_sync.config.calendars import Calendars
from calendar_sync.config.settings import AllDayKinds, BlockTime, Settings
from calendar_sync.core.identity import Identity
from calendar_sync.core.model import Direction, MappedUser, Platform, iso
from calendar_sync.state import Store
from calendar_sync.state import tables as t
from calendar_sync_sandbox.calendars import Glimpse
from tests.harness import HMAC_KEY
from tests.simulation.people import People, Seat

Interval = tuple[datetime, datetime]
APPOINTMENTS = {"ENCOUNTER", "APPOINTMENT", "GROUP_THERAPY"}


class Oracles:
    """Compare both sides after a quiet period. `fixed` is a direction that never changed."""

    def __init__(self, people: People, fixed: Direction | None) -> None:
        self.people = people
        self.world = people.world
        self.fixed = fixed
        self.store = Store(self.world.database, HMAC_KEY)
        sandbox = self.world.sandbox
        self.identity = Identity(HMAC_KEY, f"{sandbox.tenant}/{sandbox.instance}")
        self.settings = Settings()
        self.mapping: dict[Seat, MappedUser] = {}

    def check(self) -> None:
        """Everything that must hold now."""
        self.settings = self.store.config.revision().settings
        mapping = self.store.config.mapping()
        self.mapping = {(row.user_id, row.platform): row for row in mapping if row.enabled}
        blocked: dict[str, list[MappedUser]] = {}
        for mapped in self.mapping.values():
            direction = self._direction(mapped)
            if direction.writes_calendar:
                self.mirrors(mapped)
            if direction.writes_welkin:
                blocked.setdefault(mapped.user_id, []).append(mapped)
        for user, rows in blocked.items():
            self.blocks(user, rows)
            self.one_block_for_each_meeting(user)
        self.nothing_left_behind()
        self.no_duplicates()
        self.no_foreign_write()
        self.no_patient_data()
        risks = [
            entry
            for entry in self.world.sandbox.requests.mail_risk
            # Exchange itself tells the guests that somebody has given a mirror.
            if not (self.people.invited and entry.service == "microsoft")
        ]
        assert not risks, "I8: a write could have sent mail"

    def _direction(self, mapped: MappedUser) -> Direction:
        return self._own(mapped).direction_of(mapped.platform, mapped.direction)

    def _own(self, mapped: MappedUser) -> Settings:
        return self.settings.of(mapped.profile)

    def calendars_of(self, mapped: MappedUser) -> Calendars:
        """Which calendars of the mailbox are read and written."""
        return self._own(mapped).calendars_with(mapped)

    def _everywhere(self) -> Iterator[tuple[Platform, str]]:
        """Every mailbox of the platforms that take part."""
        for platform in dict.fromkeys(platform for _, platform in self.people.accounts):
            for account in self.world.calendars(platform).accounts:
                yield platform, account

    # --- I1, I2, I5, I15: one mirror for each visit, at its time ---------------------------------

    def mirrors(self, mapped: MappedUser) -> None:
        now, user = self.world.clock.now(), mapped.user_id
        wanted, ends = {}, {}
        for event in self.people.visits():
            if not self._wanted(event, mapped):
                continue
            if event.end < now - timedelta(days=1) or event.start > now + timedelta(days=300):
                continue
            marker = self.identity.marker(user, event.id)
            wanted[marker], ends[marker] = self._around(event, mapped), event.end
        found = {}
        left_alone = self._left_alone(user)
        busy = self._own(mapped).mirror_content.level == "busy/busy"
        calendars, where = self.world.calendars(mapped.platform), self.calendars_of(mapped)
        assert not (where.pending and wanted), f"I5: {user} has no calendar of their own"
        there = (
            set()
            if where.pending
            else {one.id for one in calendars.glimpses(mapped.account, where.mirrors)}
        )
        for mirror in calendars.mirrors(mapped.account):
            marker = mirror.marker or ""
            start, end = _times(mirror, ZoneInfo("UTC"))
            assert marker not in found, f"I2: two mirrors of one visit for {user}"
            assert mirror.private
            assert mirror.series_id is None
            if marker not in left_alone and end > now:
                assert not mirror.is_series, "I5: a mirror that was repeated stays so"
                title = mirror.title.partition(" (")[0]  # and the time, of a longer mirror
                assert not busy or title == "Busy", "I7: text beyond the detail level"
            found[marker] = (start, end)
            if end > now and marker not in left_alone:
                assert mirror.id in there, f"I19: a mirror of {user} in another calendar"
        missing = {key: value for key, value in wanted.items() if found.get(key) != value}
        missing = {k: v for k, v in missing.items() if ends[k] > now and k not in left_alone}
        assert not missing, f"I5: mirrors missing or at another time for {user}: {missing}"
        extra = {
            key: value
            for key, value in found.items()
            if key not in wanted and value[1] > now and key not in left_alone
        }
        assert not extra, f"I1: mirrors without a visit for {user}: {extra}"

    def _around(self, event: Any, mapped: MappedUser) -> Interval:
        """The time of its mirror: here, buffers by type are of plain appointments alone."""
        buffers = self._own(mapped).mirror_content.buffers
        some = [buffers.every_visit]
        if event.type == "APPOINTMENT" or event.type not in APPOINTMENTS:
            some += buffers.types.values()
        before = max(one.before_minutes for one in some)
        after = max(one.after_minutes for one in some)
        return event.start - timedelta(minutes=before), event.end + timedelta(minutes=after)

    def _wanted(self, event: Any, mapped: MappedUser) -> bool:
        if event.cancelled or event.end <= event.start:
            return False
        if mapped.user_id not in {*event.psm_ids(), event.host_id}:
            return False
        types = self._own(mapped).encounter_types
        if event.type != "ENCOUNTER":
            return types.wants(event.type if event.type in APPOINTMENTS else "APPOINTMENT")
        encounter = self.world.welkin.encounter_of(event.id)
        if encounter is None or encounter.status == "CANCELLED":
            return False
        return types.wants(encounter.template)

    def _left_alone(self, user: str) -> set[str]:
        """Visits whose mirrors a person edited and that are not to be put back (yet)."""
        link, conflict = t.link.c, t.conflict.c
        edited = select(link.source_id).where(
            link.user_id == user,
            link.kind == "mirror",
            (link.state == "dismissed")
            | (link.state.in_(["live", "retired"]) & (link.remote_hash != link.wanted_hash)),
        )
        held = select(conflict.source_id).where(
            conflict.user_id == user, conflict.decision == "held"
        )
        with self.world.database.read() as connection:
            ids = {*connection.scalars(edited), *connection.scalars(held)}
        return {self.identity.marker(user, key) for key in ids}

    # --- I14: busy time is the same on both sides -----------------------------------------------

    def blocks(self, user: str, rows: list[MappedUser]) -> None:
        """The busy time of all calendars of one user, whatever their platforms."""
        now = self.world.clock.now()
        low, high = now + timedelta(minutes=1), now + timedelta(days=100)
        widest = timedelta(minutes=LONGEST)
        staff = self.world.welkin.users[user]
        zone = ZoneInfo(staff.time_zone or self.settings.time_zone)
        sources, ids = self._decided_by_people(user)
        busy = [
            self._with_buffer(event, zone, self._own(row).block_time)
            for row in rows
            for calendar in self.calendars_of(row).busy
            for event in self.world.calendars(row.platform).expanded_glimpses(
                row.account, low - widest, high + widest, calendar
            )
            if self._blocks(event, self._own(row).block_time) and _source(event) not in sources
        ]
        blocked = [
            (event.start, event.end)
            for event in self.world.welkin.blocks_of(user, "calsync-")
            if event.id not in ids
        ]
        wanted, found = _union(busy, low, high), _union(blocked, low, high)
        free = [f"{a:%m-%dT%H:%M}/{b:%m-%dT%H:%M}" for a, b in wanted if (a, b) not in found]
        extra = [f"{a:%m-%dT%H:%M}/{b:%m-%dT%H:%M}" for a, b in found if (a, b) not in wanted]
        assert not free + extra, f"I14: not blocked {free}, blocked in vain {extra}, for {user}"

    def _with_buffer(self, event: Glimpse, zone: ZoneInfo, rules: BlockTime) -> Interval:
        """The time of its block. Which other buffers apply, a glimpse does not show."""
        start, end = _times(event, zone)
        if not isinstance(event.start, datetime):
            return start, end
        buffer = rules.buffers.every_event
        before, after = buffer.before_minutes, buffer.after_minutes
        return start - timedelta(minutes=before), end + timedelta(minutes=after)

    def _decided_by_people(self, user: str) -> tuple[set[tuple[str, str]], set[str]]:
        """Sources of blocks that were edited and accepted, and of duplicates; their blocks."""
        link, conflict = t.link.c, t.conflict.c
        let_be = select(conflict.source_id, conflict.original_start).where(
            conflict.user_id == user,
            conflict.kind == "block_edited",
            conflict.decision.in_(["accepted", "parked"]),
        )
        links = select(t.link).where(link.user_id == user, link.kind == "block")
        with self.world.database.read() as connection:
            sources = {(row.source_id, row.original_start) for row in connection.execute(let_be)}
            rows = connection.execute(links).all()
        sources |= {
            (row.source_id, row.original_start)
            for row in rows
            if row.state in {"twin", "dismissed"}
        }
        # The block of the other calendar was for this one as well.
        decided = {
            (row.event_uid, row.span)
            for row in rows
            if (row.source_id, row.original_start) in sources
        }
        sources |= {
            (row.source_id, row.original_start)
            for row in rows
            if row.state == "shared" and (row.event_uid, row.span) in decided
        }
        return sources, {
            row.remote_id for row in rows if (row.source_id, row.original_start) in sources
        }

    def one_block_for_each_meeting(self, user: str) -> None:
        """I2: what is in several calendars at one time has one block."""
        link = t.link.c
        live = select(link.source_id, link.span).where(
            link.user_id == user, link.kind == "block", link.state == "live"
        )
        with self.world.database.read() as connection:
            rows = connection.execute(live).all()
        doubled = [{place[-1] for place in places} for places in self.people.doubled]
        for ids in [*({*meeting.values()} for meeting in self.people.meetings), *doubled]:
            spans = Counter(row.span for row in rows if row.source_id in ids)
            assert all(count == 1 for count in spans.values()), "I2: two blocks of one meeting"

    def _blocks(self, event: Glimpse, rules: BlockTime) -> bool:
        if not rules.enabled or event.marker is not None or event.series_id in self._repeated:
            return False
        if event.declined:
            return False
        if not isinstance(event.start, datetime):
            kind = _kind_of_day(event, rules.all_day_kinds)
            if kind != "same":
                return kind == "block"
            if rules.all_day == "ignore":
                return False
        if event.out_of_office and rules.out_of_office == "ignore":
            return False
        return event.shown == "busy" or (event.shown == "tentative" and rules.tentative)

    @property
    def _repeated(self) -> set[str]:
        """Mirrors: where one was made a series, its instances are no busy time."""
        query = select(t.link.c.remote_id).where(t.link.c.kind == "mirror")
        with self.world.database.read() as connection:
            return set(connection.scalars(query))

    # --- I19: nothing stays where it should not -------------------------------------------------

    def nothing_left_behind(self) -> None:
        owners = {(row.platform, row.account): row.user_id for row in self.mapping.values()}
        link = t.link.c
        query = select(link.source_id, link.user_id, link.account, link.platform).where(
            link.kind == "mirror"
        )
        with self.world.database.read() as connection:
            rows = connection.execute(query).all()
        known: dict[tuple[Platform, str], set[str]] = {}
        for row in rows:
            mailbox = (Platform(row.platform), row.account)
            if owners.get(mailbox) == row.user_id:
                marker = self.identity.marker(row.user_id, row.source_id)
                known.setdefault(mailbox, set()).add(marker)
        for platform, account in self._everywhere():
            for mirror in self.world.calendars(platform).mirrors(account):
                theirs = known.get((platform, account), set())
                assert mirror.marker in theirs, f"I19: a mirror is left in {platform} {account}"
        let_go = self._let_go()
        now = self.world.clock.now() + timedelta(minutes=1)
        for user in set(self.people.users) - {user for user, _ in self.mapping}:
            blocks = self.world.welkin.blocks_of(user, "calsync-")
            left = [b for b in blocks if b.start > now and b.id not in let_go]
            assert not left, f"I19: blocks of {user}, who is not mapped"

    def _let_go(self) -> set[str]:
        """Past blocks of people who left: what becomes of them is for Welkin's users to say."""
        link = t.link.c
        query = select(link.remote_id).where(link.kind == "block", link.state == "dismissed")
        with self.world.database.read() as connection:
            return set(connection.scalars(query))

    def no_patient_data(self) -> None:
        """I7: names are in calendars at level full only, and in the state database never."""
        canaries = self.world.sandbox.canaries
        owners = {(row.platform, row.account): row for row in self.mapping.values()}
        for platform, account in self._everywhere():
            owner = owners.get((platform, account))
            own = self.settings if owner is None else self._own(owner)
            level = own.mirror_content.level
            if owner is not None and not self._direction(owner).writes_calendar:
                continue  # reported as left: see the rules for a direction
            if "full" not in level:
                texts = repr(self.world.calendars(platform).mirrors(account))
                found = [canary for canary in canaries if canary in texts]
                assert not found, f"I7: patient data beyond the level in {account}"
            if "+" not in level:
                self._nothing_beside_the_texts(platform, account, own)
        with self.world.database.read() as connection:
            for table in (t.link, t.operation, t.conflict, t.parked_item, t.user_sync, t.cursor):
                rows = repr(connection.execute(table.select()).all())
                assert not [c for c in canaries if c in rows], f"I7: patient data in {table.name}"

    def _nothing_beside_the_texts(self, platform: Platform, account: str, own: Settings) -> None:
        """I7: a place, link or colour would tell the type of visit."""
        world: Any = self.world.calendars(platform)
        texts = repr(world.mirrors_of(account))
        signs = ["Elm Street", "zoom.us"]
        if own.mirror_content.title.level == "busy":
            signs += ["'colorId'", "Kind A", "Kind B"]
        found = [sign for sign in signs if sign in texts]
        assert not found, f"I7: more than the level allows in {account}: {found}"

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
        } - (linked | self._let_go())
        assert not loose, f"I2: blocks that no link knows: {loose}"

    def no_foreign_write(self) -> None:
        def calendar(entry: Any) -> bool:
            return bool(entry.service != "welkin")

        ours = self.mirror_ids() | self.world.our_mirrors
        visits = self._written_back()
        for entry in self.world.sandbox.requests:
            if not entry.is_write or entry.status >= 400:
                continue
            last = unquote(entry.path.rsplit("/", 1)[-1])
            verb = entry.kind.rpartition(".")[2]
            if verb in {"update", "patch", "delete"} and calendar(entry):
                # An occurrence of a mirror that somebody has repeated is ours as that is.
                assert {last, last.partition("_")[0]} & ours, (
                    f"I4: {entry.kind} on a foreign event {entry.path}"
                )
            if entry.kind in {"welkin.events.patch", "welkin.events.delete"}:
                known = self.world.our_blocks | visits
                assert last in known, f"I4: {entry.kind} on a foreign event"
            if self.fixed is not None and not self.fixed.writes_calendar:
                assert not calendar(entry), "I13: a write on the source side"
            if self.fixed is not None and not self.fixed.writes_welkin:
                assert entry.service != "welkin", "I13: a write on the source side"

    def _written_back(self) -> set[str]:
        """Appointments that were to follow an edit of their mirror: by settings, not foreign."""
        kinds = ["mirror_moved", "mirror_deleted"]
        query = select(t.conflict.c.source_id).where(t.conflict.c.kind.in_(kinds))
        with self.world.database.read() as connection:
            follow = self.fixed is None or self.settings.mirror_moved == "reschedule"
            return set(connection.scalars(query)) if follow else set()

    def mirror_ids(self) -> set[str]:
        """All ids that Google's mirrors had, as far as the links know."""
        link = t.link.c
        query = select(link.account, link.generation, link.source_id, link.user_id)
        ids = set()
        with self.world.database.read() as connection:
            google = (t.link.c.kind == "mirror") & (t.link.c.platform == Platform.GOOGLE.value)
            for row in connection.execute(query.where(google)):
                ids |= {
                    self.identity.mirror_id(
                        Platform.GOOGLE, row.user_id, row.account, row.source_id, generation
                    )
                    for generation in range(1, row.generation + 1)
                }
        return ids


def _kind_of_day(event: Glimpse, kinds: AllDayKinds) -> str:
    if event.shown == "free":
        return "same" if event.undecided else kinds.free
    if event.shown == "tentative":
        return kinds.tentative
    return kinds.out_of_office if event.out_of_office else "same"


def _source(event: Glimpse) -> tuple[str, str]:
    """How a block's link names this instance."""
    if event.series_id is None or event.original_start is None:
        return event.id, ""
    return event.series_id, iso(event.original_start)


def _times(event: Glimpse, zone: ZoneInfo) -> Interval:
    def moment(value: datetime | date) -> datetime:
        if isinstance(value, datetime):
            return value.astimezone(UTC)
        return datetime(value.year, value.month, value.day, tzinfo=zone).astimezone(UTC)

    return moment(event.start), moment(event.end)


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
