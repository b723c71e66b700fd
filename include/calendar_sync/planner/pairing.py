"""Events that are there again under other ids: a mailbox was restored, or imported anew."""

from collections.abc import Hashable, Iterable
from dataclasses import replace
from functools import partial

from calendar_sync.core.model import Action, LinkState, Step
from calendar_sync.planner.mirrors import note
from calendar_sync.planner.snapshot import View

FOUND_AGAIN = "found_again"
_GONE = frozenset({"event_deleted", "event_gone", "instance_gone"})


def paired(view: View, actions: Iterable[Action]) -> list[Action]:
    """Blocks of events that are gone stand for the same events under new ids: none is made twice.

    An event is the same by its iCalUID, whatever its time now (a back-up is older than what it
    replaces), else by its time.
    """
    actions = list(actions)
    left = [action for action in actions if _leaves(action)]
    new = [action for action in actions if action.step is Step.CREATE_BLOCK and not action.link]
    instead: dict[int, Action | None] = {}
    for key in (partial(_same_event, view), _same_instance, _same_time):
        free: dict[Hashable, list[Action]] = {}
        for action in left:
            named = key(action)
            if named is not None and id(action) not in instead:
                free.setdefault(named, []).append(action)
        for action in new:
            partners = free.get(key(action))
            if id(action) not in instead and partners:
                partner = partners.pop(0)
                instead[id(partner)], instead[id(action)] = None, _moved(view, action, partner)
    kept = (instead.get(id(action), action) for action in actions)
    return [action for action in kept if action is not None]


def _moved(view: View, action: Action, removal: Action) -> Action:
    """The block that was to go stands for the event that was to get one of its own."""
    link, event = removal.link, action.event
    if link is None or event is None:  # pragma: no cover - both have what they are about
        return action
    uid = view.event_uid(event)
    link = replace(link, source=action.source, event_id=event.id, event_uid=uid)
    seen = view.blocks.get(link.remote_id)
    as_it_was = seen is not None and seen.hash == link.remote_hash
    if as_it_was and view.block_hash(event) == link.wanted_hash:
        return note(link, FOUND_AGAIN)
    return replace(action, step=Step.UPDATE_BLOCK, reason=FOUND_AGAIN, link=link)


def _leaves(action: Action) -> bool:
    link = action.link
    removal = action.step is Step.DELETE_BLOCK and action.reason in _GONE
    return removal and link is not None and link.state is LinkState.LIVE


def _same_event(view: View, action: Action) -> Hashable:
    if action.event is not None:
        uid = view.event_uid(action.event)
    else:
        uid = action.link.event_uid if action.link is not None else ""
    return (_calendar(action), uid, action.source.original_start) if uid else None


def _same_instance(action: Action) -> Hashable:
    return _calendar(action), action.source.original_start, action.span


def _same_time(action: Action) -> Hashable:
    return _calendar(action), action.span


def _calendar(action: Action) -> str:
    return action.link.calendar if action.link is not None else action.calendar
