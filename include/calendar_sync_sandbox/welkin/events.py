"""The handlers of ``calendar/events``, schedules and work hours."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from calendar_sync_sandbox.clock import stamp
from calendar_sync_sandbox.service import Call, Reply
from calendar_sync_sandbox.welkin.errors import WelkinError, bad_request, event_missing
from calendar_sync_sandbox.welkin.records import Event, Json, Participant
from calendar_sync_sandbox.welkin.wire import (
    event_json,
    local,
    parse_any,
    parse_moment,
    spring_page,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from calendar_sync_sandbox.welkin.world import WelkinWorld

FIELDS = {
    "eventTitle": "title",
    "eventDescription": "description",
    "eventType": "type",
    "eventStatus": "status",
    "eventMode": "mode",
    "eventColor": "color",
    "timezone": "time_zone",
    "externalId": "external_id",
}
TYPES = ("APPOINTMENT", "ENCOUNTER", "LEAVE", "GROUP_THERAPY")
SORTS: dict[str, Callable[[Event], Any]] = {
    "createdAt": lambda event: (event.created, event.id),
    "startDateTime": lambda event: (event.start, event.id),
}
MAX_SIZE = 1000


class Events:
    """Reads and writes of calendar events."""

    def __init__(self, world: WelkinWorld) -> None:
        """Answer for one world."""
        self.world = world

    def page(self, call: Call) -> Reply:
        """Answer a list by time window; an event belongs to it when they overlap."""
        low, high = window(call)
        habits = self.world.habits
        if habits.longest_window is not None and high - low > habits.longest_window:
            raise bad_request("the range is too long")
        if habits.cuts_windows is not None:
            high = min(high, low + habits.cuts_windows)
        wanted = identifiers(call, "participantIds")
        if habits.hides & (wanted or set()):
            code = "ACCESS_FOR_API_CLIENT_RESTRICTED"
            raise WelkinError(habits.hides_with, code, "restricted", "AUTH")
        kind = call.one("eventType")
        if kind is not None and kind not in TYPES:
            raise bad_request("eventType")
        cancelled = switch(call, "includeCancelled")
        without_encounter = switch(call, "excludeAssignedToEncounterEvents")
        chosen = call.one("sort")
        if chosen and not habits.sorts:
            raise bad_request("sort")
        order, _, direction = (chosen or "startDateTime,asc").partition(",")
        if order not in SORTS or direction not in ("", "asc", "desc"):
            raise bad_request("sort")
        found = [
            event
            for event in self._candidates(wanted)
            if overlaps(event, low, high)
            and (cancelled or not event.cancelled)
            and (kind is None or event.type == kind)
            and not (without_encounter and self.world.encounter_of(event.id))
        ]
        found.sort(key=SORTS[order], reverse=direction == "desc")
        if habits.shuffles and not chosen:
            self.world.random.shuffle(found)
        rows, envelope = spring_page(found, *page_of(call, 20))
        zone = call.one("viewerTimezone")
        return Reply(200, {"content": [event_json(self.world, e, zone) for e in rows], **envelope})

    def get(self, call: Call) -> Reply:
        """Answer one event, by its id or by its external id."""
        return Reply(200, event_json(self.world, self._event(call, self.world.seen_events())))

    def create(self, call: Call) -> Reply:
        """Create an event that is not an encounter's."""
        fields = self._checked(json_body(call), None)
        self._check_overlap(fields, None)
        rows = fields.pop("participants")
        event = self.world.store_event(
            participants=[(row.participant_id, row.role) for row in rows],
            by=self.world.client_id,
            **fields,
        )
        return Reply(201, event_json(self.world, event))

    def patch(self, call: Call) -> Reply:
        """Change what was sent; answer the whole event."""
        event = self._modifiable(call)
        fields = self._checked(json_body(call), event)
        self._check_overlap(fields, event)
        if not self.world.encounter_moves and event.type == "ENCOUNTER" and "start" in fields:
            raise bad_request("Calendar event isn't modifiable", "CALENDAR_EVENT_NOT_MODIFIABLE")
        self.world.change_event(event.id, by=self.world.client_id, **fields)
        if self.world.habits.silent_writes:
            return Reply(204)
        return Reply(200, event_json(self.world, event))

    def put(self, call: Call) -> Reply:
        """Replace an event: what was not sent becomes null."""
        event = self._modifiable(call)
        sent = json_body(call)
        cleared: Json = dict.fromkeys(FIELDS.values())
        if "eventType" not in sent and self.world.encounter_of(event.id):
            cleared["type"] = event.type
        fields = {**cleared, "all_day": False, **self._checked(sent, event, whole=True)}
        self.world.change_event(event.id, by=self.world.client_id, **fields)
        return Reply(200, event_json(self.world, event))

    def delete(self, call: Call) -> Reply:
        """Delete: a future event is gone, a past one stays as cancelled."""
        event = self._event(call)
        self.world.delete_event(event.id, by=self.world.client_id)
        return Reply(204)

    def schedules(self, call: Call) -> Reply:
        """Answer the events of users as a bare array; they carry no status."""
        low, high = window(call, exact=False)
        cancelled = switch(call, "includeCancelled")
        answer = []
        for user_id in identifiers(call, "psmIds") or ():
            events = [
                {
                    "id": event.id,
                    "eventId": event.id,
                    "eventTitle": event.title,
                    "eventType": event.type,
                    "eventColor": event.color,
                    "allDayEvent": event.all_day,
                    "startDateTime": stamp(event.start),
                    "localStartDateTime": local(event.start, event.time_zone),
                    "endDateTime": stamp(event.end),
                    "localEndDateTime": local(event.end, event.time_zone),
                }
                for event in self.world.events_of(user_id)
                if overlaps(event, low, high) and (cancelled or not event.cancelled)
            ]
            answer.append({"psmId": user_id, "workHours": [], "events": events})
        return Reply(200, answer)

    def work_hours(self, call: Call) -> Reply:
        """Answer nine to five on weekdays for every second user; others have no rules."""
        window(call)
        wanted = identifiers(call, "psmIds")
        if wanted is None:
            raise bad_request("psmIds")
        answer = []
        for user_id in sorted(wanted):
            user = self.world.users.get(user_id)
            if user is None or int(user_id.replace("-", "")[-1:], 16) % 2:
                continue
            times = {"createdAt": stamp(user.created), "updatedAt": stamp(user.created)}
            day = user.created.replace(hour=0, minute=0, second=0, microsecond=0)
            rule = {
                **times,
                "createdBy": user.id,
                "updatedBy": user.id,
                "name": None,
                "type": "WORKING_HOURS",
                "ruleType": "DEFAULT",
                "startDateTime": stamp(day),
                "endDateTime": None,
                "localStartDateTime": local(day, user.time_zone),
                "localEndDateTime": None,
                "daysInfo": [
                    {
                        "startTime": "09:00:00",
                        "endTime": "17:00:00",
                        "day": number,
                        "daysInfoId": f"{user.id[:-1]}{number}",
                    }
                    for number in range(1, 6)
                ],
                "workHoursId": user.id[::-1],
            }
            answer.append({"psmId": user.id, "details": [rule]})
        return Reply(200, answer)

    def appointment(self, sent: Any, patient_id: str, event: Event | None) -> Json:
        """Check the appointment inside an encounter; return fields for the world."""
        if not isinstance(sent, dict):
            raise bad_request("currentScheduledAppointment")
        fields = self._checked({**sent, "eventType": "ENCOUNTER"}, event, encounter=True)
        if event is None and all(p.participant_id != patient_id for p in fields["participants"]):
            raise bad_request("participants")
        return fields

    def _candidates(self, wanted: set[str] | None) -> Any:
        if self.world.read_lag_seconds:
            events = self.world.seen_events().values()
            return [e for e in events if wanted is None or wanted & {e.host_id, *e.people()}]
        if wanted is None:
            return self.world.events.values()
        ids: dict[str, None] = {}
        for person in wanted:
            ids.update(self.world.by_participant.get(person, {}))
        return [self.world.events[event_id] for event_id in ids]

    def _event(self, call: Call, events: dict[str, Event] | None = None) -> Event:
        event_id = call.params["event"]
        kind = call.one("type", "ID")
        if kind == "EXTERNAL_ID" and self.world.habits.external_id_lookup:
            event_id = self.world.by_external_id.get(event_id, "")
        elif kind != "ID":
            raise bad_request("type")
        event = (self.world.events if events is None else events).get(event_id)
        if event is None:
            raise event_missing()
        return event

    def _modifiable(self, call: Call) -> Event:
        event = self._event(call)
        encounter = self.world.encounter_of(event.id)
        closed = encounter is not None and encounter.status == "FINALIZED"
        if closed and not self.world.closed_editable:
            message = "Calendar event isn't modifiable"
            raise WelkinError(400, "CALENDAR_EVENT_NOT_MODIFIABLE", message, "CALENDAR")
        return event

    def _checked(
        self,
        sent: Json,
        event: Event | None,
        *,
        whole: bool = False,
        encounter: bool = False,
    ) -> Json:
        """Turn the keys sent into attributes of an event, all of them checked."""
        if any(name.startswith("local") for name in sent):
            raise bad_request("local fields are read-only")
        fields: Json = {}
        for name, attribute in FIELDS.items():
            if name in sent:
                if sent[name] is not None and not isinstance(sent[name], str):
                    raise bad_request(name)
                fields[attribute] = sent[name]
        if "type" in fields:
            if fields["type"] not in (None, *TYPES):
                raise bad_request("eventType")
            was_encounter = event is not None and event.type == "ENCOUNTER"
            if fields["type"] == "ENCOUNTER" and not encounter and not was_encounter:
                raise bad_request("ENCOUNTER events are created with an encounter")
        if fields.get("time_zone") in self.world.habits.unknown_zones:
            raise bad_request("timezone")
        if "allDayEvent" in sent:
            if not isinstance(sent["allDayEvent"], bool):
                raise bad_request("allDayEvent")
            fields["all_day"] = sent["allDayEvent"]
        if "additionalInfo" in sent:
            fields["additional_info"] = sent["additionalInfo"]
        self._check_times(sent, event, fields, required=whole or event is None)
        self._check_people(sent, event, fields, required=whole or event is None)
        if fields.get("title") in self.world.habits.refuses_titles:
            raise WelkinError(500, "INTERNAL_ERROR", "unexpected", "CALENDAR")
        external = self._external_id(fields)
        if external and self.world.by_external_id.get(external) not in (
            None,
            event.id if event else None,
        ):
            raise bad_request("externalId must be unique", "EXTERNAL_ID_NOT_UNIQUE")
        return fields

    def _external_id(self, fields: Json) -> str | None:
        external: str | None = fields.get("external_id")
        if external and self.world.habits.external_ids == "refused":
            raise bad_request("externalId")
        if external and self.world.habits.external_ids == "dropped":
            external = fields["external_id"] = None
        return external

    def _check_overlap(self, fields: Json, event: Event | None) -> None:
        """Some tenants do not let anybody be in two places at once."""
        if self.world.habits.overlaps:
            return
        host = fields.get("host_id") or (event.host_id if event else "")
        start: datetime = fields["start"] if "start" in fields or not event else event.start
        end: datetime = fields["end"] if "end" in fields or not event else event.end
        for other in self.world.events_of(host):
            if other is not event and not other.cancelled and overlaps(other, start, end):
                raise WelkinError(409, "CALENDAR_EVENT_OVERLAPS", "Overlaps", "CALENDAR")

    def _check_times(
        self, sent: Json, event: Event | None, fields: Json, *, required: bool
    ) -> None:
        for name, attribute in (("startDateTime", "start"), ("endDateTime", "end")):
            if name not in sent:
                if required:
                    raise bad_request(name)
                continue
            moment = parse_moment(sent[name])
            if moment is None:
                raise bad_request(name)
            fields[attribute] = moment
        start = fields.get("start") or (event.start if event else None)
        end = fields.get("end") or (event.end if event else None)
        if start and end and end < start:
            raise bad_request("endDateTime is before startDateTime")

    def _check_people(
        self, sent: Json, event: Event | None, fields: Json, *, required: bool
    ) -> None:
        if "hostId" in sent:
            if not isinstance(sent["hostId"], str) or sent["hostId"] not in self.world.users:
                raise bad_request("hostId")
            fields["host_id"] = sent["hostId"]
        elif required:
            raise bad_request("hostId")
        if "participants" in sent:
            fields["participants"] = self._participants(sent["participants"], event)
        elif required:
            raise bad_request("participants")
        if "host_id" in fields or "participants" in fields:
            host = fields.get("host_id") or (event.host_id if event else "")
            rows = fields.get("participants") or (event.participants if event else [])
            if all(row.participant_id != host for row in rows):
                raise bad_request("the host must take part")

    def _participants(self, sent: Any, event: Event | None) -> list[Participant]:
        if not isinstance(sent, list) or not sent:
            raise bad_request("participants")
        kept = {row.id for row in event.participants} if event else set()
        rows = []
        for each in sent:
            role = str(each.get("participantRole")) if isinstance(each, dict) else ""
            people: Any = {"psm": self.world.users, "patient": self.world.patients}.get(role)
            if people is None or str(each.get("participantId")) not in people:
                raise bad_request("participants")
            row_id = each.get("id")
            own = row_id if row_id in kept else self.world.new_id()
            status = str(each.get("participationStatus") or "")
            rows.append(Participant(own, str(each["participantId"]), role, status))
        return rows


def overlaps(event: Event, low: datetime, high: datetime) -> bool:
    """Whether an event lies in a window; one without length belongs where it begins."""
    return event.start < high and (event.end > low or event.start >= low)


def window(call: Call, *, exact: bool = True) -> tuple[datetime, datetime]:
    """Read ``from`` and ``to``.

    Raises:
        WelkinError: 400 unless both are there, in order, and (``exact``) written with three
            fraction digits and a Z.
    """
    read = parse_moment if exact else parse_any
    low, high = read(call.one("from")), read(call.one("to"))
    if low is None or high is None:
        raise bad_request("from and to are required as yyyy-MM-dd'T'HH:mm:ss.SSS'Z'")
    if high - low < timedelta(0):
        raise bad_request("to is before from")
    return low, high


def identifiers(call: Call, name: str) -> set[str] | None:
    """Read a comma list, None when it was not sent."""
    text = call.one(name)
    return {part for part in text.split(",") if part} if text else None


def switch(call: Call, name: str) -> bool:
    """Read true or false, false when it was not sent."""
    text = (call.one(name) or "false").lower()
    if text not in ("true", "false"):
        raise bad_request(name)
    return text == "true"


def page_of(call: Call, size: int) -> tuple[int, int]:
    """Read ``page`` and ``size``; a page may have at most 1000 rows."""
    page_text, size_text = call.one("page") or "0", call.one("size") or str(size)
    if not (page_text.isdigit() and size_text.isdigit()) or int(size_text) < 1:
        raise bad_request("page and size")
    return int(page_text), min(int(size_text), MAX_SIZE)


def json_body(call: Call) -> Json:
    """Read a JSON object.

    Raises:
        WelkinError: 400 for anything else.
    """
    try:
        sent = json.loads(call.body)
    except ValueError:
        raise bad_request("not readable", "HTTP_MESSAGE_NOT_READABLE") from None
    if not isinstance(sent, dict):
        raise bad_request("not readable", "HTTP_MESSAGE_NOT_READABLE")
    return sent
