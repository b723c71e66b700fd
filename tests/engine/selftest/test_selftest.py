"""`calendar-sync test` against the sandbox: what it shows, and that nothing of it stays."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from calendar_sync.core.errors import ConfigurationError, LeaseHeld
from calendar_sync.core.model import Direction, MappedUser, Platform, Span
from calendar_sync.operations.selftest import (
    Options,
    Report,
    SelfTest,
    SelfTestStep,
    StepState,
    choose,
)
from calendar_sync.operations.selftest.report import STEPS
from calendar_sync.state import tables as t
from calendar_sync.sync.services import Services
from tests.engine.cycle.stage import HOUR, Stage, mail
from tests.harness import Killed

WELKIN_SIDE = ("book", "mirrored", "shown", "cancel", "unmirrored")
CALENDAR_SIDE = ("occupy", "blocked", "release", "unblocked")


@pytest.fixture(params=list(Platform))
def platform(request: pytest.FixtureRequest) -> Platform:
    found: Platform = request.param
    return found


@pytest.fixture
def stage(platform: Platform) -> Iterator[Stage]:
    made = Stage("dana", "ruben", platform=platform)
    made.visit("dana")
    made.busy("dana", days=2)
    made.run()
    yield made
    assert made.sandbox.requests.mail_risk == []
    assert made.store.audit.verify() == []
    made.database.close()


def attempt(
    stage: Stage, user: str | None = "dana", *, watch: bool = False, timeout: float = 120
) -> Report:
    async def work(services: Services) -> Report:
        named = stage.ids[user] if user is not None else None
        chosen = choose(
            services.store, services.platforms, named, stage.platform, services.clock.now()
        )
        revision = services.store.config.revision()
        options = Options(timeout, watch, "test-run", "tester")
        return await SelfTest(services, revision, chosen, options).run()

    report = asyncio.run(stage.with_services(work))
    assert isinstance(report, Report)
    return report


def states(report: Report) -> dict[str, str]:
    return {step.name: step.state.value for step in report.steps}


def there(stage: Stage, name: str = "dana") -> tuple[Any, ...]:
    """What people see on both sides, whatever is only of the past left out."""
    mine = stage.calendar.own(mail(name))
    welkin = [event for event in stage.welkin.events.values() if not event.cancelled]
    return (
        sorted((seen.title, str(seen.start)) for seen in mine),
        stage.mirror_times(name),
        sorted((event.id, event.title or "", event.start) for event in welkin),
    )


def nothing_remains(stage: Stage) -> None:
    """No conflict, no parked item, no approval, no note, and everybody is in step."""
    with stage.database.read() as connection:
        for table in (t.conflict, t.parked_item, t.approval):
            assert connection.execute(table.select()).all() == [], table.name
    assert not any(stage.store.runs.facts("tests").values())
    titles = [event.title or "" for event in stage.welkin.events.values()]
    assert not any("sync test" in title for title in titles)


def test_both_ways_are_walked_and_nothing_is_left(stage: Stage) -> None:
    before = there(stage)
    report = attempt(stage)
    assert report.passed, report.failed
    assert set(states(report).values()) == {"ok"}
    assert list(states(report)) == list(STEPS)
    assert there(stage) == before
    nothing_remains(stage)
    stage.in_step("dana")
    assert report.document()["result"] == "pass"


def test_what_a_replica_denies_once_is_cleaned_up_all_the_same(stage: Stage) -> None:
    before = there(stage)
    for service in (stage.platform.value, "welkin"):
        stage.fault(service, "status", "DELETE", r"/events/[^/]+$", code=404, times=1)
    report = attempt(stage)
    assert report.passed, report.failed
    assert there(stage) == before
    nothing_remains(stage)


def test_the_audit_holds_the_syncs_own_writes_only(stage: Stage) -> None:
    with stage.database.read() as connection:
        before = len(connection.execute(t.operation.select()).all())
    attempt(stage)
    with stage.database.read() as connection:
        rows = connection.execute(t.operation.select()).all()[before:]
    assert {row.step for row in rows} == {
        "create_mirror",
        "delete_mirror",
        "create_block",
        "delete_block",
    }
    assert len(rows) == 4
    assert {(row.run_id, row.outcome) for row in rows} == {("test-run", "ok")}


def test_what_it_makes_is_private_and_has_no_patient(stage: Stage) -> None:
    seen: list[Any] = []

    def look() -> None:
        for event in stage.calendar.own(mail("dana")):
            if "sync test" in event.title:
                seen.append(event)
        for row in stage.welkin.events.values():
            if row.type == "APPOINTMENT":
                assert [p.role for p in row.participants] == ["psm"]
                assert not (row.external_id or "").startswith("calsync-")

    after = stage.transport.after_request
    stage.transport.after_request = lambda: (after(), look())[0]  # type: ignore[func-returns-value]
    assert attempt(stage).passed
    assert seen
    assert all(event.private and not event.guests and event.marker is None for event in seen)


@pytest.mark.parametrize("direction", [Direction.WELKIN_TO_CALENDAR, Direction.CALENDAR_TO_WELKIN])
def test_one_way_walks_one_way_and_says_so(stage: Stage, direction: Direction) -> None:
    stage.one_way("dana", direction)
    stage.run()
    before = there(stage)
    report = attempt(stage)
    assert report.passed, report.failed
    away = CALENDAR_SIDE if direction is Direction.WELKIN_TO_CALENDAR else WELKIN_SIDE
    left_out = {step.name: step.detail for step in report.steps if step.state == "left out"}
    assert left_out == dict.fromkeys(away, f"the direction is {direction.value}")
    assert there(stage) == before


def test_without_block_time_the_calendar_is_left_alone(stage: Stage) -> None:
    stage.document["block_time"] = {"enabled": False}
    stage.run()
    before = stage.position
    report = attempt(stage)
    assert report.passed
    assert {step.name for step in report.steps if step.detail == "block_time is off"} == set(
        CALENDAR_SIDE
    )
    writes = stage.wrote(before, stage.platform.value)
    assert len(writes) == 2  # the mirror, there and gone


def test_an_excluded_type_must_not_be_mirrored(stage: Stage) -> None:
    stage.document["encounter_types"] = {"exclude": ["appointment"]}
    stage.run()
    report = attempt(stage)
    assert report.passed, report.failed
    assert "it is not synced" in next(s.text for s in report.steps if s.name == "mirrored")
    assert states(report)["shown"] == states(report)["unmirrored"] == "left out"
    nothing_remains(stage)


def test_an_ignored_creator_must_not_block(stage: Stage) -> None:
    stage.document["block_time"] = {"ignore_external": {"organizers": ["dana@*"]}}
    stage.run()
    report = attempt(stage)
    assert report.passed, report.failed
    assert "ignored" in next(s.text for s in report.steps if s.name == "blocked")
    assert states(report)["unblocked"] == "left out"
    nothing_remains(stage)


def test_a_mirror_that_says_too_much_fails_the_test(stage: Stage) -> None:
    """What the calendar shows is what counts, not what the sync believes to have written."""
    after = stage.transport.after_request
    before = {seen.id for seen in stage.calendar.mirrors(mail("dana"))}

    def spoil() -> None:
        after()
        for seen in stage.calendar.mirrors(mail("dana")):
            if seen.id not in before and seen.title == "Busy":
                stage.calendar.rename(mail("dana"), seen.id, "Calendar sync test")

    stage.transport.after_request = spoil
    report = attempt(stage)
    assert report.failed is not None
    assert (report.failed.name, report.failed.code) == ("shown", "differs")
    assert report.failed.detail == "title"
    assert states(report)["occupy"] == "not reached"
    assert states(report)["clean"] == "ok"


def test_an_account_that_is_refused_is_named_with_its_code(stage: Stage) -> None:
    stage.calendar.revoke(mail("dana"))
    report = attempt(stage)
    assert report.failed is not None
    assert report.failed.name in {"leftovers", "free_time"}
    assert report.failed.code in {"google_account_refused", "microsoft_access_denied"}
    assert report.failed.advice
    assert not report.passed


def test_a_block_that_welkin_refuses_fails_and_leaves_nothing(stage: Stage) -> None:
    stage.welkin.habits.refuses_titles = frozenset({"Busy"})
    report = attempt(stage)
    assert report.failed is not None
    assert (report.failed.name, report.failed.code) == ("blocked", "welkin_unavailable")
    assert states(report)["clean"] == "ok"
    stage.welkin.habits.refuses_titles = frozenset()
    stage.later()
    nothing_remains(stage)


def test_a_sync_that_does_nothing_fails_in_time(stage: Stage) -> None:
    """Watched, without a scheduler: nobody brings the mirror."""
    report = attempt(stage, watch=True, timeout=30)
    assert report.failed is not None
    assert (report.failed.name, report.failed.code) == ("mirrored", "not_in_time")
    assert "DAG" in report.failed.advice


def scheduled(stage: Stage) -> Callable[[float], Any]:
    """Time goes by, and every half minute a run takes place."""
    clock, since = stage.clock, [stage.clock.now()]

    async def sleep(seconds: float) -> None:
        clock.advance(seconds)
        if (clock.now() - since[0]).total_seconds() >= 30:
            since[0] = clock.now()
            await stage.sync(stage.platform, rounds=1)

    return sleep


@pytest.mark.parametrize("settings", [{}, {"encounter_types": {"exclude": ["appointment"]}}])
def test_a_running_scheduler_is_only_watched(stage: Stage, settings: dict[str, Any]) -> None:
    stage.document.update(settings)
    stage.run()
    before, runs = there(stage), stage.runs
    stage.clock.sleep = scheduled(stage)  # type: ignore[assignment,method-assign]
    report = attempt(stage, watch=True, timeout=600)
    assert report.passed, report.failed
    assert stage.runs > runs
    assert there(stage) == before
    with stage.database.read() as connection:
        assert not connection.execute(
            t.operation.select().where(t.operation.c.run_id == "test-run")
        ).all()


@pytest.mark.parametrize("name", ["mirrored", "blocked", "unmirrored"])
def test_after_a_lost_process_the_next_test_finds_everything(stage: Stage, name: str) -> None:
    before = there(stage)

    async def work(services: Services) -> None:
        chosen = choose(
            services.store,
            services.platforms,
            stage.ids["dana"],
            stage.platform,
            services.clock.now(),
        )
        revision = services.store.config.revision()
        options = Options(120, False, "lost-run", "lost")
        made = SelfTest(services, revision, chosen, options)

        def tell(step: Any) -> None:
            if step.name == name and step.state is StepState.OK:
                stage.transport.dead = True

        made.tell = tell
        await made.run()

    with pytest.raises(Killed):
        asyncio.run(stage.with_services(work))
    stage.transport.revive()
    assert any("sync test" in (event.title or "") for event in stage.welkin.events.values())
    stage.clock.advance(minutes=3)
    # Somebody else's test cleans up as well as it can, the sync does its part, and hers the rest.
    report = attempt(stage, "ruben")
    assert report.passed, report.failed
    assert "removed" in next(s.detail for s in report.steps if s.name == "leftovers")
    stage.later()
    assert there(stage) == before
    report = attempt(stage, "dana")
    assert report.passed, report.failed
    assert there(stage) == before
    nothing_remains(stage)


def test_when_one_side_stops_answering_the_other_is_cleaned_all_the_same(stage: Stage) -> None:
    before = there(stage)

    async def work(services: Services) -> Report:
        chosen = choose(
            services.store,
            services.platforms,
            stage.ids["dana"],
            stage.platform,
            services.clock.now(),
        )
        options = Options(60, False, "test-run", "tester")
        made = SelfTest(services, services.store.config.revision(), chosen, options)

        def tell(step: SelfTestStep) -> None:
            if step.name == "shown" and step.state is StepState.OK:
                stage.calendar.revoke(mail("dana"))

        made.tell = tell
        return await made.run()

    report = asyncio.run(stage.with_services(work))
    assert report.failed is not None
    assert report.failed.name == "occupy"
    assert states(report)["clean"] == "failed"
    # Its mirror still stands: a deletion would leave that to absence alone.
    [left] = [e for e in stage.welkin.events.values() if "sync test" in (e.title or "")]
    assert left.cancelled
    stage.calendar.restore(mail("dana"))
    stage.clock.advance(minutes=2)
    report = attempt(stage)
    assert report.passed, report.failed
    assert there(stage) == before
    nothing_remains(stage)


def test_a_lost_test_on_the_other_platform_is_cleaned_up_too(platform: Platform) -> None:
    """One user on both platforms."""
    stage = Stage(platform=platform)
    other = next(each for each in Platform if each is not platform)
    user, account = stage.ids["dana"], mail("dana")
    stage.calendars(other).add_account(account, "America/New_York")
    both = [MappedUser(user, each, account) for each in Platform]
    asyncio.run(stage.map(both))
    mark: list[str] = []

    async def lose(services: Services) -> None:
        services.store.runs.set_facts("tests", **{f"{other.value}|{user}": account})
        mark.append(services.identity.test_mark(user))
        start = stage.at(3, 9)
        span = Span(start, start + HOUR)
        await services.platforms[other].create_test_event(account, "primary", mark[0], "x", span)

    asyncio.run(stage.with_services(lose))
    assert len(stage.calendars(other).own(account)) == 1
    report = attempt(stage)
    assert report.passed, report.failed
    assert stage.calendars(other).own(account) == []
    nothing_remains(stage)


def test_two_tests_of_one_user_do_not_meet(stage: Stage) -> None:
    user = stage.ids["dana"]
    stage.store.leases.take(f"test:{user}", "another", stage.clock.now())
    before = stage.position
    with pytest.raises(LeaseHeld, match="is running"):
        attempt(stage)
    assert stage.wrote(before) == []
    stage.clock.advance(minutes=2)
    assert attempt(stage).passed


@pytest.mark.parametrize("ids", ["refused", "dropped"])
def test_where_welkin_keeps_no_ids_the_title_is_the_mark(platform: Platform, ids: str) -> None:
    stage = Stage(platform=platform)
    stage.welkin.habits.external_ids = ids
    stage.welkin.habits.external_id_lookup = False
    stage.busy(days=2)
    stage.run()
    before = there(stage)
    report = attempt(stage)
    assert report.passed, report.failed
    assert there(stage) == before
    nothing_remains(stage)


def test_a_users_own_things_are_never_taken_for_leftovers(stage: Stage) -> None:
    start = stage.at(3, 11)
    mine = stage.calendar.plan(mail("dana"), start, start + HOUR, "Calendar sync test")
    visit = stage.meeting(days=4, title="Calendar sync test")
    stage.run()
    before = there(stage)
    assert attempt(stage).passed
    assert there(stage) == before
    assert mine in {seen.id for seen in stage.calendar.own(mail("dana"))}
    assert not stage.welkin.events[visit.id].cancelled


def test_the_deletion_guard_is_not_touched_however_tight_it_is(stage: Stage) -> None:
    stage.document["deletion_guard"] = {"max_deletions": 0, "max_share": 0}
    stage.run()
    assert attempt(stage).passed
    nothing_remains(stage)


def test_a_user_without_15_free_minutes_is_reported(stage: Stage) -> None:
    day = stage.day(0)
    stage.calendar.add_event(mail("dana"), start=day, end=stage.day(40))
    report = attempt(stage)
    assert report.failed is not None
    assert report.failed.code == "no_free_time"
    assert "--user" in report.failed.advice


def test_the_first_suitable_user_is_chosen(stage: Stage) -> None:
    report = attempt(stage, None)
    assert report.passed
    assert report.chosen == "the first enabled user who is up to date"
    first = min(stage.ids.values())
    assert report.user_id == first
    [name] = [name for name, key in stage.ids.items() if key == first]
    stage.one_way(name, Direction.WELKIN_TO_CALENDAR)
    assert attempt(stage, None).user_id != first


def test_who_cannot_be_tested_is_named(stage: Stage) -> None:
    stage.remap(ruben={"enabled": False})
    with pytest.raises(ConfigurationError, match="disabled"):
        attempt(stage, "ruben")
    with pytest.raises(ConfigurationError, match="not mapped"):
        choose(stage.store, [stage.platform], "nobody", stage.platform, stage.clock.now())
    with pytest.raises(ConfigurationError, match="no connection"):
        choose(stage.store, [], None, stage.platform, stage.clock.now())
    stage.remap("dana", "ruben")
    with pytest.raises(ConfigurationError, match="no users"):
        choose(stage.store, [stage.platform], None, None, stage.clock.now())
