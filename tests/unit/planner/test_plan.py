"""The plan as a whole: order, deletion guard, and what must hold for any pair of sides."""

from collections import Counter
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, given
from hypothesis import settings as budget
from hypothesis import strategies as st

from calendar_sync.core.model import (
    Availability,
    CalendarEvent,
    CalendarWrite,
    Direction,
    LinkState,
    Step,
    WelkinWrite,
)
from calendar_sync.planner import blocks_time, questions
from calendar_sync.planner.mirrors import judge
from calendar_sync.planner.plan import digest_of
from tests.unit.planner.views import (
    HOUR,
    ME,
    NOW,
    ZONE,
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
)  # fmt: skip

# --- order and deletion guard ---------------------------------------------------------------------


def test_rows_then_removals_then_the_nearest_dates() -> None:
    little = Little().add(*[appointment(f"a{hours}", span(hours)) for hours in (30, 90, -20)])
    little.run()
    little.add(appointment("a30", span(30), status="OPEN"), appointment("a90", cancelled=True))
    little.add(appointment("b1", span(70)), appointment("b2", span(5)), event("x", span(9)))
    little.add(appointment("b3", span(-3)))
    made = little.plan()
    assert [action.source.id for action in made.actions] == ["a30", "a90", "b3", "b2", "x", "b1"]


def house(count: int = 20) -> Little:
    little = Little().add(*[appointment(f"a{n:02}", span(24 + n)) for n in range(count)])
    little.run()
    return little


def vanish(little: Little, count: int) -> None:
    for n in range(count):
        little.appointments.pop(f"a{n:02}", None)
        little.absent.add(f"a{n:02}")


def test_ten_may_vanish_and_eleven_may_not() -> None:
    little = house()
    vanish(little, 10)
    assert len(little.plan().actions) == 10
    assert little.plan().held == ()
    vanish(little, 11)
    made = little.plan()
    assert (len(made.actions), len(made.held)) == (0, 11)
    [hold] = made.holds
    assert (hold.reason, hold.digest) == (
        "brake",
        digest_of((action.step, action.source) for action in made.held),
    )


def test_a_fifth_of_many_may_vanish() -> None:
    little = house(80)
    vanish(little, 16)
    assert little.plan().held == ()
    vanish(little, 17)
    assert len(little.plan().held) == 17


def test_a_series_that_was_asked_for_by_name_counts_once() -> None:
    little = Little().add(*[instance("s1", span(24 * day)) for day in range(1, 31)])
    little.run()
    little.events.clear()
    little.gone |= {link.event_id for link in little.view().block_links.values()}
    assert len(little.plan().held) == 30, "each may be missing for a reason of its own"
    little.gone.add("s1")
    made = little.plan()
    assert (len(made.actions), len(made.held)) == (30, 0)


def test_other_work_goes_on_while_removals_are_held() -> None:
    little = house()
    vanish(little, 15)
    little.add(appointment("new"), appointment("a19", span(43), cancelled=True), event())
    made = little.plan()
    assert Counter(action.step for action in made.actions) == {
        Step.CREATE_MIRROR: 1, Step.DELETE_MIRROR: 1, Step.CREATE_BLOCK: 1,
    }  # fmt: skip


def test_an_approval_is_good_for_exactly_what_it_names() -> None:
    little = house()
    vanish(little, 15)
    little.approved = frozenset({little.plan().holds[0].digest})
    assert len(little.plan().actions) == 15
    vanish(little, 16)
    assert len(little.plan().held) == 16
    little.approved = frozenset({"something else"})
    assert len(little.plan().held) == 16


def test_the_digest_does_not_depend_on_order_or_time() -> None:
    little = house()
    vanish(little, 15)
    first = little.plan()
    little.links = dict(reversed(little.links.items()))
    little.now += HOUR
    assert little.plan().holds[0].digest == first.holds[0].digest


def test_series_that_count_once_are_compared_with_series_that_count_once() -> None:
    """A mailbox that denies everything: eleven courses of thirty are not a few of many."""
    little = Little()
    for n in range(11):
        little.add(*[instance(f"s{n}", span(24 * day + n)) for day in range(1, 31)])
    little.run()
    little.events.clear()
    little.gone |= {link.event_id for link in little.view().block_links.values()}
    little.gone |= {link.source.id for link in little.links.values()}
    made = little.plan()
    assert (len(made.actions), len(made.held)) == (0, 330)


def test_both_sides_count_together_for_the_deletion_guard() -> None:
    little = house(6)
    for n in range(6):
        little.add(event(f"x{n}", span(100 + n)))
    little.run()
    vanish(little, 6)
    for n in range(6):
        del little.events[f"x{n}"]
        little.gone.add(f"x{n}")
    assert len(little.plan().held) == 12


# --- what must hold for anything ------------------------------------------------------------------

hours = st.one_of(
    st.integers(-60, 24 * 10), st.sampled_from([-24 * 31, 24 * 119, 24 * 364, 24 * 380])
)
spans = st.one_of(
    st.builds(span, hours, st.sampled_from([0.5, 1, 1, 30, 0])),
    st.builds(days, st.integers(-40, 130), st.integers(0, 3)),
)
keys = st.sampled_from(["a1", "a2", "a3", "a4"])
appointments = st.builds(
    appointment,
    keys,
    spans,
    users=st.sampled_from([(ME,), ("other",), (ME, "other")]),
    kind=st.sampled_from(["ENCOUNTER", "APPOINTMENT", "GROUP_THERAPY"]),
    template=st.sampled_from(["etmp-a", "etmp-b", None]),
    status=st.sampled_from(["DRAFT", "OPEN", "CANCELLED"]),
    known=st.booleans(),
    cancelled=st.sampled_from([False, False, True]),
)
singles = st.builds(
    event,
    st.sampled_from(["x1", "x2", "x3", "s1"]),
    spans,
    availability=st.sampled_from([*Availability, Availability.BUSY]),
    declined=st.sampled_from([False, False, True]),
)
tombstones = singles.map(tombstone)
instances = st.builds(
    lambda series, number, shift, free: instance(
        series,
        span(24 * number),
        span(24 * number + shift),
        availability=Availability.FREE if free else Availability.BUSY,
    ),
    st.sampled_from(["s1", "s2"]),
    st.integers(-2, 8),
    st.sampled_from([0, 0, 2, 26]),
    st.sampled_from([False, False, True]),
)
edits = st.one_of(
    st.tuples(st.just("put"), st.one_of(appointments, singles, singles, tombstones, instances)),
    st.tuples(st.just("vanish"), st.integers(0, 50)),
    st.tuples(st.just("forget"), st.integers(0, 50)),
    st.tuples(st.just("hand"), st.integers(0, 50), st.booleans()),
    st.tuples(
        st.just("block"), st.integers(0, 50), st.sampled_from(["absent", "cancelled", "moved"])
    ),
    st.tuples(st.just("wait"), st.sampled_from([1, 30, 24 * 9, 24 * 35])),
    st.tuples(st.just("interrupt"), st.integers(0, 50)),
    st.tuples(st.just("direction"), st.sampled_from(list(Direction))),
)
documents = st.fixed_dictionaries(
    {},
    optional={
        "mirror_moved": st.sampled_from(["restore", "reschedule", "report"]),
        "mirror_deleted": st.sampled_from(["restore", "cancel", "report"]),
        "both_changed": st.sampled_from(["welkin_wins", "report"]),
        "encounter_types": st.sampled_from([{"exclude": ["etmp-b"]}, {"unknown_type": "include"}]),
        "block_time": st.sampled_from(
            [{"tentative": True}, {"block_edited": "accept"}, {"all_day": "ignore"},
             {"instances_per_series": 2}, {"duplicates": "block"}, {"enabled": False}]
        ),
    },
)  # fmt: skip
stories = st.lists(st.lists(edits, min_size=1, max_size=5), min_size=1, max_size=5)
ample = budget(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def happen(little: Little, edit: tuple[Any, ...]) -> None:
    kind, *rest = edit
    if kind == "put":
        [item] = rest
        little.absent.discard(item.id)
        little.gone.discard(item.id)
        series = getattr(item, "series_id", None)
        # An event is a single one or a series, never both.
        for key, other in list(little.events.items()):
            if key == series or (series is None and other.series_id == item.id):
                del little.events[key]
                little.gone.add(key)
        little.add(item)
    elif kind == "vanish" and little.appointments:
        key = pick(little.appointments, rest[0])
        del little.appointments[key]
        little.absent.add(key)
    elif kind == "forget":
        own = [k for k in little.events if k not in mirrors(little)]
        if own:
            key = pick(own, rest[0])
            del little.events[key]
            little.gone.add(key)
    elif kind == "hand" and mirrors(little):
        key = pick(mirrors(little), rest[0])
        found = little.events[key]
        moved = replace(found, span=span(77)) if isinstance(found, CalendarEvent) else found
        little.events[key] = moved if rest[1] else tombstone(found)
    elif kind == "block" and little.blocks:
        key = pick(little.blocks, rest[0])
        seen = little.blocks[key]
        if rest[1] == "absent":
            del little.blocks[key]
            little.absent.add(key)
        elif rest[1] == "cancelled":
            little.blocks[key] = replace(seen, cancelled=True, hash="cancelled")
        else:
            little.blocks[key] = replace(seen, span=span(99), hash=seen_hash(span(99)))
    elif kind == "wait":
        little.now += rest[0] * HOUR
    elif kind == "interrupt" and little.links:
        link = little.links[pick(little.links, rest[0])]
        if link.state is LinkState.DELETED:
            little.change(link, state=LinkState.INTENT)
    elif kind == "direction":
        little.direction = rest[0]


def pick(found: Any, number: int) -> Any:
    return sorted(found)[number % len(found)]


def mirrors(little: Little) -> list[str]:
    ids = little.view().mirror_ids
    return [key for key in little.events if key in ids]


def answered(little: Little) -> None:
    """A cycle asks until nothing is open: here everything that is asked for is missing."""
    asked = questions(little.view())
    little.absent.update(asked.welkin_events)
    for ids in asked.calendar_events.values():
        little.gone.update(ids)


@ample
@given(documents, stories)
def test_carried_out_a_plan_leaves_nothing_to_plan(document: dict[str, Any], story: Any) -> None:
    little = Little(settings(**document, deletion_guard={"max_share": 1.0, "max_deletions": 1000}))
    for chapter in story:
        for edit in chapter:
            happen(little, edit)
        answered(little)
        made = little.plan()
        assert made == little.plan()
        check_plan(little, made)
        for action in made.actions:
            little.carry_out(action)
        answered(little)
        again = little.plan()
        assert steps(again) == []
        check_sides(little)


def check_plan(little: Little, made: Any) -> None:
    sources = Counter(
        (action.step in {Step.CREATE_MIRROR}, action.source)
        for action in made.actions
        if action.step in {Step.CREATE_MIRROR, Step.CREATE_BLOCK}
    )
    assert all(count == 1 for count in sources.values())
    touched = Counter(action.link.id for action in made.actions if action.link is not None)
    assert all(count == 1 for count in touched.values())
    if not little.direction.writes_welkin:
        assert not any(isinstance(action, WelkinWrite) for action in made.actions)
    if not little.direction.writes_calendar:
        assert not any(isinstance(action, CalendarWrite) for action in made.actions)


def check_sides(little: Little) -> None:
    """Exactly what is wanted stands on either side, but for what was dismissed or is history."""
    view = little.view()
    if little.direction.writes_welkin:
        links = view.block_links.values()
        quiet = {link.source for link in links if link.state is LinkState.DISMISSED}
        accepted = little.rules.block_time.block_edited == "accept"
        wanted = Counter(
            found.source.id
            for found in little.events.values()
            if isinstance(found, CalendarEvent)
            and blocks_time(found, little.rules.block_time, ZONE)
            and found.span.overlaps(view.block_window, ZONE)
            and view.is_external(found, view.calendars[0])
            and found.source not in quiet
        )
        most = little.rules.block_time.instances_per_series
        live = Counter(link.source.id for link in links if link.state is LinkState.LIVE)
        for key, count in wanted.items():
            assert live[key] == min(count, most) or accepted or quiet, (key, count, live)
    if little.direction.writes_calendar:
        for key, found in little.appointments.items():
            if judge(view, little.rules, found) is None:
                [link] = [k for k in little.links.values() if k.source.id == key]
                assert link.state in {LinkState.LIVE, LinkState.DISMISSED}
    assert little.now >= NOW
