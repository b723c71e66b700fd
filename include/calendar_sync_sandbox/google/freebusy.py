"""``freeBusy.query`` of the Google double: merged busy times of up to 50 calendars.

https://developers.google.com/workspace/calendar/api/v3/reference/freebusy/query

An event is busy time unless it is cancelled, shown as free, declined by the calendar's owner, or
only informs (working location, birthday); tentative and unanswered ones are busy time
(https://support.google.com/calendar/answer/37082). Whole days last from midnight to midnight of the
calendar's zone. Overlapping and touching times come as one; nothing says which event they are.

Stricter or looser than what is known of the real one, so that a client can rely on neither: a
calendar beyond the fiftieth has ``tooManyCalendarsRequested``, although 51 were answered when
tried; times are cut to the window unless ``cuts`` is off, which is written nowhere; and the longest
window is a switch, since 90 days are reported (https://github.com/calcom/cal.diy/pull/11962) and no
page names a number.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from calendar_sync_sandbox.google.delegation import SCOPE
from calendar_sync_sandbox.google.errors import GoogleError
from calendar_sync_sandbox.google.glance import INFORMATIONAL
from calendar_sync_sandbox.google.parameters import read_body
from calendar_sync_sandbox.google.times import parse_rfc3339, write, zone
from calendar_sync_sandbox.service import Reply

if TYPE_CHECKING:
    from collections.abc import Iterator

    from calendar_sync_sandbox.google.store import Calendar, Json, Version
    from calendar_sync_sandbox.google.world import Account, GoogleWorld
    from calendar_sync_sandbox.service import Call

FREEBUSY_SCOPES = frozenset(
    SCOPE + name
    for name in (
        "calendar", "calendar.readonly", "calendar.freebusy", "calendar.events.freebusy",
    )
)  # fmt: skip
MOST = 50
MOST_OF_A_GROUP = 100
Span = tuple[datetime, datetime]


@dataclass(slots=True)
class FreeBusy:
    """The handler and its switches.

    Attributes:
        world: all mailboxes.
        lag_seconds: answers are of the world as it was so long ago (0: of now).
        longest: the longest window; a longer one is 400 ``timeRangeTooLong``.
        shared: whether mailboxes of one domain show each other when they are busy, which is how an
            organisation begins.
        hidden: addresses that show nobody else when they are busy.
        broken: addresses whose calendar has ``internalError``.
        cuts: whether busy times end where the window ends.
    """

    world: GoogleWorld
    lag_seconds: float = 0.0
    longest: timedelta = timedelta(days=90)
    shared: bool = True
    hidden: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)
    cuts: bool = True

    def query(self, call: Call, account: Account) -> Reply:
        """Answer a query; what is wrong with one calendar stands beside the others' times."""
        sent = read_body(call)
        low, high = _moment(sent, "timeMin"), _moment(sent, "timeMax")
        if high <= low:
            raise GoogleError(400, "timeRangeEmpty", "The specified time range is empty.")
        if high - low > self.longest:
            raise GoogleError(400, "timeRangeTooLong", "The requested time range is too long.")
        name = sent.get("timeZone") or "UTC"
        if not isinstance(name, str):
            raise GoogleError(400, "invalid", "Invalid time zone.")
        zone(name)
        most = _number(sent, "calendarExpansionMax", MOST)
        _number(sent, "groupExpansionMax", MOST_OF_A_GROUP)
        found: dict[str, Json] = {}
        for asked in _items(sent):
            if len(found) >= most and asked not in found:
                found[asked] = _problem("tooManyCalendarsRequested")
            else:
                found[asked] = self._one(account, asked, (low, high), name)
        body = {
            "kind": "calendar#freeBusy",
            "timeMin": _written(low),
            "timeMax": _written(high),
            "calendars": found,
        }
        return Reply(200, body)

    def _one(self, account: Account, asked: str, window: Span, zone_name: str) -> Json:
        calendar = self._visible(account, asked)
        if calendar is None:
            return _problem("notFound")
        if calendar.owner.lower() in self.broken:
            return _problem("internalError")
        spans = self._spans(calendar, window)
        return {
            "busy": [
                {"start": write(start, zone_name), "end": write(end, zone_name)}
                for start, end in spans
            ]
        }

    def _visible(self, account: Account, asked: str) -> Calendar | None:
        """Return a calendar whose busy times somebody may see."""
        world = self.world
        try:
            return world.calendar(account.email, asked)
        except KeyError:
            pass
        other = world.accounts.get(asked.lower())
        if other is None or other.state != "ok" or other.email.lower() in self.hidden:
            return None
        same = other.email.lower().partition("@")[2] == account.email.lower().partition("@")[2]
        return world.calendar(other.email) if same and self.shared else None

    def _spans(self, calendar: Calendar, window: Span) -> list[Span]:
        low, high = window
        horizon = calendar.seq
        lag = max(self.lag_seconds, self.world.lag_seconds)
        if lag:
            horizon = calendar.horizon(self.world.clock.now() - timedelta(seconds=lag))
        spans = sorted(
            (version.start, version.end)
            for version in _at_that_time(calendar, window, horizon)
            if version.live and _takes_time(version.body)
        )
        merged: list[Span] = []
        for start, end in spans:
            if self.cuts:
                start, end = max(start, low), min(end, high)
            if end <= start:
                continue
            if merged and start <= merged[-1][1]:
                merged[-1] = merged[-1][0], max(merged[-1][1], end)
            else:
                merged.append((start, end))
        return merged


def _at_that_time(calendar: Calendar, window: Span, horizon: int) -> Iterator[Version]:
    """Yield single events and instances that touch a window, as of a change.

    A sweep asks for thousands of calendars with years of history: one look at each event is all.
    """
    low, high = window
    now = horizon >= calendar.seq
    for event_id, versions in list(calendar.records.items()):
        version = versions[-1] if now else calendar.at(event_id, horizon)
        if version is None:
            continue
        if version.is_series:
            yield from calendar.instances(event_id, low, high, horizon)
        elif version.touches(low, high) and not version.series:
            yield version


def _takes_time(body: Json) -> bool:
    if body["status"] == "cancelled" or body.get("transparency") == "transparent":
        return False
    if body["eventType"] in INFORMATIONAL:
        return False
    return all(
        guest.get("responseStatus") != "declined"
        for guest in body.get("attendees", ())
        if guest.get("self")
    )


def _problem(reason: str) -> Json:
    return {"errors": [{"domain": "global", "reason": reason}], "busy": []}


def _written(moment: datetime) -> str:
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def _moment(sent: Json, name: str) -> datetime:
    text = sent.get(name)
    if text is None:
        raise GoogleError(400, "required", f"Missing {name} parameter.")
    moment = parse_rfc3339(text) if isinstance(text, str) else None
    if moment is None or moment.tzinfo is None:
        raise GoogleError(400, "badRequest", "Bad Request")
    return moment.astimezone(zone("UTC"))


def _number(sent: Json, name: str, most: int) -> int:
    value = sent.get(name)
    if value is None:
        return most
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise GoogleError(400, "invalid", f"Invalid value for {name}")
    return value


def _items(sent: Json) -> list[str]:
    """Read the ids that are asked for; a request may ask for nothing."""
    items = sent.get("items") or []
    if not isinstance(items, list) or not all(
        isinstance(item, dict) and isinstance(item.get("id"), str) and item["id"] for item in items
    ):
        raise GoogleError(400, "invalid", "Invalid value for items")
    return [item["id"] for item in items]
