"""Combine the actions of both sides, hold what needs approval, and order the rest."""

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta

from calendar_sync.config.settings import Settings
from calendar_sync.core.model import (
    Action,
    Appointment,
    ChangeLink,
    Conflict,
    ConflictDecision,
    DeleteBlock,
    DeleteMirror,
    Hold,
    LinkState,
    Plan,
    Refusal,
    Removal,
    Source,
    Step,
    WriteBack,
    exceeds,
)
from calendar_sync.planner.blocks import plan_blocks
from calendar_sync.planner.leftovers import leftovers
from calendar_sync.planner.mirrors import judge, plan_mirrors
from calendar_sync.planner.orphans import ORPHAN, adopt, orphans
from calendar_sync.planner.overlaps import overlaps
from calendar_sync.planner.pairing import paired
from calendar_sync.planner.snapshot import Doubt, View

DELETION_GUARD = "brake"
WRITE_BACK = "write_back"
WRITE_BACKS_A_DAY = 3


def plan(view: View, settings: Settings) -> Plan:
    """The actions that bring both sides up to date, in the order in which to carry them out."""
    actions: list[Action] = []
    conflicts: list[Conflict] = []
    doubted: set[Source] = set()
    refused: list[Refusal] = []
    made = (*plan_mirrors(view, settings), *plan_blocks(view, settings), *leftovers(view, settings))
    for decision in made:
        if isinstance(decision, Conflict):
            conflicts.append(decision)
        elif isinstance(decision, Doubt):
            doubted.add(decision.source)
        elif isinstance(decision, Refusal):
            refused.append(decision)
        else:
            actions.append(decision)
    actions = adopt(view, paired(view, actions))
    found = []
    for deletion in orphans(view, settings, actions):
        if isinstance(deletion, Refusal):
            refused.append(deletion)
        else:
            found.append(deletion)
    unclaimed = [action for action in found if action.reason == ORPHAN]
    actions += found
    actions.sort(key=lambda action: _order(view, action))
    holds = [*_deletion_guard(view, settings, actions), *_write_backs(view, actions)]
    # A mirror that shows more than a lowered level allows cannot wait for a person: it is restored.
    back = {
        id(action): action.instead()
        for hold in holds
        for action in hold.actions
        if isinstance(action, WriteBack) and exceeds(action.link.level, action.draft.level)
    }
    holds = [hold for hold in holds if id(hold.actions[0]) not in back]
    actions = [back.get(id(action), action) for action in actions]
    restored = {action.source for action in back.values()}
    # One hold for each side: both platforms see an orphaned block, and the first one deletes it.
    for kind in (DeleteMirror, DeleteBlock):
        if mine := [action for action in unclaimed if isinstance(action, kind)]:
            holds += _unless_approved(view, ORPHAN, mine)
    held = {id(action) for hold in holds for action in hold.actions}
    objections = {
        key: _objection(view, settings, appointment)
        for key, appointment in view.appointments.items()
    }
    visits = [view.appointments[key] for key, said in objections.items() if said is None]
    actions = [action for action in actions if id(action) not in held]
    return Plan(
        tuple(actions),
        tuple(_as_held(conflict, holds, restored) for conflict in conflicts),
        tuple(holds),
        Counter(said for said in objections.values() if said is not None),
        len(doubted),
        tuple(refused),
        overlaps(view, settings, visits, actions),
    )


def _objection(view: View, settings: Settings, appointment: Appointment) -> str | None:
    """Why it has no mirror, to be counted; one that causes an error is refused elsewhere."""
    try:
        return judge(view, settings, appointment)
    except Exception:
        return "refused"


def _deletion_guard(view: View, settings: Settings, actions: Iterable[Action]) -> Iterator[Hold]:
    """Rule 13: too many deletions only because the other side was not found wait for a person.

    A series that was read by its own id counts once: it is deleted as a whole.
    """
    doubtful = [action for action in actions if isinstance(action, Removal) and action.absence]
    asked = {event_id for calendar in view.calendars for event_id in calendar.gone}

    def counted(source: Source) -> Source:
        return Source(source.id) if source.id in asked else source

    gone = {(action.step, counted(action.source)) for action in doubtful}
    live = {
        (link.kind, counted(link.source)) for link in view.links if link.state is LinkState.LIVE
    }
    if not settings.deletion_guard.allows(len(gone), len(live)):
        yield from _unless_approved(view, DELETION_GUARD, doubtful)


def _write_backs(view: View, actions: Iterable[Action]) -> Iterator[Hold]:
    """Rules 9 and 10: edits of mirrors change a few appointments a day without approval."""
    left = WRITE_BACKS_A_DAY - len(view.written_back)
    for action in actions:
        if not isinstance(action, WriteBack) or action.source.id in view.written_back:
            continue
        if left > 0:
            left -= 1
        else:
            # One approval each: it is by chance which of them are in the same cycle.
            yield from _unless_approved(view, WRITE_BACK, [action])


def _unless_approved(view: View, reason: str, actions: Sequence[Action]) -> Iterator[Hold]:
    digest = digest_of((action.step, action.source) for action in actions)
    if digest not in view.approved:
        yield Hold(reason, digest, tuple(actions))


def _as_held(conflict: Conflict, holds: Iterable[Hold], restored: Collection[Source]) -> Conflict:
    """The conflict with what was decided: about an action that is held, nothing yet."""
    waiting = {a.source for hold in holds if hold.reason == WRITE_BACK for a in hold.actions}
    if conflict.decision not in {ConflictDecision.CANCELLED, ConflictDecision.RESCHEDULED}:
        return conflict
    if conflict.source in restored:
        return replace(conflict, decision=ConflictDecision.RESTORED)
    if conflict.source in waiting:
        return replace(conflict, decision=ConflictDecision.HELD)
    return conflict


def digest_of(actions: Iterable[tuple[Step, Source]]) -> str:
    """Names a set of actions by their opaque ids, so that an approval covers only these."""
    lines = sorted(f"{step}|{source.id}|{source.original_start}" for step, source in actions)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def _order(view: View, action: Action) -> tuple[int, timedelta, str]:
    """Links first (no request), then deletions (privacy), then the dates nearest to now."""
    if isinstance(action, ChangeLink):
        return 0, timedelta(), ""
    rank = 1 if isinstance(action, Removal) else 2
    distance = abs(action.span.instants(view.zone)[0] - view.now)
    return rank, distance, action.source.id
