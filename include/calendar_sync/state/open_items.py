"""What counts as open, for the command line, the pages, the report and the mail.

A conflict is *undecided* while both sides still differ, or something waits, and it was not closed.
One that the sync finds again and again while it lasts is over if it was not found for a week. For
a week, conflicts that the sync has settled by a rule are shown, too. Visits over busy time are
*listed* while they last, and counted apart. An item is *parked* after three failures: before that
it is only tried again. A question is open until it is answered, either way.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, or_

from calendar_sync.core.model import ConflictDecision
from calendar_sync.state import tables as t
from calendar_sync.state.items import TRIES_BEFORE_PARKING

# Left as it was edited, until it is closed.
_LEFT_ALONE = (ConflictDecision.PARKED.value, ConflictDecision.REPORTED.value)
# Found again by each full comparison, or each try, for as long as it lasts.
_LASTING = (
    ConflictDecision.HELD.value,
    ConflictDecision.LEFT.value,
    ConflictDecision.LEFT_IN_ACCOUNT.value,
)
UNDECIDED = (*_LEFT_ALONE, *_LASTING)
# Nothing to decide, and not counted as a conflict.
_LISTED = ConflictDecision.LISTED.value
TOLD_FOR = timedelta(days=7)


def undecided(now: datetime) -> ColumnElement[bool]:
    """Conflicts that need a person."""
    return and_(open_conflicts(now), t.conflict.c.decision.in_(UNDECIDED))


def open_conflicts(now: datetime) -> ColumnElement[bool]:
    """Conflicts that count: the undecided, and what was settled in the last week."""
    table = t.conflict.c
    told = or_(table.decision.in_(_LEFT_ALONE), table.last_at > now - TOLD_FOR)
    return and_(table.dismissed_at.is_(None), table.decision != _LISTED, told)


def listed(now: datetime) -> ColumnElement[bool]:
    """Conflicts that are only shown, while they last: visits over busy time."""
    table = t.conflict.c
    return and_(table.dismissed_at.is_(None), table.decision == _LISTED, table.ends_at > now)


def parked(*platforms: str) -> Sequence[ColumnElement[bool]]:
    """Items that are not tried for now; of these platforms, or of all."""
    table = t.parked_item.c
    found: list[ColumnElement[bool]] = [table.tries >= TRIES_BEFORE_PARKING]
    if platforms:
        found.append(table.platform.in_(platforms))
    return found


def unanswered() -> ColumnElement[bool]:
    """Approvals that are needed."""
    table = t.approval.c
    return and_(table.granted_at.is_(None), table.declined_at.is_(None))
