"""What is provably ours goes without a question, what came back is known again."""

import uuid
from dataclasses import replace
from datetime import timedelta

import pytest

from calendar_sync.core.model import (
    CalendarEvent,
    Conflict,
    ConflictDecision,
    ConflictKind,
    DeleteMirror,
    LinkState,
    Platform,
    Source,
)
from calendar_sync.planner import View, plan
from tests.unit.planner.views import (
    IDENTITY,
    NOW,
    Little,
    appointment,
    event,
    instance,
    seen_hash,
    settings,
    span,
    steps,
)

#: Made by us, when the mailbox had a name that nobody remembers; and what another system makes.
KEY = IDENTITY.mirror_id(Platform.GOOGLE, "nobody", "lost@example.org", "a1", 3)
UUID = uuid.UUID("1f0c7a52-6a0b-4c7e-9a54-5a0c1f0d7b21")


def mirrored(**more: object) -> tuple[Little, CalendarEvent]:
    """One appointment, and its mirror."""
    little = Little(**more).add(appointment())  # type: ignore[arg-type]
    little.settle()
    [mirror] = little.events
    return little, little.event(mirror)


def other(mirror: CalendarEvent, name: str, **more: object) -> CalendarEvent:
    return replace(mirror, id=name, **more)  # type: ignore[arg-type]


# --- closed links -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("full", "version", "goes"), [(True, "1", True), (False, "1", False), (False, "3", True)]
)
def test_a_mirror_that_stands_though_its_link_is_closed(
    full: bool, version: str, goes: bool
) -> None:
    little, mirror = mirrored(full=full)
    little.appointments["a1"] = appointment(cancelled=True)
    little.change(little.link(), state=LinkState.DELETED, version="2")
    little.events[mirror.id] = replace(mirror, version=version)
    assert steps(little.run()) == ([("delete_mirror", "left_over")] if goes else [])
    assert little.link().state is LinkState.DELETED


def test_a_block_that_stands_though_its_link_is_closed() -> None:
    little = Little().add(event(when=span(30)))
    little.settle()
    little.events.clear()
    little.change(little.link(), state=LinkState.DELETED)
    assert steps(little.run()) == [("delete_block", "left_over")]
    assert little.blocks == {}


@pytest.mark.parametrize("why", ["past", "cancelled", "the other platform's", "a live link's"])
def test_a_block_that_is_none_of_a_closed_link_stays(why: str) -> None:
    little = Little().add(event(when=span(30)))
    little.settle()
    little.events.clear()
    link, [block] = little.block(), little.blocks.values()
    little.change(link, state=LinkState.DELETED)
    if why == "past":
        little.blocks[block.event_id] = replace(block, span=span(-3))
    elif why == "cancelled":
        little.blocks[block.event_id] = replace(block, cancelled=True)
    elif why == "the other platform's":
        little.claimed_elsewhere = frozenset({block.event_id})
    else:
        little.links[99] = replace(link, id=99, source=Source("x9"), state=LinkState.RETIRED)
    assert little.plan().actions == ()


# --- mirrors made before ------------------------------------------------------------------------


def test_an_earlier_mirror_that_is_there_again_goes() -> None:
    little, mirror = mirrored()
    little.add(other(mirror, KEY), other(mirror, "named-by-exchange", key=KEY))
    little.add(other(mirror, "copy"), other(mirror, UUID.hex), other(mirror, "x", key=str(UUID)))
    made = little.plan()
    assert steps(made) == [("delete_mirror", "made_before")] * 2
    gone = {action.link.name for action in made.actions if action.link}
    assert gone == {KEY, "named-by-exchange"}, "a copy of somebody's is theirs"
    assert made.refused == ()


def test_an_earlier_mirror_is_doubted_while_the_present_one_is_new() -> None:
    little, mirror = mirrored()
    little.add(other(mirror, KEY))
    little.change(little.link(), written_at=NOW - timedelta(seconds=5))
    made = little.plan()
    assert (made.actions, made.doubted) == ((), 1)


# --- other ids ----------------------------------------------------------------------------------


def test_a_mirror_with_another_id_is_found_again_by_its_mark() -> None:
    little, mirror = mirrored()
    little.events = {"new": other(mirror, "new"), "copy": other(mirror, "copy", title="x")}
    little.add(other(mirror, "theirs", marker=None, has_attendees=True, declined=True))
    little.gone.add(mirror.id)
    assert steps(little.run()) == [("note", "found_again")]


def test_a_mirror_with_another_id_goes_when_its_appointment_does() -> None:
    little, mirror = mirrored()
    little.events = {"new": other(mirror, "new")}
    little.gone.add(mirror.id)
    little.appointments["a1"] = appointment(cancelled=True)
    [action] = little.plan().actions
    assert isinstance(action, DeleteMirror)
    assert action.link.mirror_id == "new"


def test_what_cannot_be_compared_is_not_taken_for_the_mirror() -> None:
    little, mirror = mirrored()
    little.events = {"new": other(mirror, "new")}
    little.gone.add(mirror.id)
    view = little.view()
    [calendar] = view.calendars
    blind: View = replace(view, calendars=(replace(calendar, hashes={}),))
    assert steps(plan(blind, little.rules)) == [("create_mirror", "deleted_by_hand")]


def test_blocks_of_events_that_are_there_again_stay() -> None:
    little = Little().add(event("x1", span(30)), event("x2", span(40)))
    little.add(*(instance("s", span(hours)) for hours in (50, 60)))
    little.settle()
    little.events.clear()
    little.gone |= {"x1", "x2", "s"}
    little.add(event("y1", span(30)), event("y2", span(40)), event("y3", span(40)))
    little.add(*(instance("r", span(hours)) for hours in (50, 60)))
    made = little.run()
    assert sorted(steps(made)) == [("create_block", "busy")] + [("note", "found_again")] * 4
    assert {link.source.id for link in little.links.values()} == {"y1", "y2", "y3", "r"}
    assert little.plan().actions == ()


def test_events_of_a_back_up_are_known_although_it_has_them_at_other_times() -> None:
    little = Little().add(event("x1", span(30), ical_uid="1@calendar"), event("x2", span(40)))
    little.settle()
    little.events = {"y1": event("y1", span(35), ical_uid="1@calendar")}
    little.add(event("y2", span(45), ical_uid="2@calendar"))
    little.gone |= {"x1", "x2"}
    made = little.run()
    assert sorted(steps(made)) == [
        ("create_block", "busy"), ("delete_block", "event_gone"), ("update_block", "found_again"),
    ]  # fmt: skip


def test_a_link_learns_which_event_it_stands_for() -> None:
    little = Little().add(event("x1", span(30)))
    little.settle()
    little.events = {"x1": event("x1", span(30), ical_uid="1@calendar")}
    assert steps(little.run()) == [("note", "identified")]
    assert little.plan().actions == ()


def test_a_block_that_was_edited_meanwhile_is_written_as_it_should_be() -> None:
    little = Little().add(event("x1", span(30)))
    little.settle()
    [block] = little.blocks.values()
    little.blocks[block.event_id] = replace(block, hash=seen_hash(span(31)), span=span(31))
    little.events = {"y1": event("y1", span(30))}
    little.gone.add("x1")
    assert steps(little.run()) == [("update_block", "found_again")]


@pytest.mark.parametrize("cancelled", [True, False])
def test_what_the_record_names_as_ours_goes_unless_its_appointment_may_take_it_over(
    cancelled: bool,
) -> None:
    little, mirror = mirrored()
    little.links.clear()
    little.appointments["a1"] = appointment(cancelled=cancelled)
    view = replace(little.view(), recorded_mirrors=frozenset({mirror.id}))
    made = plan(view, little.rules)
    expected = ("delete_mirror", "made_before") if cancelled else ("create_mirror", "wanted")
    assert steps(made) == [expected]
    assert made.holds == ()


# --- guests and deletions undone ----------------------------------------------------------------


def test_guests_are_reported_once_and_never_undone() -> None:
    little, mirror = mirrored()
    little.events[mirror.id] = replace(mirror, has_attendees=True)
    made = little.run()
    assert steps(made) == [("note", "guests")]
    assert made.conflicts == (
        Conflict(ConflictKind.GUESTS_ADDED, Source("a1"), ConflictDecision.LEFT),
    )
    little.change(little.link(), mirror_hash=IDENTITY.event_hash(little.event(mirror.id)))
    assert little.plan().conflicts == ()
    little.events[mirror.id] = mirror
    made = little.plan()
    assert (steps(made), made.conflicts) == ([("note", "guests")], ())


@pytest.mark.parametrize("platform", list(Platform), ids=str)
def test_exchange_would_mail_guests_about_a_put_back(platform: Platform) -> None:
    little, mirror = mirrored(platform=platform)
    little.events[mirror.id] = replace(mirror, has_attendees=True, span=span(60))
    made = little.plan()
    mails = platform is Platform.MICROSOFT
    decision = ConflictDecision.REPORTED if mails else ConflictDecision.RESTORED
    assert Conflict(ConflictKind.MIRROR_MOVED, Source("a1"), decision) in made.conflicts
    assert mails or ("update_mirror", "edited_by_hand") in steps(made)


@pytest.mark.parametrize("cancelled", [True, False])
def test_a_deletion_that_was_not_to_be_restored_may_be_undone(cancelled: bool) -> None:
    little, mirror = mirrored(rules=settings(mirror_deleted="report"))
    little.change(little.link(), state=LinkState.DISMISSED, version="1")
    little.events[mirror.id] = replace(mirror, version="2")
    if cancelled:
        little.appointments["a1"] = appointment(cancelled=True)
    [(step, reason)] = steps(little.run())
    assert (step, reason) == (
        ("delete_mirror", "cancelled") if cancelled else ("note", "found_again")
    )
    assert little.link().state is (LinkState.DELETED if cancelled else LinkState.LIVE)
