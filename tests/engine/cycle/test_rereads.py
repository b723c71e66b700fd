"""Settings revisions: everybody is read anew, but not everybody at once."""

from collections.abc import Callable
from typing import Any

from calendar_sync.core.model import LinkState
from calendar_sync.insight.status import status
from tests.engine.cycle.stage import Stage, mail

Make = Callable[..., Stage]
NAMES = tuple(f"staff{number:02}" for number in range(24))
# Little enough for the least number of users a pass, ten.
SLOW = {"limits": {"welkin_requests_per_second": 1.6}}
QUICK = {"limits": {"welkin_requests_per_second": 100}}
TYPES = {
    "mirror_content": {"title": {"level": "type"}},
    "encounter_types": {"include": ["etmp-*"]},
}


def crowd(stage: Make, document: dict[str, Any]) -> Stage:
    """Everybody has a visit and is in step; since then Welkin allows little."""
    s = stage(*NAMES, settings={**QUICK, **document})
    s.welkin.rate_limit = None
    for name in NAMES:
        s.visit(name)
    s.run()
    s.later()
    return s


def one_round(s: Stage) -> set[str]:
    """Users whose mirror shows the template's title after one look for changes and its cycles."""
    s.clock.advance(minutes=2)
    s.run(rounds=1)
    return {name for name in s.ids if s.mirrors(name)[0]["summary"] != "Busy"}


def test_a_pass_reads_some_users_again_and_leaves_the_others_to_the_next(stage: Make) -> None:
    s = crowd(stage, {})
    s.document = {**SLOW, **TYPES}
    seen = [len(one_round(s)) for _ in range(3)]
    assert seen == [10, 20, 24]


def test_who_waits_for_it_is_polled_all_the_same(stage: Make) -> None:
    s = crowd(stage, {})
    s.document = {**SLOW, **TYPES}
    done = one_round(s)
    waiting = next(name for name in NAMES if name not in done)
    s.google.add_event(mail(waiting), start=s.at(2, 14), end=s.at(2, 15))
    one_round(s)
    assert len(s.blocks(waiting)) == 1


def test_status_counts_who_is_still_to_be_read(stage: Make) -> None:
    s = crowd(stage, {})
    assert status(s.store, s.clock.now())[0].rereading == 0
    s.document = {**SLOW, **TYPES}
    one_round(s)
    assert status(s.store, s.clock.now())[0].rereading == 14


def test_a_lower_level_does_not_wait(stage: Make) -> None:
    s = crowd(stage, TYPES)
    assert len(one_round(s)) == 24
    s.document = SLOW
    assert one_round(s) == set()


def test_a_calendar_that_no_longer_counts_keeps_no_user_on_the_list(stage: Make) -> None:
    s = stage(settings={"calendars": {"google": {"busy": ["primary", "extra@example.org"]}}})
    s.visit()
    s.run()
    s.document = {}
    s.later(again=3)
    assert status(s.store, s.clock.now())[0].rereading == 0


def test_retired_mirrors_that_show_too_much_are_asked_for_some_at_a_time(stage: Make) -> None:
    s = stage(settings=TYPES)
    for number in range(70):
        s.visit(days=-25 + number % 3, hour=6 + number % 12)
    s.run()
    s.clock.advance(days=20)
    s.run(full=True)
    assert len(s.links("dana", LinkState.RETIRED)) == 70
    s.document = {}
    before = s.position
    s.later(rounds=1)
    assert s.asked("welkin.events.get", before) <= 50
    s.later(again=3)
    assert {mirror["summary"] for mirror in s.mirrors()} == {"Busy"}
    s.in_step()
