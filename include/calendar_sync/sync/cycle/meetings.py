"""One meeting in both calendars of a user: the block of one is enough (rule 7).

Both platforms share the user's lease, so that what one cycle finds about the other platform stays
true until it ends. Whoever comes second needs no block. A cycle that finds that the other platform
no longer keeps its block reads the meeting again, and makes one.
"""

from collections.abc import Iterable

from calendar_sync.core.model import BlockLink, Link, LinkState, MappedUser, Platform
from calendar_sync.planner.snapshot import Meeting
from calendar_sync.state.config import Revision
from calendar_sync.sync.cycle.scope import Scope
from calendar_sync.sync.services import Services

_KEPT = frozenset({LinkState.LIVE, LinkState.RETIRED, LinkState.DISMISSED})


def kept(
    organisation: Revision, row: MappedUser | None, links: Iterable[Link]
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
        if isinstance(link, BlockLink) and link.state in _KEPT and link.event_uid
    }


def tell_others(services: Services, scope: Scope) -> None:
    """Mark the user on other platforms that need a block of their own from now on."""
    store, now = services.store, services.clock.now()
    for other in Platform:
        row = store.config.mapped(scope.user_id, other) if other is not scope.platform else None
        if row is None or not row.enabled:
            continue
        shared = [
            link
            for link in store.links.shared(scope.user_id, other)
            if link.account.lower() == row.account.lower()
            and link.span.instants(scope.zone)[1] > now
        ]
        if not shared:
            continue
        own = store.config.mapped(*scope.pair)
        blocks = kept(scope.organisation, own, store.links.of(*scope.pair))
        if any(link.meeting not in blocks for link in shared):
            with store.database.write() as connection:
                store.marks.mark(connection, [(scope.user_id, other)], now)
