"""A calendar system that never answers, and runs that no longer take place: who sees it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from calendar_sync.config.settings import parse
from calendar_sync.core.model import Platform
from calendar_sync.insight.health import build
from calendar_sync.insight.overview import overview
from calendar_sync.insight.status import status
from calendar_sync.insight.user_state import UserState
from calendar_sync.orchestration.alarms import ALL_USERS, raise_alarms
from calendar_sync.state.runs import WELKIN
from calendar_sync.sync.freshness import Deadlines, deadlines
from tests.engine.cycle.stage import Stage, mail
from tests.engine.health.test_notify import HERE

on_both = pytest.mark.parametrize("platform", list(Platform))
NOTIFY = {"notifier": f"{HERE}.Recorder", "arguments": {"t": "{text}"}}
ERRORS: list[tuple[str, dict[str, Any]]] = [
    ("status", {"code": 503}),
    ("status", {"code": 429, "retry_after": 60}),
    ("reset_before", {}),
]


def stage(platform: Platform) -> Stage:
    s = Stage("dana", "ruben", platform=platform, settings={"notify": NOTIFY})
    s.visit("dana")
    s.run()
    return s


def items(s: Stage) -> list[tuple[str, str, str]]:
    document = build(s.store, s.store.config.revision(), s.clock.now()).document
    return [(item["kind"], item["account"], item["code"]) for item in document["items"]]


def told(s: Stage) -> list[str]:
    return [alarm.who for alarm in raise_alarms(s.store, s.platform, s.clock.now())]


def states(s: Stage) -> tuple[dict[UserState, int], dict[UserState, int]]:
    """As the command and as the pages count them."""
    [entry] = status(s.store, s.clock.now())
    [page] = overview(s.store, s.store.config.revision().settings, s.clock.now()).platforms
    return entry.users, {name: count for name, count in page.standing.states.items() if count}


@pytest.mark.spread
@on_both
@pytest.mark.parametrize(("kind", "details"), ERRORS)
def test_a_calendar_system_that_never_answers_is_reported(
    platform: Platform, kind: str, details: dict[str, Any]
) -> None:
    s = stage(platform)
    s.fault(platform.value, kind, times=None, **details)
    s.busy("ruben", days=2)
    s.later(again=10)
    assert s.blocks("ruben") == []
    assert items(s) == [("silent", "", "not_looked_at")]
    assert states(s) == ({"late": 2}, {"late": 2})
    [page] = overview(s.store, s.store.config.revision().settings, s.clock.now()).platforms
    assert page.silent
    assert page.standing.late == 2
    assert told(s) == [ALL_USERS]
    s.sandbox.faults.clear()
    s.later(again=3)
    assert len(s.blocks("ruben")) == 1
    assert (items(s), told(s)) == ([], [])
    assert states(s) == ({"ok": 2}, {"ok": 2})


@pytest.mark.spread
@on_both
@pytest.mark.parametrize(("kind", "details"), ERRORS)
def test_one_calendar_that_never_answers_is_reported(
    platform: Platform, kind: str, details: dict[str, Any]
) -> None:
    s = stage(platform)
    s.fault(platform.value, kind, times=None, user=mail("ruben"), **details)
    s.busy("ruben", days=2)
    s.later(again=10)
    assert s.blocks("ruben") == []
    assert items(s) == [("late", mail("ruben"), "not_seen")]
    assert states(s) == ({"late": 1, "ok": 1}, {"late": 1, "ok": 1})
    [page] = overview(s.store, s.store.config.revision().settings, s.clock.now()).platforms
    assert not page.silent
    assert told(s) == [mail("ruben")]
    [entry] = status(s.store, s.clock.now())
    assert entry.freshness_seconds >= 18 * 60


@on_both
def test_without_runs_no_user_counts_as_fresh(platform: Platform) -> None:
    s = stage(platform)
    s.clock.advance(minutes=4)
    assert states(s) == ({"ok": 2}, {"ok": 2})
    assert items(s) == []
    s.clock.advance(days=3)
    assert states(s) == ({"late": 2}, {"late": 2})
    assert items(s) == [("silent", "", "not_looked_at")]
    found = overview(s.store, s.store.config.revision().settings, s.clock.now())
    assert found.oldest_change is not None
    assert found.late == found.synced == 2


@on_both
def test_out_of_hours_slower_polls_make_no_user_late(platform: Platform) -> None:
    poll = {
        "working_hours": {"start": "08:00", "end": "18:00"},
        "off_hours_interval_seconds": 7200,
    }
    s = Stage("dana", platform=platform, settings={"polling": poll, "notify": NOTIFY})
    zone = s.store.config.revision().settings.zone(None)
    # The last working hour and two slow polls; in the morning the hour before work, and one of it.
    for hour, minutes in ((17, 4 * 60), (7, 2 * 60)):
        while s.clock.now().astimezone(zone).hour != hour:
            s.clock.advance(minutes=30)
        s.run()
        for _ in range(minutes // 5):
            s.later(minutes=5)
            assert items(s) == []
            assert told(s) == []


NOW = datetime(2026, 3, 3, 12, tzinfo=UTC)


def ago(**step: float) -> datetime:
    return NOW - timedelta(**step)


def test_limits_follow_target_interval_and_quota() -> None:
    settings = parse({"polling": {"interval_seconds": 60}, "freshness": {"target_seconds": 300}})
    found = deadlines(settings, Platform.MICROSOFT, 50_000, NOW)
    assert found == Deadlines(ago(minutes=5), ago(minutes=6))
    # Google's quota allows 10,000 accounts a poll every 24 minutes.
    quota = settings.limits.google_requests_per_day
    wait = 86_400 * 10_000 / (0.6 * quota)
    found = deadlines(settings, Platform.GOOGLE, 10_000, NOW)
    assert found == Deadlines(ago(minutes=5), ago(seconds=300 + wait))


@on_both
def test_that_no_run_comes_any_more_is_told_once(platform: Platform) -> None:
    """A scheduler that is lost while nobody has work, or a DAG that somebody has switched off."""
    s = stage(platform)

    def run_came() -> None:
        s.store.noticing.run_came(platform.value, s.clock.now(), expected=True)

    def look() -> None:
        for name in (WELKIN, platform.value):
            s.store.noticing.beat(name, s.clock.now(), {})

    run_came()
    s.later(minutes=10)
    look()
    assert told(s) == []
    s.later(minutes=6)
    look()
    assert told(s) == [ALL_USERS]
    for _ in range(6):
        s.clock.advance(minutes=20)
        assert told(s) == []
    # It was switched on again.
    s.later(minutes=1)
    look()
    run_came()
    assert told(s) == []
    s.later(minutes=17)
    assert told(s) == [ALL_USERS]
