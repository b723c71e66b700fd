"""Mirrors in a former account that no link stands for: a deletion that a person took back there.

Nobody reads that account any more once it has been cleared. So it is listed while it is.
"""

from collections.abc import Iterable
from dataclasses import replace

from calendar_sync.cycle.scope import Scope
from calendar_sync.errors import SyncError
from calendar_sync.identity import GENERATIONS
from calendar_sync.model import Action, CalendarEvent, Link, LinkKind, LinkState, Source, Step
from calendar_sync.services import Services


async def unlinked(
    services: Services, scope: Scope, links: Iterable[Link], reason: str
) -> list[Action]:
    """Removals of what is provably ours there: the mark and the key are this user's.

    `links` are those of the account of `scope`. A list that fails shows nothing: the removals that
    follow meet the same server, and say so.
    """
    mirrors = [link for link in links if link.kind is LinkKind.MIRROR]
    marked = {
        services.identity.marker(link.user_id, link.source.id): link
        for link in sorted(mirrors, key=lambda link: link.state is not LinkState.DELETED)
    }
    known = {link.remote_id for link in mirrors}
    actions = []
    for calendar in sorted({link.calendar for link in mirrors}):
        unknown = {
            event.id: event
            for event in await _listed(services, scope, calendar)
            if event.marker in marked and event.id not in known and not event.deleted
        }
        made = services.store.audit.mirrors_made(scope.user_id, scope.platform.value, unknown)
        for event in unknown.values():
            link = marked[event.marker or ""]
            if event.span is not None and {event.id, event.key} & (made | _keys(services, link)):
                source = Source(event.id)
                row = replace(
                    link,
                    id=None,
                    source=source,
                    calendar=calendar,
                    state=LinkState.LIVE,
                    remote_id=event.id,
                    span=event.span,
                )
                actions.append(Action(Step.DELETE_MIRROR, reason, source, event.span, row))
    return actions


async def _listed(services: Services, scope: Scope, calendar: str) -> tuple[CalendarEvent, ...]:
    platform = services.platforms[scope.platform]
    try:
        return (await platform.listed(scope.account, calendar, scope.list_window)).events
    except SyncError:
        return ()


def _keys(services: Services, link: Link) -> frozenset[str]:
    made = services.identity.mirror_id
    return frozenset(
        made(link.platform, link.user_id, link.account, link.source.id, generation)
        for generation in range(1, GENERATIONS + 1)
    )
