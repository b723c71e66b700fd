"""A paused user is left alone; nothing is lost, and what must not stay goes all the same."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from calendar_sync.core.errors import ConfigurationError
from calendar_sync.core.model import Platform
from calendar_sync.insight.activity import Asked, page
from calendar_sync.operations import pausing
from calendar_sync.operations.unsync import disable, standing, unsync
from calendar_sync.state.audit import DECISION
from calendar_sync.sync.outcomes import OutcomeStatus
from calendar_sync.sync.roster import members
from tests.engine.cycle.stage import Stage, mail
from tests.engine.cycle.test_leaving import holdings, stage

pytestmark = pytest.mark.parametrize("platform", list(Platform))
DETAILED = {"mirror_content": {"title": {"level": "type"}, "description": {"level": "type"}}}


def rest(s: Stage, name: str = "dana", days: int = 3) -> datetime:
    return pausing.pause(s.store, s.ids[name], days, "airflow:dana", s.clock.now())


def wake(s: Stage, name: str = "dana") -> None:
    pausing.resume(s.store, s.ids[name], "cli:operator", s.clock.now())


def change_everything(s: Stage) -> None:
    """Something new, moved, edited by hand and gone, on both sides of Dana's."""
    [mirror] = s.calendar.mirrors(mail("dana"))
    s.calendar.rename(mail("dana"), mirror.id, "My visit")
    s.visit("dana", days=5)
    s.meeting("dana", days=6)
    s.busy("dana", days=5)
    [block] = s.blocks("dana")
    s.welkin.move_event(block.id, s.at(1, 16), s.at(1, 17))


def asked(s: Stage, since: int) -> list[str]:
    """Requests about Dana's mailbox."""
    return [each.kind for each in s.sandbox.requests.since(since) if each.user == mail("dana")]


def test_nothing_is_asked_or_written_until_the_pause_ends_by_itself(platform: Platform) -> None:
    s = stage(platform)
    rest(s)
    change_everything(s)
    s.visit("ruben", days=2)
    position = s.position
    s.later(again=3)
    s.run(full=True)
    s.later(hours=26, again=2)
    assert holdings(s, "dana") == (1, 1)
    assert asked(s, position) == []
    assert holdings(s, "ruben") == (2, 1), "others are synced"
    s.later(hours=24)
    assert holdings(s, "dana") == (3, 2)
    s.later()
    s.in_step()


def test_a_pause_that_is_ended_early_has_lost_nothing(platform: Platform) -> None:
    s = stage(platform)
    rest(s, days=14)
    change_everything(s)
    s.later(hours=5)
    assert holdings(s, "dana") == (1, 1)
    wake(s)
    state = s.state("dana")
    assert state.marked
    assert state.next_full_at == state.marked_at == s.clock.now()
    s.later()
    assert holdings(s, "dana") == (3, 2)
    s.later()
    s.in_step()


def test_a_run_for_this_user_says_until_when_and_writes_nothing(platform: Platform) -> None:
    s = stage(platform)
    until = rest(s)
    change_everything(s)
    position = s.position
    for options in ({}, {"full": True}, {"dry_run": True}):
        result = s.run(users=[s.ids["dana"]], **options)
        [outcome] = result.outcomes.values()
        assert outcome.status is OutcomeStatus.PAUSED
        assert outcome.label == f"{mail('dana')}: paused until {until:%Y-%m-%d %H:%M} UTC"
        assert not result.failed
    assert s.wrote(position) == []
    assert asked(s, position) == []


def test_a_pause_that_begins_during_a_cycle_stops_it_before_its_first_write(
    platform: Platform,
) -> None:
    s = stage(platform)
    s.visit("dana", days=2)
    note = s.transport.after_request
    begun: list[datetime] = []

    def begin() -> None:
        note()
        if s.sandbox.requests[-1].kind == "welkin.events.list" and not begun:
            begun.append(rest(s))

    s.transport.after_request = begin
    s.later()
    assert begun, "the cycle has read Welkin"
    assert s.results[-1].outcomes[s.ids["dana"]].status is OutcomeStatus.PAUSED
    assert holdings(s, "dana") == (1, 1)
    s.transport.after_request = note
    wake(s)
    s.later()
    assert holdings(s, "dana") == (2, 1)


@pytest.mark.parametrize("how", ["unmapped", "disabled", "inactive"])
def test_who_leaves_does_so_during_a_pause_as_well(platform: Platform, how: str) -> None:
    s = stage(platform)
    rest(s)
    if how == "inactive":
        s.welkin.users[s.ids["dana"]].state = "INACTIVE"
    elif how == "disabled":
        s.remap(dana={"enabled": False})
    else:
        s.remap("dana")
    s.later(hours=1, minutes=1)
    assert holdings(s, "dana") == (0, 0)
    assert holdings(s, "ruben") == (1, 1)
    if how == "disabled":
        # Whoever is mapped again is still paused.
        s.remap()
        s.later()
        assert holdings(s, "dana") == (0, 0)
        wake(s)
        s.later()
        assert holdings(s, "dana") == (1, 1)


def test_a_paused_user_can_be_unsynced(platform: Platform) -> None:
    s = stage(platform)
    rest(s)

    async def take_back() -> Any:
        async with s.services() as services:
            rows = standing(s.store, [platform], [s.ids["dana"]])
            disable(services, rows, "operator")
            revision = services.store.config.revision()
            return await unsync(services, revision, rows, run_id="unsync", owner="unsync")

    [found] = asyncio.run(take_back())
    assert found.clean
    assert holdings(s, "dana") == (0, 0)


def test_a_lowered_level_is_obeyed_during_a_pause_and_nothing_else_is_written(
    platform: Platform,
) -> None:
    s = stage(platform, **DETAILED)
    [detailed] = s.calendar.mirrors(mail("dana"))
    rest(s)
    s.later()
    s.visit("dana", days=2)
    s.busy("dana", days=2)
    s.document = {}
    position = s.position
    s.later()
    [mirror] = s.calendar.mirrors(mail("dana"))
    assert mirror.id == detailed.id
    assert mirror.title != detailed.title
    ours = [entry for entry in s.writes(position) if entry.user == mail("dana")]
    assert len(ours) == 1
    assert holdings(s, "dana") == (1, 1)
    position = s.position
    s.later(again=2)
    assert asked(s, position) == [], "nothing is left to put right"
    wake(s)
    s.later()
    assert holdings(s, "dana") == (2, 2)
    s.in_step()


def test_a_raised_level_waits_for_the_end_of_the_pause(platform: Platform) -> None:
    s = stage(platform)
    [plain] = s.calendar.mirrors(mail("dana"))
    rest(s)
    s.document = DETAILED
    position = s.position
    s.later(again=2)
    assert asked(s, position) == []
    assert s.calendar.mirrors(mail("dana")) == [plain]


def test_an_edit_that_a_lowered_level_overwrites_is_shown(platform: Platform) -> None:
    s = stage(platform, **DETAILED)
    rest(s)
    [mirror] = s.calendar.mirrors(mail("dana"))
    s.calendar.move_event(mail("dana"), mirror.id, s.at(4, 9), s.at(4, 10))
    s.document = {}
    s.later()
    assert s.conflicts() == [("mirror_moved", "restored")]
    [restored] = s.calendar.mirrors(mail("dana"))
    assert (restored.start, restored.title == mirror.title) == (s.at(1, 9), False)


def test_what_cannot_be_put_right_is_tried_again_an_hour_later(platform: Platform) -> None:
    s = stage(platform, **DETAILED)
    rest(s)
    s.document = {}
    s.fault(platform.value, "status", "PATCH", "/events/", code=403, times=None)
    s.later()
    s.later(again=3)
    assert s.state("dana").retry_at is not None
    s.sandbox.faults.clear()
    s.later(hours=25)
    s.later(hours=2)
    [mirror] = s.calendar.mirrors(mail("dana"))
    assert mirror.title == "Busy"


def test_another_mailbox_is_filled_after_the_pause_and_the_old_one_cleared_at_once(
    platform: Platform,
) -> None:
    s = stage(platform)
    rest(s)
    s.calendar.add_account(mail("new"))
    s.remap(dana={"account": mail("new")})
    s.later()
    assert s.calendar.mirrors(mail("dana")) == []
    assert s.calendar.mirrors(mail("new")) == []
    wake(s)
    s.later()
    assert len(s.calendar.mirrors(mail("new"))) == 1


def test_who_is_mapped_on_another_platform_meanwhile_is_paused_there_too(
    platform: Platform,
) -> None:
    s = stage(platform)
    rest(s)
    for each in Platform:
        assert s.store.pauses.of(s.ids["dana"], each, s.clock.now()) is not None
    people = members(s.store, s.store.config.revision().settings, platform, s.clock.now())
    assert list(people.paused) == [s.ids["dana"]]
    assert list(people.synced) == [s.ids["ruben"]]
    assert s.ids["dana"] in people.known


@pytest.mark.parametrize("days", [0, 15, -1])
def test_a_pause_of_another_length_is_refused_by_name(platform: Platform, days: int) -> None:
    s = stage(platform)
    with pytest.raises(ConfigurationError, match=f"1 to 14 days, not {days}"):
        rest(s, days=days)
    s.remap(dana={"enabled": False})
    with pytest.raises(ConfigurationError, match="disabled in the mapping"):
        rest(s)
    s.remap("dana")
    with pytest.raises(ConfigurationError, match=f"{s.ids['dana']} is not mapped"):
        rest(s)
    with pytest.raises(ConfigurationError, match="is not paused"):
        wake(s, "ruben")
    assert s.store.pauses.current(platform, s.clock.now()) == {}


def test_the_audit_log_has_who_paused_until_when(platform: Platform) -> None:
    s = stage(platform)
    until = rest(s)
    s.clock.advance(hours=1)
    wake(s)
    run_ids = {"airflow:dana": until, "cli:operator": s.clock.now()}
    for author, moment in run_ids.items():
        [row] = s.store.audit.of_run(author, platform)
        assert (row.user_id, row.step) == (s.ids["dana"], DECISION)
        items = decided(s, author)
        assert items == [moment.strftime("%Y-%m-%dT%H:%M:%SZ")]
    assert s.store.audit.verify() == []


def decided(s: Stage, author: str) -> list[str]:
    return [entry.source_id for entry in page(s.store, Asked(run_id=author)).entries]


def test_a_longer_pause_replaces_the_shorter(platform: Platform) -> None:
    s = stage(platform)
    rest(s, days=1)
    s.clock.advance(hours=2)
    until = rest(s, days=2)
    assert until == s.clock.now() + timedelta(days=2)
    pause = s.store.pauses.of(s.ids["dana"], platform, s.clock.now())
    assert pause is not None
    assert (pause.until, pause.author) == (until, "airflow:dana")
