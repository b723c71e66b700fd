"""Mirrors in a previous account without a link: a person has undone their deletion.

A cleared account is not read any more, so it is listed while it is being cleared.
"""

from collections.abc import Iterable
from dataclasses import replace

from calendar_sync.core.errors import SyncError
from calendar_sync.core.identity import made_as_mirror
from calendar_sync.core.model import (
    STANDING,
    CalendarEvent,
    DeleteMirror,
    Link,
    LinkState,
    MirrorLink,
    Removed,
    Row,
)
from calendar_sync.sync.cycle.scope import Scope
from calendar_sync.sync.services import Services


async def unlinked(
    services: Services, scope: Scope, links: Iterable[Link], reason: str
) -> list[DeleteMirror]:
    """Deletions of what we certainly made there: the mark and the key are this user's.

    In a mailbox that was restored, a mirror has another id: one of the events with its mark is
    taken for it. `links` are those of the account of `scope`. If a list cannot be read, nothing is
    returned: the deletions that follow ask the same server and report the error.
    """
    mirrors = [link for link in links if isinstance(link, MirrorLink)]
    marked = {
        services.identity.marker(link.user_id, link.appointment_id): link
        for link in sorted(mirrors, key=lambda link: link.state is not LinkState.DELETED)
    }
    rows = {link.mirror_id: link for link in mirrors}
    known = {link.mirror_id for link in mirrors if link.state in STANDING}
    actions = []
    for calendar in sorted({link.calendar for link in mirrors}):
        living = {
            e.id: e for e in await _listed(services, scope, calendar) if not isinstance(e, Removed)
        }
        unknown = {
            event.id: event
            for event in living.values()
            if event.marker in marked and event.id not in known
        }
        made = services.store.audit.mirrors_made(scope.user_id, scope.platform.value, unknown)
        found_again: set[str | None] = set()
        for event in unknown.values():
            link = marked[event.marker or ""]
            ours = event.id in made or made_as_mirror(event)
            lost = link.state in STANDING and link.mirror_id not in living
            if lost and event.marker not in found_again:
                found_again.add(event.marker)
                ours = True
            if ours and isinstance(event, CalendarEvent):
                new = replace(link, id=None, appointment_id=event.id, calendar=calendar)
                row = rows.get(event.id) or replace(new, mirror_id=event.id, span=event.span)
                row = replace(row, state=LinkState.LIVE)
                actions.append(DeleteMirror(reason, row))
    return actions


async def _listed(services: Services, scope: Scope, calendar: str) -> tuple[Row, ...]:
    platform = services.platforms[scope.platform]
    try:
        return (await platform.listed(scope.account, calendar, scope.list_window)).events
    except SyncError:
        return ()
