"""Calendars of Microsoft 365 behind `CalendarPlatform`.

https://learn.microsoft.com/graph/api/resources/calendar and event-delta. What decides here: a
delta knows no markers, says "removed" of what has merely left its window, and is silent about a
deleted occurrence. So a full read lists the window itself, and takes from a delta the cursor only.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from calendar_sync.adapters.http import Answer, HttpClient, TokenSource
from calendar_sync.adapters.microsoft import access, addresses
from calendar_sync.adapters.microsoft.addresses import VERSION
from calendar_sync.adapters.microsoft.batches import LARGEST, Batches
from calendar_sync.adapters.microsoft.errors import concerning, listing
from calendar_sync.adapters.microsoft.parse import (
    CURSOR_SELECT,
    EXPAND,
    PROPERTY,
    SELECT,
    TEST_PROPERTY,
    mirror_body,
    mirror_changes,
    parse_event,
    test_body,
)
from calendar_sync.adapters.microsoft.push import MicrosoftPush
from calendar_sync.adapters.microsoft.recurrence import may_have_instances
from calendar_sync.adapters.microsoft.slots import Slots
from calendar_sync.adapters.zone_names import UTC, ZoneNames
from calendar_sync.core.codes import Code, MicrosoftCode
from calendar_sync.core.errors import (
    BadItem,
    CursorExpired,
    Duplicate,
    NotFound,
    OutcomeUnknown,
    PreconditionFailed,
    TransientError,
)
from calendar_sync.core.model import (
    CalendarEvent,
    Changes,
    Draft,
    Finding,
    Platform,
    Removed,
    Row,
    SeriesSet,
    Span,
    Unreadable,
    Window,
    iso,
)
from calendar_sync.core.unreadable import read_event

PAGE = 500
LONGEST_LIST = 400
# None of these is remembered by a cursor: they go with every request.
PREFER = (
    'IdType="ImmutableId", outlook.timezone="UTC", outlook.body-content-type="text", '
    f"odata.maxpagesize={PAGE}"
)


class MicrosoftCalendar:
    """All mailboxes of one tenant, through one token of the app.

    Args:
        http: the client of Graph's host.
        root: the base URL of that client: links of pages and cursors must begin with it.
        token: the tenant's token.
        slots: the places of requests that are under way.
        now: the time.
        batch: how many polls travel in one request at most, 20 or fewer.
    """

    platform = Platform.MICROSOFT
    chooses_ids = False

    def __init__(
        self,
        http: HttpClient,
        root: str,
        token: TokenSource,
        slots: Slots,
        now: Callable[[], datetime],
        batch: int = LARGEST,
    ) -> None:
        self.asks_together = batch
        self._http = http
        self._root = root
        self._token = token
        self.push = MicrosoftPush(http, root, token, now)
        self._slots = slots
        self._zones = ZoneNames()
        self._batches = Batches(http, token, slots, {"Prefer": PREFER}, now, batch)

    @property
    def shape(self) -> str:
        """A hash of what is asked for; the window is in the cursor itself."""
        text = "\n".join((PREFER, CURSOR_SELECT, EXPAND))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    async def _call(
        self,
        kind: str,
        method: str,
        account: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        json: object | None = None,
        etag: str | None = None,
        repeatable: bool = True,
    ) -> Answer:
        headers = {"Prefer": PREFER} | ({"If-Match": etag} if etag else {})
        with concerning(account):
            try:
                return await self._http.request(
                    f"microsoft.{kind}",
                    method,
                    path,
                    params=params,
                    json=json,
                    headers=headers,
                    token=self._token,
                    slot=lambda: self._slots.of(account),
                    repeatable=repeatable,
                )
            except CursorExpired:
                if kind == "events.delta":
                    raise
                # Only deltas have cursors: of one event it says that it was deleted.
                raise NotFound(MicrosoftCode.DELETED, certain=True) from None

    async def _poll(self, account: str, path: str) -> Answer:
        """One page of a delta, asked for together with those of others where there are any."""
        with concerning(account):
            answer = await self._batches.get("microsoft.events.delta", account, path)
        return answer or await self._call("events.delta", "GET", account, path)

    # --- lists --------------------------------------------------------------------------------

    async def changes(
        self, account: str, calendar: str, cursor: str | None, window: Window
    ) -> Changes:
        """See `CalendarPlatform.changes`. The cursor is the path of a delta link."""
        if cursor is not None:
            if not cursor.startswith(VERSION):
                raise CursorExpired(MicrosoftCode.CURSOR_REFUSED, detail=account)
            rows, following = await self._delta(account, cursor, {})
            return Changes(tuple(rows.values()), following, full=False)
        # The cursor comes first: what changes while the window is read, is told again.
        view, bounds = addresses.view(account, calendar, window)
        with listing(account, calendar):
            rows, following = await self._delta(account, f"{view}/delta", bounds, first=True)
            events = await self._window(account, view, bounds)
        # What only one of both lists shows has to be looked at: they may come from two servers.
        for event_id, event in rows.items():
            single = not (isinstance(event, Removed) or event.is_master or event.series_id)
            if single and event_id not in events:
                events[event_id] = (
                    replace(event, unread=True) if isinstance(event, CalendarEvent) else event
                )
        return Changes(tuple(events.values()), following, full=True)

    async def listed(self, account: str, calendar: str, window: Window) -> Changes:
        """See `CalendarPlatform.listed`."""
        view, bounds = addresses.view(account, calendar, window)
        with listing(account, calendar):
            events = await self._window(account, view, bounds)
        return Changes(tuple(events.values()), "", full=True)

    async def _window(self, account: str, view: str, bounds: Mapping[str, str]) -> dict[str, Row]:
        params = {**bounds, "$select": SELECT, "$expand": EXPAND, "$top": str(PAGE)}
        return await self._all("events.view", account, view, params)

    async def _delta(
        self, account: str, path: str, params: Mapping[str, str], *, first: bool = False
    ) -> tuple[dict[str, Row], str]:
        """All rows of a delta, the last one of each item, and the cursor that follows them."""
        found: dict[str, Row] = {}
        for _ in range(LONGEST_LIST):
            try:
                if first:
                    answer = await self._call("events.delta", "GET", account, path, params=params)
                else:
                    answer = await self._poll(account, path)
                body = _page(answer, account)
            except CursorExpired as error:
                if first:
                    raise TransientError(error.code, detail=account) from None
                raise
            except (NotFound, BadItem) as error:
                if first:
                    raise
                # Stale links are said to be answered with 400 and 404, too.
                raise CursorExpired(MicrosoftCode.CURSOR_REFUSED, detail=error.code) from None
            following = self._link(body, "@odata.nextLink")
            cursor = self._link(body, "@odata.deltaLink")
            if not (following or cursor) or following == path:
                raise TransientError(MicrosoftCode.LIST_WITHOUT_CURSOR, detail=account)
            found.update(_events(body, listed=True))
            if not following:
                return found, cursor
            path, params = following, {}
        raise TransientError(MicrosoftCode.ENDLESS_LIST, detail=account)

    async def _all(
        self, kind: str, account: str, path: str, params: Mapping[str, str]
    ) -> dict[str, Row]:
        """A whole list. The last state of an item wins when pages repeat it."""
        found: dict[str, Row] = {}
        for _ in range(LONGEST_LIST):
            body = await self._page(kind, account, path, params)
            found.update(_events(body))
            following = self._link(body, "@odata.nextLink")
            if not following:
                return found
            if following == path:
                break
            path, params = following, {}
        raise TransientError(MicrosoftCode.ENDLESS_LIST, detail=account)

    async def _page(
        self, kind: str, account: str, path: str, params: Mapping[str, str]
    ) -> Mapping[str, Any]:
        return _page(await self._call(kind, "GET", account, path, params=params), account)

    def _link(self, body: Mapping[str, Any], name: str) -> str:
        """The path of a link, empty for none. Another host is asked nothing and told no token.

        Raises:
            TransientError: the link leads to another host.
        """
        link = body.get(name)
        if not isinstance(link, str) or not link:
            return ""
        if not link.startswith(f"{self._root}/"):
            raise TransientError(MicrosoftCode.FOREIGN_LINK)
        return link.removeprefix(self._root)

    async def series(
        self, account: str, calendar: str, series_id: str, window: Window
    ) -> SeriesSet:
        """See `CalendarPlatform.series`."""
        params = {
            "startDateTime": iso(window.start),
            "endDateTime": iso(window.end),
            "$select": SELECT,
            "$top": str(PAGE),
        }
        refused = False
        try:
            path = f"{addresses.event(account, series_id)}/instances"
            found = await self._all("events.instances", account, path, params)
        except (NotFound, BadItem):
            found, refused = {}, True
        live = tuple(e for e in found.values() if isinstance(e, CalendarEvent | Unreadable))
        if live:
            return SeriesSet(live)
        # Nothing left: is that what the rule says, or has something been lost on the way?
        row = await self._row(account, series_id)
        master = _seen(row)
        if isinstance(master, CalendarEvent) and not master.is_master:
            return SeriesSet((master,))
        if master is not None and (refused or isinstance(master, Unreadable)):
            raise TransientError(MicrosoftCode.SERIES_UNREADABLE, detail=account)
        if row is None:
            return SeriesSet((), known=False)
        promised = may_have_instances(row, window)
        return SeriesSet((), known=not promised, doubted=promised)

    # --- single events --------------------------------------------------------------------------

    async def event(self, account: str, calendar: str, event_id: str) -> Row | None:
        """See `CalendarPlatform.event`."""
        row = await self._row(account, event_id)
        return None if row is None else _read(row)

    async def _row(self, account: str, event_id: str) -> Any | None:
        """The resource itself; None only where the server answers 404."""
        params = {"$select": SELECT, "$expand": EXPAND}
        try:
            answer = await self._call(
                "events.get", "GET", account, addresses.event(account, event_id), params=params
            )
        except NotFound:
            return None
        return answer.json

    async def mirror(self, account: str, calendar: str, key: str, marker: str) -> Row | None:
        """See `CalendarPlatform.mirror`. Of several, which copies are, the one that was created."""
        params = {
            "$filter": addresses.with_property(PROPERTY, marker),
            "$select": SELECT,
            "$expand": EXPAND,
        }
        path = f"{addresses.calendar(account, calendar)}/events"
        body = await self._page("events.find", account, path, params)
        rows = [row for row in body["value"] if isinstance(row, Mapping)]
        rows.sort(
            key=lambda row: (row.get("transactionId") != key, str(row.get("createdDateTime")))
        )
        return _read(rows[0]) if rows else None

    # --- mirrors --------------------------------------------------------------------------------

    async def create_mirror(
        self, account: str, calendar: str, key: str, marker: str, draft: Draft
    ) -> CalendarEvent:
        """See `CalendarPlatform.create_mirror`.

        After a lost answer it is looked up, never sent again at once: a look may lag behind, and
        `transactionId` is not guaranteed to be recognised. If it is, the answer to a repetition
        is the event of the first attempt, whatever that said.

        Raises:
            OutcomeUnknown: whether it was created will be seen later.
        """
        path = f"{addresses.calendar(account, calendar)}/events"

        async def send(zone: str) -> Answer:
            body = mirror_body(replace(draft, time_zone=zone), marker) | {"transactionId": key}
            return await self._call(
                "events.create", "POST", account, path, json=body, repeatable=False
            )

        try:
            answer = await self._zones.write(_zone(draft), send)
        except OutcomeUnknown:
            found = await self.mirror(account, calendar, key, marker)
            if not isinstance(found, CalendarEvent):
                raise
            return found
        return _written(answer.json, marker)

    async def update_mirror(
        self,
        account: str,
        calendar: str,
        event_id: str,
        marker: str,
        draft: Draft,
        etag: str | None,
    ) -> CalendarEvent:
        """See `CalendarPlatform.update_mirror`. A mirror that was made a series is one no more."""

        async def send(zone: str) -> CalendarEvent:
            changes = mirror_changes(replace(draft, time_zone=zone), marker)
            return await self._patch(account, event_id, marker, changes, etag)

        event = await self._zones.write(_zone(draft), send)
        if event.is_master:
            event = await self._patch(account, event_id, marker, {"recurrence": None}, event.etag)
        return event

    async def _patch(
        self,
        account: str,
        event_id: str,
        marker: str,
        body: Mapping[str, object],
        etag: str | None,
    ) -> CalendarEvent:
        try:
            answer = await self._call(
                "events.update",
                "PATCH",
                account,
                addresses.event(account, event_id),
                json=body,
                etag=etag,
            )
        except Duplicate:
            # Either status may stand for "changed meanwhile".
            raise PreconditionFailed(MicrosoftCode.CHANGED_MEANWHILE) from None
        return _written(answer.json, marker)

    async def delete_mirror(self, account: str, calendar: str, event_id: str) -> bool:
        """See `CalendarPlatform.delete_mirror`."""
        try:
            await self._call("events.delete", "DELETE", account, addresses.event(account, event_id))
        except NotFound as error:
            return error.certain
        return True

    # --- tests of the sync ----------------------------------------------------------------------

    async def create_test_event(
        self, account: str, calendar: str, mark: str, title: str, span: Span
    ) -> CalendarEvent:
        """See `CalendarPlatform.create_test_event`."""
        path, body = f"{addresses.calendar(account, calendar)}/events", test_body(mark, title, span)
        answer = await self._call(
            "events.create", "POST", account, path, json=body, repeatable=False
        )
        return _live(answer.json)

    async def test_events(self, account: str, calendar: str, mark: str) -> list[str]:
        """See `CalendarPlatform.test_events`. The mark is looked for by the server."""
        path = f"{addresses.calendar(account, calendar)}/events"
        params = {"$filter": addresses.with_property(TEST_PROPERTY, mark), "$select": SELECT}
        return list(await self._all("events.find", account, path, params))

    async def delete_test_event(self, account: str, calendar: str, event_id: str) -> bool:
        """See `CalendarPlatform.delete_test_event`."""
        return await self.delete_mirror(account, calendar, event_id)

    # --- looks that tell what may be done -------------------------------------------------------

    async def users(self, most: int) -> list[str]:
        """Principal names of some users of the tenant.

        Raises:
            TenantMisconfigured: the directory may not be read.
        """
        params = {"$select": "userPrincipalName", "$top": str(most)}
        body = await self._page("users.list", "", f"{VERSION}users", params)
        rows = [row for row in body["value"] if isinstance(row, Mapping)]
        return [str(row.get("userPrincipalName") or "") for row in rows]

    async def look(self, account: str) -> None:
        """Read the properties of the primary calendar.

        Raises:
            UserUnavailable: this mailbox cannot be used.
        """
        params = {"$select": "id"}
        await self._call(
            "calendar", "GET", account, addresses.calendar(account, "primary"), params=params
        )

    async def try_write(self, account: str) -> None:
        """Delete an event that does not exist: rejected without write access.

        Raises:
            UserUnavailable: this mailbox may not be written to.
        """
        await self.delete_mirror(account, "primary", "nobody-has-this")

    async def account_fault(self, account: str) -> Code | None:
        """The mailbox is looked at, and a removal of nothing is tried."""
        return await access.account_fault(self, account)

    async def check_access(self, accounts: Sequence[str]) -> list[Finding]:
        """Consent, scope and rights, told apart."""
        return await access.check_access(self, accounts)


def _zone(draft: Draft) -> str:
    """The name that its body depends on: moments are written in UTC."""
    return draft.time_zone if draft.span.all_day else UTC


def _page(answer: Answer, account: str) -> Mapping[str, Any]:
    body = answer.json
    if not isinstance(body, Mapping) or not isinstance(body.get("value"), list):
        raise TransientError(MicrosoftCode.UNREADABLE_PAGE, detail=account)
    return body


def _events(body: Mapping[str, Any], *, listed: bool = False) -> dict[str, Row]:
    events = (_seen(row, listed=listed) for row in body["value"])
    return {event.id: event for event in events if event is not None}


def _seen(row: Any, *, listed: bool = False) -> Row | None:
    return read_event(partial(parse_event, listed=listed), row, "microsoft event")


def _read(row: Any) -> Row:
    event = _seen(row)
    if event is None:
        raise TransientError(MicrosoftCode.UNREADABLE_EVENT)
    return event


def _live(row: Any) -> CalendarEvent:
    event = _read(row)
    if not isinstance(event, CalendarEvent):
        raise TransientError(MicrosoftCode.UNREADABLE_EVENT)
    return event


def _written(row: Any, marker: str) -> CalendarEvent:
    """Answers to writes leave out the marker that was written."""
    return replace(_live(row), marker=marker)
