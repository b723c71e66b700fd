"""The routes of the Google double: token endpoint, events, calendars, calendarList, users.

https://developers.google.com/workspace/calendar/api/v3/reference
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from calendar_sync_sandbox.clock import stamp
from calendar_sync_sandbox.google import listing
from calendar_sync_sandbox.google.calendars import LISTS as CALENDAR_LISTS
from calendar_sync_sandbox.google.calendars import CalendarHandlers
from calendar_sync_sandbox.google.delegation import (
    CALENDAR_SCOPES,
    LIST_SCOPES,
    MAKING_SCOPES,
    READ_SCOPES,
    WRITE_SCOPES,
    Grant,
)
from calendar_sync_sandbox.google.directory import DirectoryHandlers
from calendar_sync_sandbox.google.errors import GoogleError, bad_parameter, error_body
from calendar_sync_sandbox.google.freebusy import FREEBUSY_SCOPES
from calendar_sync_sandbox.google.groups import GroupHandlers
from calendar_sync_sandbox.google.listing import FAR_FUTURE
from calendar_sync_sandbox.google.parameters import (
    COMMON,
    INSTANCES,
    LISTS,
    READS,
    WRITES,
    read_body,
    read_filter,
    read_integer,
    read_time,
    shape_of,
)
from calendar_sync_sandbox.google.partial import select
from calendar_sync_sandbox.google.push import STOP_SCOPES, WATCH_SCOPES
from calendar_sync_sandbox.google.store import FAR_PAST, Calendar, Json, Version
from calendar_sync_sandbox.google.times import write, zone
from calendar_sync_sandbox.google.writes import ID
from calendar_sync_sandbox.sealed import seal, unseal
from calendar_sync_sandbox.service import Call, Handler, Reply, Route, Service

if TYPE_CHECKING:
    from collections.abc import Callable

    from calendar_sync_sandbox.faults import Faults
    from calendar_sync_sandbox.google.world import Account, GoogleWorld
    from calendar_sync_sandbox.requestlog import RequestLog

V3 = "/calendar/v3"
EVENTS = V3 + "/calendars/{calendar}/events"
EVENT = EVENTS + "/{event}"
NO_TOKEN_AFTER = (
    "iCalUID", "orderBy", "privateExtendedProperty", "sharedExtendedProperty", "updatedMin",
)  # fmt: skip
SCOPES_OF = {
    "google.calendarList.list": LIST_SCOPES,
    "google.calendars.get": CALENDAR_SCOPES,
    "google.calendars.insert": MAKING_SCOPES,
    "google.calendars.delete": MAKING_SCOPES,
    "google.events.watch": WATCH_SCOPES,
    "google.channels.stop": STOP_SCOPES,
    "google.freebusy.query": FREEBUSY_SCOPES,
}
PATCH_UNITS = 3
MINUTE = timedelta(minutes=1)


class GoogleApp:
    """The handlers; the world does the work."""

    def __init__(self, world: GoogleWorld, faults: Faults, log: RequestLog) -> None:
        """Lay out the routes."""
        self.world = world
        self._recent: dict[str, deque[datetime]] = {}
        answer = self._guarded
        calendars = CalendarHandlers(world)
        directory = DirectoryHandlers(world)
        self.service = Service(
            "google",
            [
                Route("POST", "/token", "google.token", self._token),
                Route("GET", EVENTS, "google.events.list", answer(self._list, LISTS)),
                Route("POST", EVENTS, "google.events.insert", answer(self._insert, WRITES)),
                Route(
                    "POST",
                    EVENTS + "/watch",
                    "google.events.watch",
                    answer(world.push.watch, LISTS),
                ),
                Route(
                    "POST",
                    V3 + "/channels/stop",
                    "google.channels.stop",
                    answer(world.push.stop, frozenset()),
                ),
                Route(
                    "POST",
                    V3 + "/freeBusy",
                    "google.freebusy.query",
                    answer(world.freebusy.query, frozenset()),
                ),
                Route("GET", EVENT, "google.events.get", answer(self._get, READS)),
                Route("PUT", EVENT, "google.events.update", answer(self._update, WRITES)),
                Route("PATCH", EVENT, "google.events.patch", answer(self._update, WRITES)),
                Route("DELETE", EVENT, "google.events.delete", answer(self._delete, WRITES)),
                Route(
                    "GET",
                    EVENT + "/instances",
                    "google.events.instances",
                    answer(self._instances, INSTANCES),
                ),
                Route(
                    "GET",
                    V3 + "/users/me/calendarList",
                    "google.calendarList.list",
                    answer(calendars.list, CALENDAR_LISTS),
                ),
                Route(
                    "GET",
                    V3 + "/calendars/{calendar}",
                    "google.calendars.get",
                    answer(calendars.get, frozenset()),
                ),
                Route(
                    "POST",
                    V3 + "/calendars",
                    "google.calendars.insert",
                    answer(calendars.insert, frozenset()),
                ),
                Route(
                    "DELETE",
                    V3 + "/calendars/{calendar}",
                    "google.calendars.delete",
                    answer(calendars.delete, frozenset()),
                ),
                Route(
                    "GET",
                    "/admin/directory/v1/users",
                    "google.directory.users",
                    directory.users,
                ),
                Route(
                    "GET",
                    "/admin/directory/v1/groups/{group}/members",
                    "google.directory.members",
                    GroupHandlers(world, directory.check).members,
                ),
            ],
            clock=world.clock,
            faults=faults,
            log=log,
            identify=self._identify,
            expire=self._expire,
            failure=error_body,
            default_headers={"vary": "Origin, X-Origin, Referer", "cache-control": "private"},
        )

    # Who asks, and may they

    def _identify(self, call: Call) -> str | None:
        if call.method != "GET" and "/events" in call.path and not call.path.endswith("/watch"):
            # Noted whether or not the request gets through.
            silent = call.one("sendUpdates") == "none" and b'"attendees"' not in call.body
            call.mail_risk = not silent
        grant = self.world.delegation.grants.get(call.bearer)
        return grant.subject if grant else None

    def _expire(self, call: Call) -> None:
        self.world.delegation.grants.pop(call.bearer, None)

    def _token(self, call: Call) -> Reply:
        states = {email: account.state for email, account in self.world.accounts.items()}
        return self.world.delegation.exchange(call.body, self.world.clock.now(), states)

    def _guarded(
        self, handler: Callable[[Call, Account], Reply], allowed: frozenset[str]
    ) -> Handler:
        """Wrap a handler in what every call meets first: token, licence, limits, parameters."""

        def answer(call: Call) -> Reply:
            world = self.world
            grant = world.delegation.grants.get(call.bearer)
            if grant is None or grant.expires <= world.clock.now():
                raise GoogleError(
                    401, location=("header", "Authorization") if call.bearer else None
                )
            if not world.api_enabled:
                raise GoogleError(403, "accessNotConfigured", "The API is not enabled.")
            self._check_scope(call, grant)
            account = world.accounts.get(grant.subject)
            if account is None:
                raise GoogleError(404)
            if account.state == "unlicensed":
                raise GoogleError(
                    403, "notACalendarUser", "The user must be signed up for Google Calendar."
                )
            self._check_rate(account, PATCH_UNITS if call.method == "PATCH" else 1)
            self._check_parameters(call, allowed)
            reply = handler(call, account)
            fields = call.one("fields")
            if fields and reply.body is not None:
                reply.body = select(reply.body, fields)
            return reply

        return answer

    def _check_scope(self, call: Call, grant: Grant) -> None:
        usual = READ_SCOPES if call.method == "GET" else WRITE_SCOPES
        needed = SCOPES_OF.get(call.kind, usual)
        if not grant.scopes & needed:
            raise GoogleError(
                403,
                "insufficientPermissions",
                "Request had insufficient authentication scopes.",
            )

    def _check_rate(self, account: Account, units: int) -> None:
        now = self.world.clock.now()
        for name, limit, reason in (
            (account.email, self.world.user_limit, "userRateLimitExceeded"),
            ("", self.world.project_limit, "rateLimitExceeded"),
        ):
            if limit is None:
                continue
            recent = self._recent.setdefault(name, deque())
            while recent and recent[0] <= now - MINUTE:
                recent.popleft()
            if len(recent) >= limit:
                status = 429 if reason == "rateLimitExceeded" and len(recent) % 2 else 403
                raise GoogleError(status, reason, "Rate Limit Exceeded")
            recent.extend([now] * units)

    def _check_parameters(self, call: Call, allowed: frozenset[str]) -> None:
        for name in call.query:
            if name not in allowed and name not in COMMON:
                raise bad_parameter(name, f"Unknown parameter {name[:40]}")
        updates = call.one("sendUpdates")
        if updates is not None and updates not in ("all", "externalOnly", "none"):
            raise bad_parameter("sendUpdates", f"Invalid value {updates[:40]}")

    def _calendar(self, call: Call, account: Account) -> Calendar:
        try:
            return self.world.calendar(account.email, call.params["calendar"])
        except KeyError:
            raise GoogleError(404) from None

    def _event(self, call: Call, calendar: Calendar) -> Version:
        version = calendar.find(call.params["event"])
        if version is None:
            raise GoogleError(404)
        return version

    # Reading

    def _horizon(self, calendar: Calendar) -> int:
        if not self.world.lag_seconds:
            return calendar.seq
        moment = self.world.clock.now() - timedelta(seconds=self.world.lag_seconds)
        return calendar.horizon(moment)

    def _list(self, call: Call, account: Account) -> Reply:
        calendar = self._calendar(call, account)
        wanted = read_filter(call)
        size = read_integer(call, "maxResults", 250, 1, 2500)
        shape = shape_of(call, wanted)
        since = -1
        horizon = self._horizon(calendar)
        offset, emptied = 0, False
        sync_token, page_token = call.one("syncToken"), call.one("pageToken")
        if sync_token is not None:
            held = self._opened(sync_token, calendar, shape)
            since = held["s"]
            wanted = replace(wanted, low=_parse(held["lo"]), high=_parse(held["hi"]))
        if page_token is not None:
            place = unseal(page_token)
            if place.get("k") != "page" or place.get("c") != calendar.id:
                raise bad_parameter("pageToken", "Invalid page token value.")
            offset, horizon, since, emptied = place["o"], place["h"], place["s"], True
            wanted = replace(wanted, low=_parse(place["lo"]), high=_parse(place["hi"]))
        horizon = max(horizon, since)
        if since >= 0:
            rows = listing.changes(calendar, wanted, since, horizon, thin=self._thin())
        else:
            rows = listing.everything(calendar, wanted, horizon)
        if call.one("orderBy") == "startTime":
            rows.sort(key=lambda body: _start_key(body))
        page = rows[offset : offset + size]
        following: int | None = offset + len(page) if offset + len(page) < len(rows) else None
        if following is not None and not emptied and self._empty_page_first(calendar, horizon):
            page, following = [], 0
        body = self._envelope(calendar, account, call)
        body["items"] = self._in_zone(page, call, calendar)
        bounds = {
            "c": calendar.id,
            "lo": stamp(wanted.low) if wanted.low else None,
            "hi": stamp(wanted.high) if wanted.high else None,
        }
        if following is not None:
            more = {"k": "page", "o": following, "h": horizon, "s": since}
            body["nextPageToken"] = seal({**bounds, **more})
        elif not any(name in call.query for name in NO_TOKEN_AFTER):
            more = {"k": "sync", "s": horizon, "g": calendar.token_generation, "p": shape}
            body["nextSyncToken"] = seal({**bounds, **more})
        return Reply(200, body)

    def _thin(self) -> str:
        if self.world.lose_tombstones:
            return "lost"
        return str(self.world.seed) if self.world.unfriendly else ""

    def _empty_page_first(self, calendar: Calendar, horizon: int) -> bool:
        return self.world.unfriendly and (horizon + self.world.seed) % 3 == 0

    def _opened(self, token: str, calendar: Calendar, shape: str) -> dict[str, Any]:
        held = unseal(token)
        if held.get("k") != "sync" or held.get("c") != calendar.id:
            raise bad_parameter("syncToken", "Invalid sync token value.")
        if held["g"] != calendar.token_generation:
            raise GoogleError(
                410,
                "fullSyncRequired",
                "Sync token is no longer valid, a full sync is required.",
                ("parameter", "syncToken"),
            )
        if held["p"] != shape:
            raise bad_parameter("syncToken", "Parameters differ from those of the first request.")
        return held

    def _envelope(self, calendar: Calendar, account: Account, call: Call) -> Json:
        return {
            "kind": "calendar#events",
            "etag": f'"p{calendar.seq:016d}"',
            "summary": calendar.summary,
            "description": "",
            "updated": stamp(calendar.changed_at[-1][1] if calendar.changed_at else FAR_PAST),
            "timeZone": call.one("timeZone") or calendar.time_zone,
            "accessRole": "owner",
            "defaultReminders": [{"method": "popup", "minutes": 30}] if calendar.primary else [],
        }

    def _in_zone(self, rows: list[Json], call: Call, calendar: Calendar) -> list[Json]:
        name = call.one("timeZone")
        if name is None or name == calendar.time_zone:
            return rows
        try:
            zone(name)
        except GoogleError:
            raise bad_parameter("timeZone", "Invalid time zone.") from None
        return [_moved_to(body, name) for body in rows]

    def _get(self, call: Call, account: Account) -> Reply:
        calendar = self._calendar(call, account)
        if call.params["event"] in self.world.invited_only:
            raise GoogleError(404)
        version: Version | None = self._event(call, calendar)
        if self.world.lag_seconds and call.params["event"] in calendar.records:
            version = calendar.at(call.params["event"], self._horizon(calendar))
        if version is None:
            raise GoogleError(404)
        if call.headers.get("if-none-match") == version.body["etag"]:
            return Reply(304, None, {"etag": version.body["etag"]})
        body = self._in_zone([version.body], call, calendar)[0]
        return Reply(200, body, {"etag": body["etag"]})

    def _instances(self, call: Call, account: Account) -> Reply:
        calendar = self._calendar(call, account)
        version = self._event(call, calendar)
        series = version.series or version.body["id"]
        if series in self.world.invited_only:
            raise GoogleError(404)
        master = calendar.latest(series)
        if master is None or not master.is_series or not master.live:
            raise GoogleError(404)
        wanted = read_filter(call)
        low, high = wanted.window()
        original = call.one("originalStart")
        moment = None if original is None else read_time(call, "originalStart")
        size = read_integer(call, "maxResults", 250, 1, 2500)
        rows = []
        for each in calendar.instances(series, low, high, self._horizon(calendar)):
            if moment is not None and _original(each.body, calendar) != moment:
                continue
            if each.live:
                rows.append(each.body)
            elif wanted.show_deleted:
                rows.append(listing.tombstone(each.body))
        held = unseal(call.one("pageToken") or "")
        offset = held.get("o", 0)
        page = rows[offset : offset + size]
        body = self._envelope(calendar, account, call)
        body["items"] = self._in_zone(page, call, calendar)
        if offset + size < len(rows):
            body["nextPageToken"] = seal({"k": "instances", "o": offset + size})
        return Reply(200, body)

    # Writing

    def _insert(self, call: Call, account: Account) -> Reply:
        calendar = self._calendar(call, account)
        sent = read_body(call)
        event_id = sent.get("id")
        if event_id is not None:
            if not isinstance(event_id, str) or not ID.fullmatch(event_id):
                raise GoogleError(400, "invalid", "Invalid resource id value.")
            if sent.get("iCalUID"):
                raise GoogleError(400, "invalid", "Only one of id and iCalUID may be given.")
            if event_id in calendar.records:
                raise GoogleError(409)
        if sent.get("eventType") in ("fromGmail", "birthday") and (
            sent["eventType"] == "fromGmail" or not sent.get("recurrence")
        ):
            raise GoogleError(400, "eventTypeRestriction", "This event type cannot be created.")
        body = self.world.insert(calendar, sent, event_id or self.world.new_id())
        return Reply(200, body, {"etag": body["etag"]})

    def _update(self, call: Call, account: Account) -> Reply:
        calendar = self._calendar(call, account)
        version = self._event(call, calendar)
        _check_match(call, version)
        sent = read_body(call)
        old = version.body
        body = self.world.change(calendar, old, sent, whole=call.method == "PUT")
        return Reply(200, body, {"etag": body["etag"]})

    def _delete(self, call: Call, account: Account) -> Reply:
        calendar = self._calendar(call, account)
        version = self._event(call, calendar)
        if not version.live:
            raise GoogleError(410, "deleted", "Resource has been deleted")
        _check_match(call, version)
        self.world.remove(calendar, version)
        return Reply(204)


def _check_match(call: Call, version: Version) -> None:
    wanted = call.headers.get("if-match")
    if wanted not in (None, "*", version.body["etag"]):
        raise GoogleError(412, location=("header", "If-Match"))


def _start_key(body: Json) -> datetime:
    start = body.get("start") or body.get("originalStartTime")
    if not start:
        return FAR_FUTURE
    if "date" in start:
        return datetime.fromisoformat(start["date"]).replace(tzinfo=UTC)
    return datetime.fromisoformat(start["dateTime"])


def _original(body: Json, calendar: Calendar) -> datetime:
    value = body["originalStartTime"]
    if "date" in value:
        return datetime.fromisoformat(value["date"]).replace(tzinfo=UTC)
    return datetime.fromisoformat(value["dateTime"]).astimezone(UTC)


def _moved_to(body: Json, name: str) -> Json:
    moved = dict(body)
    for which in ("start", "end", "originalStartTime"):
        value = body.get(which)
        if value and "dateTime" in value:
            moment = datetime.fromisoformat(value["dateTime"])
            moved[which] = {**value, "dateTime": write(moment, name)}
    return moved


def _parse(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
