"""Items that we certainly made and that should not exist: they are deleted without approval.

One kind still exists although its link is closed: the deletion was believed too early, or a person
has undone it. The other kind are further mirrors of an appointment besides the present one: they
are known from the audit log, or by their keys.
"""

from collections.abc import Iterator

from calendar_sync.config.settings import Settings
from calendar_sync.core.identity import made_as_mirror
from calendar_sync.core.model import (
    BlockLink,
    CalendarEvent,
    DeleteBlock,
    DeleteMirror,
    LinkState,
    MirrorLink,
    Refusal,
    Removal,
    Source,
    Step,
)
from calendar_sync.planner.guard import guarded
from calendar_sync.planner.mirrors import PENDING, is_gone, judge
from calendar_sync.planner.snapshot import CalendarView, Doubt, View, found_mirror

LEFT_OVER = "left_over"
_CLOSED = frozenset({LinkState.DELETED, LinkState.SHARED})
EARLIER = "made_before"


def leftovers(view: View, settings: Settings) -> Iterator[Removal | Doubt | Refusal]:
    """Deletions of mirrors and blocks whose links are closed, and of earlier mirrors."""
    if view.direction.writes_calendar:
        for calendar in view.calendars:
            for event in calendar.living.values() if calendar.holds_mirrors else ():
                if event.series_id is None:
                    found = _mirror(view, settings, calendar, event)
                    yield from guarded(Step.DELETE_MIRROR, Source(event.id), found)
    if view.direction.writes_welkin and all(calendar.full for calendar in view.calendars):
        links = [link for link in view.links if isinstance(link, BlockLink)]
        live = {link.block_id for link in links if link.state not in _CLOSED}
        for link in links:
            if link.state in _CLOSED:
                yield from guarded(Step.DELETE_BLOCK, link.source, _block(view, link, live))


def _mirror(
    view: View, settings: Settings, calendar: CalendarView, event: CalendarEvent
) -> Iterator[DeleteMirror | Doubt]:
    closed = view.closed_mirrors.get(event.id)
    if closed is not None:
        # A list of changes may repeat our own last write; a newer version is from a person.
        if calendar.full or event.version > closed.version:
            yield DeleteMirror(LEFT_OVER, closed)
        return
    if event.id in view.mirror_ids or event.id not in calendar.ours:
        return
    row = found_mirror(view, event.id, calendar.name, event.span)
    link = view.mirror_by_mark.get(event.marker or "")
    if link is None:
        # In the audit log as this user's, and closed when the mailbox had another name.
        if event.id in view.recorded_mirrors and not _wanted(view, settings, event.marker):
            yield DeleteMirror(EARLIER, row)
        return
    if _may_be_taken_over(view, settings, calendar, link):
        return
    if event.id not in view.recorded_mirrors and not made_as_mirror(event):
        return  # a copy that a user made
    if view.settling(link):
        yield Doubt(link.source)  # perhaps read before it was deleted and the present one created
    else:
        yield DeleteMirror(EARLIER, row)


def _may_be_taken_over(
    view: View, settings: Settings, calendar: CalendarView, link: MirrorLink
) -> bool:
    """The appointment should have a mirror, and the present one does not exist (any more)."""
    if link.state is not LinkState.DELETED:
        return is_gone(calendar, link)
    return _wanted(view, settings, view.marker(link.appointment_id))


def _wanted(view: View, settings: Settings, marker: str | None) -> bool:
    """The appointment of this mark should have a mirror, or may get one."""
    appointment = view.appointment_by_mark.get(marker or "")
    return appointment is not None and judge(view, settings, appointment) in {None, PENDING}


def _block(view: View, link: BlockLink, live: set[str]) -> Iterator[DeleteBlock]:
    seen = view.blocks.get(link.block_id)
    if seen is None or seen.cancelled or view.past(seen.span):
        return
    if seen.event_id not in live and seen.event_id not in view.claimed_elsewhere:
        yield DeleteBlock(LEFT_OVER, link, then=link)
