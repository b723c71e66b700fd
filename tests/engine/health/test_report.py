"""The report: what needs a person, in words for people and in JSON, without patient data."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest

from calendar_sync.adapters.google.client import GoogleCalendar
from calendar_sync.adapters.microsoft.client import MicrosoftCalendar
from calendar_sync.core.codes import SyncCode
from calendar_sync.core.model import MappedUser, Platform
from calendar_sync.insight.health import accounts, build
from calendar_sync.insight.health.render import message, page
from calendar_sync.insight.overview import PlatformOverview, overview
from calendar_sync.insight.status import status
from calendar_sync.state import tables as t
from calendar_sync.state.runs import LOOKED_AT, WELKIN
from calendar_sync.sync.services import Services
from tests.engine.cycle.stage import Stage, mail

on_both = pytest.mark.parametrize("platform", list(Platform))


def report(s: Stage, **options: Any) -> dict[str, Any]:
    document = build(s.store, s.store.config.revision(), s.clock.now(), **options).document
    assert json.loads(json.dumps(document)) == document
    return document


def items(s: Stage, **options: Any) -> list[tuple[str, str, str]]:
    return [(i["kind"], i["account"], i["code"]) for i in report(s, **options)["items"]]


def on_overview(s: Stage) -> tuple[PlatformOverview, ...]:
    return overview(s.store, s.store.config.revision().settings, s.clock.now()).platforms


def check(s: Stage) -> None:
    async def work(services: Services) -> None:
        settings = services.store.config.revision().settings
        for group in await accounts.groups(services):
            await accounts.validate(services, settings, group)

    asyncio.run(s.with_services(work))


@on_both
def test_an_organisation_that_is_up_to_date_has_nothing_to_report(platform: Platform) -> None:
    s = Stage("dana", "ruben", platform=platform)
    s.visit()
    s.busy("ruben")
    s.run()
    check(s)
    found = report(s)
    assert (found["attention"], found["items"], found["more"]) == (0, [], 0)
    [entry] = found["platforms"]
    assert entry["platform"] == platform.value
    assert entry["users"] == {"ok": 2}
    assert entry["synced"] == {"create_mirror": 1, "create_block": 1}
    assert entry["verdicts"] == {"ok": 2}
    assert entry["freshness_seconds"] == 0
    text = message(found, page(found))
    assert "all up to date" in text.subject
    assert "Nothing needs your attention" in text.html
    # What is older than a day is no longer news.
    s.clock.advance(days=1, minutes=1)
    assert report(s)["platforms"][0]["synced"] == {}


@on_both
def test_what_notices_changes_is_in_the_report(platform: Platform) -> None:
    s = Stage("dana", platform=platform)
    s.run()
    s.store.noticing.run_came(platform.value, s.clock.now(), expected=True)
    for part in (WELKIN, platform.value):
        s.store.noticing.beat(part, s.clock.now(), {})
    [entry] = report(s)["platforms"]
    told = {part["part"]: (part["stands_still"], part["last_at"]) for part in entry["noticing"]}
    assert told == dict.fromkeys((WELKIN, platform.value), (False, s.clock.now().isoformat()))


@on_both
def test_a_user_is_named_once_however_much_is_wrong(platform: Platform) -> None:
    s = Stage("dana", "ruben", platform=platform)
    s.visit()
    s.run()
    s.calendar.no_licence(mail("dana"))
    s.visit(days=2)
    for _ in range(4):
        s.later(hours=7)
    state = s.state("dana")
    assert state.attention
    [(kind, account, code)] = items(s)
    assert (kind, account) == ("failing", mail("dana"))
    assert code == state.error_code
    advice = report(s)["items"][0]["advice"]
    assert "licence" in advice
    check(s)
    assert items(s) == [("account", mail("dana"), "no_calendar_licence")]


@on_both
def test_a_late_change_is_reported(platform: Platform) -> None:
    s = Stage("dana", platform=platform)
    s.run()
    with s.store.database.write() as connection:
        pair = (s.ids["dana"], platform)
        s.store.marks.mark(connection, [pair], s.clock.now())
    s.clock.advance(seconds=290)
    assert items(s) == []
    s.clock.advance(seconds=20)
    s.store.runs.set_facts(platform.value, **{LOOKED_AT: s.clock.now().isoformat()})
    assert items(s) == [("late", mail("dana"), "over_target")]
    assert report(s)["platforms"][0]["freshness_seconds"] == pytest.approx(310, abs=2)


@on_both
def test_what_waits_what_is_parked_and_open_conflicts(platform: Platform) -> None:
    s = Stage("dana", platform=platform, settings={"mirror_moved": "report"})
    visit = s.visit()
    s.run()
    [mirror] = s.calendar.mirrors(mail("dana"))
    s.calendar.move_event(mail("dana"), mirror.id, s.at(1, 16), s.at(1, 17))
    s.later()
    assert items(s) == [("conflict", mail("dana"), "mirror_moved")]
    s.store.runs.ask_for("brake", "d1", {s.ids["dana"]: 12}, platform, s.clock.now())
    s.fault(platform.value, "status", "POST", "events", code=400, times=None)
    s.meeting(days=3)
    s.later(again=4)
    found = {kind: code for kind, _, code in items(s)}
    assert found["approval"] == "brake:12"
    assert found["parked"] == f"{platform.value}_refused"
    assert visit


@on_both
def test_events_left_in_an_account_are_reported_without_mapped_users(platform: Platform) -> None:
    s = Stage("dana", platform=platform)
    s.visit()
    s.run()
    s.calendar.revoke(mail("dana"))
    s.remap("dana")
    s.later(again=4, hours=7)
    code = s.state("dana").error_code
    assert items(s) == [
        ("failing", mail("dana"), code),
        ("conflict", mail("dana"), "left_in_account"),
    ]
    [entry] = status(s.store, s.clock.now())
    assert (entry.platform, entry.users, entry.mirrors, entry.conflicts) == (platform, {}, 1, 1)
    assert [(u["account"], u["code"]) for u in entry.failing] == [(mail("dana"), code)]
    [shown] = on_overview(s)
    assert (shown.platform, shown.standing.synced, shown.former) == (platform, 0, 1)
    s.calendar.restore(mail("dana"))
    s.later(hours=7)
    assert s.calendar.mirrors(mail("dana")) == []
    assert on_overview(s) == ()
    s.clock.advance(days=8)
    assert status(s.store, s.clock.now()) == []
    assert items(s) == []


@on_both
@pytest.mark.parametrize("how", ["unmapped", "disabled", "inactive"])
def test_a_leaver_whose_items_cannot_be_deleted_is_reported(
    platform: Platform, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    s = Stage("dana", "ruben", platform=platform)
    s.visit("dana")
    s.visit("ruben")
    s.run()
    kind: Any = {Platform.GOOGLE: GoogleCalendar, Platform.MICROSOFT: MicrosoftCalendar}[platform]
    real = kind.delete_mirror

    async def broken(self: Any, account: str, *rest: Any) -> None:
        if account == mail("dana"):
            raise ValueError("a bug")
        await real(self, account, *rest)

    monkeypatch.setattr(kind, "delete_mirror", broken)
    if how == "unmapped":
        s.remap("dana")
    elif how == "disabled":
        s.remap(dana={"enabled": False})
    else:
        s.welkin.users[s.ids["dana"]].state = "INACTIVE"
    s.later(again=5, hours=7)
    if how == "inactive":
        check(s)
    told = [item for item in items(s) if item[0] != "account"]
    # The user, the item that trips us up, and what is left.
    assert told == [
        ("failing", mail("dana"), "left_in_account"),
        ("parked", mail("dana"), "unexpected"),
        ("conflict", mail("dana"), "left_in_account"),
    ]
    [entry] = status(s.store, s.clock.now())
    assert [(u["account"], u["code"]) for u in entry.failing] == [(mail("dana"), "left_in_account")]


@on_both
def test_who_was_left_as_they_were_is_not_failing(platform: Platform) -> None:
    """Under `on_unmapped: keep` nothing is to be removed, whatever failed before."""
    s = Stage("dana", "ruben", platform=platform, settings={"on_unmapped": "keep"})
    s.visit()
    s.run()
    s.calendar.revoke(mail("dana"))
    s.visit(days=2)
    s.later(again=4, hours=7)
    assert s.state("dana").attention
    s.remap("dana")
    assert items(s) == []
    assert [entry.failing for entry in status(s.store, s.clock.now())] == [[]]


@on_both
def test_a_stopped_platform_comes_first(platform: Platform) -> None:
    s = Stage("dana", platform=platform)
    s.run()
    s.store.runs.set_fault(platform, SyncCode.MANY_ACCOUNTS_FAILING, s.clock.now())
    [(kind, account, code)] = items(s)
    assert (kind, account, code) == ("platform_fault", "", "many_accounts_failing")
    assert "calendar-sync check" in report(s)["items"][0]["advice"]


def test_damage_of_the_record_and_a_check_that_failed_are_reported() -> None:
    s = Stage("dana")
    found = items(s, audit=["row 7 was changed"], checked=False)
    assert [kind for kind, _, _ in found] == ["audit", "check_failed"]


@on_both
def test_drift_is_shown_with_whom_it_hit(platform: Platform) -> None:
    s = Stage("dana", platform=platform)
    s.run()
    missed = s.meeting(days=2)
    s.welkin.event_journal.pop(missed.id)
    s.later(days=1, hours=5)
    [entry] = report(s)["platforms"]
    assert entry["drift"] == {
        "compared": 1,
        "writes": {"wanted": 1},
        "users": {mail("dana"): 1},
    }


def test_a_long_list_is_cut_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    s = Stage("dana")
    monkeypatch.setattr("calendar_sync.insight.health.report.SHOWN", 3)
    found = report(s, audit=[f"problem {number}" for number in range(10)])
    assert (found["attention"], len(found["items"]), found["more"]) == (10, 3, 7)
    assert "and 7 more" in page(found)


def test_whatever_an_account_is_called_is_only_text() -> None:
    s = Stage("dana")
    evil = '<script>alert("x")</script>{{ 7*7 }}@example.org'
    rows = [MappedUser(s.ids["dana"], Platform.GOOGLE, evil)]
    asyncio.run(s.map(rows))
    with s.store.database.write() as connection:
        pair = (s.ids["dana"], Platform.GOOGLE)
        connection.execute(
            t.user_sync.update().values(
                attention=True, failures=3, error_code="<b>code</b>", failing_since=s.clock.now()
            )
        )
        s.store.marks.mark(connection, [pair], s.clock.now() - timedelta(days=1))
    html = page(report(s))
    assert "<script" not in html
    assert "<b>" not in html
    assert "&lt;script&gt;" in html
    assert "{{ 7*7 }}" in html


@on_both
def test_no_patient_data_in_any_form_of_it(platform: Platform) -> None:
    full = {"level": "full", "template": "{patient_first_name} {patient_last_name}"}
    baa = {"by": "Dana", "on": "2026-01-01"}
    details = {"title": full, "description": full, "baa_confirmed": baa}
    s = Stage("dana", platform=platform, settings={"mirror_content": details})
    s.visit()
    s.busy(title="Dentist 7731")
    s.run()
    s.calendar.revoke(mail("dana"))
    s.visit(days=2)
    s.later(again=4, hours=7)
    check(s)
    document = report(s)
    told = json.dumps(document) + page(document) + message(document, page(document)).text
    assert document["attention"]
    for canary in (*s.sandbox.canaries, "7731"):
        assert canary not in told
