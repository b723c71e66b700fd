"""Who is unmapped, disabled, or leaves Welkin: nothing of ours stays, unless settings say so."""

from datetime import timedelta
from typing import Any

import pytest

from calendar_sync.core.model import Platform
from calendar_sync.operations.approvals import grant
from calendar_sync.sync.roster import LEAVING, members
from tests.engine.cycle.stage import Stage, mail

pytestmark = pytest.mark.parametrize("platform", list(Platform))


def stage(platform: Platform, *names: str, **settings: Any) -> Stage:
    """Everybody has a visit, and an event of their own that blocks; all in step."""
    s = Stage(*(names or ("dana", "ruben")), platform=platform, settings=settings)
    for name in s.ids:
        s.visit(name)
        s.busy(name)
    s.run()
    for name in s.ids:
        assert holdings(s, name) == (1, 1)
    return s


def holdings(s: Stage, name: str) -> tuple[int, int]:
    return len(s.calendar.mirrors(mail(name))), len(s.blocks(name))


def test_who_becomes_inactive_in_welkin_is_cleaned_up_after(platform: Platform) -> None:
    s = stage(platform)
    s.welkin.users[s.ids["dana"]].state = "INACTIVE"
    s.later(hours=1, minutes=1)
    assert holdings(s, "dana") == (0, 0)
    assert holdings(s, "ruben") == (1, 1)
    assert not s.results[-1].failed


def test_who_loses_access_to_the_environment_too(platform: Platform) -> None:
    s = stage(platform)
    s.welkin.users[s.ids["dana"]].instances = ()
    s.later(hours=1, minutes=1)
    assert holdings(s, "dana") == (0, 0)


def test_whom_the_list_merely_lacks_stays_for_a_day(platform: Platform) -> None:
    s = stage(platform)
    gone = s.welkin.users.pop(s.ids["dana"])
    s.later(hours=1, minutes=1)
    s.later(hours=1, minutes=1, again=3)
    assert holdings(s, "dana") == (1, 1)
    s.later(hours=22)
    assert holdings(s, "dana") == (0, 0)
    s.welkin.users[gone.id] = gone
    s.later(hours=1, minutes=1)
    assert holdings(s, "dana") == (1, 1)


def test_who_comes_back_is_synced_again(platform: Platform) -> None:
    s = stage(platform)
    user = s.welkin.users[s.ids["dana"]]
    user.state = "INACTIVE"
    s.later(hours=1, minutes=1)
    s.busy("dana", days=3)
    user.state = "ACTIVE"
    s.later(hours=1, minutes=1)
    assert holdings(s, "dana") == (1, 2)


def test_keep_leaves_what_is_there(platform: Platform) -> None:
    s = stage(platform, on_unmapped="keep")
    s.welkin.users[s.ids["dana"]].state = "INACTIVE"
    s.remap("ruben")
    position = s.position
    s.later(hours=1, minutes=1)
    s.run(users=[])
    assert holdings(s, "dana") == holdings(s, "ruben") == (1, 1)
    assert s.wrote(position) == []
    s.document = {"on_unmapped": "remove"}
    s.later()
    assert holdings(s, "dana") == holdings(s, "ruben") == (0, 0)


def test_many_who_leave_at_once_wait_for_a_person(platform: Platform) -> None:
    s = stage(platform, *(f"user{number}" for number in range(6)))
    for name in list(s.ids)[:4]:
        s.welkin.users[s.ids[name]].state = "INACTIVE"
    s.later(hours=1, minutes=1)
    s.later()
    assert [holdings(s, name) for name in s.ids] == [(1, 1)] * 6
    waiting = s.store.runs.pending()
    assert {(one.reason, one.user_id, one.count) for one in waiting} == {
        (LEAVING, s.ids[name], 2) for name in list(s.ids)[:4]
    }
    # They are synced until then: a held user is not a forgotten one.
    s.visit("user0", days=2)
    s.later()
    assert holdings(s, "user0") == (2, 1)
    [digest] = {one.digest for one in waiting}
    assert grant(s.store, digest, "admin", s.clock.now()) == 4
    s.later()
    assert [holdings(s, name) for name in s.ids] == [(0, 0)] * 4 + [(1, 1)] * 2


def test_an_approval_that_has_lapsed_is_asked_for_again(platform: Platform) -> None:
    s = stage(platform, *(f"user{number}" for number in range(6)))
    gone = list(s.ids)[:4]
    for name in gone:
        s.welkin.users[s.ids[name]].state = "INACTIVE"
        s.calendar.revoke(mail(name))  # suspended together with the person
    s.later(hours=1, minutes=1)
    [digest] = {one.digest for one in s.store.runs.pending()}
    assert grant(s.store, digest, "admin", s.clock.now()) == 4
    s.later()
    assert s.store.runs.pending() == []
    s.later(hours=25)
    for name in gone:
        s.calendar.restore(mail(name))
    s.later(hours=7)
    waiting = s.store.runs.pending()
    assert {(one.digest, one.user_id) for one in waiting} == {(digest, s.ids[n]) for n in gone}
    assert all(s.clock.now() - one.requested_at < timedelta(hours=8) for one in waiting)
    assert [holdings(s, name) for name in s.ids] == [(1, 1)] * 6
    assert grant(s.store, digest, "admin", s.clock.now()) == 4
    s.later()
    # The blocks have ended by now: they stay.
    assert [holdings(s, name) for name in s.ids] == [(0, 1)] * 4 + [(1, 1)] * 2


def test_many_who_come_back_are_asked_about_no_more(platform: Platform) -> None:
    s = stage(platform, *(f"user{number}" for number in range(6)))
    users = [s.welkin.users[user_id] for user_id in s.ids.values()]
    for user in users:
        user.state = "INACTIVE"
    s.later(hours=1, minutes=1)
    assert len(s.store.runs.pending()) == 6
    for user in users:
        user.state = "ACTIVE"
    s.later(hours=1, minutes=1)
    assert s.store.runs.pending() == []
    assert [holdings(s, name) for name in s.ids] == [(1, 1)] * 6


def test_who_never_was_active_gets_nothing(platform: Platform) -> None:
    s = Stage("dana", platform=platform)
    s.welkin.users[s.ids["dana"]].state = "PROVISIONED"
    s.visit("dana")
    s.run()
    s.later()
    assert holdings(s, "dana") == (0, 0)
    people = members(s.store, s.store.config.revision().settings, platform, s.clock.now())
    assert (dict(people.synced), people.leaving, people.held) == ({}, frozenset(), frozenset())


def test_a_failed_removal_is_shown_and_tried_again(platform: Platform) -> None:
    s = stage(platform)
    s.welkin.users[s.ids["dana"]].state = "INACTIVE"
    s.calendar.revoke(mail("dana"))
    s.later(hours=1, minutes=1)
    assert [o.user_id for o in s.results[-1].failed] == [s.ids["dana"]]
    assert holdings(s, "ruben") == (1, 1)
    s.calendar.restore(mail("dana"))
    s.later(hours=7)
    assert holdings(s, "dana") == (0, 0)


@pytest.mark.parametrize("how", ["unmapped", "disabled", "inactive", "remapped"])
def test_blocks_that_ended_earlier_today_stay(platform: Platform, how: str) -> None:
    s = Stage("dana", "ruben", platform=platform)
    s.busy("dana", days=0, hour=11)
    s.busy("dana", days=0, hour=14)
    s.calendar.plan(mail("dana"), s.day(0), s.day(1), "Holiday")  # still going on
    s.run()
    over, *ahead = sorted(s.blocks("dana"), key=lambda block: block.end)
    s.clock.advance(hours=2)
    assert over.end < s.clock.now() < ahead[0].end
    if how == "inactive":
        s.welkin.users[s.ids["dana"]].state = "INACTIVE"
    elif how == "disabled":
        s.remap(dana={"enabled": False})
    elif how == "remapped":
        s.calendar.add_account(mail("new"))
        s.remap(dana={"account": mail("new")})
    else:
        s.remap("dana")
    s.later()
    assert [(block.id, block.status) for block in s.blocks("dana")] == [(over.id, "SCHEDULED")]
    s.later(again=2)
    assert [block.id for block in s.blocks("dana")] == [over.id]
