"""A message to the person concerned, at most one a day for each account.

Their calendar is not synced, an edit was put back, or a visit is booked over their busy time. Of
an appointment it says no more than the time, and that only if it is in the calendar.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape
from typing import Any

from sqlalchemy import select

from calendar_sync.config.notifiers import Notify
from calendar_sync.core.codes import code_of
from calendar_sync.core.model import ConflictDecision, ConflictKind, MappedUser, Platform
from calendar_sync.core.plurals import plural
from calendar_sync.insight.health.render import Message
from calendar_sync.insight.user_state import UserState
from calendar_sync.insight.users import Everybody, UserStatus
from calendar_sync.orchestration.airflow_questions import pages_address
from calendar_sync.orchestration.notify import send
from calendar_sync.state import Store
from calendar_sync.state import tables as t
from calendar_sync.state.open_items import listed

logger = logging.getLogger(__name__)

TOLD = "people_told"
AGAIN = timedelta(days=1)
SUBJECT = "Your calendar and Welkin"
_EDITED = (ConflictKind.MIRROR_MOVED, ConflictKind.MIRROR_EDITED, ConflictKind.MIRROR_DELETED)
_PUT_BACK = (
    ConflictDecision.RESTORED,
    ConflictDecision.REFUSED_AND_RESTORED,
    ConflictDecision.WELKIN_WINS,
)
_HINT = (
    "Appointments are changed in Welkin; the event in your calendar follows. To move or cancel "
    "one, do so in Welkin, or ask whoever plans your visits."
)
_MOVE = "Move the event in your calendar, or ask whoever plans your visits to move the visit."
SHOWN = 10


@dataclass(frozen=True)
class Told:
    """What a person was last told: when, and of what.

    That is the beginning of a failure, and visits over busy time by the ids of their conflicts.
    """

    at: datetime
    failing_since: str = ""
    visits: tuple[int, ...] = ()


def tell_people(store: Store, platform: Platform, now: datetime) -> list[str]:
    """Tell everybody concerned, of what `notify.to_people` names; returns their user ids.

    Of two runs that end at the same time, one does so. What could not be sent is tried again by
    the next one.
    """
    notify = store.config.revision().settings.notify
    if not notify.to_people:
        return []
    with store.leases.alone(f"messages of {platform.value}", now) as alone:
        return _tell(store, notify, platform, now) if alone else []


def _tell(store: Store, notify: Notify, platform: Platform, now: datetime) -> list[str]:
    told, wanted = _known(store, platform), notify.to_people
    failing = _failing(store, platform, now) if "not_synced" in wanted else {}
    put_back = _put_back(store, platform, told, now) if "put_back" in wanted else {}
    visits = _over_busy(store, platform, now) if "visit_over_busy" in wanted else {}
    after = {
        user_id: one
        for user_id, one in told.items()
        if user_id in failing or user_id in visits or now - one.at < AGAIN
    }
    reached = []
    for user in store.config.mapping(platform, {*failing, *put_back, *visits}):
        before = told.get(user.user_id)
        if not user.enabled or (before is not None and now - before.at < AGAIN):
            continue
        one, lines = failing.get(user.user_id), []
        since = one.failing_since.isoformat() if one and one.failing_since else ""
        if one and one.error and (before is None or before.failing_since != since):
            lines.append(
                f"Your calendar is not synced at the moment. {code_of(one.error).sentence}"
            )
        if count := put_back.get(user.user_id):
            events = plural(count, "synced event")
            lines.append(f"You changed {events} in your calendar: Welkin's version was restored.")
            lines.append(_HINT)
        over = visits.get(user.user_id, {})
        if new := [over[key] for key in over if before is None or key not in before.visits]:
            lines += _visits(store, user, new)
        if lines and _sent(store, notify, user, lines):
            reached.append(user.user_id)
            after[user.user_id] = Told(now, since, tuple(over))
    if after != told:
        written = {
            user_id: [one.at.isoformat(), one.failing_since, one.visits]
            for user_id, one in after.items()
        }
        store.runs.set_facts(platform.value, **{TOLD: written})
    if reached:
        logger.info(
            "%s: %s told of their own calendars",
            platform.value,
            plural(len(reached), "person", "people"),
        )
    return reached


def _failing(store: Store, platform: Platform, now: datetime) -> dict[str, UserStatus]:
    everybody = Everybody(store, store.config.revision().settings, now)
    return {
        one.user_id: one
        for one in everybody.in_trouble(platform)
        if one.state is UserState.NEEDS_ATTENTION and one.error
    }


def _known(store: Store, platform: Platform) -> dict[str, Told]:
    found: dict[str, Any] = store.runs.facts(platform.value).get(TOLD) or {}
    return {
        user_id: Told(datetime.fromisoformat(at), since, tuple(*visits))
        for user_id, (at, since, *visits) in found.items()
    }


def _put_back(
    store: Store, platform: Platform, told: Mapping[str, Told], now: datetime
) -> dict[str, int]:
    """How many edits of each person were put back since they were last told, within a day."""
    conflict = t.conflict.c
    query = select(conflict.user_id, conflict.last_at).where(
        conflict.platform == platform.value,
        conflict.kind.in_(_EDITED),
        conflict.decision.in_(_PUT_BACK),
        conflict.last_at > now - AGAIN,
    )
    found: dict[str, int] = {}
    with store.database.read() as connection:
        for user_id, last_at in connection.execute(query):
            if user_id not in told or last_at > told[user_id].at:
                found[user_id] = found.get(user_id, 0) + 1
    return found


def _over_busy(store: Store, platform: Platform, now: datetime) -> dict[str, dict[int, str]]:
    """The visits of each person that are booked over busy time now, by the ids of the conflicts."""
    conflict = t.conflict.c
    query = (
        select(conflict.user_id, conflict.id, conflict.source_id)
        .where(
            conflict.platform == platform.value,
            conflict.kind == ConflictKind.VISIT_OVER_BUSY,
            listed(now),
        )
        .order_by(conflict.ends_at)
    )
    found: dict[str, dict[int, str]] = {}
    with store.database.read() as connection:
        for user_id, key, visit in connection.execute(query):
            found.setdefault(user_id, {})[key] = visit
    return found


def _visits(store: Store, user: MappedUser, visits: list[str]) -> list[str]:
    """How many, and when: as far as their own calendar shows it."""
    staff = store.config.welkin_user(user.user_id)
    zone = store.config.revision().settings.zone(staff.time_zone if staff else None)
    spans = [
        link.span.instants(zone)
        for link in store.links.mirrors_of(visits)
        if (link.user_id, link.platform, link.account)
        == (user.user_id, user.platform, user.account)
    ]
    booked = plural(len(visits), "visit is", "visits are")
    lines = [f"{booked} booked over busy time in your calendar."]
    for start, end in sorted(spans)[:SHOWN]:
        begins, ends = start.astimezone(zone), end.astimezone(zone)
        lines.append(f"{begins:%a %d %b %Y, %H:%M} to {ends:%H:%M} ({zone.key})")
    lines.append(_MOVE)
    if (address := pages_address()).startswith("http"):
        lines.append(f"More: {address}/mine")
    return lines


def _sent(store: Store, notify: Notify, user: MappedUser, lines: list[str]) -> bool:
    address = user.account
    if "@" not in address:
        staff = store.config.welkin_user(user.user_id)
        address = staff.email if staff is not None else ""
    if not address:
        return False
    paragraphs = "".join(f"<p>{escape(line)}</p>" for line in lines)
    html = f"<!doctype html><title>{escape(SUBJECT)}</title>{paragraphs}"
    return send(notify.only_to(address), Message(SUBJECT, html, "\n\n".join(lines))) == ""
