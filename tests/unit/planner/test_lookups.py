"""What is asked before absence is believed, and which series are read as a whole."""

from dataclasses import replace

from calendar_sync.core.model import BlockLink, LinkState, Removed, SeriesSet, Tombstone
from calendar_sync.planner import questions
from tests.unit.planner.views import Little, appointment, event, instance, reasons, span


def small() -> Little:
    little = Little().add(appointment(), event())
    for number in range(3):
        little.add(instance("s1", span(24 * (number + 1))))
    little.run()
    return little


def test_a_complete_view_leaves_no_question() -> None:
    assert questions(small().view()).count == 0


def test_missing_from_the_window_an_appointment_is_asked_for_by_name() -> None:
    little = small()
    little.appointments.clear()
    assert questions(little.view()).welkin_events == ("a1",)
    little.absent.add("a1")
    assert questions(little.view()).count == 0


def test_an_interrupted_mirror_is_asked_for_too_and_a_retired_one_is_not() -> None:
    little = small()
    little.appointments.clear()
    little.change(little.link("a1"), state=LinkState.INTENT)
    assert questions(little.view()).welkin_events == ("a1",)
    little.change(little.link("a1"), state=LinkState.RETIRED)
    assert questions(little.view()).count == 0


def test_a_missing_block_is_asked_for_and_then_its_event() -> None:
    little = small()
    link = little.block("x1")
    del little.blocks[link.block_id]
    assert questions(little.view()).welkin_events == (link.block_id,)
    little.absent.add(link.block_id)
    little.full = False
    little.events.clear()
    assert questions(little.view()).calendar_events == {"primary": ("x1",)}


def test_an_edited_block_needs_its_event() -> None:
    little = small()
    link = little.block("x1")
    little.blocks[link.block_id] = replace(little.blocks[link.block_id], hash="edited")
    little.full = False
    little.events.clear()
    assert questions(little.view()).calendar_events == {"primary": ("x1",)}
    little.gone.add("x1")
    assert questions(little.view()).count == 0


def test_a_full_read_must_show_every_live_link_and_a_delta_need_not() -> None:
    little = small()
    mirror = little.mirror("a1").mirror_id
    little.events.clear()
    asked = questions(little.view()).calendar_events["primary"]
    assert asked == (mirror, "s1", "x1"), "of a series without instances, the master first"
    little.full = False
    assert questions(little.view()).count == 0


def test_the_master_of_a_series_answers_for_its_instances() -> None:
    little = small()
    little.events = {key: found for key, found in little.events.items() if not found.series_id}
    assert questions(little.view()).calendar_events == {"primary": ("s1",)}
    little.events["s1"] = Tombstone("s1")
    assert questions(little.view()).count == 0
    assert reasons(little.plan()) == {("event_deleted", False)}


def test_where_the_master_lives_on_each_instance_is_asked_for() -> None:
    little = small()
    little.events = {key: found for key, found in little.events.items() if not found.series_id}
    little.events["s1"] = event("s1", is_master=True)
    asked = questions(little.view()).calendar_events["primary"]
    assert len(asked) == 3
    little.gone.update(asked)
    assert questions(little.view()).count == 0
    assert reasons(little.plan()) == {("event_gone", True)}


def test_where_the_master_is_not_found_one_instance_speaks_for_all() -> None:
    little = small()
    little.events = {key: found for key, found in little.events.items() if not found.series_id}
    little.gone.add("s1")
    (asked,) = questions(little.view()).calendar_events["primary"]
    assert asked.startswith("s1_")
    little.gone.add(asked)
    assert questions(little.view()).count == 0
    made = little.plan()
    assert reasons(made) == {("event_gone", True)}
    assert len(made.actions) == 3


def test_a_row_that_shows_no_marker_is_read_where_it_may_become_a_block() -> None:
    little = small()
    little.full = False
    little.events = {
        "new": event("new", private=True, unread=True),
        "instance": instance("s9", span(), private=True, unread=True),
        "master": event("master", is_master=True, unread=True),
    }
    view = little.view()
    assert questions(view).calendar_events == {"primary": ("new",)}
    assert questions(view).series == {"primary": ("master", "s9")}


def test_a_mirror_of_which_instances_are_listed_is_asked_for_itself() -> None:
    """Somebody has made it a series (simulation, seed 148): lists then show its instances only."""
    little = small()
    little.full = False
    mirror = little.mirror("a1").mirror_id
    little.events = {"n": instance(mirror, span(24), span(24), marker="ours")}
    assert questions(little.view()).calendar_events == {"primary": (mirror,)}
    assert questions(little.view()).series == {}
    assert little.plan().actions == ()


def test_removed_is_believed_only_together_with_not_found() -> None:
    """A list that also says so of what has left its window: a GET tells which of both it was."""
    little = small()
    little.full = False
    mirror = little.mirror("a1").mirror_id
    little.events = {key: Removed(key) for key in ("x1", mirror, "never")}
    assert questions(little.view()).calendar_events == {"primary": tuple(sorted(("x1", mirror)))}
    assert not isinstance(little.view().calendars[0].events[mirror], Tombstone)
    little.gone.update({"x1", mirror})
    assert questions(little.view()).count == 0
    assert little.view().calendars[0].events[mirror] == Tombstone(mirror)
    assert reasons(little.plan()) == {
        ("deleted_by_hand", False),
        ("event_deleted", False),
    }


def test_a_touched_instance_has_its_whole_series_read() -> None:
    little = small()
    little.full = False
    little.events = {"n": instance("s1", span(48), span(50))}
    assert questions(little.view()).series == {"primary": ("s1",)}
    little.series["s1"] = SeriesSet(())
    assert questions(little.view()).series == {}


def test_so_does_a_tombstone_that_names_only_the_instance_or_the_series() -> None:
    little = small()
    little.full = False
    first = min(link.event_id for link in little.view().live(BlockLink) if link.source.id == "s1")
    for key in (first, "s1"):
        little.events = {key: Tombstone(key)}
        assert questions(little.view()).series == {"primary": ("s1",)}


def test_a_new_master_has_its_instances_read() -> None:
    little = Little(full=False).add(event("s9", is_master=True))
    assert questions(little.view()).series == {"primary": ("s9",)}


def test_single_events_and_mirrors_need_no_series() -> None:
    little = small()
    little.full = False
    mirror = little.events[little.mirror("a1").mirror_id]
    little.events = {"x7": event("x7"), mirror.id: mirror}
    assert questions(little.view()).count == 0


def test_questions_come_to_an_end() -> None:
    little = small()
    little.appointments.clear()
    little.blocks.clear()
    little.events.clear()
    for _ in range(3):
        asked = questions(little.view())
        little.absent.update(asked.welkin_events)
        for ids in asked.calendar_events.values():
            little.gone.update(ids)
        for ids in asked.series.values():
            little.series.update({key: SeriesSet(()) for key in ids})
    assert questions(little.view()).count == 0


def test_an_interrupted_block_is_asked_for_and_one_beyond_the_window_is_not() -> None:
    little = Little().add(event("x1", span(30)), event("x2", span(40)))
    little.settle()
    little.events.clear()
    little.change(little.link("x1"), state=LinkState.INTENT)
    little.change(little.link("x2"), span=span(24 * 200))
    assert questions(little.view()).calendar_events == {"primary": ("x1",)}


def test_a_mirror_beyond_what_was_listed_is_not_missed() -> None:
    little = Little().add(appointment("a1"))
    little.settle()
    little.events.clear()
    little.change(little.link("a1"), span=span(24 * 500))
    assert "primary" not in questions(little.view()).calendar_events
