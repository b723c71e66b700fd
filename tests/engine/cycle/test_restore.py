"""A lost state database duplicates nothing: what we made is found again by its marks."""

import asyncio
import contextlib
from collections import Counter
from typing import Any

import pytest

from calendar_sync.core.model import LinkState, MappedUser, MirrorLink, Platform
from calendar_sync.operations.approvals import grant
from calendar_sync.planner.orphans import ORPHAN
from calendar_sync.state import tables as t
from tests.engine.cycle.stage import HOUR, Stage, mail
from tests.harness import IN_MEMORY, Killed, fresh
from tests.spread import third

on_both = pytest.mark.parametrize("platform", list(Platform))


def lose_state(s: Stage) -> None:
    """The database is gone; settings and mapping are applied again from their files."""
    rows = s.store.config.mapping()
    s.database.close()
    s.database = fresh(IN_MEMORY)
    asyncio.run(s.map(rows))


def holdings(s: Stage, name: str = "dana") -> tuple[list[Any], list[Any]]:
    """Mirrors and blocks by id and time: whoever makes one anew is found out."""
    mirrors = sorted((m.id, str(m.start), str(m.end)) for m in s.calendar.mirrors(mail(name)))
    blocks = sorted((b.id, str(b.start), str(b.end)) for b in s.blocks(name))
    return mirrors, blocks


def meeting_of(s: Stage) -> Any:
    events = s.welkin.events.values()
    [found] = [e for e in events if e.type == "APPOINTMENT" and e.host_id == s.ids["dana"]]
    return found


def stage(platform: Platform, **settings: Any) -> Stage:
    s = Stage("dana", "ruben", platform=platform, settings=settings)
    for name in s.ids:
        s.visit(name)
        s.meeting(name, days=4)
        s.busy(name)
        s.series(name, hour=16)
    s.run()
    s.later()
    return s


@on_both
def test_everything_is_found_again_and_made_only_once(platform: Platform) -> None:
    s = stage(platform)
    before = {name: holdings(s, name) for name in s.ids}
    assert [len(part) for part in before["dana"]] == [2, 6]
    lose_state(s)
    position = s.position
    s.run()
    assert {name: holdings(s, name) for name in s.ids} == before
    made = [word for word in s.wrote(position) if ".create" in word or ".insert" in word]
    assert [word for word in made if word.endswith((" 200", " 201"))] == []
    assert s.store.runs.pending() == []
    position = s.position
    s.later()
    s.later()
    assert s.wrote(position) == []
    # And they are links again: what changes now is followed.
    s.move(meeting_of(s).id, 5, 11)
    s.later()
    assert len(s.calendar.mirrors(mail("dana"))) == 2
    assert (s.at(5, 11), s.at(5, 11) + HOUR) in s.mirror_times()


@on_both
def test_what_is_found_again_is_not_reported_as_created(platform: Platform) -> None:
    s = stage(platform)
    lose_state(s)
    s.visit("dana", days=6)
    result = s.run()
    outcome = result.outcomes[s.ids["dana"]]
    done = {"adopt_mirror": 2, "adopt_block": 6, "create_mirror": 1}
    assert outcome.row["done"] == done
    assert outcome.label == "dana@example.org: 1 created, 2 recovered, 6 busy blocks recovered"
    with s.database.read() as connection:
        rows = connection.execute(t.operation.select()).all()
    steps = Counter(row.step for row in rows if row.user_id == s.ids["dana"])
    assert steps == done


@on_both
def test_items_of_later_generations_are_found_too(platform: Platform) -> None:
    """Deleted by hand and restored, their ids are not those of the first time."""
    s = stage(platform)
    [mirror, *_] = s.calendar.mirrors(mail("dana"))
    s.calendar.delete_event(mail("dana"), mirror.id)
    block = s.blocks("dana")[0]
    s.welkin.delete_event(block.id)
    s.later(again=2, minutes=12)
    before = holdings(s)
    assert [len(part) for part in before] == [2, 6]
    lose_state(s)
    s.run()
    s.later()
    assert holdings(s) == before


@on_both
def test_a_moved_instance_keeps_its_block(platform: Platform) -> None:
    s = stage(platform)
    series = next(g for g in s.calendar.glimpses(mail("dana")) if g.is_series)
    seen = s.calendar.expanded_glimpses(mail("dana"), s.at(0, 0), s.at(30, 0))
    instance = next(g for g in seen if g.series_id == series.id)
    s.calendar.move_event(mail("dana"), instance.id, s.at(9, 8), s.at(9, 9))
    s.later()
    before = holdings(s)
    lose_state(s)
    s.run()
    s.later()
    assert holdings(s) == before


@on_both
def test_what_changed_meanwhile_is_caught_up_with(platform: Platform) -> None:
    s = stage(platform)
    meeting = meeting_of(s)
    lose_state(s)
    s.move(meeting.id, 6, 12)
    s.visit("dana", days=8)
    s.busy("dana", days=3, hour=8)
    s.run()
    s.later()
    assert len(s.calendar.mirrors(mail("dana"))) == 3
    assert (s.at(6, 12), s.at(6, 12) + HOUR) in s.mirror_times()
    assert len(s.blocks("dana")) == 7


@on_both
def test_a_visit_cancelled_meanwhile_loses_its_mirror(platform: Platform) -> None:
    s = stage(platform)
    meeting = meeting_of(s)
    lose_state(s)
    s.welkin.cancel_event(meeting.id)
    s.run()
    assert len(s.calendar.mirrors(mail("dana"))) == 1
    links = s.store.links.of(s.ids["dana"], platform)
    states = {link.appointment_id: link.state for link in links if isinstance(link, MirrorLink)}
    assert states[meeting.id] is LinkState.DELETED
    s.welkin.uncancel_event(meeting.id)
    s.later()
    assert len(s.calendar.mirrors(mail("dana"))) == 2


@on_both
def test_what_cannot_be_explained_waits_for_a_person(platform: Platform) -> None:
    """The appointment was deleted, the external event too: only marks tell whose these are."""
    s = stage(platform)
    meeting = meeting_of(s)
    [single] = [g for g in s.calendar.own(mail("dana")) if not g.is_series and not g.series_id]
    lose_state(s)
    s.welkin.delete_event(meeting.id)
    s.calendar.delete_event(mail("dana"), single.id)
    s.run()
    assert [len(part) for part in holdings(s)] == [2, 6]
    waiting = s.store.runs.pending()
    assert [(one.reason, one.user_id, one.count) for one in waiting] == [
        (ORPHAN, s.ids["dana"], 1)
    ] * 2
    for one in waiting:
        assert grant(s.store, one.digest, "admin", s.clock.now()) == 1
    s.later()
    assert [len(part) for part in holdings(s)] == [1, 5]
    assert s.store.runs.pending() == []
    s.later()
    assert [len(part) for part in holdings(s)] == [1, 5]


def test_a_user_on_both_platforms_gets_everything_back_once() -> None:
    s = Stage("dana")
    s.microsoft.add_account(mail("dana"), "America/New_York")
    rows = [MappedUser(s.ids["dana"], platform, mail("dana")) for platform in Platform]
    asyncio.run(s.map(rows))
    s.visit()
    s.busy()
    start = s.at(2, 10)
    s.microsoft.plan(mail("dana"), start=start, end=start + HOUR, title="own")
    for _ in range(2):
        for platform in Platform:
            asyncio.run(s.sync(platform))
        s.clock.advance(minutes=2)
    before = holdings(s), [m.id for m in s.microsoft.mirrors(mail("dana"))]
    assert len(s.blocks()) == 2
    lose_state(s)
    for _ in range(2):
        for platform in Platform:
            asyncio.run(s.sync(platform))
        s.clock.advance(minutes=2)
    assert (holdings(s), [m.id for m in s.microsoft.mirrors(mail("dana"))]) == before
    assert s.store.runs.pending() == []


@on_both
@pytest.mark.parametrize("request_number", third(range(1, 16)))
def test_an_encounter_deleted_after_the_first_pass_was_killed(
    platform: Platform, request_number: int
) -> None:
    """The index knew it, and no position of the audit was stored yet (simulation, seed 102)."""
    s = Stage("dana", platform=platform)
    visit = s.visit()
    s.transport.kill_at = s.transport.count + request_number
    with contextlib.suppress(Killed):
        s.run()
    s.transport.revive()
    s.welkin.delete_encounter(visit.id)
    s.later(hours=1)
    s.later()
    assert s.calendar.mirrors(mail("dana")) == []
