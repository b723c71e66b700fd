"""Looking at both sides without a trace: no marks, no cursors, nothing stored."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from calendar_sync.core.codes import Code, code_of
from calendar_sync.core.errors import BadItem, NotFound, SyncError, UserUnavailable
from calendar_sync.core.model import (
    AnyLink,
    Encounter,
    Link,
    LinkState,
    MappedUser,
    Platform,
    Row,
    WelkinEvent,
)
from calendar_sync.core.plurals import plural
from calendar_sync.insight.explain.explanation import Fact, when
from calendar_sync.insight.explain.records import conflicts, operations, parked_items
from calendar_sync.planner import View
from calendar_sync.planner.plan import DELETION_GUARD
from calendar_sync.state.config import Revision
from calendar_sync.sync.cycle.read import Reader
from calendar_sync.sync.cycle.scope import Scope, scope_of
from calendar_sync.sync.roster import Members, members, user_named
from calendar_sync.sync.services import Services

NO_ACCOUNT = ""


@dataclass(frozen=True)
class Unread:
    """What could not be asked now, by the code of the reason."""

    code: Code


@dataclass(frozen=True)
class Look:
    """The eyes of one explanation, all at the same moment."""

    services: Services
    revision: Revision

    @property
    def now(self) -> datetime:
        """The moment."""
        return self.services.clock.now()

    def scope(self, user_id: str, platform: Platform) -> Scope:
        """Whom it is about; users who are not mapped have no account."""
        store = self.services.store
        mapped = store.config.mapped(user_id, platform)
        mapped = mapped or MappedUser(user_id, platform, NO_ACCOUNT, enabled=False)
        return scope_of(store, self.revision, mapped, self.now)

    def members(self, scope: Scope) -> Members:
        """Whether the platform's sync is about this user; others may be missing."""
        store, settings = self.services.store, self.revision.settings
        return members(store, settings, scope.platform, self.now, [scope.user_id])

    def not_synced(self, scope: Scope) -> str | None:
        """Why this user is not kept in step: a word for it; None for one who is."""
        if not scope.account:
            return "not_mapped"
        if not scope.mapped.enabled:
            return "disabled"
        people = self.members(scope)
        if scope.user_id in people.paused:
            return "paused"
        if scope.user_id not in people.synced:
            return "inactive"
        return None if scope.platform in self.services.platforms else "not_connected"

    def links(self, scope: Scope) -> tuple[Link, ...]:
        """All links of the user on the platform."""
        return tuple(self.services.store.links.of(*scope.pair))

    def reader(self, scope: Scope) -> Reader:
        """What joins events to what the planner looks at; it is not told to read."""
        return Reader(self.services, scope, self.links(scope), full=False)

    def view(self, scope: Scope, calendar: str, events: Iterable[Row] = ()) -> View:
        """The planner's view with nothing in it but these events of one calendar."""
        reader = self.reader(scope)
        found = reader.calendar(calendar, {event.id: event for event in events}, full=False)
        return replace(reader.blank(), calendars=(found,))

    # --- both sides -------------------------------------------------------------------------------

    async def appointment(self, event_id: str, scope: Scope) -> WelkinEvent | Unread | None:
        """One event of Welkin; None for a 404."""
        try:
            return await self.services.welkin.event(event_id, scope.zone)
        except SyncError as error:
            return Unread(error.code)

    async def encounter(self, event: WelkinEvent) -> Encounter | None:
        """From the index, else from the host's list, as a cycle would find it."""
        known = self.services.store.feeds.encounters([event.id]).get(event.id)
        if known is not None or event.kind != "ENCOUNTER" or not event.host_id:
            return known
        try:
            return (await self.services.welkin.encounters_of(event.host_id)).get(event.id)
        except (BadItem, NotFound, UserUnavailable):
            return None

    async def event(
        self, scope: Scope, account: str, calendar: str, event_id: str
    ) -> Row | Unread | None:
        """One event of a calendar; None for a 404."""
        platform = self.services.platforms.get(scope.platform)
        if platform is None:
            return Unread(self.services.why_not(scope.platform).code)
        try:
            return await platform.event(account, calendar, event_id)
        except SyncError as error:
            return Unread(error.code)


def history(
    look: Look,
    scope: Scope,
    source_id: str,
    original_start: str | None = None,
    remote_id: str | None = None,
) -> tuple[Fact, ...]:
    """What the records hold about one item of a user; of a series, about one instance."""
    store, now, pair = look.services.store, look.now, scope.pair
    facts = [
        Fact(
            "refused",
            f"{item.step}: {item.code}, {plural(item.tries, 'try', 'tries')}, the last at "
            f"{when(item.last_at, now)}"
            + (f"; next try {when(item.next_at, now)}" if item.parked else "")
            + f" ({code_of(item.code).in_words})",
        )
        for item in parked_items(store, *pair, source_id, original_start)
    ]
    facts += [
        Fact(
            "conflict",
            f"{row.kind}: {row.decision}, {plural(row.times, 'time')}, the last at "
            f"{when(row.last_at, now)}",
        )
        for row in conflicts(store, *pair, now, source_id, original_start)
    ]
    facts += [
        Fact("operation", f"{when(row.at, now)} {row.step} ({row.reason}): {row.outcome}")
        for row in operations(store, *pair, source_id, remote_id, newest=3)
    ]
    state = store.marks.of(*pair)
    if state.failures:
        code = code_of(state.error_code or "")
        facts.append(
            Fact(
                "user fails",
                f"{code} since {when(state.failing_since, now)}, next try "
                f"{when(state.retry_at, now)} ({code.in_words})",
            )
        )
    elif state.marked:
        facts.append(Fact("user has changes to sync", f"since {when(state.marked_at, now)}"))
    fault = store.runs.fault(scope.platform)
    if fault is not None:
        facts.append(Fact("sync paused", f"{fault.code} since {when(fault.since, now)}"))
    return tuple(facts)


def link_fact(look: Look, link: Link, more: str) -> Fact:
    """The state of a link, and when we last wrote what it stands for."""
    written = f"last written {when(link.written_at, look.now)}, " if link.written_at else ""
    return Fact("link", f"{link.state.value}, {written}{more}")


def profile_fact(scope: Scope) -> Iterator[Fact]:
    """Whose settings decide, if not everybody's."""
    if scope.mapped.profile:
        yield Fact("profile", scope.mapped.profile)


def parked(
    look: Look, scope: Scope, source_id: str, original_start: str | None = None
) -> str | None:
    """A sentence when the item is left alone for now."""
    for item in parked_items(look.services.store, *scope.pair, source_id, original_start):
        if item.parked:
            next_try = when(item.next_at, look.now)
            return f"failed {plural(item.tries, 'time')}: {item.code}, next try {next_try}"
    return None


def guard_hold(look: Look, scope: Scope) -> str | None:
    """The digest of this user's deletions that the deletion guard holds."""
    for entry in look.services.store.runs.pending():
        if (entry.user_id, entry.platform) == scope.pair and entry.reason == DELETION_GUARD:
            return entry.digest
    return None


def wanted(platform: Platform | None, user_id: str | None, pair: tuple[str, Platform]) -> bool:
    """The question is about this user and platform, too."""
    return platform in (None, pair[1]) and user_id in (None, pair[0])


def of_kind(links: Iterable[Link], kind: type[AnyLink]) -> list[AnyLink]:
    """Links of one type, the live ones first."""
    found = [link for link in links if isinstance(link, kind)]
    return sorted(found, key=lambda link: link.state is not LinkState.LIVE)


def by_address(look: Look, user_id: str) -> str:
    """The user whose mailbox or address in Welkin this is; anything else is an id."""
    return user_named(look.services.store, user_id)
