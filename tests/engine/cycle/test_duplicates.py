"""Somebody else's copies of Welkin's visits (rule 5): a warning before blocks are made of them."""

from collections.abc import Callable

from calendar_sync.core.model import LinkState
from tests.engine.cycle.stage import Stage, mail

Make = Callable[..., Stage]
SELF = mail("dana")


def copied(s: Stage, count: int = 6, *, creator: str = "bot@integration.example") -> list[str]:
    """Visits, each with an unmarked copy in the calendar; returns the copies' ids."""
    made = []
    for number in range(count):
        s.visit(days=1 + number)
        made.append(s.busy(days=1 + number, hour=9, creator={"email": creator}))
    return made


def test_many_copies_of_visits_are_not_blocked_but_shown(stage: Make) -> None:
    s = stage()
    copied(s)
    s.busy(days=2, hour=15)
    s.run()
    assert s.block_times() == [(s.at(2, 15), s.at(2, 16))]
    assert len([c for c in s.conflicts() if c == ("twins", "held")]) == 1
    assert len(s.links("dana", LinkState.DUPLICATE)) == 6
    s.in_step()


def test_one_more_copy_later_is_held_like_the_others(stage: Make) -> None:
    s = stage()
    copied(s)
    s.run()
    s.visit(days=20)
    s.busy(days=20, hour=9)
    s.later(again=2)
    assert s.blocks() == []
    s.in_step()


def test_some_events_at_the_time_of_visits_are_no_copies(stage: Make) -> None:
    s = stage()
    copied(s, 4)
    s.run()
    assert len(s.blocks()) == 4
    assert s.conflicts() == []


def test_few_copies_among_many_visits_are_blocked(stage: Make) -> None:
    s = stage()
    copied(s, 6)
    for number in range(20):
        s.visit(days=30 + number)
    s.run()
    assert len(s.blocks()) == 6


def test_a_person_decides_that_they_shall_block(stage: Make) -> None:
    s = stage()
    copied(s)
    s.run()
    s.document = {"block_time": {"duplicates": "block"}}
    s.later()
    assert len(s.blocks()) == 6
    s.document = {}
    s.later()
    assert len(s.blocks()) == 6, "blocks that a person wanted stay"
    s.in_step()


def test_a_person_decides_that_they_are_to_be_ignored(stage: Make) -> None:
    s = stage()
    copied(s)
    s.run()
    s.document = {"block_time": {"ignore_external": {"creators": ["bot@*"]}}}
    s.later()
    assert s.blocks() == []
    assert s.links("dana", LinkState.DUPLICATE) == []
    s.in_step()


def test_a_copy_that_goes_its_own_way_blocks(stage: Make) -> None:
    s = stage()
    ids = copied(s)
    s.run()
    s.google.move_event(SELF, ids[0], s.at(1, 18), s.at(1, 19))
    s.later()
    assert s.block_times() == [(s.at(1, 18), s.at(1, 19))]
    s.in_step()


def test_a_copy_whose_visit_moves_away_blocks(stage: Make) -> None:
    s = stage()
    copied(s)
    s.run()
    first = min((e for e in s.welkin.events.values()), key=lambda event: event.start)
    s.move(first.id, 1, 18)
    s.later(again=2)
    assert s.block_times() == [(s.at(1, 9), s.at(1, 10))]
    s.in_step()


def test_a_deleted_copy_is_forgotten_without_a_word_to_welkin(stage: Make) -> None:
    s = stage()
    ids = copied(s)
    s.run()
    s.google.delete_event(SELF, ids[0])
    before = s.position
    s.later()
    assert s.wrote(before, "welkin") == []
    assert len(s.links("dana", LinkState.DUPLICATE)) == 5


def test_copies_that_are_a_series_are_held_too(stage: Make) -> None:
    s = stage()
    for number in range(5):
        s.visit(days=1 + number, hour=14)
    s.series()
    s.run()
    assert s.blocks() == []
    assert len(s.links("dana", LinkState.DUPLICATE)) == 5
    s.in_step()


def test_where_blocks_are_switched_off_held_copies_are_forgotten(stage: Make) -> None:
    s = stage()
    copied(s)
    s.run()
    s.document = {"block_time": {"enabled": False}}
    s.later()
    assert s.links("dana", LinkState.DUPLICATE) == []
    s.visit(days=9)
    before = s.position
    s.later()
    assert s.asked("google.events.get", before) == 0
