"""Put both sides' actions together, hold what the brake must hold, and order the rest."""

import hashlib
from collections import Counter
from collections.abc import Iterable
from datetime import timedelta

from calendar_sync.model import Action, Conflict, LinkState, Plan, Step
from calendar_sync.planner.blocks import plan_blocks
from calendar_sync.planner.mirrors import judge, plan_mirrors
from calendar_sync.planner.view import View
from calendar_sync.settings import Settings

_REMOVALS = frozenset({Step.DELETE_MIRROR, Step.DELETE_BLOCK})


def plan(view: View, settings: Settings) -> Plan:
    """The actions that bring both sides in step, in the order in which to take them."""
    actions: list[Action] = []
    conflicts: list[Conflict] = []
    for decision in (*plan_mirrors(view, settings), *plan_blocks(view, settings)):
        if isinstance(decision, Conflict):
            conflicts.append(decision)
        else:
            actions.append(decision)
    held, digest = _brake(view, settings, actions)
    if held:
        actions = [action for action in actions if not action.absence]
    skipped = Counter(
        objection
        for appointment in view.appointments.values()
        if (objection := judge(view, settings, appointment)) is not None
    )
    return Plan(
        tuple(sorted(actions, key=lambda action: _order(view, action))),
        tuple(conflicts),
        tuple(held),
        digest,
        skipped,
    )


def _brake(view: View, settings: Settings, actions: Iterable[Action]) -> tuple[list[Action], str]:
    """Rule 13: too many removals that rest on absence alone wait for a person."""
    doubtful = [action for action in actions if action.absence]
    live = sum(1 for link in view.links if link.state is LinkState.LIVE)
    if settings.brake.allows(len(doubtful), live):
        return [], ""
    digest = digest_of(doubtful)
    if digest in view.approved:
        return [], ""
    return doubtful, digest


def digest_of(actions: Iterable[Action]) -> str:
    """Names a set of removals by their opaque ids, so that an approval covers these and no more."""
    lines = sorted(
        f"{action.step}|{action.source.id}|{action.source.original_start}" for action in actions
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def _order(view: View, action: Action) -> tuple[int, timedelta, str]:
    """Rows first (free), then removals (privacy), then the dates nearest to now."""
    rank = 0 if action.step is Step.NOTE else 1 if action.step in _REMOVALS else 2
    distance = abs(action.span.instants(view.zone)[0] - view.now)
    return rank, distance, action.source.id
