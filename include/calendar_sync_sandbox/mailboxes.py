"""The control API of the mailboxes: the same routes for either platform."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.requests import Request

    from calendar_sync_sandbox.calendars import CalendarWorld, Glimpse

Json = dict[str, Any]
Act = Callable[["Request", Json], Any]


def mailbox_routes(name: str, world: CalendarWorld) -> list[tuple[str, str, Act]]:
    """Return verb, path and handler of everything that can be done with one platform's mailboxes.

    ``events`` and ``mirrors`` speak the platform's own JSON; ``glimpses``, ``expanded`` and
    ``plan`` are the same on both.
    """
    control, one = _Mailboxes(world), f"/{name}/accounts/{{account}}"
    return [
        ("GET", f"{one}/events", control.events),
        ("GET", f"{one}/mirrors", control.mirrors),
        ("GET", f"{one}/glimpses", control.glimpses),
        ("GET", f"{one}/expanded", control.expanded),
        ("POST", f"{one}/events", control.add),
        ("POST", f"{one}/plan", control.plan),
        ("POST", f"{one}/events/{{id}}/move", control.move),
        ("POST", f"{one}/events/{{id}}/rename", control.rename),
        ("DELETE", f"{one}/events/{{id}}", control.delete),
        ("POST", f"{one}/{{verb:str}}", control.account),
    ]


class _Mailboxes:
    def __init__(self, world: CalendarWorld) -> None:
        self.world = world

    def events(self, request: Request, _: Json) -> Any:
        return self.world.events_of(request.path_params["account"])

    def mirrors(self, request: Request, _: Json) -> Any:
        account = request.path_params["account"]
        return [
            event
            for event in self.world.events_of(account)
            if self.world.glimpse(account, event).marker is not None
        ]

    def glimpses(self, request: Request, _: Json) -> Any:
        return [_as_json(seen) for seen in self.world.glimpses(request.path_params["account"])]

    def expanded(self, request: Request, _: Json) -> Any:
        low, high = (moment(request.query_params[name]) for name in ("from", "to"))
        found = self.world.expanded_glimpses(request.path_params["account"], low, high)
        return [_as_json(seen) for seen in found]

    def add(self, request: Request, body: Json) -> Any:
        return self.world.add_event(request.path_params["account"], **times(body))

    def plan(self, request: Request, body: Json) -> Any:
        fields = {k: v for k, v in body.items() if k not in ("start", "end")}
        start, end = (_when(body[which]) for which in ("start", "end"))
        return {"id": self.world.plan(request.path_params["account"], start, end, **fields)}

    def move(self, request: Request, body: Json) -> Any:
        read = times(body)
        account, event_id = request.path_params["account"], request.path_params["id"]
        return self.world.move_event(account, event_id, read["start"], read["end"])

    def rename(self, request: Request, body: Json) -> Any:
        account, event_id = request.path_params["account"], request.path_params["id"]
        self.world.rename(account, event_id, body["title"])

    def delete(self, request: Request, _: Json) -> Any:
        self.world.delete_event(request.path_params["account"], request.path_params["id"])

    def account(self, request: Request, _: Json) -> Any:
        acts: dict[str, Callable[[str], None]] = {
            "revoke": self.world.revoke,
            "restore": self.world.restore,
            "suspend": self.world.suspend,
            "delete_account": self.world.delete_account,
            "no_licence": self.world.no_licence,
            "expire_sync_tokens": self.world.expire_sync_tokens,
        }
        acts[request.path_params["verb"]](request.path_params["account"])


def moment(text: Any) -> datetime:
    """Read a time with an offset.

    Raises:
        ValueError: for anything else.
    """
    parsed = datetime.fromisoformat(str(text))
    if parsed.tzinfo is None:
        raise ValueError(f"a time needs an offset: {text}")
    return parsed.astimezone(UTC)


def times(body: Json) -> Json:
    """Read start and end: JSON of the API as it is, text as a moment, or as a day."""
    read = dict(body)
    for which in ("start", "end"):
        if isinstance(body[which], str):
            read[which] = _when(body[which])
    return read


def _when(text: str) -> datetime | date:
    return date.fromisoformat(text) if len(text) == 10 else moment(text)


def _as_json(seen: Glimpse) -> Json:
    written = asdict(seen)
    for name in ("start", "end", "original_start"):
        if written[name] is not None:
            written[name] = written[name].isoformat()
    return written
