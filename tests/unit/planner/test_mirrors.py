"""Rules 1 to 4 and 9 to 12, as pure decisions."""

from dataclasses import replace

import pytest

from calendar_sync.core.model import Direction, LinkState, Step
from calendar_sync.planner.mirrors import judge
from tests.unit.planner.views import (
    DAY,
    HOUR,
    ME,
    NOW,
    Little,
    absences,
    appointment,
    days,
    settings,
    span,
    steps,
    tombstone,
)


@pytest.mark.parametrize(
    ("found", "objection"),
    [
        (appointment(), None),
        (appointment(kind="APPOINTMENT"), None),
        (appointment(cancelled=True), "cancelled"),
        (appointment(status="CANCELLED"), "cancelled"),
        (appointment(status="CANCELED"), "cancelled"),
        (appointment(status="DELETED"), "cancelled"),
        (appointment(status="OPEN"), None),
        (appointment(status="FINALIZED"), None),
        (appointment(users=["other"]), "not_participant"),
        (appointment(users=["other", ME]), None),
        (appointment(known=False), "pending"),
        (appointment(known=False, cancelled=True), "cancelled"),
        (appointment(template=None), "unknown_type"),
        (appointment(when=span(24, 0)), "empty_time"),
        (appointment(when=span(24, -2)), "empty_time"),
        (appointment(when=span(-24 * 31)), "outside_window"),
        (appointment(when=span(-24 * 30 - 1, 2)), None),
        (appointment(when=span(24 * 365 + 1)), "outside_window"),
        (appointment(when=span(24 * 365 - 1)), None),
        (appointment(when=days(3)), None),
    ],
)
def test_why_an_appointment_gets_no_mirror(found: object, objection: str | None) -> None:
    little = Little().add(found)  # type: ignore[arg-type]
    assert judge(little.view(), little.rules, found) == objection  # type: ignore[arg-type]
    made = little.plan()
    assert steps(made) == ([("create_mirror", "wanted")] if objection is None else [])
    assert made.skipped == ({objection: 1} if objection else {})


def test_unknown_types_may_be_included() -> None:
    rules = settings(encounter_types={"unknown_type": "include"})
    assert steps(Little(rules).add(appointment(template=None)).plan())
    # What no calendar can show stays out all the same.
    assert not steps(Little(rules).add(appointment(template=None, when=span(24, 0))).plan())


@pytest.mark.parametrize(
    ("types", "wanted"),
    [
        ({"include": ["ETMP-*"]}, True),
        ({"include": ["etmp-follow-u?"]}, True),
        ({"include": ["etmp"]}, False),
        ({"exclude": ["*"]}, False),
        ({"include": ["APPOINTMENT"]}, False),
        ({"include": ["*"], "exclude": ["*FOLLOW*"]}, False),
    ],
)
def test_the_filter_of_types(types: dict[str, list[str]], wanted: bool) -> None:
    little = Little(settings(encounter_types=types)).add(appointment())
    assert bool(little.plan().actions) is wanted


def test_nothing_is_planned_twice() -> None:
    little = Little().add(appointment(), appointment("a2", span(48)))
    little.settle()
    assert {link.state for link in little.links.values()} == {LinkState.LIVE}


def test_other_content_updates_in_place() -> None:
    little = Little().add(appointment())
    little.run()
    little.add(appointment(when=span(50)))
    assert steps(little.run()) == [("update_mirror", "changed")]
    assert little.link().span == span(50)
    assert little.plan().actions == ()


def test_a_change_that_no_mirror_shows_only_moves_the_row() -> None:
    little = Little().add(appointment())
    little.run()
    little.add(appointment(status="OPEN"))
    assert steps(little.run()) == [("note", "unchanged_for_the_calendar")]
    assert little.plan().actions == ()


def test_another_level_rewrites_even_when_the_text_stays() -> None:
    little = Little().add(appointment())
    little.run()
    little.change(little.link(), level="full/busy")
    assert steps(little.plan()) == [("update_mirror", "changed")]


@pytest.mark.parametrize("state", [LinkState.LIVE, LinkState.INTENT])
@pytest.mark.parametrize(
    "now",
    [
        appointment(cancelled=True),
        appointment(users=["other"]),
        appointment(template="x", status="DELETED"),
    ],
)
def test_no_longer_wanted_the_mirror_goes(now: object, state: LinkState) -> None:
    little = Little().add(appointment())
    little.run()
    little.change(little.link(), state=state)
    little.add(now)  # type: ignore[arg-type]
    made = little.run()
    assert [action.step for action in made.actions] == [Step.DELETE_MIRROR]
    assert absences(made.actions) == [False]
    assert little.plan().actions == ()


def test_pending_is_neither_created_nor_removed() -> None:
    little = Little().add(appointment())
    little.run()
    little.add(appointment(known=False))
    assert little.plan().actions == ()


def test_an_interrupted_creation_is_made_again() -> None:
    little = Little().add(appointment())
    little.run()
    little.change(little.link(), state=LinkState.INTENT)
    assert steps(little.plan()) == [("create_mirror", "wanted")]


def test_gone_from_welkin_rests_on_absence() -> None:
    little = Little().add(appointment())
    little.run()
    del little.appointments["a1"]
    little.absent.add("a1")
    [action] = little.plan().actions
    assert (action.step, absences([action])) == (Step.DELETE_MIRROR, [True])


def test_not_seen_and_not_asked_for_means_nothing() -> None:
    little = Little().add(appointment())
    little.run()
    little.appointments.clear()
    assert little.plan().actions == ()


def test_time_passes_and_a_link_retires() -> None:
    little = Little().add(appointment())
    little.run()
    little.now = NOW + 40 * DAY
    assert steps(little.run()) == [("note", "left_the_window")]
    assert little.link().state is LinkState.RETIRED
    assert little.plan().actions == ()
    little.appointments.clear()
    assert little.plan().actions == ()


def test_a_retired_link_comes_back_with_its_appointment() -> None:
    little = Little().add(appointment())
    little.run()
    little.now = NOW + 40 * DAY
    little.run()
    little.add(appointment(when=span(24 * 45)))
    assert steps(little.run()) == [("update_mirror", "changed")]
    assert little.link().state is LinkState.LIVE


def test_moved_beyond_the_window_the_old_time_does_not_stay() -> None:
    little = Little().add(appointment())
    little.run()
    little.add(appointment(when=span(24 * 400)))
    assert steps(little.plan()) == [("delete_mirror", "outside_window")]


def by_hand(little: Little, *, moved: float | None = None) -> None:
    """Somebody deletes the mirror, or moves it by so many hours."""
    event = little.event(little.mirror().mirror_id)
    if moved is None:
        little.events[event.id] = tombstone(event)
    else:
        start, end = event.span.instants(little.view().zone)
        little.events[event.id] = replace(
            event, span=type(event.span)(start + moved * HOUR, end + moved * HOUR)
        )


@pytest.mark.parametrize("moved", [None, 3.0], ids=["deleted", "moved"])
@pytest.mark.parametrize("direction", list(Direction))
def test_edited_by_hand(moved: float | None, direction: Direction) -> None:
    little = Little(direction=Direction.BIDIRECTIONAL).add(appointment())
    little.run()
    by_hand(little, moved=moved)
    little.direction = direction
    made = little.run()
    if direction is Direction.CALENDAR_TO_WELKIN:
        assert made.actions == ()
        return
    step = "create_mirror" if moved is None else "update_mirror"
    reason = "deleted_by_hand" if moved is None else "edited_by_hand"
    assert steps(made) == [(step, reason)]
    shown = [(c.kind, c.decision) for c in made.conflicts]
    kind = "mirror_deleted" if moved is None else "mirror_moved"
    assert shown == ([(kind, "restored")] if direction is Direction.BIDIRECTIONAL else [])
    assert little.plan().actions == ()


@pytest.mark.parametrize("moved", [None, 3.0], ids=["deleted", "moved"])
def test_report_leaves_it_and_says_so_once(moved: float | None) -> None:
    rules = settings(mirror_deleted="report", mirror_moved="report")
    little = Little(rules).add(appointment())
    little.run()
    by_hand(little, moved=moved)
    made = little.run()
    assert [action.step for action in made.actions] == [Step.NOTE]
    assert [c.decision for c in made.conflicts] == ["reported"]
    again = little.plan()
    assert (again.actions, again.conflicts) == ((), ())


@pytest.mark.parametrize("moved", [None, 3.0], ids=["deleted", "moved"])
def test_after_three_restores_in_a_day_a_person_decides(moved: float | None) -> None:
    little = Little().add(appointment(when=span(240)))
    little.run()
    for _ in range(3):
        by_hand(little, moved=moved)
        assert little.run().conflicts[0].decision == "restored"
    by_hand(little, moved=moved)
    made = little.run()
    assert made.conflicts[0].decision == "parked"
    assert [action.step for action in made.actions] == [Step.NOTE]
    little.now += 2 * DAY
    assert little.plan().conflicts == ()


@pytest.mark.parametrize("moved", [None, -30.0], ids=["deleted", "moved"])
def test_past_mirrors_are_never_restored(moved: float | None) -> None:
    little = Little().add(appointment(when=span(-50)))
    little.run()
    by_hand(little, moved=moved)
    made = little.run()
    assert [action.step for action in made.actions] == [Step.NOTE]
    assert made.conflicts == ()
    assert little.plan().actions == ()


def test_a_dismissed_mirror_returns_with_new_content_only() -> None:
    little = Little(settings(mirror_deleted="report")).add(appointment())
    little.run()
    by_hand(little)
    little.run()
    assert little.link().state is LinkState.DISMISSED
    little.add(appointment(cancelled=True))
    assert little.plan().actions == ()
    little.add(appointment(when=span(60)))
    assert steps(little.run()) == [("create_mirror", "changed_after_dismissal")]
    assert little.link().generation == 2


def test_both_changed_welkin_wins() -> None:
    little = Little().add(appointment())
    little.run()
    by_hand(little, moved=2)
    little.add(appointment(when=span(60)))
    made = little.run()
    assert steps(made) == [("update_mirror", "changed")]
    assert [(c.kind, c.decision) for c in made.conflicts] == [("both_changed", "welkin_wins")]


def test_a_mirror_that_has_the_wanted_content_already_is_no_conflict() -> None:
    # Our own write whose answer was lost: the link still tells the content before it.
    little = Little().add(appointment())
    little.run()
    before = little.link()
    little.add(appointment(when=span(60)))
    little.run()
    little.change(before)
    made = little.plan()
    assert made.conflicts == ()


def test_a_mirror_lost_without_a_trace_is_created_again() -> None:
    little = Little().add(appointment())
    little.run()
    gone = little.mirror().mirror_id
    del little.events[gone]
    little.gone.add(gone)
    assert steps(little.run()) == [("create_mirror", "deleted_by_hand")]
    assert little.link().generation == 2


def test_a_text_that_the_server_returns_differently_is_no_edit_while_it_is_untouched() -> None:
    """Exchange keeps a page and answers with its words: links and spaces may come out otherwise."""
    little = Little().add(appointment())
    little.settle()
    link = little.mirror()
    mirror = little.event(link.mirror_id)
    little.change(link, etag="1")
    little.events[mirror.id] = replace(mirror, title="told otherwise", etag="1")
    assert little.plan().actions == ()
    little.events[mirror.id] = replace(mirror, title="told otherwise", etag="2")
    assert steps(little.plan()) == [("update_mirror", "edited_by_hand")]


def test_a_time_that_the_server_returns_differently_is_corrected_silently_until_that_fails() -> (
    None
):
    """A server that follows new rules of a zone gives no new version, and nobody has edited it."""
    little = Little().add(appointment())
    little.settle()
    for restores in range(4):
        link = little.mirror()
        mirror = little.event(link.mirror_id)
        little.change(link, etag="1")
        little.events[mirror.id] = replace(mirror, span=span(25), etag="1")
        made = little.run()
        if restores < 3:
            assert steps(made) == [("update_mirror", "shifted")]
            assert made.conflicts == ()
    assert steps(made) == [("note", "shifted")]
    assert [(c.kind, c.decision) for c in made.conflicts] == [("mirror_moved", "parked")]
    assert little.plan().actions == ()
