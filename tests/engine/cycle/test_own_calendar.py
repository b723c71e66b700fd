"""A calendar named Welkin for mirrors: made once, found again, deleted only when it is empty."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from calendar_sync.config.settings import parse
from calendar_sync.core.errors import ConfigurationError
from calendar_sync.core.model import Direction, LinkState, Platform
from calendar_sync.operations.unsync import Unsynced, disable, standing, unsync
from calendar_sync.sync.services import Services
from calendar_sync_sandbox.google.delegation import MAKING_SCOPE, SCOPE
from calendar_sync_sandbox.microsoft.directory import READ_CALENDARS
from tests.engine.cycle.stage import Stage, mail
from tests.harness import IN_MEMORY, Killed, fresh

Make = Callable[..., Stage]
both = pytest.mark.parametrize("platform", list(Platform))
LISTS = ("google.calendarList.list", "microsoft.calendars.list")
MAKES = ("google.calendars.insert", "microsoft.calendars.create")


def own(platform: Platform) -> dict[str, Any]:
    return {"calendars": {platform.value: {"mirrors": "own"}}}


def make(stage: Make, platform: Platform, *names: str, **more: Any) -> Stage:
    return stage(*(names or ("dana",)), platform=platform, settings=own(platform) | more)


def welkin(s: Stage, name: str = "dana") -> list[str]:
    """Ids of the calendars of that name in the mailbox."""
    held = s.calendar.calendars_of(mail(name))
    return sorted(key for key, called in held.items() if called == "Welkin")


def count(s: Stage, calendar: str, name: str = "dana") -> int:
    return len(s.calendar.events_of(mail(name), calendar))


def requests(s: Stage, kinds: tuple[str, ...], since: int = 0) -> int:
    return sum(s.asked(kind, since) for kind in kinds)


def mirrored(s: Stage, name: str = "dana") -> set[str]:
    """Calendars with live mirrors, by the links."""
    return {link.calendar for link in s.links(name, LinkState.LIVE) if link.kind == "mirror"}


# --- made, and found again ------------------------------------------------------------------------


@both
def test_it_is_made_once_for_each_user(stage: Make, platform: Platform) -> None:
    s = make(stage, platform, "dana", "ruben")
    for name in s.ids:
        s.meeting(name)
        s.busy(name)
    s.run()
    for name in s.ids:
        [calendar] = welkin(s, name)
        assert mirrored(s, name) == {calendar}
        assert (count(s, calendar, name), count(s, "primary", name)) == (1, 1)
        assert len(s.blocks(name)) == 1
    s.in_step()
    before = s.position
    s.meeting("dana", days=2)
    s.later(again=2)
    assert requests(s, LISTS + MAKES, before) == 0
    assert count(s, *welkin(s)) == 2
    s.in_step()


@both
def test_it_takes_no_time_itself(stage: Make, platform: Platform) -> None:
    s = make(stage, platform)
    s.meeting()
    s.run()
    [calendar] = welkin(s)
    s.busy(hour=17, calendar=calendar)
    s.later(again=2)
    assert s.blocks() == []
    s.in_step()


@both
def test_a_person_or_a_profile_may_have_one(stage: Make, platform: Platform) -> None:
    s = stage(
        "dana", "ruben", "noor", platform=platform, settings={"profiles": {"own": own(platform)}}
    )
    s.remap(dana={"profile": "own"}, ruben={"mirrors_calendar": "own"})
    for name in s.ids:
        s.meeting(name)
    s.run()
    assert [len(welkin(s, name)) for name in s.ids] == [1, 1, 0]
    assert [len(s.mirror_times(name)) for name in s.ids] == [1, 1, 1]
    s.in_step()
    # A person may be the exception, too.
    s.remap(dana={"profile": "own", "mirrors_calendar": "primary"}, ruben={})
    s.later(again=2)
    assert mirrored(s, "dana") == mirrored(s, "ruben") == {"primary"}
    s.in_step()


@both
@pytest.mark.parametrize("carried_out", [True, False])
def test_a_process_that_dies_at_any_request_makes_no_second_one(
    stage: Make, platform: Platform, carried_out: bool
) -> None:
    s = make(stage, platform)
    s.meeting()
    s.run()
    kinds = [entry.kind for entry in s.sandbox.requests]
    first, last = (
        next(number for number, kind in enumerate(kinds, 1) if kind in wanted)
        for wanted in (LISTS, MAKES)
    )
    for at in range(first, last + 2):
        s = make(stage, platform)
        s.meeting()
        s.transport.kill_at, s.transport.kill_after = at, carried_out
        with pytest.raises(Killed):
            s.run()
        s.transport.revive()
        s.later(again=3)
        [calendar] = welkin(s)
        assert count(s, calendar) == 1, at
        assert requests(s, MAKES) == 1, at
        s.in_step()


@both
@pytest.mark.parametrize("lag", [0, 30])
def test_a_lost_answer_makes_no_second_one(stage: Make, platform: Platform, lag: int) -> None:
    s = make(stage, platform)
    s.calendar.lag_seconds = lag
    s.meeting()
    s.fault(platform.value, "timeout_after", "POST", "/calendars$")
    s.run()
    s.later(again=4)
    [calendar] = welkin(s)
    s.calendar.lag_seconds = 0
    assert count(s, calendar) == 1
    assert requests(s, MAKES) == 1
    s.in_step()


@both
def test_a_lost_database_finds_it_again(stage: Make, platform: Platform) -> None:
    s = make(stage, platform)
    s.meeting()
    s.run()
    calendars = welkin(s)
    s.database.close()
    s.database = fresh(IN_MEMORY)
    s.remap()
    s.later()
    assert welkin(s) == calendars
    assert count(s, *calendars) == 1
    assert mirrored(s) == set(calendars)
    s.in_step()


def test_of_two_the_first_by_id_is_taken(stage: Make) -> None:
    s = make(stage, Platform.GOOGLE)
    ids = sorted(s.calendar.add_calendar(mail("dana"), "Welkin").id for _ in range(3))
    s.google.calendar(mail("dana"), ids[0]).hidden = True
    s.calendar.add_calendar(mail("dana"), "welkin")
    s.meeting()
    s.run()
    assert mirrored(s) == {ids[0]}
    assert welkin(s) == ids
    s.in_step()


@both
def test_one_that_somebody_shares_is_not_taken(stage: Make, platform: Platform) -> None:
    s = make(stage, platform, "dana", "ruben")
    theirs = s.calendar.add_calendar(mail("ruben"), "Welkin").id
    s.calendar.share_calendar(mail("ruben"), theirs, mail("dana"))
    for name in s.ids:
        s.meeting(name)
    s.run()
    assert mirrored(s, "ruben") == {theirs}
    [mine] = mirrored(s, "dana")
    assert mine != theirs
    assert (count(s, mine), count(s, theirs, "ruben")) == (1, 1)
    s.in_step()


@both
def test_a_mailbox_that_goes_to_another_user_keeps_one(stage: Make, platform: Platform) -> None:
    s = make(stage, platform, "dana", "ruben")
    for name in s.ids:
        s.meeting(name)
    s.run()
    calendars = welkin(s)
    s.remap("dana", ruben={"account": mail("dana")})
    s.later(again=4)
    assert welkin(s) == calendars
    assert mirrored(s, "ruben") == set(calendars)
    assert count(s, *calendars) == 1
    s.in_step("ruben")


@both
def test_another_account_gets_its_own(stage: Make, platform: Platform) -> None:
    s = make(stage, platform)
    s.calendar.add_account(mail("other"), "America/New_York")
    s.meeting()
    s.run()
    [before] = welkin(s)
    s.remap(dana={"account": mail("other")})
    s.later(again=3)
    [after] = welkin(s, "other")
    assert count(s, before) == 0
    assert count(s, after, "other") == 1
    s.in_step()


@both
def test_a_renamed_account_keeps_it(stage: Make, platform: Platform) -> None:
    s = make(stage, platform)
    s.meeting()
    s.run()
    [calendar] = welkin(s)
    s.calendar.rename_account(mail("dana"), mail("smith"))
    s.remap(dana={"account": mail("smith")})
    before = s.position
    s.later(again=2)
    assert welkin(s, "smith") == [calendar]
    assert s.wrote(before) == []
    assert [one.account for one in s.store.own_calendars.of(s.ids["dana"], platform)] == [
        mail("smith")
    ]


# --- moved there, and back ------------------------------------------------------------------------


@both
def test_mirrors_move_there_and_back(stage: Make, platform: Platform) -> None:
    s = stage(platform=platform)
    s.meeting()
    s.visit(days=2)
    s.run()
    for _ in range(2):
        s.document = own(platform)
        s.later(again=2)
        [calendar] = welkin(s)
        assert (count(s, calendar), count(s, "primary")) == (2, 0)
        s.in_step()
        s.document = {}
        s.later(again=2)
        assert (count(s, calendar), count(s, "primary")) == (0, 2)
        s.in_step()


@both
def test_a_preview_makes_nothing(stage: Make, platform: Platform) -> None:
    s = stage(platform=platform)
    s.meeting()
    s.run()
    s.document = own(platform)
    before = s.position
    s.clock.advance(minutes=2)
    result = s.run(dry_run=True, users=[s.ids["dana"]])
    plan = result.outcomes[s.ids["dana"]].result.plan
    assert plan is not None
    assert sorted(action.step for action in plan.actions) == ["create_mirror", "delete_mirror"]
    assert s.wrote(before) == []
    assert welkin(s) == []


# --- deleted by its owner -------------------------------------------------------------------------


@both
def test_one_that_its_owner_deletes_is_made_again_with_its_mirrors(
    stage: Make, platform: Platform
) -> None:
    s = make(stage, platform)
    s.meeting()
    s.meeting(days=3)
    s.run()
    [first] = welkin(s)
    s.later(hours=2)
    s.calendar.delete_calendar(mail("dana"), first)
    s.later(again=2)
    [second] = welkin(s)
    assert second != first
    assert count(s, second) == 2
    assert mirrored(s) == {second}
    assert s.conflicts() == []
    s.in_step()


@both
def test_it_is_made_again_at_most_once_an_hour(stage: Make, platform: Platform) -> None:
    s = make(stage, platform)
    s.meeting()
    s.run()
    s.calendar.delete_calendar(mail("dana"), *welkin(s))
    s.later(again=3)
    assert welkin(s) == []
    assert s.state().error_code == "own_calendar_deleted"
    s.later(again=8, minutes=30)
    assert len(welkin(s)) == 1
    s.in_step()


@both
def test_a_list_that_still_shows_it_proves_that_it_is_there(
    stage: Make, platform: Platform
) -> None:
    s = make(stage, platform)
    s.meeting()
    s.run()
    calendars = welkin(s)
    s.later(hours=2)
    path = "/calendars/c_" if platform is Platform.GOOGLE else "/calendars/"
    s.fault(platform.value, "status", "GET", path, code=404, times=None)
    s.run(full=True)
    assert s.state().failures == 1
    assert welkin(s) == calendars
    assert requests(s, MAKES) == 1
    s.sandbox.faults.clear()
    s.later(again=2)
    assert welkin(s) == calendars
    s.in_step()


# --- who gets none --------------------------------------------------------------------------------


@both
def test_who_writes_nothing_there_gets_none(stage: Make, platform: Platform) -> None:
    s = make(
        stage,
        platform,
        "dana",
        "ruben",
        profiles={"busy": {"block_time": {"source": "free_busy"}}},
    )
    s.remap(dana={"direction": Direction.CALENDAR_TO_WELKIN}, ruben={"profile": "busy"})
    for name in s.ids:
        s.meeting(name)
        s.busy(name)
    s.run()
    s.later(again=2)
    assert [welkin(s, name) for name in s.ids] == [[], []]
    assert [len(s.blocks(name)) for name in s.ids] == [1, 1]
    assert requests(s, LISTS) == 0
    s.in_step()


@both
def test_mirrors_stay_where_they_are_while_nothing_may_be_written(
    stage: Make, platform: Platform
) -> None:
    s = stage(platform=platform)
    s.meeting()
    s.run()
    s.document = own(platform) | {"direction": {platform.value: "calendar_to_welkin"}}
    s.later(again=2)
    assert (count(s, "primary"), welkin(s)) == (1, [])
    assert ("left_by_direction", "left") in s.conflicts()


@both
def test_who_no_longer_writes_may_delete_it(stage: Make, platform: Platform) -> None:
    s = make(stage, platform)
    s.meeting()
    s.busy()
    s.run()
    s.one_way("dana", Direction.CALENDAR_TO_WELKIN)
    s.later()
    s.calendar.delete_calendar(mail("dana"), *welkin(s))
    s.later(again=2)
    assert s.state().failures == 0
    assert welkin(s) == []
    assert len(s.blocks()) == 1


@both
def test_it_is_only_for_mirrors(platform: Platform) -> None:
    with pytest.raises(ConfigurationError, match="only for mirrors"):
        parse({"calendars": {platform.value: {"busy": ["own"]}}})


# --- rights ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lacking", "code"),
    [
        ({MAKING_SCOPE}, "google_calendar_making_denied"),
        (
            {SCOPE + "calendar.calendarlist.readonly"},
            "google_calendar_list_denied",
        ),
    ],
)
def test_a_missing_scope_is_named_and_concerns_nobody_else(
    stage: Make, lacking: set[str], code: str
) -> None:
    s = stage("dana", "ruben")
    everything = s.google.delegation.authorised_scopes
    s.google.delegation.authorised_scopes = everything - lacking
    s.meeting("dana")
    s.run()
    s.remap(dana={"mirrors_calendar": "own"})
    s.meeting("ruben")
    s.later()
    assert s.state("dana").error_code == code
    assert s.store.runs.fault(Platform.GOOGLE) is None
    # Nothing was written anywhere else, and nothing deleted.
    assert [len(s.mirror_times(name)) for name in s.ids] == [1, 1]
    assert mirrored(s, "dana") == {"primary"}
    s.google.delegation.authorised_scopes = everything
    s.later(again=3, minutes=30)
    assert mirrored(s, "dana") == set(welkin(s))
    s.in_step()


def test_organisations_without_it_need_no_further_scope(stage: Make) -> None:
    s = stage()
    s.google.delegation.authorised_scopes = frozenset({SCOPE + "calendar.events"})
    s.meeting()
    s.run()
    assert len(s.mirror_times()) == 1
    s.in_step()


def test_reading_alone_is_not_enough_with_microsoft(stage: Make) -> None:
    s = make(stage, Platform.MICROSOFT)
    s.microsoft.directory.roles = {READ_CALENDARS}
    s.meeting()
    s.run()
    assert s.state().error_code == "microsoft_read_only"
    assert welkin(s) == []


@pytest.mark.parametrize("status", [409, 400])
def test_a_name_that_exists_is_looked_up(stage: Make, status: int) -> None:
    s = make(stage, Platform.MICROSOFT)
    s.microsoft.folder_exists = status
    s.microsoft.add_calendar(mail("dana"), "WELKIN")
    s.meeting()
    s.run()
    # Not exactly the name: neither taken, nor can another one be made.
    assert s.state().error_code == "microsoft_conflict"
    assert s.state().failures == 1


# --- un-sync --------------------------------------------------------------------------------------


def act(s: Stage, *names: str) -> list[Unsynced]:
    async def work(services: Services) -> list[Unsynced]:
        rows = standing(services.store, [s.platform], [s.ids[name] for name in names])
        disable(services, rows, "tests")
        revision = services.store.config.revision()
        return await unsync(services, revision, rows, run_id="un-sync", owner="tests")

    found: list[Unsynced] = asyncio.run(s.with_services(work))
    return found


@both
def test_unsync_deletes_it_if_nothing_is_left_in_it(stage: Make, platform: Platform) -> None:
    s = make(stage, platform, "dana", "ruben")
    for name in s.ids:
        s.meeting(name)
    s.run()
    s.busy("ruben", calendar=welkin(s, "ruben")[0], days=-200)
    found = {one.account: one for one in act(s, "dana", "ruben")}
    assert all(one.clean for one in found.values())
    assert found[mail("dana")].own_calendar == "deleted"
    assert found[mail("ruben")].own_calendar == "kept"
    assert "calendar Welkin kept" in found[mail("ruben")].label
    assert [len(welkin(s, name)) for name in s.ids] == [0, 1]
    [kept] = welkin(s, "ruben")
    assert count(s, kept, "ruben") == 1
    assert s.store.own_calendars.of(s.ids["dana"], platform) == []
    # Whoever returns gets one again.
    s.remap()
    s.later(again=2)
    assert [len(welkin(s, name)) for name in s.ids] == [1, 1]
    assert [len(s.mirror_times(name)) for name in s.ids] == [1, 1]
    s.in_step()


def test_unsync_keeps_one_that_it_may_not_delete(stage: Make) -> None:
    s = make(stage, Platform.GOOGLE)
    calendar = s.calendar.add_calendar(mail("dana"), "Welkin").id
    s.meeting()
    s.run()
    assert mirrored(s) == {calendar}
    [result] = act(s, "dana")
    assert (result.clean, result.own_calendar) == (True, "kept")
    assert welkin(s) == [calendar]


@both
def test_who_leaves_keeps_the_empty_calendar(stage: Make, platform: Platform) -> None:
    s = make(stage, platform)
    s.meeting()
    s.run()
    calendars = welkin(s)
    s.remap("dana")
    s.later(again=2)
    assert welkin(s) == calendars
    assert count(s, *calendars) == 0
    s.remap()
    s.later(again=2)
    assert mirrored(s) == set(calendars)
    assert welkin(s) == calendars
    # Un-sync finds it, too, once the user is no longer mapped.
    s.remap("dana")
    s.later(again=2)
    [result] = act(s, "dana")
    assert (result.clean, result.own_calendar) == (True, "deleted")
    assert welkin(s) == []


@both
def test_the_audit_log_has_what_was_made_and_deleted(stage: Make, platform: Platform) -> None:
    s = make(stage, platform)
    s.meeting()
    s.run()
    act(s, "dana")
    from calendar_sync.state import tables as t

    with s.database.read() as connection:
        rows = connection.execute(t.operation.select()).all()
    steps = [row.step for row in rows if row.step.endswith("_calendar")]
    assert steps == ["make_calendar", "remove_calendar"]
