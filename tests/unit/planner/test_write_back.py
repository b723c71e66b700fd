"""Edits of mirrors that the appointment follows (rules 9 and 10), and what holds them."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from calendar_sync.core.model import (
    SETTLING,
    Conflict,
    ConflictDecision,
    ConflictKind,
    Direction,
    LinkState,
    Source,
    Span,
    UpdateMirror,
    WriteBack,
)
from tests.unit.planner.views import (
    DAY,
    ME,
    NOW,
    Little,
    appointment,
    days,
    event,
    settings,
    span,
    steps,
    tombstone,
)

RULES = {"mirror_moved": "reschedule", "mirror_deleted": "cancel"}


def plain(*hours: float, **more: Any) -> Little:
    """Linked appointments without encounters, at these hours from now."""
    little = Little(settings(**RULES, **more))
    for number, hour in enumerate(hours or (24,)):
        little.add(appointment(f"a{number}", span(hour), kind="APPOINTMENT"))
    little.settle()
    return little


def move(little: Little, key: str = "a0", to: Span | None = None, **more: Any) -> None:
    mirror = little.mirror(key).mirror_id
    little.events[mirror] = replace(little.event(mirror), span=to or span(50), **more)


def delete(little: Little, key: str = "a0") -> None:
    mirror = little.mirror(key).mirror_id
    little.events[mirror] = tombstone(little.events[mirror])


def test_a_moved_mirror_moves_its_appointment() -> None:
    little = plain()
    move(little)
    made = little.run()
    assert steps(made) == [("reschedule", "edited_by_hand")]
    assert made.actions[0].span == span(50)
    assert made.conflicts == (
        Conflict(ConflictKind.MIRROR_MOVED, Source("a0"), ConflictDecision.RESCHEDULED),
    )
    assert little.plan().actions == ()


def test_a_deleted_mirror_cancels_its_appointment() -> None:
    little = plain()
    delete(little)
    assert steps(little.run()) == [("cancel", "deleted_by_hand")]
    assert little.plan().actions == ()
    assert little.link().state is LinkState.DELETED


@pytest.mark.parametrize(
    "to",
    [days(3), Span(NOW + DAY, NOW + DAY), span(-30), None],
    ids=["all day", "no length", "past", "same time, other title"],
)
def test_what_is_no_new_time_is_put_back(to: Span | None) -> None:
    little = plain()
    move(little, to=to or span(24), title="Mine")
    assert steps(little.plan()) == [("update_mirror", "edited_by_hand")]


@pytest.mark.parametrize("act", [move, delete])
@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "ENCOUNTER"},
        {"users": ("other", ME)},
        {"when": days(2), "users": (ME,)},
    ],
    ids=["encounter", "guest", "all day"],
)
def test_not_every_appointment_follows(act: Any, changes: dict[str, Any]) -> None:
    little = Little(settings(**RULES))
    found = appointment("a0", **{"kind": "APPOINTMENT", **changes})
    if "users" in changes:
        found = replace(found, event=replace(found.event, host_id="other"))
    little.add(found)
    little.settle()
    act(little)
    assert [isinstance(action, WriteBack) for action in little.plan().actions] == [False]


def test_deleting_a_mirror_cancels_nothing_that_its_owner_did_not_know() -> None:
    little = plain()
    delete(little)
    little.add(appointment("a0", span(30), kind="APPOINTMENT"))
    made = little.plan()
    assert steps(made) == [("create_mirror", "deleted_by_hand")]
    assert [conflict.decision for conflict in made.conflicts] == ["welkin_wins"]


def test_a_mirror_dragged_to_a_time_that_has_begun_is_put_back() -> None:
    little = plain()
    move(little, to=span(-0.5, 1))
    assert steps(little.plan()) == [("update_mirror", "edited_by_hand")]


def test_sessions_of_a_group_follow_no_calendar() -> None:
    little = Little(settings(**RULES)).add(appointment("a0", kind="GROUP_THERAPY"))
    little.settle()
    delete(little)
    assert steps(little.plan()) == [("create_mirror", "deleted_by_hand")]


def test_a_mirror_that_is_merely_not_found_cancels_nothing() -> None:
    little = plain()
    link = little.mirror()
    del little.events[link.mirror_id]
    little.gone.add(link.mirror_id)
    assert steps(little.plan()) == [("create_mirror", "deleted_by_hand")]


@pytest.mark.parametrize("act", [move, delete])
def test_the_fourth_of_a_day_waits_for_a_person(act: Any) -> None:
    little = plain(24, 30, 36, 42, 48)
    for number in range(5):
        act(little, f"a{number}")
    made = little.plan()
    assert [action.source.id for action in made.actions] == ["a0", "a1", "a2"]
    assert [hold.reason for hold in made.holds] == ["write_back"] * 2
    assert [action.source.id for action in made.held] == ["a3", "a4"]
    assert [c.decision for c in made.conflicts].count(ConflictDecision.HELD) == 2
    little.approved = frozenset({made.holds[1].digest})
    assert [action.source.id for action in little.plan().held] == ["a3"], "each has its approval"


def test_an_appointment_that_was_changed_today_may_be_changed_again() -> None:
    little = plain(24, 30)
    little.written_back = {"a0", "b", "c"}
    move(little, "a0")
    move(little, "a1")
    made = little.plan()
    assert [action.source.id for action in made.actions] == ["a0"]
    assert [action.source.id for action in made.held] == ["a1"]


def test_both_changed_may_be_reported_only() -> None:
    little = Little(settings(both_changed="report"))
    little.add(appointment("a0"))
    little.settle()
    move(little)
    little.add(appointment("a0", span(30)))
    made = little.run()
    assert steps(made) == [("note", "both_changed")]
    assert made.conflicts == (
        Conflict(ConflictKind.BOTH_CHANGED, Source("a0"), ConflictDecision.REPORTED),
    )
    assert little.plan().actions == ()


# --- a setting that changed meanwhile -------------------------------------------------------------

TYPES = {"mirror_content": {"title": {"level": "type"}}}
OTHER_WORDS = {"mirror_content": {"busy_title": "Away"}}


def now_with(little: Little, **rules: Any) -> None:
    """The settings change; nobody touches Welkin."""
    little.rules = settings(**rules)


@pytest.mark.parametrize("changed", [TYPES, OTHER_WORDS], ids=["level", "words"])
def test_a_move_that_meets_a_changed_setting_still_moves_the_appointment(changed: Any) -> None:
    little = plain()
    move(little)
    now_with(little, **RULES, **changed)
    made = little.run()
    assert steps(made) == [("reschedule", "edited_by_hand")]
    assert made.conflicts == (
        Conflict(ConflictKind.MIRROR_MOVED, Source("a0"), ConflictDecision.RESCHEDULED),
    )


@pytest.mark.parametrize(
    ("edit", "kind"), [({"to": span(50)}, "mirror_moved"), ({"title": "Mine"}, "mirror_edited")]
)
@pytest.mark.parametrize("changed", [TYPES, OTHER_WORDS], ids=["level", "words"])
def test_an_edit_that_meets_a_changed_setting_is_no_change_in_welkin(
    edit: dict[str, Any], kind: str, changed: Any
) -> None:
    little = Little().add(appointment("a0"))
    little.settle()
    move(little, **{"to": span(24), **edit})
    now_with(little, **changed)
    made = little.run()
    assert steps(made) == [("update_mirror", "edited_by_hand")]
    decided = Conflict(ConflictKind(kind), Source("a0"), ConflictDecision.RESTORED)
    assert made.conflicts == (decided,)
    assert little.plan().actions == ()


def test_a_reported_move_stays_where_only_words_of_the_settings_changed() -> None:
    report = {"mirror_moved": "report", "both_changed": "report"}
    little = Little(settings(**report)).add(appointment("a0"))
    little.settle()
    move(little)
    now_with(little, **report, **OTHER_WORDS)
    made = little.run()
    assert steps(made) == [("note", "edited_by_hand")]
    assert made.conflicts == (
        Conflict(ConflictKind.MIRROR_MOVED, Source("a0"), ConflictDecision.REPORTED),
    )
    assert little.plan().actions == ()


def test_another_level_is_written_whatever_the_policy_for_edits() -> None:
    report = {"mirror_moved": "report"}
    little = Little(settings(**report, **TYPES)).add(appointment("a0"))
    little.settle()
    move(little)
    now_with(little, **report)
    made = little.run()
    assert steps(made) == [("update_mirror", "changed")]
    assert made.conflicts == (
        Conflict(ConflictKind.MIRROR_MOVED, Source("a0"), ConflictDecision.RESTORED),
    )
    assert little.plan().actions == ()


def test_a_past_mirror_that_shows_too_much_is_rewritten_without_a_word() -> None:
    little = Little(settings(**TYPES)).add(appointment("a0", span(-50)))
    little.settle()
    move(little, to=span(-30))
    now_with(little)
    made = little.run()
    assert steps(made) == [("update_mirror", "changed")]
    assert made.conflicts == ()


def test_one_way_a_changed_setting_is_written_over_an_edit_without_a_word() -> None:
    little = Little(direction=Direction.WELKIN_TO_CALENDAR).add(appointment("a0"))
    little.settle()
    move(little)
    now_with(little, **OTHER_WORDS)
    made = little.run()
    assert steps(made) == [("update_mirror", "changed")]
    assert made.conflicts == ()


def test_what_shows_too_much_does_not_wait_for_the_approval_of_its_move() -> None:
    little = plain(24, 30, 36, 42, 48, **TYPES)
    for number in range(5):
        move(little, f"a{number}")
    now_with(little, **RULES)
    made = little.plan()
    assert made.holds == ()
    assert sorted(steps(made)) == [
        *[("reschedule", "edited_by_hand")] * 3,
        *[("update_mirror", "edited_by_hand")] * 2,
    ]
    assert [conflict.decision for conflict in made.conflicts].count(ConflictDecision.RESTORED) == 2


# --- readings that are older than our own writes --------------------------------------------------


def written(little: Little, key: str, seconds: float, version: str = "2") -> None:
    """The link was written so many seconds ago, as this version."""
    link = little.link(key)
    little.change(link, written_at=NOW - timedelta(seconds=seconds), version=version)


@pytest.mark.parametrize(("version", "doubted"), [("1", 1), ("2", 0), ("3", 0), ("", 0)])
def test_a_mirror_older_than_our_write_was_not_edited(version: str, doubted: int) -> None:
    little = plain()
    written(little, "a0", 300)
    move(little, version=version)
    made = little.plan()
    assert made.doubted == doubted
    assert len(made.actions) == 1 - doubted


def test_an_older_mirror_is_written_all_the_same_when_the_appointment_changed() -> None:
    little = plain()
    written(little, "a0", 5)
    move(little, version="1")
    little.add(appointment("a0", span(30), kind="APPOINTMENT"))
    made = little.plan()
    [action] = made.actions
    assert isinstance(action, UpdateMirror)
    assert (action.reason, action.event) == ("changed", None)
    assert made.conflicts == ()


@pytest.mark.parametrize(("seconds", "doubted"), [(59, 1), (61, 0)])
def test_a_mirror_missing_right_after_our_write_is_doubted(seconds: float, doubted: int) -> None:
    little = plain()
    written(little, "a0", seconds)
    mirror = little.mirror().mirror_id
    del little.events[mirror]
    little.gone.add(mirror)
    assert little.plan().doubted == doubted


@pytest.mark.parametrize("kind", ["absent", "outdated", "settled"])
def test_a_block_is_doubted_likewise(kind: str) -> None:
    little = Little().add(event("x1", span(30)))
    little.settle()
    link = little.block()
    written(little, "x1", 30 if kind != "settled" else SETTLING.total_seconds() + 1)
    seen = little.blocks.pop(link.block_id)
    if kind == "outdated":
        older = replace(seen, span=span(40), hash="older", version="1")
        little.blocks[link.block_id] = older
    else:
        little.absent.add(link.block_id)
    made = little.plan()
    assert (made.doubted, len(made.actions)) == ((0, 1) if kind == "settled" else (1, 0))


def test_an_older_past_block_has_not_wandered() -> None:
    little = Little().add(event("x1", span(3)))
    little.settle()
    link = little.block()
    little.now += timedelta(hours=30)
    seen = little.blocks[link.block_id]
    little.blocks[link.block_id] = replace(seen, span=span(60), hash="older", version="1")
    little.change(link, version="2", written_at=little.now - timedelta(seconds=5))
    assert steps(little.plan()) == [("note", "left_the_window")]


def test_a_cancelled_appointment_read_as_it_was_before_is_doubted() -> None:
    little = plain()
    delete(little)
    little.run()
    older = appointment("a0", kind="APPOINTMENT")
    just_now = NOW - timedelta(seconds=5)
    little.change(little.link(), written_at=just_now, appointment_hash=older.source_hash)
    little.add(older)
    assert (little.plan().actions, little.plan().doubted) == ((), 1)
    little.now += timedelta(seconds=60)
    assert steps(little.plan()) == [("create_mirror", "wanted")]


# --- one way ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("direction", "source"),
    [(Direction.CALENDAR_TO_WELKIN, "a0"), (Direction.WELKIN_TO_CALENDAR, "x1")],
)
def test_what_a_direction_leaves_behind_is_shown_by_a_full_read(
    direction: Direction, source: str
) -> None:
    little = Little().add(appointment("a0"), event("x1", span(30)))
    little.settle()
    little.direction = direction
    [left] = little.plan().conflicts
    assert left.kind == "left_by_direction"
    assert left.source.id == source
    little.full = False
    assert little.plan().conflicts == ()
