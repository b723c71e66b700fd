"""The rules of docs/rules.md, one test each, in their order: the shortest story that shows it.

The many cases of each rule have files of their own beside this one.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from calendar_sync.core.model import Direction, LinkState, Platform
from calendar_sync.operations.approvals import grant
from tests.engine.cycle.stage import HOUR, Both, Stage, mail

Make = Callable[..., Stage]
SELF = mail("dana")


def test_rule_1_an_appointment_has_one_mirror_for_each_participant_until_cancelled(
    stage: Make,
) -> None:
    s = stage("dana", "ruben")
    visit = s.visit(extra_user_ids=[s.ids["ruben"]])
    s.run()
    assert s.mirror_times("dana") == s.mirror_times("ruben") == [(s.at(1, 9), s.at(1, 10))]
    s.welkin.cancel_encounter(visit.id)
    s.later()
    assert s.mirrors("dana") == s.mirrors("ruben") == []
    s.welkin.uncancel_encounter(visit.id)
    s.later()
    assert [link.generation for link in s.links()] == [2]


def test_rule_2_a_change_is_made_in_place_and_a_missing_id_is_asked_for(stage: Make) -> None:
    s = stage()
    visit = s.visit()
    s.run()
    [mirror] = s.mirrors()
    s.move(visit.event_id, 2, 11)
    s.later()
    assert [found["id"] for found in s.mirrors()] == [mirror["id"]]
    event_id, before = visit.event_id, s.position
    s.welkin.delete_event(event_id)
    s.later()
    assert s.asked("welkin.events.get", before) == 1
    assert s.mirrors() == []


def test_rule_2a_a_mirror_behind_the_window_is_retired_and_stays(stage: Make) -> None:
    s = stage()
    s.visit(days=-29)
    s.run()
    s.later(hours=49)
    assert [link.state for link in s.links()] == [LinkState.RETIRED]
    assert len(s.mirrors()) == 1


def test_rule_2b_a_new_account_gets_nothing_before_the_old_one_is_clear(stage: Make) -> None:
    s = stage()
    s.google.add_account("new@example.org")
    s.visit()
    s.run()
    s.remap(dana={"account": "new@example.org"})
    before = s.position
    s.later()
    assert s.wrote(before) == ["google.events.delete 204", "google.events.insert 200"]
    assert s.google.mirrors_of(SELF) == []
    assert len(s.google.mirrors_of("new@example.org")) == 1


def test_rule_3_the_filter_goes_by_template_and_waits_while_it_is_not_known(stage: Make) -> None:
    s = stage(settings={"encounter_types": {"include": ["etmp-*"], "exclude": ["*-initial-*"]}})
    s.visit(days=1)
    s.visit(days=2, template="etmp-initial-consultation")
    s.meeting(days=3)
    s.run()
    assert s.mirror_times() == [(s.at(1, 9), s.at(1, 10))]


def test_rule_4_mirrors_are_private_busy_without_guests_and_silent(stage: Make) -> None:
    s = stage()
    s.visit()
    s.run()
    [mirror] = s.mirrors()
    assert (mirror["visibility"], mirror["summary"]) == ("private", "Busy")
    assert mirror.get("transparency", "opaque") == "opaque"
    assert "attendees" not in mirror
    assert mirror["start"]["timeZone"] == "US/Eastern"
    assert s.sandbox.requests.mail_risk == []


def test_rule_5_busy_is_what_takes_the_users_time(stage: Make) -> None:
    s = stage()
    s.busy(days=1)
    s.busy(days=2, transparency="transparent")
    s.busy(days=3, status="tentative")
    s.google.decline(SELF, s.busy(days=4, attendees=[{"email": SELF}]))
    s.run()
    assert s.block_times() == [(s.at(1, 14), s.at(1, 15))]


def test_rule_6_a_series_is_compared_as_a_set_and_paired_in_time_order(stage: Make) -> None:
    s = stage()
    series = s.series()
    s.run()
    before = s.position
    s.google.move_event(SELF, series, s.at(1, 16), s.at(1, 17))
    s.later()
    assert s.block_times() == [(s.at(day, 16), s.at(day, 17)) for day in range(1, 6)]
    assert s.wrote(before) == ["welkin.events.patch 200"] * 5


def test_rule_4a_a_mirror_may_keep_time_around_its_visit(stage: Make) -> None:
    minutes = {"before_minutes": 15, "after_minutes": 10}
    s = stage(settings={"mirror_content": {"buffers": {"types": {"APPOINTMENT": minutes}}}})
    s.meeting()
    s.run()
    [mirror] = s.mirrors()
    assert s.mirror_times() == [(s.at(1, 8, 45), s.at(1, 10, 10))]
    assert mirror["summary"] == "Busy (09:00\N{EN DASH}10:00)"


def test_rule_7_a_block_follows_its_event_and_tells_only_its_time(stage: Make) -> None:
    s = stage()
    event = s.busy(summary="Chemotherapy", location="Clinic")
    s.run()
    [block] = s.blocks()
    assert (block.type, block.title, block.additional_info) == ("LEAVE", "Busy", None)
    s.google.move_event(SELF, event, s.at(2, 8), s.at(2, 9))
    s.later()
    assert [(b.id, b.start) for b in s.blocks()] == [(block.id, s.at(2, 8))]
    s.google.delete_event(SELF, event)
    s.later()
    assert s.blocks() == []


def test_rule_7a_buffers_around_an_event_block_too(stage: Make) -> None:
    minutes = {"before_minutes": 15, "after_minutes": 15}
    s = stage(settings={"block_time": {"buffers": {"with_place": minutes}}})
    s.busy(days=1, location="Clinic")
    s.busy(days=2)
    s.run()
    quarter = timedelta(minutes=15)
    assert s.block_times() == [
        (s.at(1, 14) - quarter, s.at(1, 15) + quarter),
        (s.at(2, 14), s.at(2, 15)),
    ]


def test_rule_7b_a_meeting_in_both_calendars_has_one_block() -> None:
    s = Both(platform=Platform.MICROSOFT)
    start, uid = s.at(1, 14), "board@google.com"
    s.google.add_event(SELF, start=start, end=start + HOUR, iCalUID=uid)
    s.microsoft.add_event(SELF, start=start, end=start + HOUR, iCalUId=uid)
    s.both(2)
    assert s.block_times() == [(start, start + HOUR)]


def test_rule_8_all_day_events_are_dates_in_the_users_zone(stage: Make) -> None:
    s = stage(zone="US/Pacific")
    s.google.add_event(SELF, start=s.day(3), end=s.day(5), summary="Away")
    s.run()
    [block] = s.blocks()
    midnight = timedelta(hours=8)  # of the west coast in winter; the clocks change on day 6
    first = datetime(2026, 3, 5, tzinfo=UTC)
    assert (block.start, block.end, block.all_day) == (
        first + midnight, first + timedelta(days=2) + midnight, True,
    )  # fmt: skip


def test_rule_8a_named_calendars_count_as_busy_and_take_the_mirrors(stage: Make) -> None:
    s = stage()
    team = s.google.add_calendar(SELF, "Team").id
    s.document = {"calendars": {"google": {"busy": ["primary", team], "mirrors": team}}}
    s.google.add_event(SELF, calendar=team, start=s.at(1, 14), end=s.at(1, 15), summary="Huddle")
    s.busy(days=2)
    s.visit(days=3)
    s.run()
    assert len(s.blocks()) == 2
    assert [link.calendar for link in s.links() if link.kind == "mirror"] == [team]


def test_rule_8b_a_block_edited_in_welkin_is_put_back_and_shown(stage: Make) -> None:
    s = stage()
    s.busy()
    s.run()
    [block] = s.blocks()
    s.welkin.move_event(block.id, s.at(5, 9), s.at(5, 10))
    s.later(again=2)
    assert s.block_times() == [(s.at(1, 14), s.at(1, 15))]
    assert s.conflicts() == [("block_edited", "restored")]


def test_rule_8c_a_visit_over_busy_time_is_listed_while_it_lasts(stage: Make) -> None:
    s = stage()
    event = s.calendar.plan(SELF, s.at(1, 9, 30), s.at(1, 10, 30), "Dentist")
    s.visit(days=1, hour=9)
    s.run()
    assert s.conflicts() == [("visit_over_busy", "listed")]
    s.calendar.delete_event(SELF, event)
    s.later()
    assert s.conflicts() == []


def test_rule_9_a_moved_mirror_is_put_back_or_reschedules_or_is_reported(stage: Make) -> None:
    ends = {"restore": (1, 1), "reschedule": (3, 3), "report": (3, 1)}
    for policy, (mirror_day, appointment_day) in ends.items():
        s = stage(settings={"mirror_moved": policy})
        meeting = s.meeting()
        s.run()
        [mirror] = s.mirrors()
        s.google.move_event(SELF, mirror["id"], s.at(3, 9), s.at(3, 10))
        s.later()
        assert s.mirror_times() == [(s.at(mirror_day, 9), s.at(mirror_day, 10))]
        assert s.welkin.events[meeting.id].start == s.at(appointment_day, 9)
        assert len(s.conflicts()) == 1


def test_rule_10_a_deleted_mirror_comes_back_or_cancels_or_is_reported(stage: Make) -> None:
    for policy, (mirrors, cancelled) in {
        "restore": (1, False), "cancel": (0, True), "report": (0, False),
    }.items():  # fmt: skip
        s = stage(settings={"mirror_deleted": policy})
        meeting = s.meeting()
        s.run()
        s.google.delete_event(SELF, s.mirrors()[0]["id"])
        s.later()
        assert len(s.mirrors()) == mirrors
        assert s.welkin.events[meeting.id].cancelled is cancelled
        assert len(s.conflicts()) == 1


def test_rule_11_changed_on_both_sides_welkin_wins_and_it_is_shown(stage: Make) -> None:
    s = stage()
    visit = s.visit()
    s.run()
    s.google.move_event(SELF, s.mirrors()[0]["id"], s.at(3, 9), s.at(3, 10))
    s.move(visit.event_id, 2, 9)
    s.later()
    assert s.mirror_times() == [(s.at(2, 9), s.at(2, 10))]
    assert s.conflicts() == [("both_changed", "welkin_wins")]


@pytest.mark.parametrize("direction", [Direction.WELKIN_TO_CALENDAR, Direction.CALENDAR_TO_WELKIN])
def test_rule_12_one_way_the_source_side_is_never_written(
    stage: Make, direction: Direction
) -> None:
    s = stage(settings={"direction": {"google": direction.value}})
    s.visit()
    s.busy()
    s.run()
    source = "welkin" if direction is Direction.WELKIN_TO_CALENDAR else "google"
    assert s.wrote(service=source) == []
    assert len(s.wrote()) == 1


def test_rule_13_many_removals_on_absence_alone_wait_for_approval(stage: Make) -> None:
    s = stage()
    visits = [s.visit(days=1 + number).event_id for number in range(12)]
    s.run()
    for event_id in visits:
        s.welkin.delete_event(event_id)
    s.later()
    assert len(s.mirrors()) == 12
    [waiting] = s.store.runs.pending()
    grant(s.store, waiting.digest, "an admin", s.clock.now())
    s.run(full=True)
    assert s.mirrors() == []


def test_rule_14_many_accounts_failing_at_once_stop_the_platform(stage: Make) -> None:
    s = stage(*[f"staff{number:02}" for number in range(10)])
    s.run()
    s.later()
    for number in range(4):
        s.google.revoke(mail(f"staff{number:02}"))
    s.visit("staff09")
    assert s.later().fault == "many_accounts_failing"
    assert s.mirrors("staff09") == []
    assert s.store.runs.fault(Platform.GOOGLE) is not None


def test_rule_15_one_bad_item_stops_no_other_and_one_user_no_other(stage: Make) -> None:
    s = stage("dana", "ruben")
    bad = s.visit("dana", days=1)
    s.visit("dana", days=2)
    s.visit("ruben")
    s.run()
    s.welkin.move_event(bad.event_id, s.at(4, 9), s.at(4, 9) + HOUR)
    mirror = next(link for link in s.links() if link.source.id == bad.event_id).mirror_id
    s.fault("google", "status", "PATCH", mirror, code=400, times=None)
    s.later(again=4)
    assert len(s.mirrors("dana")) == 2
    assert len(s.mirrors("ruben")) == 1
    assert s.state("dana").failures == 0
    assert s.store.items.parked(s.ids["dana"], Platform.GOOGLE, s.clock.now())
