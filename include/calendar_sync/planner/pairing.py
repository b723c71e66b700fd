"""Events that exist again with other ids: a mailbox was restored or imported again."""

from collections.abc import Hashable, Iterable
from dataclasses import replace
from functools import partial

from calendar_sync.core.model import (
    Action,
    ChangeLink,
    CreateBlock,
    DeleteBlock,
    LinkState,
    UpdateBlock,
)
from calendar_sync.planner.snapshot import View

FOUND_AGAIN = "found_again"
Block = CreateBlock | DeleteBlock
_GONE = frozenset({"event_deleted", "event_gone", "instance_gone"})


def paired(view: View, actions: Iterable[Action]) -> list[Action]:
    """Blocks of vanished events are used for the same events with new ids: no block is made twice.

    An event is the same if it has the same iCalUID, whatever its time (a backup is older than what
    it replaces), otherwise if it has the same time.
    """
    actions = list(actions)
    left = [action for action in actions if isinstance(action, DeleteBlock) and _leaves(action)]
    new = [action for action in actions if isinstance(action, CreateBlock) and not action.link]
    instead: dict[int, Action | None] = {}
    for key in (partial(_same_event, view), _same_instance, _same_time):
        free: dict[Hashable, list[DeleteBlock]] = {}
        for removal in left:
            named = key(removal)
            if named is not None and id(removal) not in instead:
                free.setdefault(named, []).append(removal)
        for creation in new:
            partners = free.get(key(creation))
            if id(creation) not in instead and partners:
                partner = partners.pop(0)
                instead[id(partner)], instead[id(creation)] = None, _moved(view, creation, partner)
    kept = (instead.get(id(action), action) for action in actions)
    return [action for action in kept if action is not None]


def _moved(view: View, new: CreateBlock, removal: DeleteBlock) -> Action:
    """The block that was to be deleted is used for the event that was to get a new one."""
    event, uid = new.event, view.identity.event_uid(new.event)
    link = replace(removal.link, source=new.source, event_id=event.id, event_uid=uid)
    seen = view.blocks.get(link.block_id)
    as_it_was = seen is not None and seen.hash == link.block_hash
    if as_it_was and new.content == link.wanted_hash:
        return ChangeLink(FOUND_AGAIN, link)
    return UpdateBlock(FOUND_AGAIN, event, new.span, new.content, link)


def _leaves(removal: DeleteBlock) -> bool:
    return removal.reason in _GONE and removal.link.state is LinkState.LIVE


def _same_event(view: View, action: Block) -> Hashable:
    if isinstance(action, CreateBlock):
        uid = view.identity.event_uid(action.event)
    else:
        uid = action.link.event_uid
    return (_calendar(action), uid, action.source.original_start) if uid else None


def _same_instance(action: Block) -> Hashable:
    return _calendar(action), action.source.original_start, action.span


def _same_time(action: Block) -> Hashable:
    return _calendar(action), action.span


def _calendar(action: Block) -> str:
    return action.calendar if isinstance(action, CreateBlock) else action.link.calendar
