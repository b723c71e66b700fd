"""What Welkin's feeds may do: many rows of one instant, positions ahead of time, odd audits."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from calendar_sync.adapters.welkin import EventRow, FeedPage
from calendar_sync.config.settings import Settings
from calendar_sync.core.errors import TransientError
from calendar_sync.insight.overview import overview
from calendar_sync.insight.status import deletions_told_by
from calendar_sync.state.runs import DELETIONS_FROM, SKIPPED, WELKIN
from calendar_sync.sync.noticing.feeds import WelkinFeeds
from calendar_sync.sync.services import Services
from tests.engine.cycle.stage import HOUR, Stage

Make = Callable[..., Stage]


def facts(s: Stage) -> dict[str, object]:
    return s.store.runs.facts(WELKIN)


# --- more rows of one instant than a page can hold ------------------------------------------------


def crowded(s: Stage) -> None:
    s.welkin.habits.same_instant = True
    s.welkin.habits.largest_page = 10


@pytest.mark.parametrize("what", ["import", "cancel", "move"])
def test_a_bulk_change_at_one_instant_is_passed_and_nothing_of_it_is_lost(
    stage: Make, what: str
) -> None:
    s = stage("dana", "ruben")
    visits = [s.meeting("dana", days=1 + number, hour=8) for number in range(25)]
    s.run()
    assert len(s.mirrors("dana")) == 25
    s.later()
    crowded(s)
    if what == "import":
        visits += [s.meeting("dana", days=1 + number, hour=12) for number in range(25)]
    for visit in visits if what != "import" else []:
        if what == "cancel":
            s.welkin.cancel_event(visit.id)
        else:
            s.welkin.move_event(visit.id, visit.start + HOUR, visit.end + HOUR)
    assert s.later(minutes=5).failed == []
    s.meeting("ruben")
    assert s.later(minutes=1).failed == []
    assert len(s.mirrors("ruben")) == 1
    assert len(s.mirrors("dana")) == {"import": 50, "cancel": 0, "move": 25}[what]
    if what == "move":
        assert [start for start, _ in s.mirror_times()] == [visit.start for visit in visits]
    assert list(facts(s)[SKIPPED]) == ["events"]  # type: ignore[call-overload]
    s.later()
    before = s.position
    s.later(again=3, minutes=1)
    s.later(minutes=30)
    assert s.asked("welkin.events.list", before) == 0
    s.in_step()


def test_encounters_cancelled_in_bulk_at_one_instant_lose_their_mirrors(stage: Make) -> None:
    s = stage("dana", "ruben")
    visits = [s.visit("dana", days=1 + number, hour=8) for number in range(25)]
    s.visit("ruben")
    s.run()
    s.later()
    crowded(s)
    for visit in visits:
        s.welkin.cancel_encounter(visit.id)
    s.later(minutes=5)
    s.later(minutes=5)
    assert s.mirrors("dana") == []
    assert len(s.mirrors("ruben")) == 1
    assert {"encounters", "events"} >= set(facts(s)[SKIPPED])  # type: ignore[call-overload]
    s.in_step()


def test_an_export_that_answers_the_same_page_for_ever_is_not_followed_for_ever(
    stage: Make,
) -> None:
    s = stage()
    s.run()
    row = {"id": "x", "updatedAt": "2026-03-02T15:00:00.000Z"}
    cursor = {"start": "", "end": "2026-03-02T14:00:00.000Z", "pageSize": 1, "hasNext": True}
    body = {"data": [row], "cursor": cursor}
    s.fault("welkin", "status", "GET", "/export/CALENDAR", code=200, body=body, times=None)
    with pytest.raises(TransientError, match="welkin_feed_does_not_advance"):
        s.later()
    s.sandbox.faults.clear()
    s.meeting()
    s.later()
    assert len(s.mirrors()) == 1


@pytest.mark.parametrize("end", ["9999-12-31T23:59:59.999Z", "2027-01-01T00:00:00.000Z"])
def test_a_position_ahead_of_time_hides_nothing(stage: Make, end: str) -> None:
    s = stage()
    s.run()
    cursor = {"start": end, "end": end, "pageSize": 1, "hasNext": False}
    body = {"data": [], "cursor": cursor}
    fault = s.fault("welkin", "status", "GET", "/export/", code=200, body=body, times=2)
    s.later()
    assert fault.struck == 2
    s.clock.advance(minutes=30)
    s.meeting()
    s.later()
    assert len(s.mirrors()) == 1


@pytest.mark.parametrize("start", ["0001-01-01T00:00:00.000Z", "0001-01-01T00:00:00.000+14:00"])
def test_a_position_before_all_time_stops_nothing(stage: Make, start: str) -> None:
    from calendar_sync.state.feeds import Cursor

    s = stage()
    with s.database.write() as connection:
        for feed in ("events", "encounters", "audit"):
            cursor = Cursor(start, "")
            s.store.feeds.save_cursor(connection, WELKIN, feed, cursor, datetime.now(UTC))
    s.meeting()
    assert s.run().failed == []
    assert len(s.mirrors()) == 1


# --- what tells of deletions ----------------------------------------------------------------------


def test_deletions_that_the_audit_names_under_an_unknown_key_are_found_by_the_sweep(
    stage: Make,
) -> None:
    s = stage("dana", "ruben")
    visits = [s.visit("dana", days=3, hour=8 + number) for number in range(3)]
    s.visit("ruben", days=3)
    s.run()
    assert facts(s)[DELETIONS_FROM] == "audit"
    s.welkin.habits.audit_key = "affectedRecord"
    s.welkin.delete_event(visits[0].event_id)
    s.later(again=10, minutes=1)
    assert len(s.mirrors("dana")) == 2
    assert facts(s)[DELETIONS_FROM] == "sweep"
    # The rows that nobody can read are long gone; the next deletion is found all the same.
    s.later(again=3, minutes=20)
    assert facts(s)[DELETIONS_FROM] == "sweep"
    s.welkin.delete_event(visits[1].event_id)
    s.later(again=10, minutes=1)
    assert len(s.mirrors("dana")) == 1
    # Only a row that names what was really deleted ends the sweep.
    s.later(again=2, minutes=20)
    s.welkin.habits.audit_key = "sourceId"
    s.later(again=2, minutes=20)
    assert facts(s)[DELETIONS_FROM] == "sweep"
    s.welkin.delete_event(visits[2].event_id)
    s.later(again=10, minutes=1)
    assert s.mirrors("dana") == []
    assert facts(s)[DELETIONS_FROM] == "audit"
    assert len(s.mirrors("ruben")) == 1
    s.in_step()


def test_a_deletion_that_the_audit_kept_to_itself_has_the_sweep_go_on(stage: Make) -> None:
    s = stage()
    visits = [s.visit(days=20), s.visit(days=3)]
    s.run()
    s.welkin.delete_event(visits[0].event_id)
    s.welkin.audit.clear()
    s.later(hours=29)
    assert len(s.mirrors()) == 1
    assert facts(s)[DELETIONS_FROM] == "sweep"
    s.welkin.delete_event(visits[1].event_id)
    s.welkin.audit.clear()
    s.later(again=10, minutes=1)
    assert s.mirrors() == []


def test_what_is_deleted_while_the_index_is_first_filled_is_not_overlooked(stage: Make) -> None:
    """Filling it takes long; deletions count from before."""
    s = stage("dana")
    visit, other = s.visit("dana", days=3), s.visit("dana", days=4)

    async def fill(services: Services) -> None:
        read = services.welkin.exported_events

        async def slowly(start: str, size: int) -> FeedPage[EventRow]:
            s.clock.advance(minutes=3)
            s.welkin.delete_encounter(visit.id)
            s.clock.advance(minutes=30)
            return await read(start, size)

        services.welkin.exported_events = slowly  # type: ignore[method-assign]
        await WelkinFeeds(services, Settings()).read()

    asyncio.run(s.with_services(fill))
    index = s.store.feeds.encounters([visit.event_id, other.event_id])
    assert index[visit.event_id].status == "DELETED"
    assert index[other.event_id].status != "DELETED"


def test_check_and_overview_say_what_tells_of_deletions(stage: Make) -> None:
    s = stage()
    visits = [s.visit(days=3, hour=8 + number) for number in range(2)]
    assert deletions_told_by(s.store) == ""
    s.run()
    assert "not confirmed by a deletion yet" in deletions_told_by(s.store)
    s.welkin.delete_event(visits[0].event_id)
    s.later(again=3, minutes=1)
    assert deletions_told_by(s.store) == "Welkin's audit log"
    s.welkin.habits.audit_key = "affectedRecord"
    s.welkin.delete_event(visits[1].event_id)
    s.later(minutes=1)
    assert "is not reliable" in deletions_told_by(s.store)
    seen = overview(s.store, Settings(), s.clock.now())
    assert seen.deletions == deletions_told_by(s.store)
