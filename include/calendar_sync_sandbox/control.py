"""The control API under ``/_sandbox``: what a person would do in each service, as JSON.

It needs no token and is not part of any service; the demo and its scripts drive it.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import datetime, time
from inspect import isawaitable
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from calendar_sync_sandbox.faults import Fault
from calendar_sync_sandbox.mailboxes import mailbox_routes, moment
from calendar_sync_sandbox.push_control import push_routes
from calendar_sync_sandbox.service import Refusal
from calendar_sync_sandbox.welkin.wire import event_json

if TYPE_CHECKING:
    from calendar_sync_sandbox.calendars import CalendarWorld, Glimpse
    from calendar_sync_sandbox.sandbox import Sandbox
    from calendar_sync_sandbox.welkin.records import Encounter, Event

BLOCK_PREFIX = "calsync-"
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
        ("POST", "/microsoft/latency", control.latency),
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
        *push_routes(sandbox),
        *mailbox_routes("google", sandbox.google),
        *mailbox_routes("microsoft", sandbox.microsoft),
    ]
    inner = [Route(path, _endpoint(act), methods=[method]) for method, path, act in routes]
    return Starlette(routes=[Mount("/_sandbox", routes=inner)])


def summary(sandbox: Sandbox) -> dict[str, int]:
    """Count what the sync has made, and what it must never make.

    Returns:
        Numbers: ``users``, ``mirrors`` (``google_mirrors`` and ``microsoft_mirrors`` together),
        ``blocks``; ``duplicates``, mirrors of one marker value in one account, blocks of one
        external id, and blocks of one user and time beyond the events that the user has then;
        ``canary_leaks``, texts of mirrors that hold a canary.
    """
    mirrors = {
        name: Counter(
            (account, seen.marker) for account in world.accounts for seen in world.mirrors(account)
        )
        for name, world in _worlds(sandbox)
    }
    blocks = [
        event
        for event in list(sandbox.welkin.events.values())
        if (event.external_id or "").startswith(BLOCK_PREFIX) and not event.cancelled
    ]
    names = Counter(event.external_id for event in blocks)
    counts = [*names.values(), *(n for each in mirrors.values() for n in each.values())]
    duplicates = sum(counts) - len(counts)
    made = {f"{name}_mirrors": counter.total() for name, counter in mirrors.items()}
    return {
        "users": len(sandbox.welkin.users),
        "mirrors": sum(made.values()),
        **made,
        "blocks": len(blocks),
        "duplicates": duplicates + _blocks_too_many(sandbox, blocks),
        "canary_leaks": len(leaks(sandbox)),
    }


def _worlds(sandbox: Sandbox) -> tuple[tuple[str, CalendarWorld], ...]:
    return ("google", sandbox.google), ("microsoft", sandbox.microsoft)


def _blocks_too_many(sandbox: Sandbox, blocks: list[Event]) -> int:
    """Count blocks of one time beyond the events that the user has at that time."""
    rows = {row["welkin_user_id"]: row for row in sandbox.users()}
    spans = Counter((event.host_id, event.start, event.end) for event in blocks)
    surplus = 0
    for (user_id, start, end), count in spans.items():
        if count == 1:
            continue
        reasons = sum(
            seen.marker is None and _moments(world, account, seen) == (start, end)
            for name, world in _worlds(sandbox)
            if (account := rows.get(user_id, {}).get(f"{name}_account"))
            for seen in world.expanded_glimpses(account, start, end)
        )
        surplus += max(0, count - max(1, reasons))
    return surplus


def _moments(world: CalendarWorld, account: str, seen: Glimpse) -> tuple[datetime, datetime]:
    """Return start and end of an event; days begin at midnight of the account's zone."""
    zone = ZoneInfo(world.accounts[account.lower()].time_zone)
    first, last = (
        when if isinstance(when, datetime) else datetime.combine(when, time(), zone)
        for when in (seen.start, seen.end)
    )
    return first, last


def leaks(sandbox: Sandbox) -> list[Json]:
    """Name the texts of mirrors that hold a canary: account, event id and field."""
    canaries = sandbox.canaries
    if not canaries:
        return []
    # There are thousands of them: what does not even hold the beginning of one is let go at once.
    begins = re.compile("|".join({re.escape(canary[:4]) for canary in canaries}))
    return [
        {"account": account, "event_id": event["id"], "field": field}
        for _, world in _worlds(sandbox)
        for account in world.accounts
        for event in world.events_of(account)
        if world.glimpse(account, event).marker is not None
        for field, value in event.items()
        for text in (json.dumps(value, ensure_ascii=False),)
        if begins.search(text) and any(canary in text for canary in canaries)
    ]


def _endpoint(act: Act) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        body: Json = {}
        if request.method == "POST" and await request.body():
            body = await request.json()
        try:
            answer = act(request, body)
            if isawaitable(answer):
                answer = await answer
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

    def requests(self, request: Request, _: Json) -> Any:
        since = int(request.query_params.get("since", "0"))
        return [entry.as_json() for entry in self.sandbox.requests.since(since)]

    def latency(self, _: Request, body: Json) -> Any:
        self.sandbox.microsoft.latency = float(body["seconds"])

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
