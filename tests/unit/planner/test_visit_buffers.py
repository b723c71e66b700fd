"""Buffers around visits (rule 4): a mirror is longer than its visit, and Welkin's time stays."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from calendar_sync.core.model import (
    Around,
    ConflictDecision,
    ConflictKind,
    LinkState,
    Platform,
    Span,
)
from calendar_sync.planner import mirror_text
from tests.unit.planner.test_buffers import wider
from tests.unit.planner.views import (
    IDENTITY,
    NOW,
    ZONE,
    Little,
    appointment,
    days,
    event,
    settings,
    span,
    steps,
    tombstone,
)

TRAVEL: dict[str, Any] = {
    "buffers": {
        "every_visit": {"after_minutes": 5},
        "types": {
            "etmp-home-*": {"before_minutes": 30},
            "ETMP-HOME-intake": {"before_minutes": 10, "after_minutes": 20},
            "APPOINTMENT": {"before_minutes": 15},
        },
    }
}
FOLLOW = {"mirror_moved": "reschedule", "mirror_deleted": "cancel"}


def travelling(**more: Any) -> Little:
    return Little(settings(mirror_content=TRAVEL, **more))


def meeting(when: Span | None = None, **more: Any) -> Any:
    return appointment("a1", when, kind="APPOINTMENT", **more)


def move(little: Little, to: Span, **more: Any) -> None:
    mirror = little.mirror().mirror_id
    little.events[mirror] = replace(little.event(mirror), span=to, **more)


def decisions(made: Any) -> list[tuple[ConflictKind, ConflictDecision]]:
    return [(each.kind, each.decision) for each in made.conflicts]


@pytest.mark.parametrize(
    ("template", "before", "after"),
    [
        ("etmp-follow-up", 0, 5),
        ("etmp-home-care", 30, 5),
        ("etmp-home-intake", 30, 20),
    ],
)
def test_of_several_buffers_the_longest_counts(template: str, before: int, after: int) -> None:
    little = travelling().add(appointment(template=template))
    little.settle()
    link = little.mirror()
    assert little.event(link.mirror_id).span == wider(span(), before, after)
    assert (link.span, link.around) == (span(), Around(before, after))


def test_the_title_says_when_the_visit_is_by_the_users_clock_at_every_level() -> None:
    for level, words in (("busy", "Busy"), ("type", "Appointment")):
        content = {**TRAVEL, "title": {"level": level}}
        rules = settings(mirror_content=content)
        made = mirror_text.draft(appointment(), rules, IDENTITY, ZONE.key, Platform.GOOGLE)
        assert made.title == f"{words} (10:00\N{EN DASH}11:00)"
    long = {**TRAVEL, "title": {"level": "type"}, "type_titles": {"etmp-follow-up": "x" * 2000}}
    rules = settings(mirror_content=long)
    made = mirror_text.draft(appointment(), rules, IDENTITY, ZONE.key, Platform.GOOGLE)
    assert len(made.title) == 255
    assert made.title.endswith("x (10:00\N{EN DASH}11:00)")


def test_whole_days_and_the_ends_of_time_have_none() -> None:
    first = datetime(1, 1, 1, tzinfo=UTC)
    earliest = Span(first, first + timedelta(hours=1))
    for when in (days(2), earliest):
        made = mirror_text.draft(
            meeting(when), travelling().rules, IDENTITY, ZONE.key, Platform.GOOGLE
        )
        assert (made.span, made.title, made.around) == (when, "Busy", Around())


def test_a_mirror_is_made_moved_and_follows_the_settings() -> None:
    little = travelling().add(meeting())
    little.settle()
    little.add(meeting(span(50)))
    assert steps(little.run()) == [("update_mirror", "changed")]
    assert little.event(little.mirror().mirror_id).span == wider(span(50), 15, 5)
    little.rules = settings()
    assert steps(little.run()) == [("update_mirror", "changed")]
    found = little.event(little.mirror().mirror_id)
    assert (found.span, found.title, little.mirror().around) == (span(50), "Busy", Around())
    little.rules = travelling().rules
    little.settle()
    assert little.mirror().around == Around(15, 5)


def test_a_moved_mirror_moves_its_appointment_without_what_is_around_it() -> None:
    little = travelling(**FOLLOW).add(meeting())
    little.settle()
    move(little, wider(span(50), 15, 5))
    made = little.run()
    assert steps(made) == [("reschedule", "edited_by_hand")]
    assert made.actions[0].span == span(50) == little.appointments["a1"].event.span


@pytest.mark.parametrize(
    ("to", "kind"),
    [
        (span(), ConflictKind.MIRROR_MOVED),
        (wider(span(), 15, 65), ConflictKind.MIRROR_MOVED),
        (Span(span().start, span().start + timedelta(minutes=20)), ConflictKind.MIRROR_MOVED),
        (days(3), ConflictKind.MIRROR_MOVED),
        (wider(span(), 15, 5), ConflictKind.MIRROR_EDITED),
    ],
    ids=["shorter", "longer", "nothing is left", "all day", "title only"],
)
def test_what_is_no_new_time_is_put_back(to: Span, kind: ConflictKind) -> None:
    little = travelling(**FOLLOW).add(meeting())
    little.settle()
    move(little, to, title="Mine")
    made = little.run()
    assert steps(made) == [("update_mirror", "edited_by_hand")]
    assert decisions(made) == [(kind, ConflictDecision.RESTORED)]
    assert little.event(little.mirror().mirror_id).span == wider(span(), 15, 5)


@pytest.mark.parametrize("to", [span(24), span(50), wider(span(50), 15, 5)])
def test_an_edit_while_the_buffers_change_moves_nothing_in_welkin(to: Span) -> None:
    little = Little(settings(**FOLLOW)).add(meeting())
    little.settle()
    move(little, to, title="Mine")
    little.rules = travelling(**FOLLOW).rules
    made = little.run()
    assert steps(made) == [("update_mirror", "edited_by_hand")]
    moved = to != span(24)
    kind = ConflictKind.MIRROR_MOVED if moved else ConflictKind.MIRROR_EDITED
    assert decisions(made) == [(kind, ConflictDecision.RESTORED)]
    assert little.plan().actions == ()


def test_an_edit_that_was_left_is_judged_by_the_buffers_that_it_has() -> None:
    little = Little(settings(mirror_moved="report")).add(meeting())
    little.settle()
    move(little, span(50))
    little.rules = travelling(mirror_moved="report").rules
    assert decisions(little.run()) == [(ConflictKind.MIRROR_MOVED, ConflictDecision.REPORTED)]
    assert (little.mirror().around, little.mirror().span) == (Around(), span(24))
    assert little.plan().actions == ()


def test_a_visit_that_is_over_is_not_cancelled_though_its_mirror_is_not_over() -> None:
    for minutes, asked in ((3, ("cancel", "deleted_by_hand")), (-3, ("note", "deleted_by_hand"))):
        end = NOW + timedelta(minutes=minutes)
        little = travelling(**FOLLOW).add(meeting(Span(end - timedelta(hours=1), end)))
        little.settle()
        mirror = little.mirror().mirror_id
        little.events[mirror] = tombstone(little.events[mirror])
        assert steps(little.plan()) == [asked]


def test_a_mirror_leaves_the_window_with_its_visit() -> None:
    little = travelling()
    start = little.view().mirror_window.start
    little.add(meeting(Span(start - timedelta(hours=1), start + timedelta(minutes=1))))
    little.settle()
    little.now += timedelta(minutes=2)
    assert steps(little.run()) == [("note", "left_the_window")]
    assert little.mirror().state is LinkState.RETIRED
    # The same if it is not read any more.
    little.links = {key: replace(each, state=LinkState.LIVE) for key, each in little.links.items()}
    little.appointments.clear()
    assert steps(little.plan()) == [("note", "left_the_window")]


def test_a_server_that_moves_the_mirror_is_corrected() -> None:
    little = travelling(**FOLLOW).add(meeting())
    little.settle()
    link = little.mirror()
    little.change(link, etag="v1")
    move(little, span(24), etag="v1")
    made = little.run()
    assert (steps(made), made.conflicts) == ([("update_mirror", "shifted")], ())


def test_the_answer_to_our_own_write_was_lost() -> None:
    little = travelling().add(meeting())
    little.settle()
    before = little.mirror()
    little.rules = settings()
    little.run()
    after = little.mirror()
    little.change(before, mirror_id=after.mirror_id)
    assert steps(little.run()) == [("note", "written_before")]
    assert (little.mirror().span, little.mirror().around) == (span(), Around())


def test_a_lost_state_takes_the_mirror_over() -> None:
    little = travelling().add(meeting())
    little.settle()
    little.links.clear()
    [action] = little.plan().actions
    assert (action.step.value, action.span) == ("create_mirror", span())
    assert little.view().unlinked.keys() == {IDENTITY.marker("user-1", "a1")}


def test_copies_of_mirrors_are_copies_of_visits() -> None:
    little = travelling()
    for number in range(5):
        when = span(24 + 2 * number)
        little.add(appointment(f"a{number}", when, kind="APPOINTMENT"))
        copy = when if number < 2 else wider(when, 15, 5)
        little.add(event(f"x{number}", copy))
    made = little.run()
    assert decisions(made) == [(ConflictKind.DUPLICATES, ConflictDecision.HELD)]
    assert [link.state for link in little.links.values()].count(LinkState.DUPLICATE) == 5
    assert made.overlaps == ()


def test_a_block_for_a_copy_of_a_mirror_lies_over_no_visit() -> None:
    around = {"buffers": {"every_event": {"before_minutes": 30}}}
    little = travelling(block_time=around).add(meeting(), event("x1", wider(span(), 15, 5)))
    little.settle()
    assert little.plan().overlaps == ()
    little.add(event("x1", wider(span(), 15, 6)))
    assert [one.appointment_id for one in little.plan().overlaps] == ["a1"]
