"""Take back everything that the sync has made for some users, and prove it by reading."""

import contextlib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from calendar_sync.adapters.http import waiting_at_most
from calendar_sync.config.calendars import OWN_NAME
from calendar_sync.core.codes import RequestCode
from calendar_sync.core.concurrency import together
from calendar_sync.core.errors import (
    BadItem,
    ConfigurationError,
    LeaseHeld,
    NotFound,
    SyncError,
    TenantMisconfigured,
    UnexpectedError,
    UserUnavailable,
)
from calendar_sync.core.identity import EXTERNAL_ID_PREFIX
from calendar_sync.core.model import (
    STANDING,
    BlockLink,
    Link,
    LinkState,
    MappedUser,
    MirrorLink,
    Platform,
    Removed,
    Window,
)
from calendar_sync.core.redaction import as_ours
from calendar_sync.state import Store
from calendar_sync.state.config import Revision
from calendar_sync.state.database import of_database
from calendar_sync.state.shared import Lease
from calendar_sync.sync.cycle import Cycle
from calendar_sync.sync.cycle.own_calendar import REMOVE, record
from calendar_sync.sync.roster import Names
from calendar_sync.sync.runner import hold
from calendar_sync.sync.services import Services

ROUNDS = 200
FEW = 100  # users that are asked about by name
WAITS = 20.0
# A cycle ends after a minute, a lost lease after 90 seconds: so long is a user waited for.
PATIENCE, PAUSE = 120.0, 5.0
AUTHOR = "un-sync"


@dataclass(frozen=True)
class SyncedItems:
    """The synced events and busy blocks of one (user, platform), by the state database."""

    user_id: str
    platform: Platform
    account: str
    mirrors: int
    blocks: int


@dataclass(frozen=True)
class Unsynced:
    """How the removal for one (user, platform) went.

    `removed` counts writes by step, `left` what a reading afterwards still found, by kind, and
    `history` past blocks: Welkin's record of time that was taken, which stays. `own_calendar` says
    what became of a calendar that the sync had made: "deleted", "kept" (others' events are in it,
    or it may not be deleted), empty for none. `code` names the failure, `detail` the place of a
    bug.
    """

    user_id: str
    platform: Platform
    account: str
    removed: dict[str, int] = field(default_factory=dict)
    left: dict[str, int] = field(default_factory=dict)
    history: int = 0
    own_calendar: str = ""
    code: str = ""
    detail: str = ""

    @property
    def clean(self) -> bool:
        """Nothing failed, and no mirrors or blocks were found afterwards."""
        return not self.code and not self.left

    @property
    def label(self) -> str:
        """One line for the run history."""
        gone = sum(self.removed.values())
        words = f"{self.account or self.user_id} ({self.platform.value}): {gone} deleted"
        if self.left:
            words += ", left: " + ", ".join(f"{n} {kind}" for kind, n in sorted(self.left.items()))
        if self.own_calendar:
            words += f", calendar {OWN_NAME} {self.own_calendar}"
        where = f" ({self.detail})" if self.detail else ""
        return f"{words}, {self.code}{where}" if self.code else words


def standing(
    store: Store, platforms: Iterable[Platform], users: Collection[str] = ()
) -> list[SyncedItems]:
    """What would be deleted for these users; without names, for all who are mapped or have links.

    Likewise for who has a calendar that the sync made. They are named by id or address.

    Raises:
        ConfigurationError: a named user is not mapped and has nothing of ours.
    """
    found = []
    users = {*map(Names(store).user, users)}
    known: set[str] = set()
    for platform in platforms:
        mapped = {row.user_id: row for row in store.config.mapping(platform)}
        held = store.links.counts(platform, users if len(users) < FEW else ())
        own = store.own_calendars.holders(platform)
        everybody = held.keys() | mapped.keys() | own.keys()
        known |= everybody
        for user_id in sorted(everybody & set(users) if users else everybody):
            former, mirrors, blocks = held.get(user_id, (own.get(user_id, ""), 0, 0))
            account = mapped[user_id].account if user_id in mapped else former
            found.append(SyncedItems(user_id, platform, account, mirrors, blocks))
    if unknown := users - known:
        raise ConfigurationError(detail=f"not mapped: {', '.join(sorted(unknown))}")
    return found


def disable(services: Services, rows: Sequence[SyncedItems], author: str) -> int:
    """Disable the mapping of these users, so that no run creates anything again."""
    pairs = {(row.user_id, row.platform) for row in rows}

    def switched_off(mapping: list[MappedUser]) -> list[MappedUser]:
        return [
            replace(row, enabled=False) if (row.user_id, row.platform) in pairs else row
            for row in mapping
        ]

    now = services.clock.now()
    return len(services.store.config.edit_mapping(switched_off, author, now).changed)


async def unsync(
    services: Services, revision: Revision, rows: Sequence[SyncedItems], *, run_id: str, owner: str
) -> list[Unsynced]:
    """Delete the mirrors and blocks of each of these, several at once; a failure affects no other.

    The mapping must have been switched off before (`disable`).
    """
    # Both platforms share the user's lease: one after the other.
    by_user: dict[str, list[SyncedItems]] = defaultdict(list)
    for row in rows:
        by_user[row.user_id].append(row)

    async def one(mine: list[SyncedItems]) -> list[Unsynced]:
        return [await _unsync(services, revision, row, run_id, owner) for row in mine]

    at_once = revision.settings.limits.user_concurrency
    found = await together((one(mine) for mine in by_user.values()), at_once)
    return [result for results in found for result in results]


async def _unsync(
    services: Services, revision: Revision, row: SyncedItems, run_id: str, owner: str
) -> Unsynced:
    store = services.store
    stored = store.config.mapped(row.user_id, row.platform)
    if stored is not None and stored.enabled:
        return _failed(row, RequestCode.MAPPED_AND_ENABLED)
    if row.platform not in services.platforms:
        return _failed(row, services.why_not(row.platform).code)
    mapped = stored or MappedUser(row.user_id, row.platform, row.account, enabled=False)
    removed: Counter[str] = Counter()
    errors: list[SyncError] = []
    try:
        lease = await _take(services, row.user_id, owner)
    except LeaseHeld as error:
        return _failed(row, error.code)
    before = [link for link in store.links.of(*_pair(row)) if link.state in STANDING]
    try:
        with _into(errors):
            async with hold(services, lease):
                # A person wants it: whoever does not answer is told of, whatever was before.
                cycle = Cycle(services, revision, mapped, lease, run_id, heeds_fault=False)
                for _ in range(ROUNDS):
                    result = await cycle.run()
                    removed.update(result.done)
                    errors += result.bugs
                    if result.complete:
                        break
                    if not result.writes:
                        # What is not found may be our own of a moment ago.
                        await services.clock.sleep(PAUSE)
    finally:
        store.leases.release(lease, services.clock.now())
    # A mailbox that has another name by now is known by that.
    known = {link.id: link for link in store.links.of(*_pair(row))}
    before = [known[link.id] for link in before]
    left: dict[str, int] = {}
    history = 0
    with _into(errors), waiting_at_most(WAITS):
        left, history = await _read_again(services, revision, mapped, before)
    own = ""
    if not (errors or left):
        with _into(errors), waiting_at_most(WAITS):
            own = await _own_calendars(services, mapped, run_id)
    for account in {link.account for link in before} | {row.account, mapped.account}:
        store.tokens.drop_account(account)
    removed.pop("noted", None)
    done = {str(step): count for step, count in removed.items()}
    code, detail = _told(errors)
    return Unsynced(row.user_id, row.platform, row.account, done, left, history, own, code, detail)


async def _own_calendars(services: Services, mapped: MappedUser, run_id: str) -> str:
    """Delete the calendars that were made for this user's mirrors, if nothing is in them.

    Returns "deleted", or "kept" if one contains events, or may not be deleted; empty for none.
    """
    store, clock = services.store, services.clock
    service, found = services.platforms[mapped.platform].calendars, ""
    for one in store.own_calendars.of(mapped.user_id, mapped.platform):
        begun, outcome = clock.monotonic(), ""
        try:
            empty = not one.calendar or await service.is_empty(one.account, one.calendar)
            if empty and one.calendar:
                outcome = "ok"
                await service.remove(one.account, one.calendar)
        except NotFound:
            empty = True
        except (BadItem, TenantMisconfigured, UserUnavailable) as error:
            empty, outcome = False, error.code if outcome else ""
        if outcome:
            took = clock.monotonic() - begun
            record(services, mapped, run_id, REMOVE, outcome, one.calendar, took)
        if empty:
            with store.database.write() as connection:
                place = (mapped.user_id, mapped.platform, one.account)
                store.own_calendars.forget(connection, place)
        if one.calendar and found != "kept":
            found = "deleted" if empty else "kept"
    return found


async def _take(services: Services, user_id: str, owner: str) -> Lease:
    """Take the user over, as soon as whoever works on them is done.

    Raises:
        LeaseHeld: that took too long.
    """
    begun = services.clock.monotonic()
    while True:
        try:
            return services.store.leases.take(user_id, owner, services.clock.now())
        except LeaseHeld:
            if services.clock.monotonic() - begun >= PATIENCE:
                raise
        await services.clock.sleep(PAUSE)


@contextlib.contextmanager
def _into(errors: list[SyncError]) -> Iterator[None]:
    """Keep what goes wrong for this one user; a lost database concerns everybody."""
    try:
        yield
    except Exception as error:
        if of_database(error):
            raise
        errors.append(as_ours(error))


def _failed(row: SyncedItems, code: str) -> Unsynced:
    """Nothing was tried."""
    return Unsynced(row.user_id, row.platform, row.account, code=code)


def _told(errors: Sequence[SyncError]) -> tuple[str, str]:
    """Code of the first failure, and the place of a bug."""
    if not errors:
        return "", ""
    first = errors[0]
    return first.code, first.detail if isinstance(first, UnexpectedError) else ""


def _pair(row: SyncedItems) -> tuple[str, Platform]:
    return row.user_id, row.platform


async def _read_again(
    services: Services, revision: Revision, mapped: MappedUser, before: Sequence[Link]
) -> tuple[dict[str, int], int]:
    """The mirrors and blocks that both sides still show: by our links, and by our marks."""
    settings, now = revision.of(mapped.profile).settings, services.clock.now()
    left: Counter[str] = Counter()
    mirrors = [link for link in before if isinstance(link, MirrorLink)]
    known = {(link.account.lower(), link.calendar) for link in mirrors}
    here = settings.calendars_with(mapped)
    accounts = {account for account, _ in known} | {mapped.account.lower()}
    places = known | {(account, here.mirrors) for account in accounts if account}
    if here.pending or settings.block_time.source == "free_busy":
        places = known  # there is no other calendar that we have ever written, or may read
    seen: set[str] = set()
    for account, calendar in sorted(places):
        ids = await _marked(services, mapped.platform, account, calendar, settings.list_window(now))
        left["mirrors"] += len(ids)
        seen |= ids
    # What lies outside of the window that was listed is asked for by name.
    asked = [link for link in mirrors if link.mirror_id not in seen]
    answers = await together(_exists(services, link) for link in asked)
    left["mirrors"] += sum(answers)
    blocks, history = await _blocks(services, revision, mapped, before)
    left["blocks"] += blocks
    return {kind: count for kind, count in left.items() if count}, history


async def _marked(
    services: Services, platform: Platform, account: str, calendar: str, window: Window
) -> set[str]:
    """Ids of events with our mark."""
    try:
        found = await services.platforms[platform].changes(account, calendar, None, window)
    except NotFound:
        return set()
    return {
        event.id
        for event in found.events
        if not isinstance(event, Removed) and services.identity.is_ours(event.marker)
    }


async def _exists(services: Services, link: MirrorLink) -> bool:
    if link.state is LinkState.INTENT and not link.mirror_id:
        return False
    platform = services.platforms[link.platform]
    event = await platform.event(link.account, link.calendar, link.mirror_id)
    return event is not None and not isinstance(event, Removed)


async def _blocks(
    services: Services, revision: Revision, mapped: MappedUser, before: Sequence[Link]
) -> tuple[int, int]:
    """Blocks that still take time, and those of the past."""
    settings, now = revision.of(mapped.profile).settings, services.clock.now()
    known = services.store.config.welkin_user(mapped.user_id)
    zone = settings.zone(known.time_zone if known else None)
    mirrors, ahead = settings.mirror_window(now), settings.block_window(now, zone)
    window = Window(min(mirrors.start, ahead.start), max(mirrors.end, ahead.end))
    events, _ = await services.welkin.events([mapped.user_id], window, zone)
    ours = {link.block_id for link in before if isinstance(link, BlockLink)}
    # The other platform's blocks of the same user are not ours to count here.
    others = {
        link.block_id
        for platform in Platform
        if platform is not mapped.platform
        for link in services.store.links.of(mapped.user_id, platform)
        if isinstance(link, BlockLink)
    }
    standing, past = 0, 0
    for event in events.values():
        marked = (event.external_id or "").startswith(EXTERNAL_ID_PREFIX)
        if event.cancelled or event.id in others or not (marked or event.id in ours):
            continue
        if event.span.instants(zone)[1] > now:
            standing += 1
        else:
            past += 1
    return standing, past
