"""The control API of push and free/busy: what an administrator, a network or Google may do to them.

Bodies name what is to change and leave out the rest; ``account`` left out means everybody.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from calendar_sync_sandbox.google.push import REFUSALS

if TYPE_CHECKING:
    from starlette.requests import Request

    from calendar_sync_sandbox.microsoft.changes import Subscription
    from calendar_sync_sandbox.sandbox import Sandbox

Json = dict[str, Any]
Act = Callable[["Request", Json], Any]
Read = Callable[[Any], Any]


def push_routes(sandbox: Sandbox) -> list[tuple[str, str, Act]]:
    """Return verb, path and handler of everything that can be done with notices."""
    control = _Push(sandbox)
    return [
        ("GET", "/push", control.summary),
        ("POST", "/push", control.settings),
        ("POST", "/push/trouble/{service:str}", control.trouble),
        ("GET", "/push/waiting", control.waiting),
        ("DELETE", "/push/waiting", lambda _r, _b: sandbox.outbox.clear()),
        ("GET", "/push/deliveries", control.deliveries),
        ("POST", "/push/deliver", control.deliver),
        ("GET", "/google/channels", control.channels),
        ("POST", "/google/channels", control.treat_channels),
        ("POST", "/google/channels/end", control.end_channels),
        ("POST", "/google/freebusy", control.freebusy),
        ("GET", "/microsoft/subscriptions", control.subscriptions),
        ("POST", "/microsoft/subscriptions", control.treat_subscriptions),
        ("POST", "/microsoft/subscriptions/{verb:str}", control.subscription),
        ("GET", "/welkin/automations", control.automations),
        ("POST", "/welkin/automations", control.automate),
        ("POST", "/welkin/automations/{name}/{verb:str}", control.automation),
        ("DELETE", "/welkin/automations/{name}", control.forget),
    ]


class _Push:
    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.outbox = sandbox.outbox

    def summary(self, _: Request, __: Json) -> Any:
        return {
            "allow_http": self.outbox.allow_http,
            "trouble": {name: asdict(each) for name, each in self.outbox.trouble.items()},
            "waiting": len(self.outbox.waiting()),
            "outcomes": dict(Counter(each.outcome for each in self.outbox.deliveries)),
            "channels": len(self.sandbox.google.push.living()),
            "subscriptions": len(self.sandbox.microsoft.subscriptions.changes.of()),
            "automations": sum(
                each.active for each in self.sandbox.welkin.automations.all.values()
            ),
        }

    def settings(self, _: Request, body: Json) -> Any:
        _assign(self.outbox, body, {"allow_http": ("allow_http", bool), "trust": ("trust", _text)})

    def trouble(self, request: Request, body: Json) -> Any:
        wanted = request.path_params["service"]
        for name in self.outbox.trouble if wanted == "all" else (wanted,):
            _assign(
                self.outbox.trouble[name],
                body,
                {
                    "delay_seconds": ("delay_seconds", float),
                    "lose": ("lose", float),
                    "double": ("double", float),
                    "shuffle": ("shuffle", bool),
                    "dead": ("dead", bool),
                },
            )

    def waiting(self, _: Request, __: Json) -> Any:
        return [
            {
                "seq": each.seq,
                "service": each.service,
                "kind": each.kind,
                "target": each.target,
                "due": each.due.isoformat(),
                "tries": each.tries,
            }
            for each in self.outbox.waiting()
        ]

    def deliveries(self, _: Request, __: Json) -> Any:
        return [each.as_json() for each in self.outbox.deliveries]

    async def deliver(self, _: Request, __: Json) -> Any:
        return [each.as_json() for each in await self.outbox.deliver()]

    # Google

    def channels(self, _: Request, __: Json) -> Any:
        return [each.as_json() for each in self.sandbox.google.push.all.values()]

    def treat_channels(self, _: Request, body: Json) -> Any:
        _assign(
            self.sandbox.google.push,
            body,
            {
                "refuse": ("refuse", _refusal),
                "unwatchable": ("unwatchable", set),
                "life_seconds": ("life", _seconds),
                "longest_seconds": ("longest", _seconds),
                "after_stop_seconds": ("after_stop", _seconds),
            },
        )

    def end_channels(self, _: Request, body: Json) -> Any:
        return {"ended": self.sandbox.google.push.end(body.get("account"))}

    def freebusy(self, _: Request, body: Json) -> Any:
        _assign(
            self.sandbox.google.freebusy,
            body,
            {
                "lag_seconds": ("lag_seconds", float),
                "longest_days": ("longest", lambda days: timedelta(days=float(days))),
                "shared": ("shared", bool),
                "hidden": ("hidden", set),
                "broken": ("broken", set),
                "cuts": ("cuts", bool),
            },
        )

    # Microsoft

    def subscriptions(self, _: Request, __: Json) -> Any:
        return [_shown(each) for each in self.sandbox.microsoft.subscriptions.changes.of()]

    def treat_subscriptions(self, _: Request, body: Json) -> Any:
        held = self.sandbox.microsoft.subscriptions
        own = {k: v for k, v in body.items() if k in ("longest_minutes", "beyond", "most")}
        _assign(
            held,
            own,
            {
                "longest_minutes": ("longest", lambda value: timedelta(minutes=float(value))),
                "beyond": ("beyond", lambda value: {"refuse": value, "shorten": value}[value]),
                "most": ("most", int),
            },
        )
        _assign(
            held.changes,
            {k: v for k, v in body.items() if k not in own},
            {"grace_seconds": ("grace", _seconds), "challenge_after": ("challenge_after", float)},
        )

    def subscription(self, request: Request, body: Json) -> Any:
        changes = self.sandbox.microsoft.subscriptions.changes
        acts: dict[str, Callable[[str | None], int]] = {
            "end": changes.end,
            "remove": changes.remove,
            "challenge": changes.challenge,
            "miss": changes.miss,
        }
        return {"count": acts[request.path_params["verb"]](body.get("account"))}

    # Welkin

    def automations(self, _: Request, __: Json) -> Any:
        return [each.as_json() for each in self.sandbox.welkin.automations.all.values()]

    def automate(self, _: Request, body: Json) -> Any:
        return self.sandbox.welkin.automations.make(**body).as_json()

    def automation(self, request: Request, _: Json) -> Any:
        automations, name = self.sandbox.welkin.automations, request.path_params["name"]
        one, verb = automations.all[name], request.path_params["verb"]
        if verb == "test":
            automations.test(name)
        else:
            one.active = {"activate": True, "deactivate": False}[verb]
        return one.as_json()

    def forget(self, request: Request, _: Json) -> Any:
        del self.sandbox.welkin.automations.all[request.path_params["name"]]


def _assign(target: Any, body: Json, known: dict[str, tuple[str, Read]]) -> None:
    """Set what a body names: the name of the attribute, and how its value is read."""
    read = [(known[name][0], known[name][1](value)) for name, value in body.items()]
    for name, value in read:
        setattr(target, name, value)


def _seconds(value: Any) -> timedelta:
    return timedelta(seconds=float(value))


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _refusal(value: Any) -> str | None:
    if value is not None and value not in REFUSALS:
        raise ValueError(f"unknown refusal; known: {', '.join(REFUSALS)}")
    return _text(value)


def _shown(each: Subscription) -> Json:
    return {
        "id": each.id,
        "account": each.mailbox.email,
        "url": each.url,
        "lifecycle_url": each.lifecycle_url,
        "expires": each.expires.isoformat(),
        "challenged": each.challenged is not None,
    }
