"""One meeting in several calendars of a user: the block of one is enough (rule 7).

Both platforms share the user's lease, so that what one cycle finds about the other platform stays
true until it ends. Whoever comes second needs no block. A cycle that finds that no other calendar
keeps the block any more reads the meeting again, and makes one.
"""

from collections.abc import Iterable, Iterator

from calendar_sync.core.model import (
    KEEPS_MEETING,
    BlockLink,
    Link,
    LinkState,
    MappedUser,
    Meeting,
    Platform,
)
from calendar_sync.state.config import Revision
from calendar_sync.sync.cycle.scope import Scope
from calendar_sync.sync.services import Services


def kept(
    organisation: Revision,
    row: MappedUser | None,
    links: Iterable[Link],
    states: frozenset[LinkState] = KEEPS_MEETING,
) -> dict[Meeting, BlockLink]:
    """Those of the links of this row of the mapping whose blocks it keeps in Welkin, by meeting.

    Where a person has deleted the block for good (`block_edited: accept`), there is to be none.
    Blocks that are merely left there, as the direction or the mapping no longer wants them, are not
    kept.
    """
    if row is None or not row.enabled:
        return {}
    settings = organisation.settings
    own = settings.of_user(row) if settings.knows(row.profile) else settings
    if not own.block_time.enabled:
        return {}
    if not own.direction_of(row.platform, row.direction).writes_welkin:
        return {}
    return {
        link.meeting: link
        for link in links
        if isinstance(link, BlockLink) and link.state in states and link.event_uid
    }


def tell_others(services: Services, scope: Scope, before: Iterable[Link]) -> None:
    """Mark the user where a calendar needs a block of its own from now on.

    `before`: the links with which the cycle began. A meeting that nobody kept then has been looked
    at.
    """
    store, now = services.store, services.clock.now()
    rows = {one: store.config.mapped(scope.user_id, one) for one in Platform}
    before = list(before)
    was_cared_for = _cared_for(scope, rows[scope.platform], before)
    cared_for: dict[Platform, set[Meeting]] = {}
    for platform, row in rows.items():
        if row is None or not row.enabled:
            continue
        if platform is scope.platform:
            shared = [one for one in _shared(before) if one.meeting in was_cared_for]
        else:
            shared = store.links.shared(scope.user_id, platform)
        waiting = {
            link.meeting
            for link in shared
            if link.account.lower() == row.account.lower()
            and link.span.instants(scope.zone)[1] > now
        }
        for other, theirs in rows.items() if waiting else ():
            if other not in cared_for:
                links = store.links.of(scope.user_id, other)
                cared_for[other] = _cared_for(scope, theirs, links)
            waiting -= cared_for[other]
        if waiting:
            with store.database.write() as connection:
                store.marks.mark(connection, [(scope.user_id, platform)], now)


def _cared_for(scope: Scope, row: MappedUser | None, links: Iterable[Link]) -> set[Meeting]:
    """Meetings whose block stands, or was begun: its own calendar goes on with it."""
    states = KEEPS_MEETING | {LinkState.INTENT}
    return set(kept(scope.organisation, row, links, states))


def _shared(links: Iterable[Link]) -> Iterator[BlockLink]:
    for link in links:
        if isinstance(link, BlockLink) and link.state is LinkState.SHARED:
            yield link
