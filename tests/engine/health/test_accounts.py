"""One verdict a user, from a closed list, each with what to do; nothing is changed by looking."""

import asyncio
from typing import Any

import pytest

from calendar_sync.core.model import MappedUser, Platform
from calendar_sync.insight.health import accounts
from calendar_sync.state.health import Checked
from calendar_sync.sync.services import Services
from tests.engine.cycle.stage import DAY, Stage, mail

on_both = pytest.mark.parametrize("platform", list(Platform))


def check(s: Stage) -> dict[str, Checked]:
    async def work(services: Services) -> list[Checked]:
        settings = services.store.config.revision().settings
        found: list[Checked] = []
        for group in await accounts.groups(services):
            found += await accounts.validate(services, settings, group)
        return found

    found: list[Checked] = asyncio.run(s.with_services(work))
    return {one.account: one for one in found}


def verdicts(s: Stage) -> dict[str, str]:
    return {one.account.partition("@")[0]: one.verdict for one in check(s).values()}


@on_both
def test_a_healthy_user_is_ok_and_nothing_is_written(platform: Platform) -> None:
    s = Stage("dana", platform=platform)
    s.visit()
    s.busy()
    position = s.position
    assert verdicts(s) == {"dana": "ok"}
    # Microsoft's right to write is tried with an event that nobody has.
    assert s.wrote(position) == (
        [] if platform is Platform.GOOGLE else ["microsoft.events.delete 404"]
    )
    assert s.store.feeds.cursors(platform.value) == {}
    assert s.state("dana").last_success_at is None


FAULTS: dict[str, tuple[Any, dict[Platform, str]]] = {
    "suspend": (
        lambda s: s.calendar.suspend(mail("dana")),
        dict.fromkeys(Platform, "account_suspended"),
    ),
    "delete": (
        lambda s: s.calendar.delete_account(mail("dana")),
        dict.fromkeys(Platform, "account_unknown"),
    ),
    "licence": (
        lambda s: s.calendar.no_licence(mail("dana")),
        dict.fromkeys(Platform, "no_calendar_licence"),
    ),
    "revoke": (
        lambda s: s.calendar.revoke(mail("dana")),
        {Platform.GOOGLE: "account_unknown", Platform.MICROSOFT: "outside_scope"},
    ),
    "inactive": (
        lambda s: setattr(s.welkin.users[s.ids["dana"]], "state", "INACTIVE"),
        dict.fromkeys(Platform, "welkin_user_inactive"),
    ),
    "no access": (
        lambda s: setattr(s.welkin.users[s.ids["dana"]], "instances", ()),
        dict.fromkeys(Platform, "no_instance_access"),
    ),
    "gone": (
        lambda s: s.welkin.users.pop(s.ids["dana"]),
        dict.fromkeys(Platform, "welkin_user_unknown"),
    ),
}


@on_both
@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_has_its_verdict_and_concerns_no_other_user(
    platform: Platform, fault: str
) -> None:
    s = Stage("dana", "ruben", platform=platform)
    if platform is Platform.GOOGLE:
        s.google.accounts[mail("ruben")].admin = True
    act, expected = FAULTS[fault]
    act(s)
    assert verdicts(s) == {"dana": expected[platform], "ruben": "ok"}


@on_both
def test_a_calendar_that_is_missing_is_named_so(platform: Platform) -> None:
    settings = {"calendars": {platform.value: {"mirrors": "visits", "busy": ["primary"]}}}
    s = Stage("dana", platform=platform, settings=settings)
    assert verdicts(s) == {"dana": "calendar_not_found"}


@on_both
def test_a_mapping_that_welkin_does_not_know(platform: Platform) -> None:
    s = Stage("dana", platform=platform)
    asyncio.run(s.map([MappedUser("nobody", platform, mail("dana"))]))
    assert verdicts(s) == {"dana": "welkin_user_unknown"}


@on_both
def test_the_whole_connection_refused_is_no_fault_of_a_user(platform: Platform) -> None:
    s = Stage("dana", "ruben", platform=platform)
    s.fault(platform.value, "status", code=401, times=None, path="(?i)token")
    assert set(verdicts(s).values()) == {"connection_faulty"}


@on_both
def test_a_service_that_does_not_answer_leaves_the_verdict_of_before(platform: Platform) -> None:
    s = Stage("dana", platform=platform)
    first = check(s)[mail("dana")]
    s.clock.advance(hours=1)
    s.fault(platform.value, "status", code=503, times=None)
    assert verdicts(s) == {"dana": "not_answering"}
    assert s.store.health.verdicts() == [first]


@on_both
def test_a_verdict_keeps_its_beginning_while_it_stands(platform: Platform) -> None:
    s = Stage("dana", platform=platform)
    began = check(s)[mail("dana")].since
    s.clock.advance(days=1)
    check(s)
    [stored] = s.store.health.verdicts()
    assert stored.since == began
    assert stored.checked_at - began >= DAY
    s.calendar.no_licence(mail("dana"))
    s.clock.advance(days=1)
    check(s)
    [stored] = s.store.health.verdicts()
    assert stored.verdict == "no_calendar_licence"
    assert stored.since == stored.checked_at
    # Another account is another story; who is not mapped has none.
    s.calendar.add_account("new@example.org")
    s.remap(dana={"account": "new@example.org"})
    assert s.store.health.verdicts() == []
    s.remap("dana")
    assert check(s) == {}


@on_both
def test_many_users_are_checked_in_groups(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts, "GROUP", 2)
    s = Stage(*(f"user{number}" for number in range(5)), platform=platform)

    async def work(services: Services) -> list[accounts.Group]:
        return await accounts.groups(services)

    groups: list[accounts.Group] = asyncio.run(s.with_services(work))
    assert [len(group.users) for group in groups] == [2, 2, 1]
    assert {user for group in groups for user in group.users} == set(s.ids.values())


def test_one_mailbox_under_two_names_is_reported_for_both() -> None:
    """The address and the object id of one mailbox: only the directory knows."""
    s = Stage("dana", "ruben", "mira", platform=Platform.MICROSOFT)
    s.remap(ruben={"account": s.microsoft.accounts[mail("dana")].guid})
    found = {one.user_id: one.verdict for one in check(s).values()}
    assert found == {
        s.ids["dana"]: "mapped_twice",
        s.ids["ruben"]: "mapped_twice",
        s.ids["mira"]: "ok",
    }


def test_without_a_directory_suspended_looks_like_unknown() -> None:
    s = Stage("dana")
    s.google.suspend(mail("dana"))
    assert verdicts(s) == {"dana": "account_unknown"}


@on_both
def test_a_directory_that_may_not_be_read_is_no_fault_of_a_user(platform: Platform) -> None:
    s = Stage("dana", platform=platform)
    s.fault(platform.value, "status", code=403, times=None, path="users(\\?|$)")
    assert verdicts(s) == {"dana": "ok"}
