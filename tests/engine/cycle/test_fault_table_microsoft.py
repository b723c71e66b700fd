"""The fault table of Microsoft's verbs; how to read it is told in test_fault_table.py."""

from collections.abc import Callable

import pytest

from calendar_sync.core.model import Platform
from tests.engine.cycle.stage import Stage
from tests.engine.cycle.test_fault_table import (
    FAULTS,
    Final,
    Verb,
    cancelled_visit,
    expect,
    gone_busy,
    moved_visit,
    new_visit,
    observe,
    shorter_series,
    vanished_mirror,
)

Make = Callable[..., Stage]


def new_token(s: Stage) -> Final:
    s.run()
    s.clock.advance(hours=2)
    s.visit()
    return lambda: expect(s.mirror_times(), [(s.at(1, 9), s.at(1, 10))])


def first_time(s: Stage) -> Final:
    s.visit()
    s.busy()
    return lambda: expect(
        (s.mirror_times(), s.block_times()),
        ([(s.at(1, 9), s.at(1, 10))], [(s.at(1, 14), s.at(1, 15))]),
    )


def interrupted(s: Stage) -> Final:
    """A creation of which nobody knows what became of it, a while ago."""
    s.run()
    s.visit()
    s.fault("microsoft", "reset_before", "POST", "/events$", times=None)
    s.later()
    s.sandbox.faults.clear()
    s.clock.advance(minutes=10)
    return lambda: expect(s.mirror_times(), [(s.at(1, 9), s.at(1, 10))])


EVENT = r"/events/[^/]+$"
VERBS = {
    "delta": Verb("microsoft", "GET", "/delta$", "microsoft.events.delta", new_visit),
    "view": Verb("microsoft", "GET", "/calendarView$", "microsoft.events.view", first_time),
    "get": Verb("microsoft", "GET", EVENT, "microsoft.events.get", gone_busy),
    "look": Verb("microsoft", "GET", EVENT, "microsoft.events.get", vanished_mirror),
    "series": Verb("microsoft", "GET", "/instances$", "microsoft.events.instances", shorter_series),
    "find": Verb("microsoft", "GET", "/events$", "microsoft.events.find", interrupted),
    "create": Verb("microsoft", "POST", "/events$", "microsoft.events.create", new_visit),
    "update": Verb("microsoft", "PATCH", EVENT, "microsoft.events.update", moved_visit),
    "delete": Verb("microsoft", "DELETE", EVENT, "microsoft.events.delete", cancelled_visit),
    "token": Verb("microsoft", "POST", "/token$", "microsoft.token", new_token),
    "discovery": Verb(
        "microsoft", "GET", "/openid-configuration$", "microsoft.discovery", new_token
    ),
}

ITEMS = ("get", "look", "series")
LISTS, LOOKS = ("delta", "view"), (*ITEMS, "find")
WRITES, TOKENS = ("create", "update", "delete"), ("token", "discovery")
# Found by its marker: done. And a deletion has no answer that could be damaged.
FINE = {("create", "reset after"), ("create", "time-out after"), ("create", "truncated"),
        ("create", "empty 200"), ("create", "504 but done"), ("delete", "truncated"),
        ("delete", "empty 200")}  # fmt: skip
Cell = tuple[str, str, str, str, int]


def lost(fault: str, code: str, *verbs: str) -> list[Cell]:
    """Nothing is known afterwards: four tries, and the user waits. Creations are not repeated.

    What is asked of one item is that item's matter: asked again in the second round. Without a
    token a last look cannot tell either whether it is the list alone that fails.
    """
    tries = dict.fromkeys(TOKENS, 5) | {"create": 1}
    cells = []
    for verb in verbs:
        word = code.replace("microsoft_un", "microsoft_token_un") if verb in TOKENS else code
        if (verb, fault) in FINE:
            cells.append((fault, verb, "fine", "ok", 1))
        elif verb in ITEMS:
            cells.append((fault, verb, "doubt", "ok", 8))
        else:
            cells.append((fault, verb, "user", word, tries.get(verb, 4)))
    return cells


def same(fault: str, where: str, code: str, tries: int, *verbs: str) -> list[Cell]:
    """One outcome for several verbs."""
    return [(fault, verb, where, f"microsoft_{code}", tries) for verb in verbs]


EVERY = (*LISTS, *LOOKS, *WRITES, *TOKENS)
CELLS: list[Cell] = [
    *lost("reset before", "connection_lost", *EVERY),
    *lost("reset after", "connection_lost", *LISTS, *WRITES),
    *lost("time-out before", "timeout", *LISTS, *WRITES),
    *lost("time-out after", "timeout", *LISTS, *WRITES),
    *lost("truncated", "unreadable_answer", *EVERY),
    *lost("page 200", "unreadable_answer", *WRITES, *TOKENS),
    *lost("page 403", "unreadable_answer", *LISTS, *WRITES),
    *lost("page 404", "unreadable_answer", *LISTS, *LOOKS, *WRITES),
    *lost("page 502", "microsoft_unavailable", *WRITES, *TOKENS),
    *lost("empty 200", "empty_answer", *EVERY),
    *lost("500", "microsoft_unavailable", *LISTS, *WRITES),
    *lost("503", "microsoft_unavailable", *EVERY),
    *lost("504 but done", "microsoft_unavailable", *LISTS, *WRITES),
    *lost("302", "redirected", *LISTS, *WRITES, *TOKENS),
    # The token is everybody's; what a cycle finds out, its user fails with.
    *same("token expires", "user", "unauthorized", 2, "view", *LOOKS, *WRITES),
    *same("token expires", "all", "unauthorized", 4, "delta"),
    *same("400", "user", "list_refused", 2, "delta"),
    *same("400", "user", "list_refused", 1, "view"),
    *(("400", verb, "doubt", "ok", 2) for verb in ITEMS),
    *same("400", "item", "refused", 1, "create"),
    *same("400", "item", "refused", 2, "update", "delete"),
    *same("400", "all", "token_refused", 2, *TOKENS),
    *same("403", "user", "access_denied", 1, *LISTS, "find", *WRITES),
    *(("403", verb, "doubt", "ok", 2) for verb in ITEMS),
    *same("403", "all", "token_refused", 2, *TOKENS),
    *same("404", "user", "no_calendar", 2, "delta"),
    *same("404", "user", "no_calendar", 1, "view"),
    ("404", "get", "fine", "ok", 1),
    ("404", "look", "fine", "ok", 1),
    ("404", "series", "doubt", "ok", 2),
    *same("404", "item", "not_found", 1, "create"),
    *same("404", "item", "not_found", 2, "update"),
    # To be removed, and not found: believed when a look by id says the same.
    ("404", "delete", "item", "still_there", 4),
    ("404 but done", "delete", "fine", "ok", 1),
    ("410 but done", "delete", "fine", "ok", 1),
    *same("404 but done", "item", "not_found", 1, "create", "update"),
    # "Conflict" is also said of what was created: it is looked for, and looked for again.
    ("409", "create", "doubt", "ok", 1),
    *same("409", "item", "changed_meanwhile", 4, "update"),
    *same("409", "item", "conflict", 2, "delete"),
    # A void cursor, and then even the list without one.
    *same("410 cursor", "user", "cursor_expired", 2, "delta"),
    *same("412", "item", "changed_meanwhile", 4, "update"),
]
for _fault, _tries in (("429", 4), ("429 seconds", 4), ("429 date", 4), ("429 long", 1)):
    CELLS += same(_fault, "user", "rate_limited", _tries, "delta", "find", *WRITES)
    CELLS += same(_fault, "user", "token_limited", _tries, "token")
CELLS += same("429 absurd", "user", "rate_limited", 1, "view", "create")


@pytest.mark.spread(("name", "where"), ("of", "where"), ("code",))
@pytest.mark.parametrize(("name", "of", "where", "code", "tries"), CELLS, ids=str)
def test_while_it_lasts_and_when_it_is_over(
    stage: Make, name: str, of: str, where: str, code: str, tries: int
) -> None:
    s = stage(
        platform=Platform.MICROSOFT,
        settings={"windows": {"mirrors_future_days": 30, "blocks_future_days": 30}},
    )
    verb, (kind, details) = VERBS[of], FAULTS[name]
    final = verb.arrange(s)
    s.fault(verb.service, kind, verb.method, verb.path, times=None, **details)
    assert observe(s, verb) == (where, code, tries)
    s.sandbox.faults.clear()
    s.later(hours=7)
    s.later()
    final()
    assert s.state().attention is False
    assert max(s.microsoft.worst_concurrency.values()) <= 4
    s.in_step()
