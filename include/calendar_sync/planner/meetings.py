"""The same meeting in several calendars of a user needs one block (rule 7)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeGuard

from calendar_sync.config.settings import BlockTime
from calendar_sync.core.model import (
    KEEPS_MEETING,
    STANDING,
    BlockLink,
    CalendarEvent,
    ChangeLink,
    CreateBlock,
    DeleteBlock,
    Link,
    LinkState,
    Meeting,
    Span,
    UpdateBlock,
)
from calendar_sync.planner.buffers import block_span
from calendar_sync.planner.mirrors import Decision
from calendar_sync.planner.snapshot import View

#: Links of blocks by meeting; None where the same plan makes or changes the block.
Kept = Mapping[Meeting, BlockLink | None]


@dataclass(frozen=True)
class Beside:
    """What the other calendars of the same account keep, once this plan has been carried out.

    `before` are those that come first among the busy calendars: they keep a meeting that has a
    block in both. Those `after` cover only what has no block at its time.
    """

    before: Kept = field(default_factory=dict)
    after: Kept = field(default_factory=dict)


def covered(
    view: View, rules: BlockTime, event: CalendarEvent, link: BlockLink | None, beside: Beside
) -> bool:
    """Another calendar of the user keeps a block for this meeting at the same time.

    What was decided about a block of this calendar stays. One that stands is given up only for one
    that Welkin shows, or that was written a moment ago.
    """
    span = block_span(event, rules)
    meeting = (view.identity.event_uid(event), span)
    others = [view.kept_elsewhere, beside.before]
    if link is None or link.state not in STANDING or link.span != span:
        others.append(beside.after)
    return any(_covers(view, kept[meeting], link, span) for kept in others if meeting in kept)


def _covers(view: View, other: BlockLink | None, link: BlockLink | None, span: Span) -> bool:
    if link is None:
        return True
    if link.state is LinkState.DISMISSED:
        return link.span != span
    if link.state not in STANDING:
        return True
    if other is None:
        return link.span != span  # it is in the wrong place anyway
    if other.state is LinkState.LIVE and view.settling(other):
        return True
    seen = view.blocks.get(other.block_id)
    if seen is None or seen.cancelled:
        return False
    return seen.span.instants(view.zone) == span.instants(view.zone)


def kept_after(
    view: View, calendar: str, decisions: Iterable[Decision], *, new: bool = True
) -> Kept:
    """What this calendar keeps once these decisions about it have been carried out.

    Without what is `new`: a block that was begun, or is changed, is not.
    """
    kept: dict[Meeting, BlockLink | None] = {
        link.meeting: link for link in view.keeping if link.calendar == calendar
    }
    made: dict[Meeting, BlockLink | None] = {}
    for decision in decisions:
        if not isinstance(decision, ChangeLink | CreateBlock | DeleteBlock | UpdateBlock):
            continue
        link = decision.link
        if isinstance(link, BlockLink):
            before = view.block_links.get((calendar, link.source), link)
            kept.pop(before.meeting, None)
        if isinstance(decision, CreateBlock | UpdateBlock):
            begun = link is not None and link.state in STANDING
            uid = view.identity.event_uid(decision.event)
            if uid and (new or begun):
                made[uid, decision.span] = None
        elif isinstance(decision, ChangeLink) and _keeps(link):
            made[link.meeting] = link
    return kept | made


def _keeps(link: Link | None) -> TypeGuard[BlockLink]:
    return isinstance(link, BlockLink) and link.state in KEEPS_MEETING and bool(link.event_uid)


def stored(view: View, calendars: Sequence[str], calendar: str) -> Beside:
    """What these busy calendars keep beside this one, as the links say."""
    place = calendars.index(calendar)

    def kept(names: Sequence[str]) -> Kept:
        return {link.meeting: link for link in view.keeping if link.calendar in names}

    return Beside(kept(calendars[:place]), kept(calendars[place + 1 :]))
