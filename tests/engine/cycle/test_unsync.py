"""I11: un-sync removes exactly what is ours, proves it, and says what it could not remove."""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from calendar_sync.core.errors import ConfigurationError, LeaseHeld
from calendar_sync.core.model import Draft, MappedUser, Platform, Span
from calendar_sync.operations.unsync import Unsynced, disable, standing, unsync
from calendar_sync.sync import runner as passes
from calendar_sync.sync.services import Services
from tests.engine.cycle.stage import HOUR, Stage, mail

pytestmark = pytest.mark.parametrize("platform", list(Platform))


def stage(platform: Platform) -> Stage:
    """Two people with visits in all stretches of time, and lives of their own."""
    s = Stage("dana", "ruben", platform=platform, settings={"windows": {"mirrors_past_days": 2}})
    for name in s.ids:
        s.visit(name, hour=9)
        s.visit(name, days=3)
        s.busy(name)
        s.series(name)
        s.calendar.add_event(mail(name), start=s.at(2, 8), end=s.at(2, 8) + HOUR, title="own")
    s.run()
    # The first visit and block end, then the visit leaves the window: its mirror is retired.
    s.later(days=4)
    return s


def act(
    s: Stage, *names: str, switch_off: bool = True, platforms: Sequence[Platform] = ()
) -> list[Unsynced]:
    async def work(services: Services) -> list[Unsynced]:
        users = [s.ids[name] for name in names]
        rows = standing(services.store, platforms or [s.platform], users)
        if switch_off:
            disable(services, rows, "tests")
        revision = services.store.config.revision()
        return await unsync(services, revision, rows, run_id="un-sync", owner="tests")

    found: list[Unsynced] = asyncio.run(s.with_services(work))
    return found


def own(s: Stage, name: str) -> list[Any]:
    return sorted(
        (seen.id, seen.title, str(seen.start), str(seen.end)) for seen in s.calendar.own(mail(name))
    )


def test_exactly_ours_is_removed_and_no_other_event(platform: Platform) -> None:
    s = stage(platform)
    before = {name: own(s, name) for name in s.ids}
    others = (s.calendar.mirrors(mail("ruben")), len(s.blocks("ruben")))
    assert len(s.calendar.mirrors(mail("dana"))) == 2
    [result] = act(s, "dana")
    assert result.clean
    assert (result.left, result.code) == ({}, "")
    assert result.removed["delete_mirror"] == 2
    assert result.history >= 1
    assert s.calendar.mirrors(mail("dana")) == []
    now = s.clock.now()
    assert [block for block in s.blocks("dana") if block.end > now] == []
    assert {name: own(s, name) for name in s.ids} == before
    assert (s.calendar.mirrors(mail("ruben")), len(s.blocks("ruben"))) == others


def test_nothing_comes_back_afterwards(platform: Platform) -> None:
    s = stage(platform)
    act(s, "dana")
    s.visit("dana", days=5)
    s.later()
    s.later(days=1, hours=5)
    assert s.calendar.mirrors(mail("dana")) == []
    assert len(s.calendar.mirrors(mail("ruben"))) >= 1
    row = s.store.config.mapped(s.ids["dana"], platform)
    assert row is not None
    assert not row.enabled


def test_switched_on_again_everything_is_there_once(platform: Platform) -> None:
    s = stage(platform)
    s.visit("dana", days=5)
    s.later()
    act(s, "dana")
    s.remap()
    s.later()
    s.later()
    assert len(s.calendar.mirrors(mail("dana"))) == len(set(s.mirror_times("dana"))) == 2


def test_a_user_who_is_still_mapped_is_not_touched(platform: Platform) -> None:
    s = stage(platform)
    position = s.position
    [result] = act(s, "dana", switch_off=False)
    assert result.code == "mapped_and_enabled"
    assert not result.clean
    assert s.wrote(position) == []


def test_what_cannot_be_removed_is_said_and_others_are_not_kept(platform: Platform) -> None:
    s = stage(platform)
    s.calendar.revoke(mail("dana"))
    results = {result.account: result for result in act(s, "dana", "ruben")}
    assert results[mail("ruben")].clean
    assert results[mail("dana")].code
    assert not results[mail("dana")].clean
    s.calendar.restore(mail("dana"))
    [again] = act(s, "dana")
    assert again.clean
    assert s.calendar.mirrors(mail("dana")) == []


def test_what_carries_our_mark_without_a_link_is_left_and_reported(platform: Platform) -> None:
    """I4: an event without a link is nobody's to delete, whatever it says of itself."""
    s = stage(platform)
    span = Span(s.at(6, 9), s.at(6, 10))

    async def lose(services: Services) -> None:
        """As a mirror is whose link was lost."""
        marker = services.identity.marker(s.ids["dana"], "lost")
        draft = Draft("lost", "", span, "US/Eastern", "hash", "busy/busy")
        await services.platforms[platform].create_mirror(
            mail("dana"), "primary", "0" * 32, marker, draft
        )

    asyncio.run(s.with_services(lose))
    [result] = act(s, "dana")
    assert result.left == {"mirrors": 1}
    assert not result.clean
    assert [seen.title for seen in s.calendar.mirrors(mail("dana"))] == ["lost"]


def test_who_is_on_both_platforms_is_cleaned_on_each(platform: Platform) -> None:
    s = stage(platform)
    other = next(each for each in Platform if each is not platform)
    s.calendars(other).add_account(mail("dana"), "America/New_York")
    rows = [
        MappedUser(s.ids["dana"], platform, mail("dana")),
        MappedUser(s.ids["ruben"], platform, mail("ruben")),
        MappedUser(s.ids["dana"], other, mail("dana")),
    ]
    asyncio.run(s.map(rows))
    s.visit("dana", days=7)
    s.later()
    asyncio.run(s.sync(other))
    assert s.calendars(other).mirrors(mail("dana"))
    results = act(s, "dana", platforms=list(Platform))
    assert [result.clean for result in results] == [True, True], results
    assert s.calendars(other).mirrors(mail("dana")) == s.calendar.mirrors(mail("dana")) == []


def test_a_platform_without_connection_stops_no_other_platform(platform: Platform) -> None:
    s = stage(platform)
    other = next(each for each in Platform if each is not platform)
    rows = [*s.store.config.mapping(), MappedUser(s.ids["ruben"], other, "ruben@old.example")]
    asyncio.run(s.map(rows))

    async def work(services: Services) -> list[Unsynced]:
        connected = replace(services, platforms={platform: services.platforms[platform]})
        found = standing(services.store, list(Platform), ())
        disable(connected, found, "tests")
        revision = services.store.config.revision()
        return await unsync(connected, revision, found, run_id="un-sync", owner="tests")

    results = {(one.account, one.platform): one for one in asyncio.run(s.with_services(work))}
    without = results.pop(("ruben@old.example", other))
    assert (without.code, without.clean) == ("no_connection_configured", False)
    assert [one.clean for one in results.values()] == [True, True]
    assert s.calendar.mirrors(mail("ruben")) == s.calendar.mirrors(mail("dana")) == []


@pytest.mark.parametrize("where", ["delete_mirror", "changes"])
def test_a_bug_for_one_user_stops_no_other_user(
    platform: Platform, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While removing, and while reading again."""
    s = stage(platform)

    async def work(services: Services) -> list[Unsynced]:
        calendar = services.platforms[platform]
        real = getattr(calendar, where)

        async def broken(account: str, *rest: Any) -> Any:
            if account == mail("dana"):
                raise ValueError("a bug")
            return await real(account, *rest)

        monkeypatch.setattr(calendar, where, broken)
        rows = standing(services.store, [platform], ())
        disable(services, rows, "tests")
        revision = services.store.config.revision()
        return await unsync(services, revision, rows, run_id="un-sync", owner="tests")

    results = {one.account: one for one in asyncio.run(s.with_services(work))}
    failed = results[mail("dana")]
    assert (failed.code, failed.clean) == ("unexpected", False)
    assert failed.detail.startswith("ValueError at ")
    assert "unexpected (ValueError at" in failed.label
    assert "a bug" not in failed.label
    assert results[mail("ruben")].clean
    assert s.calendar.mirrors(mail("ruben")) == []


def test_who_is_in_other_hands_is_waited_for(platform: Platform) -> None:
    """A run of the sync has just taken the user: its cycle ends soon, or its lease lapses."""
    s = stage(platform)
    s.store.leases.take(s.ids["dana"], "a run", s.clock.now())
    begun = s.clock.now()
    [result] = act(s, "dana")
    assert (result.code, result.clean) == ("", True)
    assert s.calendar.mirrors(mail("dana")) == []
    assert timedelta(seconds=80) < s.clock.now() - begun < timedelta(minutes=3)


def test_a_user_who_stays_in_other_hands_is_reported_after_two_minutes(platform: Platform) -> None:
    s = stage(platform)
    s.store.leases.take(s.ids["dana"], "a run", s.clock.now() + timedelta(hours=1))
    begun, position = s.clock.now(), s.position
    results = {result.account: result for result in act(s, "dana", "ruben")}
    assert results[mail("dana")].code == "lease_held"
    assert results[mail("ruben")].clean
    assert timedelta(minutes=2) <= s.clock.now() - begun < timedelta(minutes=4)
    assert s.wrote(position)
    assert len(s.calendar.mirrors(mail("dana"))) == 2


def test_the_lease_is_held_on_to_while_a_slow_server_is_waited_for(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a run takes the user over after 90 seconds, and the account is told as lease_lost."""
    monkeypatch.setattr(passes, "RENEW_SECONDS", 0)
    s = stage(platform)

    async def work(services: Services) -> list[Unsynced]:
        calendar = services.platforms[platform]
        real = calendar.delete_mirror

        async def slow(*given: Any) -> None:
            for _ in range(10):
                await asyncio.sleep(0)
                await services.clock.sleep(20)
            with contextlib.suppress(LeaseHeld):
                services.store.leases.take(s.ids["dana"], "a run", services.clock.now())
            await real(*given)

        monkeypatch.setattr(calendar, "delete_mirror", slow)
        rows = standing(services.store, [platform], [s.ids["dana"]])
        disable(services, rows, "tests")
        revision = services.store.config.revision()
        return await unsync(services, revision, rows, run_id="un-sync", owner="tests")

    [result] = asyncio.run(s.with_services(work))
    assert (result.code, result.clean) == ("", True)


def test_switching_off_undoes_no_other_edit(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    s = Stage("dana", "ruben", platform=platform)
    found = standing(s.store, [platform], [s.ids["dana"]])
    new = MappedUser("new-user", platform, "new@example.org")

    async def work(services: Services) -> int:
        config = services.store.config
        read = config.mapping

        def meanwhile(*given: Any) -> list[MappedUser]:
            """Somebody maps a user right after the mapping was read."""
            rows: list[MappedUser] = read(*given)
            config.edit_mapping(lambda before: [*before, new], "somebody", services.clock.now())
            return rows

        monkeypatch.setattr(config, "mapping", meanwhile)
        return disable(services, found, "tests")

    assert asyncio.run(s.with_services(work)) == 1
    rows = {row.user_id: row.enabled for row in s.store.config.mapping(platform)}
    assert rows.pop("new-user", True)
    assert rows == {s.ids["dana"]: False, s.ids["ruben"]: True}
    authors = {(one.author, one.user_id) for one in s.store.config.mapping_history()}
    assert ("tests", "new-user") not in authors


def test_an_unknown_user_is_rejected(platform: Platform) -> None:
    s = Stage("dana", platform=platform)
    with pytest.raises(ConfigurationError, match="not mapped: nobody"):
        standing(s.store, [platform], ["nobody"])
