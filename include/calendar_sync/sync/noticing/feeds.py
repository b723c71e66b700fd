"""What Welkin reports for everybody at once: a handful of requests, however many users.

One set of positions serves both platforms. A position moves on in the transaction that marks the
users concerned, so that a stored position means that nothing before it is lost.
"""

import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from calendar_sync.adapters.welkin import AuditUnavailable, Deletions, EncounterRow, EventRow
from calendar_sync.adapters.welkin.parse import welkin_time
from calendar_sync.config.settings import Settings
from calendar_sync.core.concurrency import both
from calendar_sync.core.errors import BadItem, UserUnavailable
from calendar_sync.core.identity import EXTERNAL_ID_PREFIX
from calendar_sync.core.model import (
    SETTLING,
    AnyLink,
    BlockLink,
    Encounter,
    MappedUser,
    MirrorLink,
    Platform,
    WelkinEvent,
    Window,
    iso,
)
from calendar_sync.core.unreadable import note
from calendar_sync.state import runs
from calendar_sync.state.feeds import Cursor, Seen
from calendar_sync.state.marks import Pair
from calendar_sync.state.runs import DELETIONS_FROM, WELKIN
from calendar_sync.sync.noticing.exports import OLDEST, OVERLAP, Exports, instant_of
from calendar_sync.sync.noticing.windows import learn_window
from calendar_sync.sync.roster import members
from calendar_sync.sync.services import Services

USERS_EVERY = timedelta(hours=1)
SWEEP_AHEAD = timedelta(days=7)
SWEEP_PASSES = 10
SWEEP_USERS = 50
# A read that brings nothing leaves the position alone; that it was read is stored so often.
STANDS_FOR = timedelta(minutes=1)
EVENTS, ENCOUNTERS, AUDIT, SWEEP = "events", "encounters", "audit", "sweep"


@dataclass
class WelkinFeeds:
    """Reads the feeds once and marks users of both platforms."""

    services: Services
    settings: Settings
    overlap: bool = True

    def __post_init__(self) -> None:
        """A read that brings no news asks for none of the users."""
        self._exports = Exports(
            self.services,
            self.overlap,
            lambda: [pair for pairs in self.pairs.values() for pair in pairs],
        )

    @cached_property
    def pairs(self) -> dict[str, list[Pair]]:
        """Whom a Welkin user's changes concern."""
        found: dict[str, list[Pair]] = {}
        for mapped in self._members:
            found.setdefault(mapped.user_id, []).append((mapped.user_id, mapped.platform))
        return found

    @cached_property
    def mirrored(self) -> set[Pair]:
        """Whose calendars are written to."""
        return {
            (mapped.user_id, mapped.platform)
            for mapped in self._members
            if self.settings.of(mapped.profile)
            .direction_of(mapped.platform, mapped.direction)
            .writes_calendar
        }

    @cached_property
    def _profiles(self) -> dict[Pair, str]:
        return {(one.user_id, one.platform): one.profile for one in self._members}

    @cached_property
    def _windows(self) -> dict[str, Window]:
        """Where visits get mirrors, by the profiles that somebody has."""
        now = self.services.clock.now()
        names = set(self._profiles.values())
        return {name: self.settings.of(name).mirror_window(now) for name in names}

    @cached_property
    def _members(self) -> list[MappedUser]:
        store, now = self.services.store, self.services.clock.now()
        return [
            mapped
            for platform in Platform
            for mapped in members(store, self.settings, platform, now).synced.values()
        ]

    @cached_property
    def _cursors(self) -> dict[str, Cursor]:
        """The positions when this look began; another look may move them on at the same time."""
        stored = self.services.store.feeds.cursors(WELKIN)
        return {feed: cursor for (feed, _), cursor in stored.items()}

    def _stored(self, feed: str) -> Cursor | None:
        """One of them; where there was none, what has been stored since then counts."""
        return self._cursors.get(feed) or self.services.store.feeds.cursor(WELKIN, feed)

    async def read(self, *, deletions: bool = True) -> None:
        """All feeds. The encounter index is filled before anything else.

        Without `deletions` two requests, with them four, or a comparison of many calendars.
        """
        await self._users()
        await learn_window(self.services, self.settings, lambda: self.pairs)
        self._begin_audit()
        await self._encounters()
        await self._events()
        if deletions:
            await self._deletions()

    # --- staff --------------------------------------------------------------------------------

    async def _users(self) -> None:
        config, now = self.services.store.config, self.services.clock.now()
        seen = config.welkin_users_seen_at()
        if seen is None or now - seen >= USERS_EVERY:
            users = await self.services.welkin.users()
            if users:
                config.save_welkin_users(users, now)

    # --- encounters ---------------------------------------------------------------------------

    async def _encounters(self) -> None:
        feeds = self.services.store.feeds
        stored = self._stored(ENCOUNTERS)
        read = self.services.welkin.exported_encounters
        pages = self._exports.pages(ENCOUNTERS, read, stored, OLDEST)
        async for page, position in pages:
            news = self._news(
                ENCOUNTERS, {row.encounter.encounter_id: row.updated_at for row in page.rows}
            )
            if not news and self._stands(stored, position):
                continue
            fresh = [row for row in page.rows if row.encounter.encounter_id in news]
            # What is not known any more is looked up by the cycle: a stale answer would be none.
            lost = feeds.encounters_by_id(r.encounter.encounter_id for r in fresh if r.unreadable)
            fresh = [row for row in fresh if not row.unreadable]
            known = feeds.encounters(row.encounter.event_id for row in fresh)
            changed = [row for row in fresh if known.get(row.encounter.event_id) != row.encounter]
            concerned = self._of_encounters(changed) if stored is not None else []
            concerned += self._owners(each.event_id for each in lost)
            with self.services.store.database.write() as connection:
                if self._advance(connection, ENCOUNTERS, position, concerned):
                    feeds.save_encounters(connection, (row.encounter for row in changed))
                    feeds.forget_encounters(connection, (each.event_id for each in lost))
                    feeds.remember(connection, ENCOUNTERS, news)

    def _of_encounters(self, rows: Iterable[EncounterRow]) -> list[Pair]:
        rows = list(rows)
        pairs = [pair for row in rows for user in row.user_ids for pair in self._of_user(user)]
        return pairs + self._owners(row.encounter.event_id for row in rows)

    # --- calendar events ----------------------------------------------------------------------

    async def _events(self) -> None:
        start = welkin_time(self.services.clock.now() - OVERLAP)
        stored, read = self._stored(EVENTS), self.services.welkin.exported_events
        async for page, position in self._exports.pages(EVENTS, read, stored, start):
            news = self._news(EVENTS, {row.id: row.updated_at for row in page.rows})
            if not news and self._stands(stored, position):
                continue
            concerned = self._of_events([row for row in page.rows if row.id in news])
            with self.services.store.database.write() as connection:
                if self._advance(connection, EVENTS, position, concerned):
                    self.services.store.feeds.remember(connection, EVENTS, news)

    def _of_events(self, rows: list[EventRow]) -> list[Pair]:
        """Everybody whose stored state differs from what the rows say."""
        links = self.services.store.links
        ids = [row.id for row in rows]
        mirrors = _by(links.mirrors_of(ids), lambda link: link.appointment_id)
        blocks = _by(links.blocks(ids), lambda link: link.block_id)
        encounters = self.services.store.feeds.encounters(ids)
        concerned: list[Pair] = []
        for row in rows:
            linked = mirrors.get(row.id, []), blocks.get(row.id, [])
            try:
                if event := row.event:
                    encounter = encounters.get(row.id) if event.kind == "ENCOUNTER" else None
                    concerned += self._of_event(event, encounter, *linked)
                    continue
            except Exception as bug:
                note(bug, "welkin event", {"id": row.id})
            # What it says is not known: whoever it may concern has a look, and it is shown.
            concerned += [(each.user_id, each.platform) for some in linked for each in some]
            concerned += self._of_user(row.host_id or "")
        return concerned

    def _of_event(
        self,
        event: WelkinEvent,
        encounter: Encounter | None,
        mirrors: list[MirrorLink],
        blocks: list[BlockLink],
    ) -> list[Pair]:
        identity = self.services.identity
        if blocks or (event.external_id or "").startswith(EXTERNAL_ID_PREFIX):
            content = identity.block_hash(event)
            changed = [link for link in blocks if link.block_hash != content]
            return [(link.user_id, link.platform) for link in changed]
        if event.kind == "LEAVE":
            return []
        content = identity.appointment(event, encounter).source_hash
        linked = {(link.user_id, link.platform): link for link in mirrors}
        pairs = {pair for user in event.user_ids for pair in self._of_user(user)}
        new = {
            name
            for name, window in self._windows.items()
            if not event.cancelled
            and event.span.overlaps(window, ZoneInfo("UTC"))
            and self._may_be_wanted(event, encounter, name)
        }
        concerned = []
        for pair in (pairs & self.mirrored) | linked.keys():
            link = linked.get(pair)
            if link is None:
                wanted = self._profiles[pair] in new
            else:
                wanted = link.appointment_hash != content
            if wanted:
                concerned.append(pair)
        return concerned

    def _may_be_wanted(self, event: WelkinEvent, encounter: Encounter | None, profile: str) -> bool:
        """The type filter does not rule it out; what is not known yet may be wanted."""
        types = self.settings.of(profile).encounter_types
        if event.kind != "ENCOUNTER":
            return types.wants(event.kind)
        template = encounter.template if encounter is not None else None
        return template is None or types.wants(template)

    # --- deletions ----------------------------------------------------------------------------

    def _begin_audit(self) -> None:
        """Deletions count from before the index is first filled, also if that pass is killed."""
        now = self.services.clock.now()
        if self._stored(AUDIT) is None:
            with self.services.store.database.write() as connection:
                self._advance(connection, AUDIT, welkin_time(now), [])

    async def _deletions(self) -> None:
        """From the audit; where that is refused, by sweeping the next days in turn."""
        services, now = self.services, self.services.clock.now()
        stored = self._stored(AUDIT)
        start = (instant_of(stored.position) if stored is not None else None) or now
        try:
            events, encounters = await both(
                services.welkin.deleted_events(start - OVERLAP, now),
                services.welkin.deleted_encounters(start - OVERLAP, now),
            )
        except AuditUnavailable:
            services.store.runs.set_facts(WELKIN, **{DELETIONS_FROM: runs.SWEEP})
            await self._sweep(now)
            with services.store.database.write() as connection:
                services.store.feeds.forget_seen(connection, now - timedelta(days=1))
            return
        if self._source(events, encounters, now) == runs.SWEEP:
            await self._sweep(now)
        news = self._news(AUDIT, dict.fromkeys(events | encounters, ""))
        fresh = set(news)
        gone = services.store.feeds.encounters_by_id(fresh)
        concerned = self._owners(fresh | {row.event_id for row in gone})
        concerned += self._owners_of_blocks(fresh)
        with services.store.database.write() as connection:
            services.store.feeds.save_encounters(
                connection, [replace(encounter, status="DELETED") for encounter in gone]
            )
            self._advance(connection, AUDIT, welkin_time(now), concerned)
            services.store.feeds.remember(connection, AUDIT, news)
            services.store.feeds.forget_seen(connection, now - timedelta(days=1))

    def _source(self, events: Deletions, encounters: Deletions, now: datetime) -> str:
        """What tells of deletions: the audit, unless it names them in a way that we cannot read.

        Once it did, the sweep goes on until a row of the audit has named what was really deleted.
        """
        store = self.services.store
        facts = store.runs.facts(WELKIN)
        before = facts.get(DELETIONS_FROM)
        matched = store.links.deleted_among(events | encounters)
        source = before or runs.AUDIT
        if events.unreadable or encounters.unreadable:
            source = runs.SWEEP
        elif matched:
            source = runs.AUDIT
        news: dict[str, str] = {} if source == before else {DELETIONS_FROM: source}
        if matched and not facts.get(runs.AUDIT_MATCHED_AT):
            news[runs.AUDIT_MATCHED_AT] = iso(now)
        if news:
            store.runs.set_facts(WELKIN, **news)
        return source

    async def _sweep(self, now: datetime) -> None:
        """A tenth of the users a pass, so that every near visit is at most 10 minutes stale."""
        users = sorted(self.pairs)
        if not users:
            return
        stored = self._stored(SWEEP)
        first = int(stored.position) % len(users) if stored is not None else 0
        size = min(len(users), max(SWEEP_USERS, -(-len(users) // SWEEP_PASSES)))
        turn = [users[(first + step) % len(users)] for step in range(size)]
        window = Window(now, now + SWEEP_AHEAD)
        found: set[str] = set()
        readable: list[str] = []
        for begin in range(0, len(turn), SWEEP_USERS):
            group = turn[begin : begin + SWEEP_USERS]
            try:
                found |= await self._ids(group, window)
                readable += group
            except (BadItem, UserUnavailable):
                # One of them is hidden from us: deletions of other users must not wait for that.
                for user in group:
                    with contextlib.suppress(BadItem, UserUnavailable):
                        found |= await self._ids([user], window)
                        readable.append(user)
        missing: list[Pair] = []
        for user in readable:
            for pair in self.pairs[user]:
                for link in self.services.store.links.standing(*pair):
                    if not isinstance(link, MirrorLink):
                        event_id = link.block_id
                    elif pair in self.mirrored:
                        event_id = link.appointment_id
                    else:
                        continue  # its direction excludes deletions
                    near = link.span.overlaps(window, ZoneInfo("UTC"))
                    if near and event_id not in found:
                        missing.append(pair)
        with self.services.store.database.write() as connection:
            self._advance(connection, SWEEP, str(first + size), missing)

    async def _ids(self, users: list[str], window: Window) -> set[str]:
        events, unreadable = await self.services.welkin.events(users, window, ZoneInfo("UTC"))
        return events.keys() | unreadable

    # --- common -------------------------------------------------------------------------------

    def _news(self, feed: str, rows: dict[str, str]) -> dict[str, Seen]:
        """Items (`updatedAt` by id) that are new or may have been read too early, to remember.

        A window read may lag behind the feed: an item is looked at when it is first shown, and
        once more when every read must have caught up. That costs no cycle where the links agree.
        """
        now = self.services.clock.now()
        known = self.services.store.feeds.seen(feed, rows)
        news = {}
        for key, updated_at in rows.items():
            before = known.get(key)
            if before is None or before.updated_at != updated_at:
                news[key] = Seen(updated_at, now, settled=False)
            elif not before.settled:
                news[key] = replace(before, settled=now - before.seen_at >= SETTLING)
        return news

    def _stands(self, stored: Cursor | None, position: str) -> bool:
        """There is nothing to store."""
        if stored is None or stored.saved_at is None or stored.position != position:
            return False
        return timedelta(0) <= self.services.clock.now() - stored.saved_at < STANDS_FOR

    def _advance(
        self, connection: Connection, feed: str, position: str, concerned: Iterable[Pair]
    ) -> bool:
        """Mark, and move the position on unless another process has moved it further meanwhile."""
        store, now = self.services.store, self.services.clock.now()
        reached = store.feeds.lock_cursor(connection, WELKIN, feed)
        store.marks.mark(connection, concerned, now)
        if reached is not None and feed != SWEEP and reached > position:
            return False
        store.feeds.save_cursor(connection, WELKIN, feed, Cursor(position, ""), now)
        return True

    def _of_user(self, user_id: str) -> list[Pair]:
        return self.pairs.get(user_id, [])

    def _owners(self, appointments: Iterable[str]) -> list[Pair]:
        links = self.services.store.links.mirrors_of(appointments)
        return [(link.user_id, link.platform) for link in links]

    def _owners_of_blocks(self, event_ids: Iterable[str]) -> list[Pair]:
        links = self.services.store.links.blocks(event_ids)
        return [(link.user_id, link.platform) for link in links]


def _by(links: Iterable[AnyLink], key: Callable[[AnyLink], str]) -> dict[str, list[AnyLink]]:
    found: dict[str, list[AnyLink]] = {}
    for link in links:
        found.setdefault(key(link), []).append(link)
    return found
