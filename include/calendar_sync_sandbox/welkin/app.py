"""The routes of the Welkin double: token, events, encounters, exports, users, audit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from calendar_sync_sandbox.clock import stamp
from calendar_sync_sandbox.service import Call, Handler, Reply, Route, Service
from calendar_sync_sandbox.welkin.access import Access
from calendar_sync_sandbox.welkin.errors import (
    WelkinError,
    bad_request,
    error_body,
    record_missing,
)
from calendar_sync_sandbox.welkin.events import Events, identifiers, json_body, page_of
from calendar_sync_sandbox.welkin.wire import (
    encounter_json,
    event_json,
    meta_page,
    parse_moment,
    patient_json,
    template_json,
    user_json,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from calendar_sync_sandbox.faults import Faults
    from calendar_sync_sandbox.requestlog import RequestLog
    from calendar_sync_sandbox.welkin.records import Encounter
    from calendar_sync_sandbox.welkin.world import WelkinWorld

STATUSES = ("DRAFT", "OPEN", "FINALIZED", "CANCELLED")


class WelkinApp:
    """The handlers; the world does the work."""

    def __init__(
        self,
        world: WelkinWorld,
        faults: Faults,
        log: RequestLog,
        *,
        tenant: str,
        instance: str,
        secret: str,
    ) -> None:
        """Lay out the routes."""
        self.world = world
        self.access = Access(world, tenant, secret)
        self.events = Events(world)
        here, admin = f"/{tenant}/{instance}", f"/{tenant}/admin"
        events = here + "/calendar/events"
        event = events + "/{event}"
        encounters = here + "/patients/{patient}/encounters"
        encounter = encounters + "/{encounter}"
        routes = [
            ("GET", events, "events.list", self.events.page),
            ("POST", events, "events.create", self.events.create),
            ("GET", event, "events.get", self.events.get),
            ("PATCH", event, "events.patch", self.events.patch),
            ("PUT", event, "events.put", self.events.put),
            ("DELETE", event, "events.delete", self.events.delete),
            ("GET", here + "/calendar/psm-schedules", "schedules", self.events.schedules),
            ("GET", here + "/calendar/work-hours", "work_hours", self.events.work_hours),
            ("GET", encounters, "encounters.list", self._encounters_of_patient),
            ("POST", encounters, "encounters.create", self._create_encounter),
            ("GET", encounter, "encounters.get", self._encounter),
            ("PATCH", encounter, "encounters.patch", self._patch_encounter),
            ("DELETE", encounter, "encounters.delete", self._delete_encounter),
            (
                "GET",
                here + "/users/{user}/encounters",
                "encounters.by_user",
                self._encounters_of_user,
            ),
            ("GET", here + "/patients/{patient}", "patients.get", self._patient),
            (
                "GET",
                here + "/formations/current/encounters",
                "formations",
                lambda _: Reply(200, [template_json(t) for t in self.world.templates.values()]),
            ),
            ("GET", here + "/export/CALENDAR_EVENT", "export.calendar_event", self._export_events),
            ("GET", here + "/export/ENCOUNTER", "export.encounter", self._export_encounters),
            ("GET", admin + "/audit-data", "audit", self._audit),
            ("GET", admin + "/users", "users.list", self._users),
            ("GET", admin + "/users/{user}", "users.get", self._user),
        ]
        self.service = Service(
            "welkin",
            [
                Route(
                    "POST",
                    "/{tenant}/admin/api_clients/{client}",
                    "welkin.token",
                    self.access.token,
                ),
                *(Route(m, p, f"welkin.{k}", self._guarded(h)) for m, p, k, h in routes),
            ],
            clock=world.clock,
            faults=faults,
            log=log,
            identify=self.access.identify,
            expire=self.access.expire,
            failure=error_body,
            default_headers={
                "cache-control": "no-cache, no-store, max-age=0, must-revalidate",
                "strict-transport-security": "max-age=31536000 ; includeSubDomains",
            },
        )

    def _guarded(self, handler: Handler) -> Handler:
        def answer(call: Call) -> Reply:
            self.access.check(call)
            return handler(call)

        return answer

    def _page(self, rows: Sequence[Any], call: Call) -> tuple[Sequence[Any], dict[str, Any]]:
        cut, info = meta_page(rows, *page_of(call, 20))
        info["totalElements"] += self.world.habits.overcounts
        return cut, info

    # Encounters

    def _encounters_of_patient(self, call: Call) -> Reply:
        patient = call.params["patient"]
        rows = [e for e in self.world.encounters.values() if e.patient_id == patient]
        return self._encounter_page(call, rows, by_user=False)

    def _encounters_of_user(self, call: Call) -> Reply:
        user = call.params["user"]
        found = []
        for event in self.world.events_of(user):
            encounter = self.world.encounter_of(event.id)
            if encounter is not None and event.host_id == user:
                found.append(encounter)
        return self._encounter_page(call, found, by_user=True)

    def _encounter_page(self, call: Call, rows: list[Encounter], *, by_user: bool) -> Reply:
        statuses = identifiers(call, "statuses")
        chosen = [e for e in rows if statuses is None or e.status in statuses]
        chosen.sort(key=lambda e: (e.created, e.id))
        cut, info = self._page(chosen, call)
        data = [encounter_json(self.world, e, by_user=by_user) for e in cut]
        return Reply(200, {"data": data, "metaInfo": info})

    def _encounter(self, call: Call) -> Reply:
        return Reply(200, encounter_json(self.world, self._found(call)))

    def _create_encounter(self, call: Call) -> Reply:
        patient = call.params["patient"]
        sent = json_body(call)
        if patient not in self.world.patients:
            raise WelkinError(404, "PATIENT_NOT_FOUND", "Patient not found", "PATIENT")
        template = str(sent.get("templateName"))
        if template not in self.world.templates:
            raise bad_request("templateName")
        event = None
        if sent.get("currentScheduledAppointment") is not None:
            fields = self.events.appointment(sent["currentScheduledAppointment"], patient, None)
            rows = fields.pop("participants")
            fields["status"] = fields.get("status") or "SCHEDULED"
            fields["mode"] = fields.get("mode") or self.world.templates[template].mode
            event = self.world.store_event(
                participants=[(row.participant_id, row.role) for row in rows],
                by=self.world.client_id,
                **fields,
            )
        encounter = self.world.store_encounter(
            patient, template, sent.get("title"), event, by=self.world.client_id
        )
        return Reply(201, encounter_json(self.world, encounter))

    def _patch_encounter(self, call: Call) -> Reply:
        encounter = self._found(call)
        sent = json_body(call)
        by = self.world.client_id
        if sent.get("status") is not None and sent["status"] not in STATUSES:
            raise bad_request("status")
        appointment = sent.get("currentScheduledAppointment")
        event = self.world.events.get(encounter.event_id or "")
        if appointment is not None and event is not None:
            fields = self.events.appointment(appointment, encounter.patient_id, event)
            if not self.world.encounter_moves:
                raise WelkinError(400, "ENCOUNTER_NOT_MODIFIABLE", "Not modifiable", "CDT")
            self.world.change_event(event.id, by=by, **fields)
        names = ("title", "description", "notes", "status")
        changes = {name: sent[name] for name in names if name in sent}
        self.world.change_encounter(encounter, by=by, **changes)
        return Reply(200, encounter_json(self.world, encounter))

    def _delete_encounter(self, call: Call) -> Reply:
        self.world.delete_encounter(self._found(call).id)
        return Reply(200)

    def _found(self, call: Call) -> Encounter:
        encounter = self.world.encounters.get(call.params["encounter"])
        if encounter is None or encounter.patient_id != call.params["patient"]:
            raise record_missing()
        return encounter

    def _patient(self, call: Call) -> Reply:
        patient = self.world.patients.get(call.params["patient"])
        if patient is None:
            raise WelkinError(404, "PATIENT_NOT_FOUND", "Patient not found", "PATIENT")
        return Reply(200, patient_json(patient, self.world.clock.now()))

    # Exports

    def _export_events(self, call: Call) -> Reply:
        world = self.world
        records = ((world.events[i]) for i in reversed(world.event_journal))
        return self._export(call, records, lambda event: event_json(world, event))

    def _export_encounters(self, call: Call) -> Reply:
        world = self.world

        def row(encounter: Encounter) -> dict[str, Any]:
            body = encounter_json(world, encounter)
            del body["cdtName"]
            return body

        records = (world.encounters[i] for i in reversed(world.encounter_journal))
        return self._export(call, records, row)

    def _export(self, call: Call, newest_first: Iterable[Any], row: Any) -> Reply:
        """Answer the records changed at or after ``start``, oldest change first."""
        text = call.one("start")
        start = parse_moment(text) if text else datetime(1970, 1, 1, tzinfo=UTC)
        if start is None:
            raise bad_request("start")
        _, size = page_of(_renamed(call), 100)
        size = min(size, self.world.habits.largest_page or size)
        ceiling = self.world.clock.now() - timedelta(seconds=self.world.lag_seconds)
        found = []
        for record in newest_first:
            if record.updated < start:
                break
            if not self.world.lag_seconds or record.updated <= ceiling:
                found.append(record)
        found.reverse()
        cut = found[:size]
        cursor = {
            "start": stamp(start),
            "end": stamp(cut[-1].updated if cut else start),
            "pageSize": size,
            "hasNext": len(found) > size,
        }
        return Reply(200, {"data": [row(record) for record in cut], "cursor": cursor})

    # Administration

    def _audit(self, call: Call) -> Reply:
        if not self.world.audit_enabled:
            details = {
                "clientId": self.world.client_id,
                "clientName": self.world.client_name,
                "clientType": "API_CLIENT",
                "organizationName": self.access.tenant,
                "requestURI": call.path,
            }
            raise WelkinError(403, details=details)
        low, high = call.one("dateStart"), call.one("dateEnd")
        for text in (low, high):
            if text is not None and parse_moment(text) is None:
                raise bad_request("dateStart and dateEnd")
        entity, instance = call.one("entity"), call.one("instance")
        subtype = call.one("eventSubtype")
        rows = [
            row
            for row in self.world.audit
            if (low is None or row["createdAt"] >= low)
            and (high is None or row["createdAt"] <= high)
            and entity in (None, row["entity"])
            and subtype in (None, row["eventSubtype"])
            and instance in (None, row["instanceName"])
        ]
        order = call.one("sort", "createdAt,desc")
        if call.one("sort") and not self.world.habits.sorts:
            raise bad_request("sort")
        if order not in ("createdAt,desc", "createdAt,asc"):
            raise bad_request("sort")
        if order == "createdAt,desc":
            rows.reverse()
        cut, info = self._page(rows, call)
        return Reply(200, {"data": cut, "metaInfo": info})

    def _users(self, call: Call) -> Reply:
        search = (call.one("search") or "").lower()
        state = call.one("userState")
        rows = [
            user
            for user in self.world.users.values()
            if search in user.email.lower() and state in (None, user.state)
        ]
        cut, info = self._page(rows, call)
        return Reply(200, {"data": [user_json(user) for user in cut], "metaInfo": info})

    def _user(self, call: Call) -> Reply:
        key, kind = call.params["user"], call.one("type", "USERNAME")
        users = self.world.users.values()
        user = (
            self.world.users.get(key)
            if kind == "ID"
            else next((u for u in users if u.username == key), None)
        )
        if user is None:
            raise WelkinError(404, "USER_NOT_FOUND", "User not found", "USER")
        return Reply(200, user_json(user))


def _renamed(call: Call) -> Call:
    """Let the export's ``pageSize`` be read as ``size``."""
    sizes = call.query.get("pageSize")
    query = {"size": sizes} if sizes else {}
    return Call(call.method, call.path, query, call.headers, b"")
