"""Google Calendar behind `CalendarPlatform`.

https://developers.google.com/workspace/calendar/api/v3/reference/events and guides/sync.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from calendar_sync.adapters.google import access
from calendar_sync.adapters.google.parse import (
    CURSOR_FIELDS,
    FIELDS,
    LIST_FIELDS,
    mirror_body,
    mirror_changes,
    parse_event,
    test_body,
)
from calendar_sync.adapters.google.push import GooglePush
from calendar_sync.adapters.google.recurrence import may_have_instances
from calendar_sync.adapters.http import Answer, HttpClient, TokenSource
from calendar_sync.adapters.zone_names import UTC, ZoneNames
from calendar_sync.core.codes import Code, GoogleCode
from calendar_sync.core.errors import (
    BadItem,
    CursorExpired,
    NotFound,
    TenantMisconfigured,
    TokenRejected,
    TransientError,
    UserUnavailable,
)
from calendar_sync.core.identity import TEST_PROPERTY
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

PAGE = 2500
LONGEST_LIST = 400


class GoogleCalendar:
    """All accounts of one Workspace organisation, each through its own delegated token."""

    platform = Platform.GOOGLE
    chooses_ids = True
    asks_together = 1

    def __init__(self, http: HttpClient, token_of: Callable[[str], TokenSource]) -> None:
        self._http = http
        self._token_of = token_of
        self.push = GooglePush(http, token_of)
        self._zones = ZoneNames(lambda refused: refused.detail == "invalid")
        # Everything but the window and the cursor: a token got with other parameters is void.
        self._list_params = {
            "singleEvents": "true",
            "maxResults": str(PAGE),
            "fields": LIST_FIELDS,
        }

    @property
    def shape(self) -> str:
        """A hash of the list parameters."""
        params = {**self._list_params, "fields": CURSOR_FIELDS}
        text = "&".join(f"{key}={value}" for key, value in sorted(params.items()))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    async def _call(
        self,
        kind: str,
        method: str,
        account: str,
        calendar: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        json: object | None = None,
        etag: str | None = None,
        repeatable: bool = True,
    ) -> Answer:
        address = f"/calendar/v3/calendars/{quote(calendar, safe='')}/events{path}"
        try:
            return await self._http.request(
                f"google.{kind}",
                method,
                address,
                params=params,
                json=json,
                headers={"If-Match": etag} if etag else None,
                token=self._token_of(account),
                repeatable=repeatable,
            )
        except TokenRejected:
            # A fresh token is refused too: the account, not the token, is the matter.
            raise UserUnavailable(GoogleCode.UNAUTHORIZED, detail=account) from None
        except CursorExpired:
            if kind == "events.list":
                raise
            # Only lists have cursors: of one event it says that it was deleted.
            raise NotFound(GoogleCode.DELETED, certain=True) from None
        except (UserUnavailable, TenantMisconfigured) as error:
            error.detail = account
            raise

    async def changes(
        self, account: str, calendar: str, cursor: str | None, window: Window
    ) -> Changes:
        """See `CalendarPlatform.changes`. A page may be empty and still have a successor."""
        params = dict(self._list_params)
        if cursor is None:
            params |= {"timeMin": iso(window.start), "timeMax": iso(window.end)}
        else:
            params["syncToken"] = cursor
        found: dict[str, Row] = {}
        for _ in range(LONGEST_LIST):
            body = await self._list(account, calendar, "", params, with_cursor=cursor is not None)
            # The last state of an item wins when pages repeat it.
            found.update(_events(body))
            page, token = body.get("nextPageToken"), body.get("nextSyncToken")
            if isinstance(page, str) and page:
                params["pageToken"] = page
            elif isinstance(token, str) and token:
                return Changes(tuple(found.values()), token, full=cursor is None)
            else:
                raise TransientError(GoogleCode.LIST_WITHOUT_CURSOR, detail=account)
        raise TransientError(GoogleCode.ENDLESS_LIST, detail=account)

    async def listed(self, account: str, calendar: str, window: Window) -> Changes:
        """See `CalendarPlatform.listed`."""
        return await self.changes(account, calendar, None, window)

    async def _list(
        self,
        account: str,
        calendar: str,
        path: str,
        params: Mapping[str, str],
        *,
        with_cursor: bool,
    ) -> Mapping[str, Any]:
        kind = "events.instances" if path else "events.list"
        try:
            answer = await self._call(kind, "GET", account, calendar, path, params=params)
        except NotFound as error:
            # Is the whole calendar gone? A read without a cursor says so for certain.
            if with_cursor:
                raise CursorExpired(GoogleCode.CALENDAR_GONE, detail=error.detail) from None
            raise
        except BadItem as error:
            if path:
                raise
            # Some servers call a malformed or foreign token a bad request.
            if with_cursor:
                raise CursorExpired(GoogleCode.CURSOR_REFUSED, detail=error.detail) from None
            raise UserUnavailable(GoogleCode.LIST_REFUSED, detail=error.detail) from None
        if not isinstance(answer.json, Mapping):
            raise TransientError(GoogleCode.UNREADABLE_PAGE, detail=account)
        return answer.json

    async def event(self, account: str, calendar: str, event_id: str) -> Row | None:
        """See `CalendarPlatform.event`."""
        row = await self._row(account, calendar, event_id)
        if row is None:
            return None
        event = _event(row)
        if event is None:
            raise TransientError(GoogleCode.UNREADABLE_EVENT)
        return event

    async def _row(self, account: str, calendar: str, event_id: str) -> Any | None:
        """The resource itself; None only where the server answers 404."""
        try:
            answer = await self._call(
                "events.get",
                "GET",
                account,
                calendar,
                "/" + quote(event_id, safe=""),
                params={"fields": FIELDS},
            )
        except NotFound:
            return None
        return answer.json

    async def series(
        self, account: str, calendar: str, series_id: str, window: Window
    ) -> SeriesSet:
        """See `CalendarPlatform.series`."""
        params = {
            "timeMin": iso(window.start),
            "timeMax": iso(window.end),
            "maxResults": str(PAGE),
            "fields": f"items({FIELDS}),nextPageToken",
        }
        path = f"/{quote(series_id, safe='')}/instances"
        found: dict[str, Row] = {}
        for _ in range(LONGEST_LIST):
            try:
                body = await self._list(account, calendar, path, params, with_cursor=False)
            except (NotFound, CursorExpired, BadItem):
                return await self._no_series(account, calendar, series_id)
            found.update(_events(body))
            page = body.get("nextPageToken")
            if not isinstance(page, str) or not page:
                break
            params["pageToken"] = page
        live = tuple(e for e in found.values() if isinstance(e, CalendarEvent | Unreadable))
        if live:
            return SeriesSet(live)
        # Nothing left: is that what the rule says, or has something been lost on the way?
        row = await self._row(account, calendar, series_id)
        if row is None:
            return SeriesSet((), known=False)
        promised = may_have_instances(row, window)
        return SeriesSet((), known=not promised, doubted=promised)

    async def _no_series(self, account: str, calendar: str, series_id: str) -> SeriesSet:
        """Instances were refused: the series is deleted, or is a single event by now."""
        master = await self.event(account, calendar, series_id)
        if master is None or isinstance(master, Removed):
            return SeriesSet((), known=master is not None)
        if not isinstance(master, CalendarEvent) or master.is_master:
            raise TransientError(GoogleCode.SERIES_UNREADABLE, detail=account)
        return SeriesSet((master,))

    async def mirror(self, account: str, calendar: str, key: str, marker: str) -> Row | None:
        """See `CalendarPlatform.mirror`. The key is the id."""
        return await self.event(account, calendar, key)

    async def create_mirror(
        self, account: str, calendar: str, key: str, marker: str, draft: Draft
    ) -> CalendarEvent:
        """See `CalendarPlatform.create_mirror`. The id makes a repeated insert harmless."""

        async def send(zone: str) -> Answer:
            return await self._call(
                "events.insert",
                "POST",
                account,
                calendar,
                "",
                params={"sendUpdates": "none", "fields": FIELDS},
                json={"id": key, **mirror_body(replace(draft, time_zone=zone), marker)},
            )

        return _read(await self._zones.write(_zone(draft), send))

    async def update_mirror(
        self,
        account: str,
        calendar: str,
        event_id: str,
        marker: str,
        draft: Draft,
        etag: str | None,
    ) -> CalendarEvent:
        """See `CalendarPlatform.update_mirror`: PATCH, because a PUT drops what is not sent."""

        async def send(zone: str) -> Answer:
            return await self._call(
                "events.patch",
                "PATCH",
                account,
                calendar,
                "/" + quote(event_id, safe=""),
                params={"sendUpdates": "none", "fields": FIELDS},
                json=mirror_changes(replace(draft, time_zone=zone), marker),
                etag=etag,
            )

        return _read(await self._zones.write(_zone(draft), send))

    async def delete_mirror(self, account: str, calendar: str, event_id: str) -> bool:
        """See `CalendarPlatform.delete_mirror`."""
        return await self._delete(account, calendar, event_id)

    async def _delete(self, account: str, calendar: str, event_id: str) -> bool:
        try:
            await self._call(
                "events.delete",
                "DELETE",
                account,
                calendar,
                "/" + quote(event_id, safe=""),
                params={"sendUpdates": "none"},
            )
        except NotFound as error:
            return error.certain
        return True

    # --- tests of the sync ----------------------------------------------------------------------

    async def create_test_event(
        self, account: str, calendar: str, mark: str, title: str, span: Span
    ) -> CalendarEvent:
        """See `CalendarPlatform.create_test_event`. Made once at most: its id is Google's."""
        answer = await self._call(
            "events.insert",
            "POST",
            account,
            calendar,
            "",
            params={"sendUpdates": "none", "fields": FIELDS},
            json=test_body(mark, title, span),
            repeatable=False,
        )
        return _read(answer)

    async def test_events(self, account: str, calendar: str, mark: str) -> list[str]:
        """See `CalendarPlatform.test_events`. The mark is looked for by the server."""
        params = {
            "privateExtendedProperty": f"{TEST_PROPERTY}={mark}",
            "maxResults": str(PAGE),
            "fields": LIST_FIELDS,
        }
        found: dict[str, Row] = {}
        for _ in range(LONGEST_LIST):
            body = await self._list(account, calendar, "", params, with_cursor=False)
            found.update(_events(body))
            page = body.get("nextPageToken")
            if not isinstance(page, str) or not page:
                return [event.id for event in found.values() if not isinstance(event, Removed)]
            params["pageToken"] = page
        raise TransientError(GoogleCode.ENDLESS_LIST, detail=account)

    async def delete_test_event(self, account: str, calendar: str, event_id: str) -> bool:
        """See `CalendarPlatform.delete_test_event`."""
        return await self._delete(account, calendar, event_id)

    # --- accounts -----------------------------------------------------------------------------

    async def authenticate(self) -> None:
        """Have the key accepted, without acting for a user.

        Raises:
            TenantMisconfigured: it is not.
        """
        await self._token_of("").get()

    async def look(self, account: str) -> None:
        """Read next to nothing of the primary calendar.

        Raises:
            UserUnavailable: this account cannot be used.
        """
        params = {"maxResults": "1", "fields": "kind"}
        try:
            await self._list(account, "primary", "", params, with_cursor=False)
        except NotFound:
            raise UserUnavailable(GoogleCode.NO_CALENDAR, detail=account) from None

    async def account_fault(self, account: str) -> Code | None:
        """Reading is tried: delegation grants one scope for both."""
        try:
            await self.look(account)
        except (UserUnavailable, BadItem) as error:
            return error.code
        return None

    async def check_access(self, accounts: Sequence[str]) -> list[Finding]:
        """Mailbox by mailbox."""
        return await access.check_access(self, accounts)


def _events(body: Mapping[str, Any]) -> dict[str, Row]:
    items = body.get("items")
    events = map(_event, items if isinstance(items, list) else [])
    return {event.id: event for event in events if event is not None}


def _zone(draft: Draft) -> str:
    """The name that its body holds: days need none."""
    return UTC if draft.span.all_day else draft.time_zone


def _event(row: Any) -> Row | None:
    return read_event(parse_event, row, "google event")


def _read(answer: Answer) -> CalendarEvent:
    event = _event(answer.json)
    if not isinstance(event, CalendarEvent):
        raise TransientError(GoogleCode.UNREADABLE_EVENT)
    return event
