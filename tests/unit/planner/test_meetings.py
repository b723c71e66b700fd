"""Rule 7: one meeting in the calendars of both platforms has one block."""

from dataclasses import replace
from datetime import timedelta

import pytest

from calendar_sync.core.model import (
    BlockLink,
    CalendarEvent,
    Direction,
    LinkState,
    Platform,
    Source,
    Span,
)
from calendar_sync.planner import questions
from calendar_sync.planner.meetings import stored
from calendar_sync.planner.snapshot import BlockSeen
from tests.unit.planner.views import (
    IDENTITY,
    ME,
    NOW,
    Little,
    appointment,
    days,
    event,
    instance,
    seen_hash,
    settings,
    span,
    steps,
    tombstone,
)

UID = "board@google.com"
MEETING = event("x1", ical_uid=UID)


def theirs(little: Little, when: Span | None = None, **values: object) -> BlockLink:
    """The other calendar has the meeting, and a block for it."""
    when = when or span()
    link = BlockLink(
        ME, Platform.MICROSOFT, "dana@example.org", "primary",
        source=Source("m1"), span=when, state=LinkState.LIVE, block_id="theirs",
        event_uid=IDENTITY.event_uid(MEETING), written_at=NOW - timedelta(hours=1),
    )  # fmt: skip
    link = replace(link, **values)  # type: ignore[arg-type]
    little.kept_elsewhere = {link.meeting: link}
    little.blocks[link.block_id] = BlockSeen(link.block_id, when, seen_hash(when), cancelled=False)
    return link


def covered() -> Little:
    little = Little().add(MEETING)
    theirs(little)
    little.settle()
    return little


def test_a_meeting_that_the_other_calendar_covers_gets_no_block() -> None:
    little = covered()
    link = little.block()
    assert (link.state, link.span, link.event_id) == (LinkState.SHARED, span(), "x1")
    assert list(little.blocks) == ["theirs"]


@pytest.mark.parametrize(
    "other",
    [
        event("x1", ical_uid="another@google.com"),
        event("x1", span(30), ical_uid=UID),
        event("x1", span(24, 2), ical_uid=UID),
        event("x1"),
    ],
)
def test_another_meeting_or_time_gets_its_own_block(other: object) -> None:
    little = Little().add(other)  # type: ignore[arg-type]
    theirs(little)
    assert steps(little.run()) == [("create_block", "busy")]


def test_the_time_is_that_of_the_block_with_its_buffers() -> None:
    minutes = {"before_minutes": 15, "after_minutes": 15}
    rules = settings(block_time={"buffers": {"every_event": minutes}})
    little = Little(rules).add(MEETING)
    quarter = timedelta(minutes=15)
    wide = Span(NOW + timedelta(hours=24) - quarter, NOW + timedelta(hours=25) + quarter)
    theirs(little, wide)
    assert steps(little.run()) == [("note", "shared")]


def test_days_are_shared_as_well() -> None:
    little = Little().add(event("x1", days(3), ical_uid=UID))
    theirs(little, days(3))
    assert steps(little.run()) == [("note", "shared")]


def test_once_the_other_block_is_gone_the_meeting_is_read_and_gets_one() -> None:
    little = covered()
    little.kept_elsewhere = {}
    little.full, little.events = False, {}
    assert questions(little.view()).calendar_events == {"primary": ("x1",)}
    little.add(MEETING)
    assert steps(little.run()) == [("create_block", "busy")]
    assert little.block().state is LinkState.LIVE


def test_while_it_is_covered_nothing_is_asked() -> None:
    little = covered()
    little.full, little.events = False, {}
    assert questions(little.view()).count == 0


@pytest.mark.parametrize("full", [False, True])
def test_a_shared_meeting_that_is_gone_is_forgotten(full: bool) -> None:
    little = covered()
    little.full = full
    little.events = {} if full else {"x1": tombstone(MEETING)}
    assert steps(little.run()) == [("note", "no_block_wanted")]
    assert list(little.blocks) == ["theirs"]
    assert little.plan().actions == ()


def test_a_shared_meeting_that_moves_alone_gets_a_block_where_it_is() -> None:
    little = covered()
    little.add(replace(MEETING, span=span(50)))
    assert steps(little.run()) == [("create_block", "busy")]


def test_a_shared_meeting_that_moves_on_both_stays_shared() -> None:
    little = covered()
    theirs(little, span(50))
    little.add(replace(MEETING, span=span(50)))
    little.settle()
    assert (little.block().state, little.block().span) == (LinkState.SHARED, span(50))


def doubled() -> Little:
    little = Little().add(MEETING)
    little.settle()
    theirs(little)
    return little


def test_of_two_blocks_whoever_sees_it_gives_up_its_own() -> None:
    little = doubled()
    assert steps(little.run()) == [("delete_block", "shared")]
    assert little.block().state is LinkState.SHARED
    assert list(little.blocks) == ["theirs"]
    assert little.plan().actions == ()


def test_a_block_that_is_there_no_more_is_given_up_without_a_request() -> None:
    little = doubled()
    mine = little.block().block_id
    little.blocks.pop(mine)
    little.absent.add(mine)
    assert steps(little.run()) == [("note", "shared")]


def test_the_block_moves_to_where_the_other_one_is_by_being_given_up() -> None:
    little = doubled()
    theirs(little, span(50))
    little.add(replace(MEETING, span=span(50)))
    assert steps(little.run()) == [("delete_block", "shared")]
    assert little.block().span == span(50)


def test_an_interrupted_creation_is_given_up() -> None:
    little = doubled()
    little.change(little.block(), state=LinkState.INTENT)
    assert steps(little.run()) == [("delete_block", "shared")]


@pytest.mark.parametrize("shown", ["not at all", "cancelled", "elsewhere"])
def test_a_block_stays_unless_welkin_shows_the_other_one(shown: str) -> None:
    little = doubled()
    if shown == "not at all":
        little.blocks.pop("theirs")
    elif shown == "cancelled":
        little.blocks["theirs"] = replace(little.blocks["theirs"], cancelled=True)
    else:
        little.blocks["theirs"] = replace(little.blocks["theirs"], span=span(26))
    assert little.plan().actions == ()


def test_a_block_that_was_written_a_moment_ago_is_believed_to_be_there() -> None:
    little = doubled()
    theirs(little, written_at=NOW - timedelta(seconds=5))
    little.blocks.pop("theirs")
    assert steps(little.plan()) == [("delete_block", "shared")]


def test_what_a_person_deleted_for_good_is_not_made_again_from_here() -> None:
    little = Little().add(MEETING)
    theirs(little, state=LinkState.DISMISSED, written_at=NOW)
    little.blocks.clear()
    assert steps(little.run()) == [("note", "shared")]
    mine = doubled()
    theirs(mine, state=LinkState.DISMISSED, written_at=NOW)
    mine.blocks.pop("theirs")
    assert mine.plan().actions == ()


def test_what_was_decided_about_a_block_of_this_calendar_stays() -> None:
    little = doubled()
    little.change(little.block(), state=LinkState.DISMISSED)
    assert little.plan().actions == ()
    theirs(little, span(50))
    little.add(replace(MEETING, span=span(50)))
    assert steps(little.plan()) == [("note", "shared")]


def test_one_way_nothing_is_shared_any_more() -> None:
    little = covered()
    little.direction = Direction.WELKIN_TO_CALENDAR
    assert steps(little.run()) == [("note", "not_in_direction")]
    assert little.plan().actions == ()


def test_without_blocks_nothing_is_shared_any_more() -> None:
    little = covered()
    little.rules = settings(block_time={"enabled": False})
    assert steps(little.run()) == [("note", "not_wanted_by_settings")]


def test_a_block_that_was_given_up_and_still_stands_is_deleted() -> None:
    little = doubled()
    mine = little.blocks[little.block().block_id]
    little.run()
    little.blocks[mine.event_id] = mine
    assert steps(little.run()) == [("delete_block", "left_over")]
    assert little.block().state is LinkState.SHARED
    assert little.plan().actions == ()


def test_shared_meetings_count_as_copies_of_visits() -> None:
    little = Little(full=False, counter=90)
    for number in range(5):
        when = span(30 + 3 * number)
        little.add(appointment(f"a{number}", when))
        link = BlockLink(
            ME, Platform.GOOGLE, "dana@example.org", "primary",
            id=number, source=Source(f"x{number}"), span=when, state=LinkState.SHARED,
            event_id=f"x{number}", event_uid=f"u{number}",
        )  # fmt: skip
        little.links[number] = link
        little.kept_elsewhere[link.meeting] = link
    little.settle()
    little.add(appointment("a9", span(90)), event("x9", span(90)))
    assert ("note", "twin") in steps(little.plan())


# --- several calendars of one account -------------------------------------------------------------

THERE = span(50)
OTHER = event("y1", ical_uid=UID)


def look(little: Little, *events: CalendarEvent, full: bool = False) -> list[tuple[str, str]]:
    """A cycle to which each of two busy calendars shows these; what it did."""
    little.full = full
    little.events = {one.id: one for one in events if one.id.startswith("x")}
    little.second = {one.id: one for one in events if one.id.startswith("y")}
    return steps(little.run())


def asked(little: Little) -> list[str]:
    little.full, little.events, little.second = False, {}, {}
    return asked_now(little)


def asked_now(little: Little) -> list[str]:
    return [key for keys in questions(little.view()).calendar_events.values() for key in keys]


def states(little: Little) -> dict[str, LinkState]:
    return {link.source.id: link.state for link in little.links.values()}


def at(event: CalendarEvent, when: Span) -> CalendarEvent:
    return replace(event, span=when)


def test_a_meeting_in_two_calendars_of_an_account_gets_one_block() -> None:
    little = Little()
    made = look(little, MEETING, OTHER)
    assert sorted(made) == [("create_block", "busy"), ("note", "shared")]
    assert states(little) == {"x1": LinkState.LIVE, "y1": LinkState.SHARED}
    assert look(little, MEETING, OTHER, full=True) == []
    assert asked(little) == []


@pytest.mark.parametrize(("first", "then"), [(MEETING, OTHER), (OTHER, MEETING)])
def test_whichever_calendar_comes_second_needs_no_block(
    first: CalendarEvent, then: CalendarEvent
) -> None:
    little = Little()
    look(little, first)
    assert look(little, then) == [("note", "shared")]
    assert states(little) == {first.id: LinkState.LIVE, then.id: LinkState.SHARED}
    assert look(little, MEETING, OTHER, full=True) == []


def test_of_two_blocks_that_of_the_first_calendar_stays() -> None:
    little = doubly()
    assert look(little, MEETING, OTHER, full=True) == [("delete_block", "shared")]
    assert states(little) == {"x1": LinkState.LIVE, "y1": LinkState.SHARED}
    assert look(little, MEETING, OTHER, full=True) == []


@pytest.mark.parametrize(("first", "then"), [(MEETING, OTHER), (OTHER, MEETING)])
def test_if_it_leaves_one_calendar_the_other_is_read_and_makes_the_block(
    first: CalendarEvent, then: CalendarEvent
) -> None:
    little = Little()
    look(little, first)
    look(little, then)
    little.full, little.events, little.second = False, {}, {}
    here, there = (little.events, little.second)[:: 1 if first is MEETING else -1]
    here[first.id] = tombstone(first)
    assert asked_now(little) == [then.id]
    there[then.id] = then
    assert sorted(steps(little.run())) == [
        ("create_block", "busy"),
        ("delete_block", "event_deleted"),
    ]
    assert states(little)[then.id] is LinkState.LIVE
    assert len(little.blocks) == 1


def test_a_meeting_whose_block_was_lost_unseen_is_read_and_gets_one() -> None:
    little = Little()
    look(little, MEETING, OTHER)
    little.change(little.block("x1"), state=LinkState.DELETED)
    little.blocks.clear()
    assert asked(little) == ["y1"]
    assert look(little, OTHER) == [("create_block", "busy")]


def test_an_answer_of_not_found_alone_closes_no_meeting_without_a_block() -> None:
    little = Little()
    look(little, MEETING, OTHER)
    little.full, little.second = False, {}
    little.events = {"x1": tombstone(MEETING)}
    little.second_gone = {"y1"}
    assert steps(little.run()) == [("delete_block", "event_deleted")]
    assert states(little)["y1"] is LinkState.SHARED
    little.second_gone = set()
    assert asked(little) == ["y1"], "it is asked for until it is found, or a full read lacks it"
    assert look(little, full=True) == [("note", "no_block_wanted")]


@pytest.mark.parametrize("keeper", [MEETING, OTHER])
def test_a_block_that_changes_stays_the_one_block(keeper: CalendarEvent) -> None:
    little = Little()
    look(little, keeper)
    look(little, MEETING, OTHER)
    little.rules = settings(block_time={"block_title": "event_title"})
    named = [replace(one, title="Board", private=False) for one in (MEETING, OTHER)]
    assert look(little, *named, full=True) == [("update_block", "changed")]
    assert states(little)[keeper.id] is LinkState.LIVE
    assert len(little.blocks) == 1


def test_an_interrupted_creation_is_gone_on_with_and_covers_the_other_calendar() -> None:
    little = Little()
    look(little, OTHER)
    little.change(little.block("y1"), state=LinkState.INTENT, block_id="")
    little.blocks.clear()
    assert sorted(look(little, MEETING, OTHER)) == [("create_block", "busy"), ("note", "shared")]
    assert states(little) == {"y1": LinkState.LIVE, "x1": LinkState.SHARED}


def test_instances_without_a_block_are_read_with_their_series() -> None:
    little = Little()
    days_of = [span(24 * day) for day in (1, 2, 3)]
    keeper = [instance("x", when, ical_uid=UID) for when in days_of]
    other = [instance("y", when, ical_uid=UID) for when in days_of]
    look(little, *keeper, *other, full=True)
    assert [link.state for link in little.links.values()].count(LinkState.SHARED) == 3
    for link in list(little.links.values()):
        if link.source.id == "x":
            little.change(link, state=LinkState.DELETED)
    little.blocks.clear()
    little.full, little.events, little.second = False, {}, {}
    found = questions(little.view())
    assert (dict(found.series), found.calendar_events) == ({"second": ("y",)}, {})


def test_a_meeting_that_changes_the_calendar_keeps_its_time() -> None:
    little = Little()
    look(little, OTHER)
    little.full, little.events = False, {"x1": MEETING}
    little.second = {"y1": tombstone(OTHER)}
    assert sorted(steps(little.run())) == [
        ("create_block", "busy"),
        ("delete_block", "event_deleted"),
    ]
    assert len(little.blocks) == 1


@pytest.mark.parametrize("keeper", [MEETING, OTHER])
@pytest.mark.parametrize(
    "moves",
    [[(MEETING, OTHER)], [(MEETING,), (OTHER,)], [(OTHER,), (MEETING,)]],
    ids=["both at once", "first the first", "first the second"],
)
def test_if_it_moves_in_both_there_is_one_block(
    keeper: CalendarEvent, moves: list[tuple[CalendarEvent, ...]]
) -> None:
    little = Little()
    look(little, keeper)
    look(little, MEETING, OTHER)
    stays = {"x1": MEETING, "y1": OTHER}
    for moved in moves:
        little.full, little.events, little.second = False, {}, {}
        for one in moved:
            stays[one.id] = at(one, THERE)
            (little.events if one is MEETING else little.second)[one.id] = stays[one.id]
        for key in asked_now(little):
            (little.events if key == "x1" else little.second)[key] = stays[key]
        before = len(little.blocks)
        made = steps(little.run())
        if len(moves) == 1:
            assert made.count(("update_block", "changed")) == before == 1
    assert [seen.span for seen in little.blocks.values()] == [THERE]
    assert look(little, at(MEETING, THERE), at(OTHER, THERE), full=True) == []


def test_a_calendar_that_is_not_busy_any_more_keeps_nothing() -> None:
    little = Little()
    look(little, OTHER)
    look(little, MEETING)
    little.full, little.events, little.second = False, {"x1": MEETING}, None
    assert sorted(steps(little.run())) == [
        ("create_block", "busy"),
        ("delete_block", "not_wanted_by_settings"),
    ]


def test_what_a_person_deleted_for_good_no_calendar_of_the_account_makes_again() -> None:
    little = Little()
    look(little, MEETING, OTHER)
    kept = next(link for link in little.links.values() if link.source.id == "x1")
    little.change(kept, state=LinkState.DISMISSED)
    little.blocks.clear()
    assert look(little, MEETING, OTHER, full=True) == []


def doubly() -> Little:
    """From before: each of two calendars has a block of its own for the meeting."""
    little = Little()
    look(little, OTHER)
    look(little, replace(MEETING, ical_uid=""))
    uid = IDENTITY.event_uid(MEETING)
    for link in list(little.links.values()):
        little.change(link, event_uid=uid)
    assert len(little.blocks) == 2
    return little


def test_two_blocks_that_move_at_once_become_one() -> None:
    little = doubly()
    made = look(little, at(MEETING, THERE), at(OTHER, THERE))
    assert sorted(made) == [("delete_block", "shared"), ("update_block", "changed")]
    assert [seen.span for seen in little.blocks.values()] == [THERE]
    assert look(little, at(MEETING, THERE), at(OTHER, THERE), full=True) == []


def test_of_two_blocks_none_is_given_up_for_one_that_is_being_changed() -> None:
    little = doubly()
    little.rules = settings(block_time={"block_title": "event_title"})
    named = [replace(one, title="Board", private=False) for one in (MEETING, OTHER)]
    assert look(little, *named, full=True) == [("update_block", "changed")] * 2
    assert look(little, *named, full=True) == [("delete_block", "shared")]


def test_what_the_links_say_is_kept_before_and_after_a_calendar() -> None:
    little = doubly()
    view = little.view()
    [meeting] = {link.meeting for link in view.keeping}
    calendars = ["primary", "second"]
    of_first, of_second = (stored(view, calendars, one) for one in calendars)
    assert (list(of_first.before), list(of_first.after)) == ([], [meeting])
    assert (list(of_second.before), list(of_second.after)) == ([meeting], [])
