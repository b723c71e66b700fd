"""A message to the person concerned: their calendar is not synced, or an edit was put back.

At most one a day for each account. It says nothing about any appointment.
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
from calendar_sync.insight.users import Everybody
from calendar_sync.orchestration.notify import send
from calendar_sync.state import Store
from calendar_sync.state import tables as t

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


@dataclass(frozen=True)
class Told:
    """What a person was last told: when, and the beginning of the failure that it was about."""

    at: datetime
    failing_since: str = ""


def tell_people(store: Store, platform: Platform, now: datetime) -> list[str]:
    """Tell everybody concerned; returns their user ids. Off unless `notify.to_people` is on.

    Of two runs that end at the same time, one does so. What could not be sent is tried again by
    the next one.
    """
    notify = store.config.revision().settings.notify
    if not notify.to_people:
        return []
    with store.leases.alone(f"messages of {platform.value}", now) as alone:
        return _tell(store, notify, platform, now) if alone else []


def _tell(store: Store, notify: Notify, platform: Platform, now: datetime) -> list[str]:
    told = _known(store, platform)
    failing = {
        one.user_id: one
        for one in Everybody(store, store.config.revision().settings, now).in_trouble(platform)
        if one.state is UserState.NEEDS_ATTENTION and one.error
    }
    put_back = _put_back(store, platform, told, now)
    after = {
        user_id: one for user_id, one in told.items() if user_id in failing or now - one.at < AGAIN
    }
    reached = []
    for user in store.config.mapping(platform, {*failing, *put_back}):
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
        if lines and _sent(store, notify, user, lines):
            reached.append(user.user_id)
            after[user.user_id] = Told(now, since)
    if after != told:
        written = {
            user_id: [one.at.isoformat(), one.failing_since] for user_id, one in after.items()
        }
        store.runs.set_facts(platform.value, **{TOLD: written})
    if reached:
        logger.info(
            "%s: %s told of their own calendars",
            platform.value,
            plural(len(reached), "person", "people"),
        )
    return reached


def _known(store: Store, platform: Platform) -> dict[str, Told]:
    found: dict[str, Any] = store.runs.facts(platform.value).get(TOLD) or {}
    return {
        user_id: Told(datetime.fromisoformat(at), since) for user_id, (at, since) in found.items()
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
