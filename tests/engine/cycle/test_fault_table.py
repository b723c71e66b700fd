"""The fault table: what each fault of a service does to each of its verbs.

A cell names what becomes of it while the fault lasts: where it shows, its code, and how many
requests of that verb were sent in one pass. Where it shows:

- `fine`: nowhere; the request counts as done;
- `user`: the user's cycle failed with this code and waits;
- `item`: the operation has this code, the user's cycle goes on;
- `all`: the pass ends for everybody.

When the fault is over, two passes later everything is as if it had never been.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from calendar_sync.core.errors import SyncError
from calendar_sync.state import tables as t
from tests.engine.cycle.stage import Stage, mail

Make = Callable[..., Stage]
SELF = mail("dana")
Final = Callable[[], None]


@dataclass(frozen=True)
class Verb:
    """One kind of request, and a scenario in which the next pass sends exactly one of it."""

    service: str
    method: str
    path: str
    kind: str
    arrange: Callable[[Stage], Final]


def new_visit(s: Stage) -> Final:
    s.run()
    s.visit()
    return lambda: expect(s.mirror_times(), [(s.at(1, 9), s.at(1, 10))])


def moved_visit(s: Stage) -> Final:
    visit = s.visit()
    s.run()
    s.move(visit.event_id, 2, 9)
    return lambda: expect(s.mirror_times(), [(s.at(2, 9), s.at(2, 10))])


def cancelled_visit(s: Stage) -> Final:
    visit = s.visit()
    s.run()
    s.welkin.cancel_event(visit.event_id)
    return lambda: expect(s.mirror_times(), [])


def vanished_mirror(s: Stage) -> Final:
    s.visit()
    s.run()
    s.calendar.delete_event(SELF, s.calendar.mirrors(SELF)[0].id)
    s.calendar.expire_sync_tokens(SELF)
    return lambda: expect(s.mirror_times(), [(s.at(1, 9), s.at(1, 10))])


def shorter_series(s: Stage) -> Final:
    series = s.series(rule="FREQ=DAILY;COUNT=3")
    s.run()
    calendar: Any = s.calendar
    calendar.delete_instance(SELF, series, s.at(2, 14))
    return lambda: expect([b.start for b in s.blocks()], [s.at(1, 14), s.at(3, 14)])


def new_busy(s: Stage) -> Final:
    s.run()
    s.busy()
    return lambda: expect(s.block_times(), [(s.at(1, 14), s.at(1, 15))])


def moved_busy(s: Stage) -> Final:
    event = s.busy()
    s.run()
    s.calendar.move_event(SELF, event, s.at(2, 14), s.at(2, 15))
    return lambda: expect(s.block_times(), [(s.at(2, 14), s.at(2, 15))])


def gone_busy(s: Stage) -> Final:
    event = s.busy()
    s.run()
    s.calendar.delete_event(SELF, event)
    return lambda: expect(s.blocks(), [])


def vanished_block(s: Stage) -> Final:
    s.busy()
    s.run()
    s.welkin.delete_event(s.blocks()[0].id)
    return lambda: expect(s.block_times(), [(s.at(1, 14), s.at(1, 15))])


def new_google_token(s: Stage) -> Final:
    final = new_visit(s)
    s.google.delegation.forget(SELF)
    return final


def new_welkin_token(s: Stage) -> Final:
    s.run()
    s.clock.advance(hours=2)
    s.visit()
    return lambda: expect(s.mirror_times(), [(s.at(1, 9), s.at(1, 10))])


def begun_busy(s: Stage) -> Final:
    """A block whose time has come is cancelled, not deleted."""
    event = s.busy(days=0, hour=9)  # it ends in the hour that is running
    s.calendar.move_event(SELF, event, s.at(0, 9), s.at(0, 12))
    s.run()
    s.calendar.delete_event(SELF, event)
    return lambda: expect(s.blocks(), [])


def expect(found: object, wanted: object) -> None:
    assert found == wanted


EVENT = r"/events/[^/]+$"
VERBS = {
    "g.list": Verb("google", "GET", "/events$", "google.events.list", new_visit),
    "g.get": Verb("google", "GET", EVENT, "google.events.get", vanished_mirror),
    "g.series": Verb("google", "GET", "/instances$", "google.events.instances", shorter_series),
    "g.insert": Verb("google", "POST", "/events$", "google.events.insert", new_visit),
    "g.update": Verb("google", "PATCH", EVENT, "google.events.patch", moved_visit),
    "g.delete": Verb("google", "DELETE", EVENT, "google.events.delete", cancelled_visit),
    "g.token": Verb("google", "POST", "/token$", "google.token", new_google_token),
    "w.list": Verb("welkin", "GET", "/calendar/events$", "welkin.events.list", new_visit),
    "w.get": Verb("welkin", "GET", EVENT, "welkin.events.get", vanished_block),
    "w.create": Verb("welkin", "POST", "/calendar/events$", "welkin.events.create", new_busy),
    "w.patch": Verb("welkin", "PATCH", EVENT, "welkin.events.patch", moved_busy),
    "w.delete": Verb("welkin", "DELETE", EVENT, "welkin.events.delete", gone_busy),
    "w.cancel": Verb("welkin", "PATCH", EVENT, "welkin.events.patch", begun_busy),
    "w.export": Verb(
        "welkin", "GET", "/export/CALENDAR_EVENT", "welkin.export.calendar_event", new_visit
    ),
    "w.token": Verb("welkin", "POST", "/api_clients/", "welkin.token", new_welkin_token),
}

FAULTS: dict[str, tuple[str, dict[str, Any]]] = {
    "reset before": ("reset_before", {}),
    "reset after": ("reset_after", {}),
    "time-out before": ("timeout_before", {}),
    "time-out after": ("timeout_after", {}),
    "truncated": ("truncated_json", {}),
    "page 200": ("html", {}),
    "page 403": ("html", {"code": 403}),
    "page 404": ("html", {"code": 404}),
    "page 502": ("html", {"code": 502}),
    "empty 200": ("empty_200", {}),
    "500": ("status", {"code": 500}),
    "503": ("status", {"code": 503}),
    "504 but done": ("status", {"code": 504, "committed": True}),
    "302": ("status", {"code": 302, "headers": {"location": "https://evil.example/x"}}),
    "token expires": ("token_expired", {}),
    "400": ("status", {"code": 400}),
    "403": ("status", {"code": 403}),
    "404": ("status", {"code": 404}),
    "404 but done": ("status", {"code": 404, "committed": True}),
    "409": ("status", {"code": 409}),
    "410 cursor": ("status", {"code": 410, "reason": "fullSyncRequired"}),
    "410 but done": ("status", {"code": 410, "reason": "deleted", "committed": True}),
    "412": ("status", {"code": 412}),
    "403 rate": ("status", {"code": 403, "reason": "userRateLimitExceeded"}),
    "403 quota": ("status", {"code": 403, "reason": "quotaExceeded", "retry_after": 5}),
    "403 daily": ("status", {"code": 403, "reason": "dailyLimitExceeded"}),
    "429": ("status", {"code": 429}),
    "429 seconds": ("status", {"code": 429, "retry_after": 3}),
    "429 date": ("status", {"code": 429, "retry_after": "date:3"}),
    "429 long": ("status", {"code": 429, "retry_after": 3600}),
    "429 absurd": ("status", {"code": 429, "retry_after": 10**12}),
}

Cell = tuple[str, str, str, str, int]
CHANGING = ("g.list", "g.insert", "g.update", "g.delete", "w.list", "w.create", "w.patch",
            "w.delete")  # fmt: skip
ASKING = ("g.get", "g.series", "g.token", "w.get", "w.export", "w.token")
ITEMS = ("g.get", "g.series")
NOTHING_TO_CUT = ("g.delete", "w.delete")
REMOVING = (*NOTHING_TO_CUT, "w.cancel")


def lost(fault: str, code: str, verbs: tuple[str, ...], *fine: str) -> list[Cell]:
    """Nothing is known afterwards: four tries, and the user waits.

    A creation in Welkin cannot be repeated blindly: it is looked for, and not sent again at once.
    What is asked of one item of a calendar is that item's matter: asked again in the second round.
    """
    cells = []
    for verb in verbs:
        word = code.format("google" if verb[0] == "g" else "welkin")
        if verb in fine:
            cells.append((fault, verb, "fine", "ok", 1))
        elif verb in ITEMS:
            cells.append((fault, verb, "doubt", "ok", 8))
        elif verb in ("w.export", "w.token"):
            cells.append((fault, verb, "all", word, 4))
        else:
            cells.append((fault, verb, "user", word, 1 if verb == "w.create" else 4))
    return cells


def same(fault: str, verbs: tuple[str, ...], where: str, code: str, tries: int) -> list[Cell]:
    """One outcome for several verbs."""
    return [(fault, verb, where, code, tries) for verb in verbs]


CELLS: list[Cell] = [
    *lost("reset before", "connection_lost", CHANGING + ASKING),
    # A creation whose answer alone was lost is found by its id: done.
    *lost("reset after", "connection_lost", CHANGING, "w.create"),
    *lost("time-out before", "timeout", CHANGING),
    *lost("time-out after", "timeout", CHANGING, "w.create"),
    *lost("truncated", "unreadable_answer", CHANGING + ASKING, "w.create", *NOTHING_TO_CUT),
    *lost("page 200", "unreadable_answer", CHANGING),
    *lost("page 403", "unreadable_answer", CHANGING),
    *lost("page 404", "unreadable_answer", CHANGING + ASKING),
    *lost("page 502", "{}_unavailable", CHANGING),
    *lost("empty 200", "empty_answer", CHANGING + ASKING, "w.create", *NOTHING_TO_CUT),
    *lost("500", "{}_unavailable", ("g.insert", "w.create")),
    *lost("503", "{}_unavailable", CHANGING),
    *lost("504 but done", "{}_unavailable", CHANGING, "w.create"),
    *lost("302", "redirected", CHANGING),
    # A fresh token is refused, too: of Google's one account, of Welkin everybody is concerned.
    *same("token expires", CHANGING[:4], "user", "google_unauthorized", 2),
    *same("token expires", CHANGING[4:], "user", "welkin_unauthorized", 2),
    *same("token expires", ("w.export",), "all", "welkin_unauthorized", 2),
    # Refused: an item is tried again in the second round of the pass, then the next time.
    *same("400", ("g.list",), "user", "google_list_refused", 2),
    # (An "invalid" of the first write might have meant the name of the zone: tried without it.)
    *same("400", ("g.insert", "g.update"), "item", "google_refused", 3),
    *same("400", ("g.delete",), "item", "google_refused", 2),
    # The first refusal might have meant the name of the zone, or the id: tried without each.
    *same("400", ("w.create",), "item", "welkin_refused", 5),
    *same("400", ("w.patch", "w.delete"), "item", "welkin_refused", 2),
    *same("400", ("w.export",), "all", "welkin_refused", 1),
    *same("403", CHANGING[:4], "user", "google_forbidden", 1),
    *same("403", ("w.list",), "user", "welkin_access_restricted", 1),
    *same("403", ("w.create", "w.patch", "w.delete"), "item", "welkin_item_restricted", 2),
    *same("403", ("w.export",), "all", "welkin_access_restricted", 1),
    # No such calendar: asked without a cursor before it is believed.
    *same("404", ("g.list",), "user", "calendar_not_found", 2),
    *same("404", ("g.get", "w.get"), "fine", "ok", 1),
    *same("404", ("g.series",), "doubt", "ok", 2),
    *same("400", ITEMS, "doubt", "ok", 2),
    *same("403", ITEMS, "doubt", "ok", 2),
    *same("404", ("g.insert", "g.update"), "item", "google_not_found", 2),
    *same("404", ("w.list",), "user", "welkin_not_found", 1),
    *same("404", ("w.create", "w.patch"), "item", "welkin_not_found", 2),
    # To be removed, and not found: believed when a look by id says the same.
    *same("404", REMOVING, "item", "still_there", 4),
    *same("404 but done", REMOVING, "fine", "ok", 1),
    # There is such an event, say the writes, and the reads do not show it: looked at again.
    *same("409", ("g.insert",), "doubt", "ok", 2),
    *same("409", ("w.create",), "item", "welkin_refused", 5),
    *same("410 cursor", ("g.list",), "user", "google_cursor_expired", 2),
    *same("410 but done", REMOVING, "fine", "ok", 1),
    # Written, read, written once more; and that again in the second round.
    *same("412", ("g.update",), "item", "google_changed_meanwhile", 4),
    *same("403 rate", CHANGING[:4], "user", "google_rate_limited", 4),
    # Used up for hours, whatever pause is named: not one more request.
    *same("403 quota", CHANGING[:4], "user", "google_quota_exceeded", 1),
    *same("403 daily", ("g.list", "g.insert"), "user", "google_daily_limit_exceeded", 1),
]
for _fault, _tries in (("429", 4), ("429 seconds", 4), ("429 date", 4), ("429 long", 1)):
    CELLS += same(_fault, ("g.list", "g.update"), "user", "google_rate_limited", _tries)
    CELLS += same(_fault, ("w.list", "w.create"), "user", "welkin_rate_limited", _tries)
    CELLS += same(_fault, ("w.export",), "all", "welkin_rate_limited", _tries)
    CELLS += same(_fault, ("g.token",), "user", "google_token_limited", _tries)
CELLS += same("429 absurd", ("g.insert",), "user", "google_rate_limited", 1)
CELLS += same("429 absurd", ("w.patch",), "user", "welkin_rate_limited", 1)
# What the server asks for, and never more than six hours; else a minute at first.
PAUSES = {
    "403 quota": timedelta(hours=1),
    "403 daily": timedelta(hours=1),
    "429 long": timedelta(hours=1),
    "429 absurd": timedelta(hours=6),
}


def outcomes(s: Stage) -> list[str]:
    """Of all operations, in their order."""
    with s.database.read() as connection:
        rows = connection.execute(t.operation.select().order_by(t.operation.c.id)).all()
    return [row.outcome for row in rows]


def observe(s: Stage, verb: Verb) -> tuple[str, str, int]:
    """One pass under the fault: where it shows, its code, and the requests of this verb."""
    before, done = s.position, len(outcomes(s))
    code, where = "", ""
    try:
        s.later()
    except SyncError as error:
        code, where = error.code, "all"
    tries = s.asked(verb.kind, before)
    fault = s.store.runs.fault(s.platform)
    items = {word for word in outcomes(s)[done:] if word != "ok"}
    if where == "" and fault is not None:
        code, where = fault.code, "all"
    if where == "" and s.state().error_code:
        code, where = str(s.state().error_code), "user"
    if where == "" and items:
        [code], where = items, "item"
    if where == "" and s.state().marked:
        where = "doubt"
    return where or "fine", code or "ok", tries


@pytest.mark.spread(("name", "where"), ("of", "where"), ("code",))
@pytest.mark.parametrize(("name", "of", "where", "code", "tries"), CELLS, ids=str)
def test_while_it_lasts_and_when_it_is_over(
    stage: Make, name: str, of: str, where: str, code: str, tries: int
) -> None:
    s = stage(settings={"windows": {"mirrors_future_days": 30, "blocks_future_days": 30}})
    verb, (kind, details) = VERBS[of], FAULTS[name]
    final = verb.arrange(s)
    fault = s.fault(verb.service, kind, verb.method, verb.path, times=None, **details)
    assert observe(s, verb) == (where, code, tries)
    assert fault.struck == tries
    if where == "user":
        retry_at = s.state().retry_at
        assert retry_at is not None
        # The pass itself may have waited a little since.
        pause = retry_at - s.clock.now()
        wanted = PAUSES.get(name)
        assert pause <= (wanted or timedelta(minutes=1))
        assert wanted is None or pause > wanted - timedelta(minutes=1)
    assert all(entry.path.startswith(("/google", "/welkin")) for entry in s.sandbox.requests)
    s.sandbox.faults.clear()
    s.later(hours=7)
    s.later()
    final()
    assert s.state().attention is False
    s.in_step()
