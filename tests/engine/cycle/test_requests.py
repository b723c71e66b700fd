"""What the sync asks: idle polls, no echo, bounded requests, paging, tokens."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import event

from calendar_sync.config.pace import Limits
from calendar_sync.config.settings import Settings
from calendar_sync.core.model import Direction, Platform
from calendar_sync.state.config import Revision, blocks_hash
from calendar_sync.sync.noticing.find import _pack
from calendar_sync_sandbox.requestlog import Entry
from tests.engine.cycle.stage import Stage, mail

Make = Callable[..., Stage]
SELF = mail("dana")


def since(s: Stage, position: int, service: str) -> list[Entry]:
    return [e for e in s.sandbox.requests.since(position) if e.service == service]


def test_an_idle_pass_asks_each_account_once_and_welkin_six_times_at_most(stage: Make) -> None:
    s = stage("dana", "ruben", "mira")
    for name in s.ids:
        s.visit(name)
        s.busy(name)
    s.run()
    s.later(again=3)
    for _ in range(5):
        before = s.position
        result = s.later(minutes=1)
        assert result.outcomes == {}
        asked = sorted(str(e.user) for e in since(s, before, "google"))
        assert asked == sorted(mail(name) for name in s.ids)
        assert len(since(s, before, "welkin")) <= 6


def test_an_account_is_not_polled_before_its_interval(stage: Make) -> None:
    s = stage(settings={"polling": {"interval_seconds": 600}})
    s.run()
    s.run()
    before = s.position
    s.later(again=4, minutes=1)
    assert since(s, before, "google") == []
    s.later(minutes=10)
    assert len(since(s, before, "google")) == 1


def test_polls_keep_to_a_share_of_the_daily_quota(stage: Make) -> None:
    s = stage("dana", "ruben", settings={"limits": {"google_requests_per_day": 1000}})
    s.run()
    s.later(minutes=10)
    before = s.position
    for _ in range(60):
        s.later(minutes=5)
    polls = [e for e in since(s, before, "google") if e.kind == "google.events.list"]
    assert len(polls) <= 0.6 * 1000 * 5 / 24


@pytest.mark.parametrize("platform", Platform)
def test_passes_of_several_processes_keep_to_the_rate_of_a_minute(
    stage: Make, platform: Platform
) -> None:
    rate = {f"{platform}_requests_per_minute": 30, "max_cycle_seconds": 3600}
    s = stage("dana", "ruben", "mira", platform=platform, settings={"limits": rate})
    for number in range(4 * 5 * 3):
        s.visit(list(s.ids)[number % 3], days=1 + number // 20, hour=8 + number % 9)
    s.later(again=3, seconds=1)
    asked = [e.at for e in since(s, 0, platform) if not e.kind.endswith(("token", "discovery"))]
    assert len(asked) > 60
    for moment in asked:
        assert sum(moment <= other < moment + timedelta(minutes=1) for other in asked) <= 30


@pytest.mark.parametrize("change", ["visit", "busy", "both"])
def test_one_change_costs_one_window_read_also_ten_minutes_later(stage: Make, change: str) -> None:
    s = stage()
    s.run()
    s.later(again=3)
    before = s.position
    if change != "busy":
        s.visit(hour=9)
    if change != "visit":
        s.busy(hour=12)
    writes = {"visit": 1, "busy": 1, "both": 2}[change]
    s.later(again=12, minutes=1)
    assert len(s.sandbox.requests.writes(since=before)) == writes
    window = [e for e in since(s, before, "welkin") if e.kind == "welkin.events.list"]
    pages = {(e.query["from"], e.query["page"]) for e in window}
    assert len(window) == len(pages)
    s.clock.advance(minutes=10)
    before = s.position
    s.run()
    assert [e.kind for e in since(s, before, "google")] == ["google.events.list"]
    assert s.asked("welkin.events.list", before) == 0


@pytest.mark.parametrize("what", ["move", "cancel", "delete"])
def test_our_own_updates_and_removals_cause_no_further_cycle(stage: Make, what: str) -> None:
    s = stage()
    visit, event = s.visit(), s.busy()
    s.run()
    s.later(again=2)
    if what == "move":
        s.move(visit.event_id, 2, 9)
        s.google.move_event(SELF, event, s.at(2, 14), s.at(2, 15))
    elif what == "cancel":
        s.welkin.cancel_event(visit.event_id)
        s.google.patch_event(SELF, event, transparency="transparent")
    else:
        s.welkin.delete_event(visit.event_id)
        s.google.delete_event(SELF, event)
    s.later(minutes=2)
    s.later(minutes=2)
    before = s.position
    s.later(again=10, minutes=1)
    s.later(minutes=10)
    assert s.asked("welkin.events.list", before) == 0
    assert s.wrote(before) == []


def test_a_change_costs_no_more_requests_than_it_must(stage: Make) -> None:
    s = stage()
    for hour in range(8, 18):
        s.visit(days=1, hour=hour)
    series = s.series(rule="FREQ=DAILY;COUNT=20")
    s.run()
    s.later(again=2)
    before = s.position
    s.visit(days=2)
    s.busy(days=2, hour=16)
    s.google.move_instance(SELF, series, s.at(3, 14), s.at(3, 17), s.at(3, 18))
    s.later(minutes=2)
    asked = len(s.sandbox.requests) - before
    feeds = 3 + 1 + 3  # feeds and poll before, feeds after
    window = 7  # of ninety days each
    assert asked <= feeds + window + 1 + 3 * 3 + 1


def test_the_daily_full_comparison_finds_what_no_feed_reported(stage: Make) -> None:
    s = stage()
    visit = s.visit(days=20)
    s.run()
    del s.welkin.events[visit.event_id]
    s.welkin.event_journal.pop(visit.event_id)
    s.welkin.by_participant[s.ids["dana"]].pop(visit.event_id)
    s.welkin.by_participant[visit.patient_id].pop(visit.event_id)
    s.later(again=3)
    assert len(s.mirrors()) == 1
    s.later(hours=29)
    assert s.mirrors() == []


def test_full_comparisons_are_spread_over_the_day(stage: Make) -> None:
    s = stage(*[f"p{number}" for number in range(8)])
    s.run()
    due = sorted(s.state(name).next_full_at for name in s.ids)  # type: ignore[type-var]
    assert all(moment is not None for moment in due)
    assert (due[-1] - due[0]).total_seconds() > 3600  # type: ignore[operator]


def test_deletions_are_found_without_the_audit_within_ten_minutes(stage: Make) -> None:
    s = stage("dana", "ruben")
    s.welkin.audit_enabled = False
    visit = s.visit("dana", days=3)
    s.visit("ruben", days=3)
    s.run()
    assert s.store.runs.facts("welkin")["deletions_from"] == "sweep"
    s.welkin.delete_event(visit.event_id)
    for _ in range(10):
        s.later(minutes=1)
    assert s.mirrors("dana") == []
    assert len(s.mirrors("ruben")) == 1
    s.welkin.audit_enabled = True
    s.later()
    assert s.store.runs.facts("welkin")["deletions_from"] == "audit"


def test_deletions_of_blocks_are_found_by_the_sweep_too(stage: Make) -> None:
    s = stage()
    s.welkin.audit_enabled = False
    s.busy(days=2)
    s.run()
    [block] = s.blocks()
    s.welkin.delete_event(block.id)
    for _ in range(10):
        s.later(minutes=1)
    assert len(s.blocks()) == 1


def test_the_sweep_does_not_mark_anybody_without_reason(stage: Make) -> None:
    s = stage("dana")
    s.welkin.audit_enabled = False
    s.visit(days=2)
    s.busy(days=3)
    s.run()
    s.later(again=2)
    before = s.position
    for _ in range(5):
        assert s.later(minutes=1).outcomes == {}
    assert len(since(s, before, "welkin")) <= 6 * 5


def test_an_export_that_lags_by_minutes_loses_nothing(stage: Make) -> None:
    s = stage()
    s.run()
    s.welkin.lag_seconds = 120.0
    s.visit()
    for _ in range(6):
        s.later(minutes=1)
    assert len(s.mirrors()) == 1


def test_a_calendar_that_lags_by_seconds_gets_no_second_mirror(stage: Make) -> None:
    s = stage()
    visit = s.visit()
    s.busy()
    s.google.lag_seconds = 30.0
    s.run()
    s.later(again=5, seconds=20)
    assert len(s.mirrors()) == 1
    s.move(visit.event_id, 2, 9)
    s.later(again=5, seconds=20)
    assert s.mirror_times() == [(s.at(2, 9), s.at(2, 10))]
    s.google.lag_seconds = 0.0
    s.in_step()
    assert s.conflicts() == []


def test_the_token_of_welkin_is_fetched_once_an_hour(stage: Make) -> None:
    s = stage("dana", "ruben", "mira")
    for name in s.ids:
        s.visit(name)
    s.run()
    s.later(again=20)
    assert s.asked("welkin.token") == 1
    s.later(minutes=60)
    assert s.asked("welkin.token") == 2


def test_the_token_of_an_account_is_fetched_once_an_hour(stage: Make) -> None:
    s = stage("dana", "ruben")
    s.visit()
    s.busy()
    s.run()
    s.later(again=20)
    assert s.asked("google.token") == 2


def test_more_than_a_page_of_appointments_is_read_completely(stage: Make) -> None:
    s = stage(settings={"limits": {"max_cycle_writes": 1000, "max_cycle_seconds": 1000}})
    for number in range(230):
        start = s.at(1 + number // 20, 6)
        length = s.at(1, 6, 30) - s.at(1, 6)
        begin = start + length * (number % 20)
        s.welkin.book_event(s.ids["dana"], begin, begin + length)
    s.run()
    assert len(s.mirrors()) == 230
    s.in_step()


def test_nothing_could_have_sent_mail(stage: Make) -> None:
    s = stage()
    visit, event = s.visit(), s.busy(attendees=[{"email": "friend@partner.example"}])
    s.run()
    s.move(visit.event_id, 2, 9)
    s.google.move_event(SELF, event, s.at(3, 9), s.at(3, 10))
    s.later()
    s.welkin.cancel_event(visit.event_id)
    s.later()
    assert len(s.sandbox.requests.writes("google")) == 3
    assert s.sandbox.requests.mail_risk == []
    assert all(e.query.get("sendUpdates") == "none" for e in s.sandbox.requests.writes("google"))


@pytest.mark.parametrize(
    ("users", "most", "slots", "tasks", "largest"),
    [
        (0, 0, 16, 0, 0),
        (1, 0, 16, 1, 1),
        (16, 0, 16, 16, 1),
        (17, 0, 16, 16, 2),
        (31, 0, 2, 2, 16),
        (31, 0, 8, 8, 4),
        (31, 0, 32, 31, 1),
        (256, 0, 16, 16, 16),
        (257, 0, 16, 17, 16),
        (10_000, 0, 16, 625, 16),
        (20_000, 0, 16, 1000, 20),
        (2000, 0, 5000, 1000, 2),
        (31, 200, 2, 31, 1),
        (201, 200, 2, 200, 2),
        (5000, 2, 16, 2, 2500),
    ],
)
def test_changed_users_become_as_many_tasks_as_run_at_the_same_time(
    users: int, most: int, slots: int, tasks: int, largest: int
) -> None:
    names = [f"user-{number:05}" for number in range(users)]
    settings = Settings(limits=Limits(max_user_tasks=most))
    groups = _pack(names, Revision(1, settings, blocks_hash(settings)), slots)
    assert len(groups) == tasks
    assert max(map(len, groups), default=0) == largest
    assert sorted(name for group in groups for name in group) == names
    assert {group[0] for group in groups} == set(names[:tasks]), "the least fresh come first"


def test_what_a_bulk_change_left_in_the_export_is_not_read_again_for_ever(stage: Make) -> None:
    s = stage()
    s.run()
    for number in range(2600):
        s.welkin.book_event(s.ids["dana"], s.at(400, 6), s.at(400, 7), title=str(number))
    s.later(again=14)
    before = s.position
    for _ in range(5):
        assert s.later().outcomes == {}
    assert len(since(s, before, "welkin")) <= 5 * 6
    s.visit()
    s.later()
    assert len(s.mirrors()) == 1, "news is found all the same"


def test_a_missing_block_that_may_not_be_written_is_noted_once(stage: Make) -> None:
    s = stage()
    s.welkin.audit_enabled = False
    s.busy()
    s.run()
    s.one_way("dana", Direction.WELKIN_TO_CALENDAR)
    s.later()
    s.welkin.delete_event(s.blocks()[0].id)
    s.later(again=3)
    before = s.position
    assert s.later(again=5).outcomes == {}
    assert s.asked("welkin.events.get", before) == 0


def test_a_deleted_appointment_whose_mirror_may_not_be_removed_marks_no_user(
    stage: Make,
) -> None:
    s = stage()
    s.welkin.audit_enabled = False
    visit = s.visit()
    s.run()
    s.one_way("dana", Direction.CALENDAR_TO_WELKIN)
    s.later()
    s.welkin.delete_event(visit.event_id)
    s.later(again=3)
    before = s.position
    assert s.later(again=5).outcomes == {}
    assert s.asked("welkin.events.get", before) == 0


@pytest.mark.postgres
def test_a_task_needs_two_connections_to_postgresql(stage: Make, new_postgres_url: str) -> None:
    s = stage("dana", "ruben", "mira", "jonas", database_url=new_postgres_url)
    for name in s.ids:
        s.visit(name)
        s.busy(name)
    held, most = 0, 0

    def taken(*_: object) -> None:
        nonlocal held, most
        held += 1
        most = max(most, held)

    def given_back(*_: object) -> None:
        nonlocal held
        held -= 1

    event.listen(s.database.engine, "checkout", taken)
    event.listen(s.database.engine, "checkin", given_back)
    s.run()
    s.in_step()
    assert 1 <= most <= 2
