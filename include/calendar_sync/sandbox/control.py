"""The control API under ``/_sandbox``: what a person would do in either service, as JSON.

It needs no token and is not part of either service; the demo and its scripts drive it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from calendar_sync.sandbox.faults import Fault
from calendar_sync.sandbox.google.times import moment_of
from calendar_sync.sandbox.google.world import MARKER
from calendar_sync.sandbox.service import Refusal
from calendar_sync.sandbox.welkin.wire import event_json

if TYPE_CHECKING:
    from calendar_sync.sandbox.sandbox import Sandbox
    from calendar_sync.sandbox.welkin.records import Encounter, Event

BLOCK_PREFIX = "calsync-"
MIRROR_TEXTS = ("summary", "description", "location")
Json = dict[str, Any]
Act = Callable[[Request, Json], Any]


def control_app(sandbox: Sandbox) -> Starlette:
    """Build the control API of a sandbox; times in bodies are RFC 3339 with an offset."""
    control = _Control(sandbox)
    routes = [
        ("GET", "/health", lambda _r, _b: {"status": "ok"}),
        ("GET", "/users", lambda _r, _b: sandbox.users()),
        ("GET", "/canaries", lambda _r, _b: sorted(sandbox.canaries)),
        ("GET", "/summary", lambda _r, _b: summary(sandbox)),
        ("GET", "/leaks", lambda _r, _b: leaks(sandbox)),
        ("GET", "/welkin/templates", lambda _r, _b: sorted(sandbox.welkin.templates)),
        ("GET", "/requests", control.requests),
        ("GET", "/requests/counts", lambda _r, _b: sandbox.requests.counts()),
        ("GET", "/faults", lambda _r, _b: [f.as_json() for f in sandbox.faults.waiting()]),
        ("POST", "/faults", lambda _r, body: sandbox.faults.add(Fault(**body)).as_json()),
        ("DELETE", "/faults", lambda _r, _b: sandbox.faults.clear()),
        ("POST", "/welkin/encounters", control.book_encounter),
        ("POST", "/welkin/encounters/{id}/{verb:str}", control.encounter),
        ("POST", "/welkin/events", control.book_event),
        ("POST", "/welkin/events/{id}/{verb:str}", control.event),
        ("GET", "/welkin/events/{id}", control.read_event),
        ("GET", "/welkin/blocks", control.blocks),
        ("GET", "/google/accounts/{account}/events", control.google_events),
        ("GET", "/google/accounts/{account}/mirrors", control.google_mirrors),
        ("POST", "/google/accounts/{account}/events", control.add_google_event),
        ("POST", "/google/accounts/{account}/events/{id}/move", control.move_google_event),
        ("DELETE", "/google/accounts/{account}/events/{id}", control.delete_google_event),
        ("POST", "/google/accounts/{account}/{verb:str}", control.account),
    ]
    inner = [Route(path, _endpoint(act), methods=[method]) for method, path, act in routes]
    return Starlette(routes=[Mount("/_sandbox", routes=inner)])


def summary(sandbox: Sandbox) -> dict[str, int]:
    """Count what the sync has made, and what it must never make.

    Returns:
        Numbers: ``users``, ``mirrors``, ``blocks``; ``duplicates``, mirrors of one marker value in
        one account, blocks of one external id, and blocks of one user and time beyond the events
        that the user has then; ``canary_leaks``, texts of mirrors that hold a canary.
    """
    mirrors = Counter(
        (account.email, event["extendedProperties"]["private"][MARKER])
        for account in sandbox.google.accounts.values()
        for event in sandbox.google.mirrors_of(account.email)
    )
    blocks = [
        event
        for event in list(sandbox.welkin.events.values())
        if (event.external_id or "").startswith(BLOCK_PREFIX) and not event.cancelled
    ]
    names = Counter(event.external_id for event in blocks)
    duplicates = sum(
        count - 1 for counter in (mirrors, names) for count in counter.values()
    ) + _blocks_too_many(sandbox, blocks)
    return {
        "users": len(sandbox.welkin.users),
        "mirrors": sum(mirrors.values()),
        "blocks": len(blocks),
        "duplicates": duplicates,
        "canary_leaks": len(leaks(sandbox)),
    }


def _blocks_too_many(sandbox: Sandbox, blocks: list[Event]) -> int:
    """Count blocks of one time beyond the events that the user has at that time."""
    accounts = {row["welkin_user_id"]: row["google_account"] for row in sandbox.users()}
    spans = Counter((event.host_id, event.start, event.end) for event in blocks)
    surplus = 0
    for (user_id, start, end), count in spans.items():
        account = accounts.get(user_id)
        if count == 1 or account is None:
            surplus += count - 1
            continue
        zone_name = sandbox.google.account(account).time_zone
        reasons = sum(
            MARKER not in event.get("extendedProperties", {}).get("private", {})
            and moment_of(event["start"], zone_name) == start
            and moment_of(event["end"], zone_name) == end
            for event in sandbox.google.expanded(account, start, end)
        )
        surplus += max(0, count - max(1, reasons))
    return surplus


def leaks(sandbox: Sandbox) -> list[Json]:
    """Name the texts of mirrors that hold a canary: account, event id and field."""
    return [
        {"account": account.email, "event_id": event["id"], "field": name}
        for account in sandbox.google.accounts.values()
        for event in sandbox.google.mirrors_of(account.email)
        for name in MIRROR_TEXTS
        if any(canary in event.get(name, "") for canary in sandbox.canaries)
    ]


def _endpoint(act: Act) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        body: Json = {}
        if request.method == "POST" and await request.body():
            body = await request.json()
        try:
            answer = act(request, body)
        except KeyError as error:
            return JSONResponse({"error": f"unknown or missing: {error}"}, 404)
        except (TypeError, ValueError) as error:
            return JSONResponse({"error": str(error)}, 400)
        except Refusal as refusal:
            return JSONResponse(refusal.reply.body, refusal.reply.status)
        return JSONResponse({"ok": True} if answer is None else answer)

    return endpoint


class _Control:
    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.welkin = sandbox.welkin
        self.google = sandbox.google

    def requests(self, request: Request, _: Json) -> Any:
        since = int(request.query_params.get("since", "0"))
        return [entry.as_json() for entry in self.sandbox.requests.since(since)]

    def book_encounter(self, _: Request, body: Json) -> Any:
        encounter = self.welkin.book_encounter(
            self._host(body),
            moment(body["start"]),
            moment(body["end"]),
            body.get("template", "etmp-follow-up"),
            body.get("patient_id"),
            body.get("title"),
            body.get("extra_user_ids", ()),
        )
        return self._encounter_json(encounter)

    def encounter(self, request: Request, _: Json) -> Any:
        encounter = self.welkin.encounters[request.path_params["id"]]
        verb = request.path_params["verb"]
        acts: dict[str, Callable[[str], Any]] = {
            "cancel": self.welkin.cancel_encounter,
            "uncancel": self.welkin.uncancel_encounter,
            "delete": self.welkin.delete_encounter,
            "notes": self.welkin.touch_encounter_notes,
        }
        acts[verb](encounter.id)
        return self._encounter_json(encounter)

    def book_event(self, _: Request, body: Json) -> Any:
        fields = {k: v for k, v in body.items() if k not in ("host_id", "start", "end")}
        event = self.welkin.book_event(
            self._host(body), moment(body["start"]), moment(body["end"]), **fields
        )
        return self._event_json(event)

    def event(self, request: Request, body: Json) -> Any:
        event_id, verb = request.path_params["id"], request.path_params["verb"]
        event = self.welkin.events[event_id]
        acts: dict[str, Callable[[], Any]] = {
            "move": lambda: self.welkin.move_event(
                event_id, moment(body["start"]), moment(body["end"])
            ),
            "host": lambda: self.welkin.set_host(event_id, self._host(body)),
            "cancel": lambda: self.welkin.cancel_event(event_id),
            "delete": lambda: self.welkin.delete_event(event_id),
            "retitle": lambda: self.welkin.retitle(event_id, body.get("title")),
        }
        acts[verb]()
        return self._event_json(event)

    def read_event(self, request: Request, _: Json) -> Any:
        return self._event_json(self.welkin.events[request.path_params["id"]])

    def blocks(self, request: Request, _: Json) -> Any:
        user_id = request.query_params["user_id"]
        return [self._event_json(event) for event in self.welkin.blocks_of(user_id)]

    def google_events(self, request: Request, _: Json) -> Any:
        return self.google.events_of(request.path_params["account"])

    def google_mirrors(self, request: Request, _: Json) -> Any:
        return self.google.mirrors_of(request.path_params["account"])

    def add_google_event(self, request: Request, body: Json) -> Any:
        return self.google.add_event(request.path_params["account"], **_times(body))

    def move_google_event(self, request: Request, body: Json) -> Any:
        times = _times(body)
        account, event_id = request.path_params["account"], request.path_params["id"]
        return self.google.move_event(account, event_id, times["start"], times["end"])

    def delete_google_event(self, request: Request, _: Json) -> Any:
        self.google.delete_event(request.path_params["account"], request.path_params["id"])

    def account(self, request: Request, _: Json) -> Any:
        acts: dict[str, Callable[[str], None]] = {
            "revoke": self.google.revoke,
            "restore": self.google.restore,
            "suspend": self.google.suspend,
            "no_licence": self.google.no_licence,
            "expire_sync_tokens": self.google.expire_sync_tokens,
        }
        acts[request.path_params["verb"]](request.path_params["account"])

    def _host(self, body: Json) -> str:
        return self.welkin.users[body["host_id"]].id

    def _encounter_json(self, encounter: Encounter) -> Json:
        return {
            "encounter_id": encounter.id,
            "event_id": encounter.event_id,
            "patient_id": encounter.patient_id,
            "status": encounter.status,
        }

    def _event_json(self, event: Event) -> Json:
        return {"event_id": event.id, **event_json(self.welkin, event)}


def moment(text: Any) -> datetime:
    """Read a time with an offset.

    Raises:
        ValueError: for anything else.
    """
    parsed = datetime.fromisoformat(str(text))
    if parsed.tzinfo is None:
        raise ValueError(f"a time needs an offset: {text}")
    return parsed.astimezone(UTC)


def _times(body: Json) -> Json:
    """Read start and end: JSON of the API as it is, text as a moment, or as a day."""
    read = dict(body)
    for which in ("start", "end"):
        value = body[which]
        if isinstance(value, str):
            read[which] = {"date": value} if len(value) == 10 else moment(value)
    return read
