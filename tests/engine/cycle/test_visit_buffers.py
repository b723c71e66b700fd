"""Buffers around visits (rule 4) with both services: a longer mirror is still that of its visit."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from calendar_sync.core.model import Around, LinkState, Platform
from calendar_sync.insight.explain import Look, explain_appointment
from calendar_sync.state import tables as t
from tests.engine.cycle.stage import HOUR, Stage, mail
from tests.engine.cycle.test_restore import lose_state

Make = Callable[..., Stage]
ME = mail("dana")
QUARTER = timedelta(minutes=15)
both = pytest.mark.parametrize("platform", list(Platform), ids=str)
BUFFERS = {"buffers": {"types": {"etmp-*": {"before_minutes": 15}, "appointment": {
    "before_minutes": 15, "after_minutes": 15}}}}  # fmt: skip
TRAVEL: dict[str, Any] = {"mirror_content": BUFFERS}
FOLLOW = {"mirror_moved": "reschedule", "mirror_deleted": "cancel"}


def around(start: datetime) -> tuple[datetime, datetime]:
    """The mirror of a plain appointment of an hour that begins then."""
    return start - QUARTER, start + HOUR + QUARTER


def titles(s: Stage, name: str = "dana") -> list[str]:
    return sorted(seen.title for seen in s.calendar.mirrors(mail(name)))


def move(s: Stage, start: datetime, end: datetime) -> None:
    [mirror] = s.calendar.mirrors(ME)
    s.calendar.move_event(ME, mirror.id, start, end)


def visits(s: Stage) -> list[tuple[datetime, datetime]]:
    found = s.welkin.events.values()
    return sorted((e.start, e.end) for e in found if e.type != "LEAVE" and not e.cancelled)


@both
def test_a_mirror_is_longer_and_says_when_its_visit_is(stage: Make, platform: Platform) -> None:
    s = stage(platform=platform, settings=TRAVEL)
    s.visit(days=1)
    meeting = s.meeting(days=2)
    s.run()
    assert s.mirror_times() == [(s.at(1, 9) - QUARTER, s.at(1, 10)), around(s.at(2, 9))]
    assert titles(s) == ["Busy (09:00\N{EN DASH}10:00)"] * 2
    assert {link.span.start for link in s.links()} == {s.at(1, 9), s.at(2, 9)}
    s.in_step()
    s.move(meeting.id, 3, 11)
    s.later()
    assert s.mirror_times()[1] == around(s.at(3, 11))
    assert titles(s)[1] == "Busy (11:00\N{EN DASH}12:00)"
    s.in_step()
    s.welkin.cancel_event(meeting.id)
    s.later()
    assert s.mirror_times() == [(s.at(1, 9) - QUARTER, s.at(1, 10))]
    assert s.blocks() == s.conflicts() == []
    s.in_step()


@both
def test_mirrors_follow_a_change_of_the_buffers(stage: Make, platform: Platform) -> None:
    s = stage(platform=platform)
    s.meeting()
    s.run()
    [before] = s.calendar.mirrors(ME)
    for buffers, times, title in (
        (BUFFERS, around(s.at(1, 9)), "Busy (09:00\N{EN DASH}10:00)"),
        (
            {"buffers": {"every_visit": {"after_minutes": 60}}},
            (s.at(1, 9), s.at(1, 11)),
            "Busy (09:00\N{EN DASH}10:00)",
        ),
        ({}, (s.at(1, 9), s.at(1, 10)), "Busy"),
    ):
        s.document = {"mirror_content": buffers}
        s.later()
        assert (s.mirror_times(), titles(s)) == ([times], [title])
        s.in_step()
    assert [seen.id for seen in s.calendar.mirrors(ME)] == [before.id]
    assert s.conflicts() == []


@both
def test_profiles_may_differ(stage: Make, platform: Platform) -> None:
    profiles = {"home-care": {"mirror_content": BUFFERS}}
    s = stage("dana", "ruben", platform=platform, settings={"profiles": profiles})
    s.remap(ruben={"profile": "home-care"})
    s.meeting(extra_user_ids=[s.ids["ruben"]])
    s.run()
    assert s.mirror_times("dana") == [(s.at(1, 9), s.at(1, 10))]
    assert s.mirror_times("ruben") == [around(s.at(1, 9))]
    s.remap()
    s.later(again=2)
    assert s.mirror_times("ruben") == [(s.at(1, 9), s.at(1, 10))]
    s.in_step()


@both
def test_a_moved_mirror_is_restored_to_its_own_length(stage: Make, platform: Platform) -> None:
    s = stage(platform=platform, settings=TRAVEL)
    s.meeting()
    s.run()
    move(s, s.at(1, 9), s.at(1, 10))
    s.later()
    assert s.mirror_times() == [around(s.at(1, 9))]
    assert visits(s) == [(s.at(1, 9), s.at(1, 10))]
    assert s.conflicts() == [("mirror_moved", "restored")]
    s.in_step()


@both
def test_a_moved_mirror_reschedules_to_the_time_of_the_visit(
    stage: Make, platform: Platform
) -> None:
    s = stage(platform=platform, settings=TRAVEL | FOLLOW)
    s.meeting()
    s.run()
    move(s, *around(s.at(3, 16)))
    before = s.position
    s.later()
    assert visits(s) == [(s.at(3, 16), s.at(3, 17))]
    assert s.wrote(before, "welkin") == ["welkin.events.patch 200"]
    # The title still said the old time.
    s.later()
    assert s.mirror_times() == [around(s.at(3, 16))]
    assert titles(s) == ["Busy (16:00\N{EN DASH}17:00)"]
    assert s.conflicts() == [("mirror_moved", "rescheduled")]
    s.in_step()


@both
def test_a_resized_mirror_changes_no_visit(stage: Make, platform: Platform) -> None:
    """Whether the user wants a shorter visit or less around it, nobody knows."""
    s = stage(platform=platform, settings=TRAVEL | FOLLOW)
    s.meeting()
    s.run()
    move(s, s.at(1, 9), s.at(1, 10))
    s.later()
    assert visits(s) == [(s.at(1, 9), s.at(1, 10))]
    assert s.mirror_times() == [around(s.at(1, 9))]
    assert s.conflicts() == [("mirror_moved", "restored")]
    s.in_step()


@both
def test_an_edit_while_the_buffers_change_moves_no_visit(stage: Make, platform: Platform) -> None:
    s = stage(platform=platform, settings=FOLLOW)
    s.meeting()
    s.run()
    move(s, s.at(3, 16), s.at(3, 17))
    s.document = TRAVEL | FOLLOW
    s.later()
    assert visits(s) == [(s.at(1, 9), s.at(1, 10))]
    assert s.mirror_times() == [around(s.at(1, 9))]
    s.in_step()


@both
def test_a_deleted_mirror_cancels_its_visit(stage: Make, platform: Platform) -> None:
    s = stage(platform=platform, settings=TRAVEL | FOLLOW)
    s.meeting()
    s.run()
    [mirror] = s.calendar.mirrors(ME)
    s.calendar.delete_event(ME, mirror.id)
    s.later(again=2)
    assert visits(s) == s.mirror_times() == []
    s.in_step()


@both
def test_a_lost_state_finds_mirrors_with_buffers_again(stage: Make, platform: Platform) -> None:
    s = stage(platform=platform, settings=TRAVEL)
    s.meeting()
    s.run()
    [mirror] = s.calendar.mirrors(ME)
    lose_state(s)
    position = s.position
    s.later(again=2)
    assert s.wrote(position, platform.value) == []
    assert [seen.id for seen in s.calendar.mirrors(ME)] == [mirror.id]
    [link] = s.links()
    assert (link.span.start, link.around) == (s.at(1, 9), Around(15, 15))
    s.in_step()


@both
@pytest.mark.parametrize("create", [True, False])
def test_an_interrupted_write_is_found_with_its_buffers(
    stage: Make, platform: Platform, create: bool
) -> None:
    s = stage(platform=platform, settings=TRAVEL if create else {})
    s.meeting()
    if not create:
        s.run()
        s.document = TRAVEL
    s.fault(platform.value, "timeout_after", "POST" if create else "PATCH", "/events", times=1)
    s.run()
    s.later(again=2)
    assert s.mirror_times() == [around(s.at(1, 9))]
    [link] = s.links("dana", LinkState.LIVE)
    assert link.around == Around(15, 15)
    s.in_step()


@both
def test_a_mirror_leaves_the_window_with_its_visit(stage: Make, platform: Platform) -> None:
    buffers = {"every_visit": {"after_minutes": 240}}
    s = stage(platform=platform, settings={"mirror_content": {"buffers": buffers}})
    start = s.clock.now() - timedelta(days=30, minutes=30)
    s.welkin.book_event(s.ids["dana"], start, start + HOUR)
    s.run()
    assert s.mirror_times() == [(start, start + 5 * HOUR)]
    s.later(hours=1)
    s.later(hours=25)
    assert [link.state for link in s.links()] == [LinkState.RETIRED]
    assert s.mirror_times() == [(start, start + 5 * HOUR)]
    s.in_step()


@both
def test_a_retired_mirror_that_showed_more_is_rewritten_with_its_buffers(
    stage: Make, platform: Platform
) -> None:
    content = {**BUFFERS, "title": {"level": "type"}}
    s = stage(platform=platform, settings={"mirror_content": content})
    s.meeting(days=-29)
    s.run()
    s.later(hours=49)
    assert titles(s) == ["Appointment (09:00\N{EN DASH}10:00)"]
    s.document = TRAVEL
    s.later(again=2)
    assert titles(s) == ["Busy (09:00\N{EN DASH}10:00)"]
    [(start, end)] = s.mirror_times()
    assert end - start == HOUR + 2 * QUARTER


@both
def test_the_buffer_is_no_busy_time_in_welkin(stage: Make, platform: Platform) -> None:
    s = stage(platform=platform, settings=TRAVEL)
    s.meeting(days=1)
    s.meeting(days=1, hour=10)
    s.busy(hour=11)
    s.run()
    assert s.block_times() == [(s.at(1, 11), s.at(1, 12))]
    assert s.conflicts() == []
    s.in_step()


def test_all_mirrors_go_when_the_user_leaves(stage: Make) -> None:
    s = stage(settings=TRAVEL)
    s.meeting()
    s.run()
    s.remap("dana")
    s.later()
    assert s.mirrors() == []


@both
def test_explain_names_the_buffer(stage: Make, platform: Platform) -> None:
    s = stage(platform=platform, settings=TRAVEL)
    visit, meeting = s.visit(), s.meeting(days=2)
    s.run()

    def said(event_id: str) -> list[str]:
        async def work(services: Any) -> Any:
            look = Look(services, services.store.config.revision())
            return await explain_appointment(look, event_id)

        [part] = asyncio.run(s.with_services(work)).parts
        assert part.verdict == "mirror_ok"
        return [fact.value for fact in part.facts if fact.name == "buffer"]

    assert said(visit.event_id) == ["15 minutes before"]
    assert said(meeting.id) == ["15 minutes before, 15 minutes after"]
    s.document = {}
    s.later()
    assert said(meeting.id) == []


@both
def test_our_own_write_is_no_news_though_the_server_shows_another_title(
    stage: Make, platform: Platform
) -> None:
    s = stage(platform=platform, settings=TRAVEL)
    s.meeting()
    s.run(rounds=1)
    with s.database.write() as connection:
        connection.execute(t.link.update().values(remote_hash="of what the answer showed"))
    before = s.position
    assert s.later(again=5).outcomes == {}
    assert s.asked("welkin.events.list", before) == 0
