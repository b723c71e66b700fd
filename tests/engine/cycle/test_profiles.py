"""Users with different settings, beside each other: each is synced by their own."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from calendar_sync.core.errors import ConfigurationError
from calendar_sync.core.model import MappedUser, Platform
from calendar_sync.insight.status import status
from tests.engine.cycle.stage import Stage, mail

Make = Callable[..., Stage]
both = pytest.mark.parametrize("platform", list(Platform))
TYPE = {"mirror_content": {"title": {"level": "type"}}}


def with_profiles(stage: Make, platform: Platform = Platform.GOOGLE, **profiles: Any) -> Stage:
    """Dana has no profile; each other person has the one of their name."""
    s = stage("dana", *profiles, settings={"profiles": profiles}, platform=platform)
    s.remap(**{name: {"profile": name} for name in profiles})
    return s


def titles(s: Stage, name: str) -> set[str]:
    return {seen.title for seen in s.calendar.mirrors(mail(name))}


@both
def test_each_user_has_the_detail_of_their_profile(stage: Make, platform: Platform) -> None:
    s = with_profiles(stage, platform, ruben=TYPE)
    for name in s.ids:
        s.meeting(name)
    s.run()
    assert titles(s, "dana") == {"Busy"}
    assert titles(s, "ruben") == {"Appointment"}
    s.in_step()


@both
def test_each_direction_and_filter_holds_for_its_users_alone(
    stage: Make, platform: Platform
) -> None:
    s = with_profiles(
        stage,
        platform,
        ruben={"direction": {platform.value: "calendar_to_welkin"}},
        noor={"encounter_types": {"exclude": ["APPOINTMENT"]}, "block_time": {"enabled": False}},
    )
    for name in s.ids:
        s.meeting(name)
        s.busy(name)
    s.run()
    assert [len(s.mirror_times(name)) for name in s.ids] == [1, 0, 0]
    assert [len(s.blocks(name)) for name in s.ids] == [1, 1, 0]
    s.in_step()
    # The feeds tell of later ones, too, and only to whom they concern.
    for name in s.ids:
        s.meeting(name, days=2)
    s.later(again=3)
    assert [len(s.mirror_times(name)) for name in s.ids] == [2, 0, 0]
    s.in_step()


def test_each_window_is_its_users_own(stage: Make) -> None:
    s = with_profiles(stage, ruben={"windows": {"mirrors_future_days": 10}})
    for name in s.ids:
        s.meeting(name, days=5)
        s.meeting(name, days=20)
    s.run()
    assert [len(s.mirror_times(name)) for name in s.ids] == [2, 1]
    s.meeting("ruben", days=9)
    s.meeting("ruben", days=30)
    s.later()
    assert [len(s.mirror_times(name)) for name in s.ids] == [2, 2]
    s.in_step()


@both
def test_a_lowered_profile_rewrites_its_mirrors_without_waiting_for_a_poll(
    stage: Make, platform: Platform
) -> None:
    slow = {"polling": {"interval_seconds": 86_400}}
    s = with_profiles(stage, platform, ruben=TYPE, noor=TYPE)
    s.document = {**s.document, **slow}
    for name in s.ids:
        s.meeting(name)
    s.run()
    s.later()
    s.document = {**slow, "profiles": {"ruben": {}, "noor": TYPE}}
    before = s.position
    s.later()
    assert titles(s, "ruben") == {"Busy"}
    assert titles(s, "noor") == {"Appointment"}
    assert len(s.wrote(before)) == 1
    s.in_step()


@both
def test_a_lowered_level_of_the_organisation_does_not_wait_for_a_poll(
    stage: Make, platform: Platform
) -> None:
    slow = {"polling": {"interval_seconds": 86_400}}
    s = stage(settings=TYPE | slow, platform=platform)
    s.meeting()
    s.run()
    s.later()
    s.document = slow
    s.later()
    assert titles(s, "dana") == {"Busy"}
    s.in_step()


def test_a_changed_profile_reads_nobody_else_again(stage: Make) -> None:
    s = with_profiles(stage, ruben={}, noor={})
    s.run()
    s.later(again=2)
    s.document = {"profiles": {"ruben": {"block_time": {"tentative": True}}, "noor": {}}}
    before = {name: s.store.feeds.cursor("google", s.ids[name], "primary") for name in s.ids}
    s.later()
    after = {name: s.store.feeds.cursor("google", s.ids[name], "primary") for name in s.ids}
    assert [name for name in s.ids if before[name].shape != after[name].shape] == ["ruben"]
    assert status(s.store, s.clock.now())[0].rereading == 0


def test_another_profile_is_applied_at_once(stage: Make) -> None:
    s = with_profiles(stage, ruben=TYPE)
    s.meeting("ruben")
    s.run()
    s.remap()
    s.later()
    assert titles(s, "ruben") == {"Busy"}
    s.in_step()


def test_a_profile_in_use_cannot_be_removed(stage: Make) -> None:
    s = with_profiles(stage, ruben=TYPE)
    s.document = {}
    with pytest.raises(ConfigurationError, match=r"profiles\.ruben is missing, and 1 user"):
        s.run()


@pytest.mark.parametrize("enabled", [True, False])
def test_a_profile_that_the_settings_do_not_have_is_refused(stage: Make, enabled: bool) -> None:
    s = with_profiles(stage, ruben=TYPE)
    with pytest.raises(ConfigurationError, match=r"no profile ghosts; the profiles are ruben"):
        s.remap(dana={"profile": "ghosts", "enabled": enabled})
    assert {row.profile for row in s.store.config.mapping()} == {"", "ruben"}


def test_a_user_whose_profile_is_newer_than_a_runs_settings_waits_for_the_next(
    stage: Make,
) -> None:
    s = with_profiles(stage, ruben=TYPE)
    for name in s.ids:
        s.meeting(name)
    s.run()
    s.clock.advance(minutes=2)

    async def overtaken() -> None:
        async with s.services() as services:
            old = services.store.config.revision()
            s.document = {"profiles": {"ruben": TYPE, "noor": {"mirror_moved": "report"}}}
        async with s.services() as services:
            rows = [
                MappedUser(s.ids["dana"], s.platform, mail("dana"), profile="noor"),
                MappedUser(s.ids["ruben"], s.platform, mail("ruben"), profile="ruben"),
            ]
            services.store.config.edit_mapping(lambda _: rows, "tests", s.clock.now())
            from calendar_sync.sync.runner import run_pass

            await run_pass(services, old, s.platform, run_id="old", owner="old")

    s.meeting("ruben", days=2)
    s.meeting("dana", days=2)
    asyncio.run(overtaken())
    assert [len(s.mirror_times(name)) for name in ("dana", "ruben")] == [1, 2]
    assert s.state("dana").failures == 0
    s.later()
    assert len(s.mirror_times("dana")) == 2
    s.in_step()


# --- calendars of a person ------------------------------------------------------------------------


@both
def test_a_persons_own_calendars_are_read_and_written(stage: Make, platform: Platform) -> None:
    s = stage("dana", "ruben", platform=platform)
    own = str(s.calendar.add_calendar(mail("dana"), "Team").id)  # type: ignore[attr-defined]
    mine = str(s.calendar.add_calendar(mail("dana"), "Visits").id)  # type: ignore[attr-defined]
    s.remap(dana={"busy_calendars": (own,), "mirrors_calendar": mine})
    for name in s.ids:
        s.meeting(name)
        s.busy(name)
    s.busy("dana", hour=16, calendar=own)
    s.run()
    assert [len(s.blocks(name)) for name in s.ids] == [2, 1]
    assert {link.calendar for link in s.links("dana") if link.kind == "mirror"} == {mine}
    s.in_step()
    s.busy("dana", days=2, calendar=own)
    s.later()
    assert len(s.blocks("dana")) == 3
    s.remap()
    s.later(again=2)
    assert len(s.blocks("dana")) == 1
    assert {
        link.calendar for link in s.links("dana") if link.kind == "mirror" and link.state == "live"
    } == {"primary"}
    s.in_step()


def test_the_main_calendar_of_another_user_is_refused(stage: Make) -> None:
    s = stage("dana", "ruben")
    for own in ({"busy_calendars": (mail("ruben"),)}, {"mirrors_calendar": mail("ruben").upper()}):
        with pytest.raises(ConfigurationError, match="is the main calendar of"):
            s.remap(dana=own)


def test_a_persons_calendar_that_is_gone_is_theirs_alone(stage: Make) -> None:
    s = stage("dana", "ruben")
    s.remap(dana={"busy_calendars": ("nowhere",)}, ruben={"mirrors_calendar": "nowhere"})
    for name in s.ids:
        s.meeting(name)
        s.busy(name)
    s.run()
    assert [len(s.blocks(name)) for name in s.ids] == [1, 0]
    assert len(s.mirror_times("dana")) == 1
    assert s.state("dana").failures == 0
    assert s.state("ruben").failures == 1
