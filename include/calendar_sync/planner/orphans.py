"""Orphans: items with our mark but without a link, from a lost state database or from a copy.

An orphan that fits an item to be created is adopted, so that nothing exists twice. The others may
be deleted only with a person's approval (I4).
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from calendar_sync.config.settings import Settings
from calendar_sync.core.model import (
    Action,
    Appointment,
    BlockLink,
    CreateBlock,
    DeleteBlock,
    DeleteMirror,
    LinkState,
    MirrorLink,
    Refusal,
    Removal,
    Step,
)
from calendar_sync.planner.guard import guarded
from calendar_sync.planner.mirrors import PENDING, judge
from calendar_sync.planner.snapshot import BlockSeen, View, found_block, found_mirror

ORPHAN = "stray"


def adopt(view: View, actions: Iterable[Action]) -> list[Action]:
    """Creations adopt blocks without a link: by the id that we gave, else by the same time."""
    actions = list(actions)
    free = {block.event_id: block for block in _unclaimed(view)}
    if not free:
        return actions
    taken: dict[int, BlockSeen] = {}
    creations = [action for action in actions if isinstance(action, CreateBlock)]
    for by_id in (True, False):
        for action in creations:
            interrupted = action.link is not None and action.link.state is LinkState.INTENT
            if interrupted or id(action) in taken:
                continue
            ids = view.external_ids(action.calendar, action.source) if by_id else frozenset[str]()
            for block in free.values():
                if block.external_id in ids or (not by_id and block.span == action.span):
                    taken[id(action)] = free.pop(block.event_id)
                    break
    return [
        replace(action, adopts=taken[id(action)].event_id)
        if isinstance(action, CreateBlock) and id(action) in taken
        else action
        for action in actions
    ]


def orphans(
    view: View, settings: Settings, actions: Iterable[Action]
) -> Iterator[Removal | Refusal]:
    """Deletions of orphans: only after a full read, and when all other links are known.

    Items that have a closed link, or the mark of an existing one, are left to `leftovers`.

    A mirror is deleted for its appointment's reason if its mark names an appointment that is known,
    should have no mirror, and never had a link. All others have the reason ORPHAN.
    """
    if not view.other_blocks_known or not all(calendar.full for calendar in view.calendars):
        return
    actions = list(actions)
    adopted = {action.adopts for action in actions if isinstance(action, CreateBlock)}
    for block in _unclaimed(view):
        ahead = block.span.overlaps(view.block_window, view.zone) and not view.past(block.span)
        if ahead and block.event_id not in adopted:
            yield DeleteBlock(ORPHAN, found_block(view, block))
    if view.direction.writes_calendar:
        going = {a.link.mirror_id for a in actions if isinstance(a, DeleteMirror)}
        yield from _mirrors(view, settings, going)


def _mirrors(view: View, settings: Settings, going: set[str]) -> Iterator[DeleteMirror | Refusal]:
    """Events with our mark whose appointments have no mirror here, and get none now.

    While its encounter is not known, the appointment may get a mirror again: then it is an orphan.
    """
    standing = {view.marker(link.appointment_id) for link in view.standing_mirrors}
    standing |= {view.marker(appointment_id) for appointment_id in view.unreadable}
    seen: set[str | None] = set()
    for calendar in view.calendars:
        for event in calendar.living.values() if calendar.holds_mirrors else ():
            known = event.id in view.mirror_ids or event.marker in standing
            known = known or event.id in view.claimed_elsewhere or event.id in going
            if known or event.id not in calendar.ours:
                continue
            link = found_mirror(view, event.id, calendar.name, event.span)
            appointment = view.appointment_by_mark.get(event.marker or "")
            removal = _mirror(view, settings, link, appointment, first=event.marker not in seen)
            seen.add(event.marker)
            yield from guarded(Step.DELETE_MIRROR, link.source, removal)


def _mirror(
    view: View,
    settings: Settings,
    link: MirrorLink,
    appointment: Appointment | None,
    *,
    first: bool,
) -> Iterator[DeleteMirror]:
    """Of several mirrors of one appointment, only the `first` can have its link."""
    objection = judge(view, settings, appointment) if appointment is not None else ORPHAN
    if objection is None:
        return
    certain = objection not in {PENDING, ORPHAN}
    if certain and appointment is not None and appointment.id not in view.mirror_links:
        link = replace(link, appointment_id=appointment.id) if first else link
    else:
        objection = ORPHAN
    yield DeleteMirror(objection, link)


def _unclaimed(view: View) -> list[BlockSeen]:
    """Blocks that are ours by their id and have no link of this user on any platform."""
    if not view.direction.writes_welkin:
        return []
    known = {link.name for link in view.links if isinstance(link, BlockLink)}
    known |= view.claimed_elsewhere
    return [
        block
        for block in view.blocks.values()
        if block.external_id
        and not block.cancelled
        and block.event_id not in known
        and block.external_id not in known
    ]
