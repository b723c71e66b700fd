"""Calls of the Welkin API that the sync makes; shapes rest on recorded traffic of 2022 to 2026.

The address of every call is `{base}/{tenant}/{instance}/…`, or `{base}/{tenant}/admin/…` for what
belongs to the whole organisation.
"""

import contextlib
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from calendar_sync.adapters.http import Answer, HttpClient, TokenSource
from calendar_sync.adapters.welkin.feeds import (
    EVENT_DELETED,
    RECORD_DELETED,
    Deletions,
    EncounterRow,
    EventRow,
    FeedPage,
    deletions,
    encounter_row,
    event_row,
)
from calendar_sync.adapters.welkin.lists import Lists
from calendar_sync.adapters.welkin.parse import (
    UnreadableObject,
    parse_encounter,
    parse_event,
    parse_user,
    text,
    welkin_time,
)
from calendar_sync.adapters.zone_names import ZoneNames
from calendar_sync.config.credentials import WelkinCredentials
from calendar_sync.core.codes import Code, WelkinCode
from calendar_sync.core.errors import (
    BadItem,
    NotFound,
    OutcomeUnknown,
    TenantMisconfigured,
    TokenRejected,
    TransientError,
    UserUnavailable,
)
from calendar_sync.core.model import Encounter, Span, WelkinEvent, WelkinUser, Window
from calendar_sync.core.unreadable import note

CHUNK = timedelta(days=90)
MARGIN = timedelta(days=1)
# Welkin's clock and ours need not agree: rows that come twice are known by their ids.
CLOCK_MARGIN = timedelta(minutes=10)
USERS_PAGE = 1000
Row = TypeVar("Row")
Find = Callable[[], Awaitable[WelkinEvent | None]]

_UNFIT = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


class Encounters(dict[str, Encounter]):
    """Encounters by calendar event id. Where rows could not be read, absence proves nothing."""

    incomplete = False


class AuditUnavailable(TenantMisconfigured):
    """The API client may not read the audit: deletions must be found by sweeping."""

    code: Code = WelkinCode.AUDIT_UNAVAILABLE


@dataclass(frozen=True)
class BlockDraft:
    """The content of a block: the user, the time, and a neutral title."""

    user_id: str
    span: Span
    zone: ZoneInfo
    title: str
    all_day_flag: bool

    def body(self) -> dict[str, object]:
        """The keys that a PATCH sends too."""
        start, end = self.span.instants(self.zone)
        return {
            "eventTitle": _UNFIT.sub(" ", self.title).strip(),
            "startDateTime": welkin_time(start),
            "endDateTime": welkin_time(end),
            "allDayEvent": self.span.all_day and self.all_day_flag,
            "eventStatus": "SCHEDULED",
        }


class Welkin:
    """One organisation's Welkin. The HTTP client is closed by whoever made it."""

    def __init__(
        self,
        http: HttpClient,
        credentials: WelkinCredentials,
        token: TokenSource,
        *,
        chunk: timedelta | None = None,
    ) -> None:
        self._chunk = chunk or CHUNK
        self._http = http
        self._token = token
        self._instance_name = credentials.instance
        self._instance = f"/{credentials.tenant}/{credentials.instance}"
        self._admin = f"/{credentials.tenant}/admin"
        self._zones = ZoneNames(lambda refused: refused.code == WelkinCode.REFUSED)
        self._lists = Lists(self._call, f"{self._instance}/calendar/events")

    async def _call(
        self,
        kind: str,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        json: object | None = None,
        repeatable: bool = True,
    ) -> Answer:
        try:
            return await self._http.request(
                f"welkin.{kind}",
                method,
                path,
                params=params,
                json=json,
                token=self._token,
                repeatable=repeatable,
            )
        except TokenRejected:
            # A fresh token is refused, too.
            raise TenantMisconfigured(WelkinCode.UNAUTHORIZED) from None

    async def _item(self, *args: Any, **options: Any) -> Answer:
        """A call about a single event: what is forbidden there concerns that event only."""
        try:
            return await self._call(*args, **options)
        except UserUnavailable as error:
            raise BadItem(WelkinCode.ITEM_RESTRICTED, detail=error.detail) from None

    # --- calendar events ----------------------------------------------------------------------

    @property
    def part(self) -> timedelta:
        """A stretch of the calendar that may be asked for in any case: 90 days, or what works."""
        return min(CHUNK, self._chunk, self.longest)

    @property
    def longest(self) -> timedelta:
        """What this client has not been refused yet."""
        return self._lists.longest

    async def events(
        self,
        user_ids: Iterable[str],
        window: Window,
        zone: ZoneInfo,
        *,
        chunk: timedelta | None = None,
    ) -> tuple[dict[str, WelkinEvent], set[str]]:
        """All events of these users in the window, cancelled ones too, by id.

        Asked with a day's margin, in chunks as long as this tenant was seen to take, or as `chunk`
        says. Also returns the ids of objects that could not be read.
        """
        start, end = window.start - MARGIN, window.end + MARGIN
        found: dict[str, WelkinEvent] = {}
        unreadable: set[str] = set()
        for row in await self._lists.events(",".join(user_ids), start, end, chunk or self._chunk):
            try:
                event = parse_event(row, zone)
            except UnreadableObject as error:
                unreadable.add(error.event_id)
            except Exception as bug:
                unreadable.add(note(bug, "welkin event", row))
            else:
                found[event.id] = event
        return found, unreadable

    async def event(self, event_id: str, zone: ZoneInfo) -> WelkinEvent | None:
        """One event; None only where Welkin answers 404."""
        return await self._event(event_id, {}, zone)

    async def event_by_external_id(self, external_id: str, zone: ZoneInfo) -> WelkinEvent | None:
        """The event with this `externalId`, None where there is none."""
        return await self._event(external_id, {"type": "EXTERNAL_ID"}, zone)

    async def _event(
        self, key: str, params: Mapping[str, str], zone: ZoneInfo
    ) -> WelkinEvent | None:
        try:
            answer = await self._item(
                "events.get", "GET", f"{self._instance}/calendar/events/{key}", params=params
            )
        except NotFound:
            return None
        return _read(answer, zone)

    async def create_block(
        self, draft: BlockDraft, external_id: str | None, find: Find
    ) -> WelkinEvent:
        """Create the block.

        POST is not idempotent: after a lost answer it is looked up, never sent again at once.
        `external_id` is None for tenants that do not take it; `find` looks for what a lost answer
        may have made.

        Raises:
            OutcomeUnknown: whether it was created will be seen later.
            BadItem: Welkin refuses the content, or the id.
        """
        try:
            answer = await self._create(draft, external_id, eventType="LEAVE", eventColor="grey")
            return _made(answer, draft.zone)
        except OutcomeUnknown:
            found = await find()
            if found is None:
                raise
            return found

    async def update_block(self, event_id: str, draft: BlockDraft) -> WelkinEvent:
        """Move or restore a block; what it is afterwards is Welkin's word, asked for if need be."""
        answer = await self._item(
            "events.patch",
            "PATCH",
            f"{self._instance}/calendar/events/{event_id}",
            json=draft.body(),
        )
        if answer.json is not None:
            return _made(answer, draft.zone)
        found = await self.event(event_id, draft.zone)
        if found is None:
            raise NotFound(WelkinCode.NOT_FOUND)
        return found

    async def move_event(self, event_id: str, span: Span, zone: ZoneInfo) -> WelkinEvent | None:
        """Give an appointment another time, and read back what became of it; None for a 404.

        Raises:
            BadItem: Welkin refuses.
            OutcomeUnknown: whether it was moved will be seen later.
        """
        start, end = span.instants(zone)
        body = {"startDateTime": welkin_time(start), "endDateTime": welkin_time(end)}
        return await self._change(event_id, body, zone, lambda event: event.span == span)

    async def cancel_event(self, event_id: str, zone: ZoneInfo) -> WelkinEvent | None:
        """Cancel an appointment, and read back what became of it; None for a 404.

        Raises:
            BadItem: Welkin refuses.
            OutcomeUnknown: whether it was cancelled will be seen later.
        """
        body = {"eventStatus": "CANCELLED"}
        return await self._change(event_id, body, zone, lambda event: event.cancelled)

    async def _change(
        self,
        event_id: str,
        body: dict[str, str],
        zone: ZoneInfo,
        shows: Callable[[WelkinEvent], bool],
    ) -> WelkinEvent | None:
        path = f"{self._instance}/calendar/events/{event_id}"
        try:
            answer = await self._item("events.patch", "PATCH", path, json=body)
        except NotFound:
            # Believed only when a look by id says the same.
            return await self.event(event_id, zone)
        changed = None
        with contextlib.suppress(OutcomeUnknown):
            changed = _made(answer, zone)
        try:
            seen = await self.event(event_id, zone)
        except BadItem as error:
            # Welkin has taken the change: what cannot be read is no rejection.
            if changed is None:
                raise OutcomeUnknown(error.code, detail=error.detail) from None
            return changed
        if changed is None:
            if answer.json is not None and seen is not None and not shows(seen):
                raise OutcomeUnknown(WelkinCode.UNREADABLE_EVENT)
            return seen
        # A read that is older than the write's own answer says nothing about it.
        late = seen is None or seen.version < changed.version
        return changed if late else seen

    async def create_test_appointment(
        self, user_id: str, span: Span, zone: ZoneInfo, title: str, external_id: str | None
    ) -> WelkinEvent:
        """Create a plain appointment of one member of staff, without a patient.

        Raises:
            OutcomeUnknown: whether it was created will be seen in a list.
            BadItem: Welkin refuses the content, or the id.
        """
        draft = BlockDraft(user_id, span, zone, title, all_day_flag=False)
        return _made(await self._create(draft, external_id, eventType="APPOINTMENT"), zone)

    async def _create(self, draft: BlockDraft, external_id: str | None, **more: str) -> Answer:
        """Sent once: POST is not idempotent."""
        body = draft.body() | _own(draft.user_id) | more
        if external_id is not None:
            body["externalId"] = external_id
        path = f"{self._instance}/calendar/events"

        async def send(zone: str) -> Answer:
            named = body | {"timezone": zone}
            return await self._item("events.create", "POST", path, json=named, repeatable=False)

        return await self._zones.write(draft.zone.key, send)

    async def remove_block(self, event_id: str, *, future: bool) -> bool:
        """A future event is deleted, one that has begun is cancelled. Gone already is success.

        Welkin deletes future events for good (404 afterwards) and keeps past ones as CANCELLED.
        False where Welkin merely does not find it: no proof (`cycle.removal`).
        """
        if future:
            return await self.delete_event(event_id)
        return await self._removed(
            "events.patch", "PATCH", event_id, json={"eventStatus": "CANCELLED"}
        )

    async def delete_event(self, event_id: str) -> bool:
        """Delete, as `remove_block` does. Welkin keeps an event that has begun, as CANCELLED."""
        return await self._removed("events.delete", "DELETE", event_id)

    async def _removed(self, kind: str, method: str, event_id: str, **options: Any) -> bool:
        path = f"{self._instance}/calendar/events/{event_id}"
        try:
            await self._item(kind, method, path, **options)
        except NotFound as error:
            return error.certain
        return True

    # --- encounters ---------------------------------------------------------------------------

    async def encounters_of(self, user_id: str) -> Encounters:
        """A user's encounters that have an appointment, by calendar event id."""
        found = Encounters()
        for row in await self._encounter_rows(user_id):
            try:
                encounter = parse_encounter(row)
            except Exception as bug:
                note(bug, "welkin encounter", row)
                found.incomplete = True
            else:
                if encounter is not None:
                    found[encounter.event_id] = encounter
        return found

    async def scheduled(self, user_id: str, event_id: str, zone: ZoneInfo) -> Span | None:
        """When the encounter of this calendar event is, as the encounter itself has it."""
        for row in await self._encounter_rows(user_id):
            encounter = parse_encounter(row)
            if encounter is not None and encounter.event_id == event_id:
                with contextlib.suppress(UnreadableObject):
                    body = row["jsonBody"]
                    return parse_event(body.get("currentScheduledAppointment"), zone).span
        return None

    async def _encounter_rows(self, user_id: str) -> list[Any]:
        path = f"{self._instance}/users/{user_id}/encounters"
        return await self._lists.rows(path, "encounters")

    async def templates(self) -> dict[str, str]:
        """Titles of the encounter templates in force, by name: the organisation's own words."""
        path = f"{self._instance}/formations/current/encounters"
        answer = await self._call("formations", "GET", path)
        rows = answer.json if isinstance(answer.json, list) else []
        found = (row for row in rows if isinstance(row, Mapping))
        return {
            name: text(row.get("title")) or name for row in found if (name := text(row.get("name")))
        }

    # --- feeds --------------------------------------------------------------------------------

    async def exported_events(self, start: str, size: int) -> FeedPage[EventRow]:
        """Calendar events changed since `start` (ISO time or the `end` of the page before)."""
        return await self._export("CALENDAR_EVENT", start, size, event_row)

    async def exported_encounters(self, start: str, size: int) -> FeedPage[EncounterRow]:
        """Encounters changed since `start`."""
        return await self._export("ENCOUNTER", start, size, encounter_row)

    async def _export(
        self, resource: str, start: str, size: int, read: Callable[[Any], Row | None]
    ) -> FeedPage[Row]:
        answer = await self._call(
            f"export.{resource.lower()}",
            "GET",
            f"{self._instance}/export/{resource}",
            params={"start": start, "pageSize": str(size)},
        )
        body = answer.json if isinstance(answer.json, Mapping) else {}
        data, cursor = body.get("data"), body.get("cursor")
        if not isinstance(data, list) or not isinstance(cursor, Mapping):
            raise TransientError(WelkinCode.UNREADABLE_PAGE)
        rows = tuple(row for row in map(read, data) if row is not None)
        # A past fault: hasNext was false although more followed. A full page means more.
        more = cursor.get("hasNext") is True or len(data) >= size
        end = cursor.get("end")
        return FeedPage(rows, end if isinstance(end, str) else start, more, len(data))

    async def deleted_events(self, start: datetime, end: datetime) -> Deletions:
        """Ids of calendar events deleted between two instants, from the audit.

        Raises:
            AuditUnavailable: the API client may not read it.
        """
        return await self._deleted("CALENDAR", EVENT_DELETED, start, end)

    async def deleted_encounters(self, start: datetime, end: datetime) -> Deletions:
        """Ids of records of the kind that encounters are, deleted between two instants.

        Raises:
            AuditUnavailable: the API client may not read it.
        """
        return await self._deleted("CDT", RECORD_DELETED, start, end)

    async def _deleted(self, entity: str, kind: str, start: datetime, end: datetime) -> Deletions:
        params = {
            "dateStart": welkin_time(start - CLOCK_MARGIN),
            "dateEnd": welkin_time(end + CLOCK_MARGIN),
            "entity": entity,
            "instance": self._instance_name,
            "sort": "createdAt,desc",
        }
        try:
            rows = await self._lists.rows(f"{self._admin}/audit-data", "audit", params)
        except UserUnavailable as error:
            raise AuditUnavailable(detail=error.detail) from None
        except (NotFound, BadItem) as error:
            raise AuditUnavailable(detail=error.code) from None
        return deletions(rows, kind)

    # --- users --------------------------------------------------------------------------------

    async def users(self) -> list[WelkinUser]:
        """All members of staff."""
        rows = await self._lists.rows(f"{self._admin}/users", "users", {"size": str(USERS_PAGE)})
        found = (self._user(row) for row in rows)
        return [user for user in found if user is not None]

    def _user(self, row: Any) -> WelkinUser | None:
        try:
            return parse_user(row, self._instance_name)
        except Exception as bug:
            user_id = note(bug, "welkin user", row)
            return WelkinUser(user_id, "", None, active=True, unreadable=True) if user_id else None


def _own(user_id: str) -> dict[str, object]:
    """The host and only participant of the event."""
    return {
        "hostId": user_id,
        "participants": [{"participantId": user_id, "participantRole": "psm"}],
    }


def _made(answer: Answer, zone: ZoneInfo) -> WelkinEvent:
    """The answer to a write that Welkin has taken: if it cannot be read, that is no rejection.

    Raises:
        OutcomeUnknown: what was made must be looked for.
    """
    try:
        return _read(answer, zone)
    except BadItem as error:
        raise OutcomeUnknown(error.code, detail=error.detail) from None


def _read(answer: Answer, zone: ZoneInfo) -> WelkinEvent:
    try:
        return parse_event(answer.json, zone)
    except UnreadableObject as error:
        raise BadItem(WelkinCode.UNREADABLE_EVENT, detail=error.event_id) from None
    except Exception as bug:
        event_id = note(bug, "welkin event", answer.json)
        raise BadItem(WelkinCode.UNREADABLE_EVENT, detail=event_id) from None
