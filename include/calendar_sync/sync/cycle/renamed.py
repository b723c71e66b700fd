"""A mailbox under another name: our mirrors and blocks stay, and their links move along.

An account or its domain was renamed, an alias became its address, or its object id was mapped. The
proof is a mirror of this user with its id and mark in the mailbox that is mapped now. If the
previous name shows another event with that id, these are two mailboxes, and the previous one is
cleared (rule 2).
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from calendar_sync.core.errors import NotFound, UserUnavailable
from calendar_sync.core.model import (
    STANDING,
    WITHOUT_BLOCK,
    Link,
    LinkState,
    MirrorLink,
    Removed,
    Row,
)
from calendar_sync.sync.cycle.scope import Scope
from calendar_sync.sync.services import Services

_MOVING = STANDING | WITHOUT_BLOCK | {LinkState.DISMISSED}


@dataclass(frozen=True)
class Renamed:
    """Finds out which previous accounts of a user are the mailbox that is mapped now."""

    services: Services
    scope: Scope

    async def rows(self, links: Iterable[Link]) -> list[Link]:
        """The links to store, so that links of such accounts become links of the present one."""
        links = list(links)
        by_key = {_key(link): link for link in links}
        found: list[Link] = []
        former: dict[str, list[MirrorLink]] = {}
        for link in links:
            if isinstance(link, MirrorLink) and self._is_former(link):
                former.setdefault(link.account, []).append(link)
        for account, mirrors in sorted(former.items()):
            if await self._is_present(account, mirrors):
                for link in links:
                    if link.account == account and link.state in _MOVING:
                        moved = replace(link, account=self.scope.account)
                        found += _merged(link, moved, by_key.get(_key(moved)))
        return found

    def _is_former(self, link: MirrorLink) -> bool:
        return link.state in STANDING and link.account.lower() != self.scope.account.lower()

    async def _is_present(self, account: str, mirrors: list[MirrorLink]) -> bool:
        for calendar in sorted({link.calendar for link in mirrors}):
            shown = await self._shown(calendar)
            for link in mirrors:
                event = shown.get(link.mirror_id)
                marker = self.services.identity.marker(self.scope.user_id, link.appointment_id)
                if link.calendar == calendar and event is not None and event.marker == marker:
                    return not await self._is_another(account, calendar, event)
        return False

    async def _shown(self, calendar: str) -> dict[str, Row]:
        """What the mailbox that is mapped now has there; empty while it cannot be read."""
        platform, scope = self.services.platforms[self.scope.platform], self.scope
        try:
            found = await platform.changes(scope.account, calendar, None, scope.list_window)
        except (NotFound, UserUnavailable):
            return {}
        return {event.id: event for event in found.events if not isinstance(event, Removed)}

    async def _is_another(self, account: str, calendar: str, shown: Row) -> bool:
        """The previous name is another mailbox, with a copy of this event."""
        platform = self.services.platforms[self.scope.platform]
        try:
            event = await platform.event(account, calendar, shown.id)
        except (NotFound, UserUnavailable):
            return False
        there = event is not None and not isinstance(event, Removed)
        return there and event is not None and event.etag != shown.etag


def _merged(link: Link, moved: Link, there: Link | None) -> list[Link]:
    """The links after a move; `there` has the key already, from before or from a second mirror."""
    if there is None:
        return [moved]
    closed = replace(link, state=LinkState.DELETED)
    if there.state not in STANDING:
        generation = max(link.generation, there.generation)
        return [replace(moved, id=there.id, generation=generation), closed]
    # Of two mirrors, the earlier link is closed, and its mirror is deleted, known by its key. Of
    # two blocks, the earlier link stays with the previous account, which is cleared.
    return [closed] if isinstance(link, MirrorLink) else []


def _key(link: Link) -> tuple[str, str, str, str, str]:
    source = link.source
    return link.kind, link.account.lower(), link.calendar, source.id, source.original_start
