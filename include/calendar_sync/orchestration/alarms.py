"""Alerts when a user or a platform is late, repeated after `notify.alert_again_hours`."""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape

from calendar_sync.config.settings import Settings
from calendar_sync.core.codes import code_of
from calendar_sync.core.model import Platform
from calendar_sync.core.plurals import plural
from calendar_sync.insight.health.render import Message
from calendar_sync.insight.noticing import NoticingState, noticing, silent_after
from calendar_sync.insight.status import looked_at
from calendar_sync.insight.users import Everybody
from calendar_sync.orchestration.notify import send
from calendar_sync.state import Store
from calendar_sync.state.noticing import RESTS_AFTER
from calendar_sync.state.runs import ALERTED

logger = logging.getLogger(__name__)

SHOWN = 20
#: Whoever switches a DAG off, or loses its scheduler, is told of it so long, and no longer.
TOLD_OF_REST = timedelta(hours=1)
EVERYBODY = "everybody"
ALL_USERS = "all users"


@dataclass(frozen=True)
class Alarm:
    """One late user, or (`key` is EVERYBODY) the platform as a whole."""

    key: str
    who: str
    what: str


def raise_alarms(store: Store, platform: Platform, now: datetime) -> list[Alarm]:
    """Send an alert for what is newly late; returns what it named.

    Of two runs that end at the same time, one does so.
    """
    settings = store.config.revision().settings
    if not (settings.notify.configured and settings.notify.alerts):
        return []
    with store.leases.alone(f"alarms of {platform.value}", now) as alone:
        return _raise(store, settings, platform, now) if alone else []


def _raise(store: Store, settings: Settings, platform: Platform, now: datetime) -> list[Alarm]:
    again = timedelta(hours=settings.notify.alert_again_hours)
    told = _told(store, platform)
    alarms = _late(store, platform, now)
    new = [one for one in alarms if one.key not in told or now - told[one.key] >= again]
    standing = {one.key: told[one.key] for one in alarms if one.key in told}
    if new:
        reason = send(settings.notify, _message(platform, new, now))
        if reason:
            new = []  # not sent: the next run tries again
        else:
            logger.info("%s: told of %d late", platform.value, len(new))
    standing |= {one.key: now for one in new}
    if standing != told:
        written = {key: at.isoformat() for key, at in standing.items()}
        store.runs.set_facts(platform.value, **{ALERTED: written})
    return new


def _told(store: Store, platform: Platform) -> dict[str, datetime]:
    found = store.runs.facts(platform.value).get(ALERTED) or {}
    return {key: datetime.fromisoformat(at) for key, at in found.items()}


def _late(store: Store, platform: Platform, now: datetime) -> list[Alarm]:
    settings = store.config.revision().settings
    target = settings.freshness.target
    row = store.noticing.of(platform.value)
    if row.run_at is not None and row.rests(now):
        # Nobody looks for changes any more: nobody can be found to be late.
        if now - row.run_at > RESTS_AFTER + TOLD_OF_REST:
            return []
        text = (
            f"no run of the DAG has come since {row.run_at:%H:%M} UTC, and nothing is synced: it "
            "is switched off, or Airflow's scheduler does not work"
        )
        return [Alarm(EVERYBODY, ALL_USERS, text)]
    fault = store.runs.fault(platform)
    if fault is not None and now - fault.since > target:
        text = f"the sync is paused since {fault.since:%H:%M} UTC: {fault.code}"
        return [Alarm(EVERYBODY, ALL_USERS, text)]
    seen = looked_at(store, platform)
    if seen is not None and now - seen > silent_after(store, settings, platform, now):
        text = f"the sync is not running, or the calendars do not answer, since {seen:%H:%M} UTC"
        return [Alarm(EVERYBODY, ALL_USERS, text)]
    found = [
        Alarm(part.part, ALL_USERS, _still(part))
        for part in noticing(store, platform, now)
        if part.late(target, now)
    ]
    for one in Everybody(store, settings, now).in_trouble(platform):
        # A user who was never up to date is in the first sync.
        if not one.late or one.behind_since is None or one.last_success_at is None:
            continue
        why = "late" if one.marked else "its calendar does not answer"
        if one.error:
            why = f"{one.error}: {code_of(one.error).sentence}"
        what = f"{why} (since {one.behind_since:%H:%M} UTC)"
        found.append(Alarm(one.user_id, one.account, what))
    return found


def _still(part: NoticingState) -> str:
    return (
        f"{part.sentence} {part.error}: {code_of(part.error).sentence}"
        if part.error
        else part.sentence
    )


def _message(platform: Platform, new: list[Alarm], now: datetime) -> Message:
    who = new[0].who if len(new) == 1 else plural(len(new), "user")
    subject = f"Calendar sync: {platform.value} is late for {who} ({now:%Y-%m-%d %H:%M} UTC)"
    lines = [f"{one.who}: {one.what}" for one in new[:SHOWN]]
    if more := len(new) - SHOWN:
        lines += [f"and {more} more"] if more > 0 else []
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    title = escape(subject)
    html = f"<!doctype html><title>{title}</title><p>{title}</p><ul>{items}</ul>"
    return Message(subject, html, "\n".join([subject, *lines]))
