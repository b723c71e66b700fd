"""What the first page tells."""

from datetime import timedelta

from sqlalchemy import insert

from calendar_sync.config.settings import parse
from calendar_sync.core.model import MappedUser, Platform
from calendar_sync.insight.overview import Hour, hours, overview
from calendar_sync.state import Store
from calendar_sync.state import tables as t
from calendar_sync.state.audit import CycleLog, Operation
from tests.engine.state.conftest import NOW

SETTINGS = parse({})
HOUR = timedelta(hours=1)
THIS_HOUR = NOW.replace(minute=0, second=0, microsecond=0)


def write(
    store: Store, step: str, ago: timedelta, outcome: str = "ok", platform: str = "google"
) -> None:
    with store.database.write() as connection:
        log = CycleLog(f"{step}{ago}{outcome}", "run", "ada", platform, "ada@example.org", 1)
        operation = Operation(step, "new", "source", "remote", "primary", "busy/busy", outcome, 5)
        store.audit.append(connection, log, operation, NOW - ago)


def test_hours_are_by_platform_and_direction(store: Store) -> None:
    write(store, "create_mirror", timedelta(0))
    write(store, "delete_mirror", timedelta(minutes=0, seconds=1))
    write(store, "create_block", timedelta(minutes=1))
    write(store, "reschedule", HOUR, platform="microsoft")
    write(store, "create_mirror", HOUR, outcome="google_refused")
    write(store, "create_mirror", 23 * HOUR)
    write(store, "create_mirror", 24 * HOUR)
    before = THIS_HOUR - HOUR
    # NOW is a moment after three o'clock: a minute ago was the hour before.
    assert hours(store, NOW) == (
        Hour(THIS_HOUR - 23 * HOUR, "google", "to_calendar", 1),
        Hour(before, "google", "to_calendar", 1),
        Hour(before, "google", "to_welkin", 1),
        Hour(before, "microsoft", "to_welkin", 1),
        Hour(THIS_HOUR, "google", "to_calendar", 1),
    )


def test_requests_count_from_the_start_of_googles_day(store: Store) -> None:
    mapped = [
        MappedUser("ada", Platform.GOOGLE, "ada@example.org"),
        MappedUser("ada", Platform.MICROSOFT, "ada@example.org"),
    ]
    store.config.edit_mapping(lambda _: mapped, "tests", NOW)
    # 15:00 UTC is 7:00 in California.
    for run_id, ago in (("today", 6.9), ("yesterday", 7.1)):
        for platform in Platform:
            asked = {f"{platform.value}.events.list": 10, "welkin.events": 99, "throttled": 2}
            asked[f"{platform.value}.token"] = 5
            start = NOW - ago * HOUR
            summary = {"requests": asked}
            store.runs.record(run_id, platform, start, start, 1, 0, summary)
    google, microsoft = overview(store, SETTINGS, NOW).platforms
    assert (google.requests.used, google.requests.throttled) == (10, 2)
    assert google.requests.quota == SETTINGS.limits.google_requests_per_day
    assert (NOW - google.requests.since) // HOUR == 7
    # Microsoft has no daily quota: its day is that of UTC.
    assert (microsoft.requests.used, microsoft.requests.quota) == (20, None)


def test_what_is_for_a_person_is_counted(store: Store) -> None:
    approval = {"platform": "google", "removals": 1, "requested_at": NOW, "reason": "brake"}
    conflict = {"user_id": "ada", "platform": "google", "decision": "restored", "first_at": NOW}
    parked = {
        "user_id": "ada",
        "platform": "google",
        "original_start": "",
        "content": "",
        "code": "x",
        "transient": False,
        "first_at": NOW,
        "last_at": NOW,
    }
    with store.database.write() as connection:
        connection.execute(
            insert(t.approval),
            [
                {**approval, "digest": "one", "user_id": "ada", "granted_at": None},
                # The same question about somebody else is answered at once.
                {**approval, "digest": "one", "user_id": "bob", "granted_at": None},
                {**approval, "digest": "two", "user_id": "ada", "granted_at": NOW},
            ],
        )
        connection.execute(
            insert(t.conflict),
            [
                {**conflict, "kind": "a", "source_id": "1", "last_at": NOW, "dismissed_at": None},
                {**conflict, "kind": "b", "source_id": "1", "last_at": NOW, "dismissed_at": NOW},
                {
                    **conflict,
                    "kind": "c",
                    "source_id": "1",
                    "last_at": NOW - timedelta(days=8),
                    "dismissed_at": None,
                },
            ],
        )
        connection.execute(
            insert(t.parked_item),
            [
                {**parked, "step": "create_mirror", "source_id": "1", "tries": 3},
                {**parked, "step": "create_mirror", "source_id": "2", "tries": 2},
            ],
        )
    found = overview(store, SETTINGS, NOW)
    assert (found.approvals, found.conflicts, found.parked) == (1, 1, 1)
    assert (found.platforms, found.oldest_change, found.events) == ((), None, 0)
