"""`calendar-sync explain` against the sandbox: which rule decides, in which state things are."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete

from calendar_sync.core.codes import SyncCode
from calendar_sync.core.model import INACTIVE, Direction, Platform, WelkinUser
from calendar_sync.insight.explain import (
    Explanation,
    Look,
    Part,
    explain_appointment,
    explain_event,
    explain_user,
    words,
)
from calendar_sync.insight.explain.event import RULES
from calendar_sync.planner.mirrors import NO_MIRROR
from calendar_sync.state import tables as t
from calendar_sync.sync.services import Services
from tests.engine.cycle.stage import DAY, HOUR, Stage, mail

ASK: dict[str, Callable[..., Awaitable[Explanation]]] = {
    "appointment": explain_appointment,
    "event": explain_event,
    "user": explain_user,
}
#: What may change although nothing is written: tokens, and the queue of requests.
TECHNICAL = {"access_token", "rate"}


@pytest.fixture(params=list(Platform))
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    made = Stage("dana", "ruben", platform=request.param)
    yield made
    made.database.close()


def contents(stage: Stage) -> dict[str, list[Any]]:
    with stage.database.read() as connection:
        return {
            name: [tuple(row) for row in connection.execute(table.select())]
            for name, table in t.metadata.tables.items()
            if name not in TECHNICAL
        }


def ask(stage: Stage, about: str, key: str, **only: Any) -> Explanation:
    """The answer; nothing may be written for it, and it may hold nothing of a patient."""

    async def work(services: Services) -> Any:
        return await ASK[about](Look(services, services.store.config.revision()), key, **only)

    async def settled(services: Services) -> None:
        """The stage stores its settings whenever services are opened."""

    asyncio.run(stage.with_services(settled))
    before, since = contents(stage), stage.position
    answer = asyncio.run(stage.with_services(work))
    assert isinstance(answer, Explanation)
    assert stage.wrote(since) == []
    assert contents(stage) == before
    text = json.dumps(answer.document())
    assert not any(canary in text for canary in stage.sandbox.canaries)
    return answer


def one(answer: Explanation) -> Part:
    [part] = answer.parts
    return part


def decided(part: Part) -> str | None:
    found = [rule.name for rule in part.rules if rule.outcome == "decides"]
    return found[0] if found else None


# --- appointments -----------------------------------------------------------------------------


def test_a_mirror_that_is_as_it_should_be(stage: Stage) -> None:
    visit = stage.visit()
    stage.run()
    answer = ask(stage, "appointment", visit.event_id)
    part = one(answer)
    assert (part.verdict, part.account) == ("mirror_ok", mail("dana"))
    assert "last written 15:0" in part.text
    assert "level busy/busy" in part.text
    assert {rule.outcome for rule in part.rules} == {"passes"}
    assert [rule.name for rule in part.rules] == list(NO_MIRROR)
    assert "create_mirror (wanted): ok" in str(part.facts)


def test_every_rule_has_its_words() -> None:
    assert set(words.MIRROR_PASSES) == set(NO_MIRROR)
    assert set(words.BLOCK_PASSES) == set(RULES)
    assert set(NO_MIRROR) - {"cancelled", "filtered"} <= set(words.MIRROR)
    assert set(RULES) <= set(words.BLOCK)


@pytest.mark.parametrize(
    ("types", "text"),
    [
        ({"exclude": ["*"]}, "type etmp-initial-consultation is excluded"),
        ({"include": ["etmp-other"]}, "type etmp-initial-consultation is not included"),
    ],
)
def test_the_type_filter_names_the_type(stage: Stage, types: dict[str, Any], text: str) -> None:
    stage.document["encounter_types"] = types
    visit = stage.visit(template="etmp-initial-consultation")
    stage.run()
    part = one(ask(stage, "appointment", visit.event_id))
    assert (part.verdict, part.text) == ("filtered", f"filtered: {text}")
    outcomes = {rule.name: rule.outcome for rule in part.rules}
    assert outcomes["cancelled"] == "passes"
    assert outcomes["filtered"] == "decides"
    assert outcomes["empty_time"] == "not asked"


def test_either_side_can_have_cancelled_it(stage: Stage) -> None:
    visit, meeting = stage.visit(), stage.meeting(days=2)
    stage.run()
    stage.welkin.cancel_encounter(visit.id)
    stage.welkin.cancel_event(meeting.id)
    part = one(ask(stage, "appointment", meeting.id))
    assert decided(part) == "cancelled"
    assert part.text.startswith(
        "cancelled: the calendar event is CANCELLED; the next sync handles its mirror"
    )
    stage.later()
    part = one(ask(stage, "appointment", visit.event_id))
    assert part.text == "cancelled: the encounter is CANCELLED"


def test_an_encounter_that_is_not_known_yet(stage: Stage) -> None:
    visit = stage.visit()
    stage.fault("welkin", "status", "GET", "/encounters", code=403, times=None)
    stage.fault("welkin", "status", "GET", "export/ENCOUNTER", code=503, times=None)
    part = one(ask(stage, "appointment", visit.event_id))
    assert (part.verdict, decided(part)) == ("pending", "pending")
    assert (
        part.text
        == "pending: the encounter is not known yet; until then nothing is created or deleted"
    )


def test_before_the_first_cycle_and_after_a_change(stage: Stage) -> None:
    meeting = stage.meeting()
    assert one(ask(stage, "appointment", meeting.id)).verdict == "to_create"
    stage.run()
    stage.move(meeting.id, 2, 11)
    assert one(ask(stage, "appointment", meeting.id)).verdict == "mirror_behind"
    stage.later()
    assert one(ask(stage, "appointment", meeting.id)).verdict == "mirror_ok"


def test_edits_by_hand_are_seen(stage: Stage) -> None:
    stage.document["mirror_deleted"] = "report"
    meeting = stage.meeting()
    stage.run()
    [seen] = stage.calendar.mirrors(mail("dana"))
    stage.clock.advance(minutes=2)
    stage.calendar.rename(mail("dana"), seen.id, "mine")
    part = one(ask(stage, "appointment", meeting.id))
    assert (part.verdict, "`mirror_moved: restore`" in part.text) == ("mirror_edited", True)
    stage.calendar.delete_event(mail("dana"), seen.id)
    assert one(ask(stage, "appointment", meeting.id)).verdict == "mirror_missing"
    stage.later()
    part = one(ask(stage, "appointment", meeting.id))
    assert part.verdict == "dismissed"
    assert "mirror_deleted: reported" in str(part.facts)


def test_an_appointment_that_welkin_no_longer_has(stage: Stage) -> None:
    meeting = stage.meeting()
    stage.run()
    stage.welkin.delete_event(meeting.id)
    answer = ask(stage, "appointment", meeting.id)
    assert "404" in answer.text
    assert one(answer).verdict == "gone"
    stage.later()
    assert one(ask(stage, "appointment", meeting.id)).verdict == "removed"


def test_removals_that_wait_for_approval_are_named(stage: Stage) -> None:
    stage.document["deletion_guard"] = {"max_deletions": 0, "max_share": 0}
    meeting = stage.meeting()
    stage.run()
    stage.welkin.delete_event(meeting.id)
    stage.later()
    [waiting] = stage.store.runs.pending()
    part = one(ask(stage, "appointment", meeting.id))
    assert (part.verdict, waiting.digest in part.text) == ("held", True)
    user = one(ask(stage, "user", stage.ids["dana"]))
    assert f"{waiting.digest}: 1 (brake)" in str(user.facts)


def test_an_edit_that_waits_for_approval_is_named(stage: Stage) -> None:
    stage.document["mirror_deleted"] = "cancel"
    meetings = [stage.meeting(days=day) for day in range(1, 5)]
    stage.run()
    for seen in stage.calendar.mirrors(mail("dana")):
        stage.calendar.delete_event(mail("dana"), seen.id)
    stage.later()
    [waiting] = stage.store.runs.pending()
    parts = [one(ask(stage, "appointment", meeting.id)) for meeting in meetings]
    [held] = [part for part in parts if part.verdict == "held"]
    assert waiting.digest in held.text


def test_a_parked_item_says_why_and_when_it_is_tried_again(stage: Stage) -> None:
    meeting = stage.meeting()
    stage.fault(stage.platform.value, "status", "POST", "/events", code=400, times=None)
    stage.later(again=4)
    part = one(ask(stage, "appointment", meeting.id))
    assert part.verdict == "parked"
    code = f"{stage.platform.value}_refused"
    assert part.text.startswith(f"failed 3 times: {code}, next try 2026-03-03")
    assert "Google rejects this event" in str(part.facts) or "Exchange rejects" in str(part.facts)


def test_direction_mapping_and_participants(stage: Stage) -> None:
    meeting = stage.meeting()
    stage.run()
    stage.one_way("dana", Direction.CALENDAR_TO_WELKIN)
    part = one(ask(stage, "appointment", meeting.id))
    assert part.verdict == "not_in_direction"
    assert "its mirror stays there" in part.text
    stage.remap("dana")
    assert one(ask(stage, "appointment", meeting.id)).verdict == "not_mapped"
    stage.later()
    answer = ask(stage, "appointment", stage.meeting(days=3).id)
    assert answer.parts == ()
    assert stage.ids["dana"] in str(answer.facts)
    assert "mapping" in str(answer.hints)


def test_each_participant_has_an_answer_of_their_own(stage: Stage) -> None:
    visit = stage.visit()
    stage.welkin.add_participant(visit.event_id, stage.ids["ruben"])
    stage.run()
    answer = ask(stage, "appointment", visit.event_id)
    assert {part.account for part in answer.parts} == {mail("dana"), mail("ruben")}
    only = ask(stage, "appointment", visit.event_id, user_id=stage.ids["ruben"])
    assert one(only).account == mail("ruben")


def test_other_ids_lead_to_the_appointment_or_are_named(stage: Stage) -> None:
    visit = stage.visit()
    event_id = stage.busy()
    stage.run()
    by_encounter = ask(stage, "appointment", visit.id)
    assert one(by_encounter).verdict == "mirror_ok"
    assert visit.event_id in by_encounter.text
    [block] = stage.blocks()
    assert event_id in one(ask(stage, "appointment", block.id)).text
    unknown = ask(stage, "appointment", "nonsense")
    assert not unknown.found
    assert unknown.looked_at
    assert unknown.hints


def test_welkin_out_of_reach_leaves_what_is_stored(stage: Stage) -> None:
    meeting = stage.meeting()
    stage.run()
    stage.fault("welkin", "status", "GET", "/calendar/events/", code=403, times=None)
    answer = ask(stage, "appointment", meeting.id)
    assert "could not be read" in answer.text
    assert one(answer).verdict == "welkin_unread"


# --- events -----------------------------------------------------------------------------------


def test_a_block_that_is_as_it_should_be(stage: Stage) -> None:
    event_id = stage.busy()
    assert one(ask(stage, "event", event_id)).verdict == "to_create"
    stage.run()
    part = one(ask(stage, "event", event_id))
    assert (part.verdict, decided(part)) == ("block_ok", None)
    assert [rule.name for rule in part.rules] == list(RULES)
    [block] = stage.blocks()
    assert block.id in str(part.facts)
    by_block = ask(stage, "event", block.id)
    assert "a block in Welkin" in by_block.text
    assert one(by_block).verdict == "block_ok"


def test_what_does_not_block_names_its_rule(stage: Stage) -> None:
    free = stage.calendar.plan(mail("dana"), stage.at(1, 9), stage.at(1, 10), "x", free=True)
    far = stage.busy(days=200)
    day = stage.day(3)
    all_day = stage.calendar.plan(mail("dana"), day, day + DAY, "x")
    stage.document["block_time"] = {"all_day": "ignore"}
    stage.run()
    found = {key: one(ask(stage, "event", key)) for key in (free, far, all_day)}
    assert [decided(part) for part in found.values()] == [
        "free",
        "outside_window",
        "all_day_ignored",
    ]
    assert found[all_day].text == "it is an all-day event, and `block_time.all_day` is `ignore`"


@pytest.mark.parametrize("answer", ["declined", "tentative"])
def test_what_the_user_answered_counts(stage: Stage, answer: str) -> None:
    fields = (
        {"attendees": [{"email": mail("dana"), "responseStatus": "accepted"}]}
        if stage.platform is Platform.GOOGLE
        else {"responseStatus": {"response": "accepted", "time": "2026-01-01T00:00:00Z"}}
    )
    event_id = stage.busy(**fields)
    stage.run()
    stage.calendar.respond(mail("dana"), event_id, answer)
    part = one(ask(stage, "event", event_id))
    assert decided(part) == answer
    assert "the next sync deletes its block" in part.text
    stage.later()
    assert one(ask(stage, "event", event_id)).text == words.BLOCK[answer]


def test_a_setting_that_keeps_all_blocks_away_comes_first(stage: Stage) -> None:
    event_id = stage.busy()
    stage.run()
    stage.one_way("dana", Direction.WELKIN_TO_CALENDAR)
    assert one(ask(stage, "event", event_id)).verdict == "not_in_direction"
    stage.remap()
    stage.document["block_time"] = {"enabled": False}
    assert one(ask(stage, "event", event_id)).verdict == "block_time_off"


def test_ignored_by_pattern(stage: Stage) -> None:
    stage.document["block_time"] = {"ignore_external": {"organizers": ["dana@*"]}}
    event_id = stage.busy()
    stage.run()
    part = one(ask(stage, "event", event_id))
    assert decided(part) == "ignored"


def test_a_series_and_its_instances(stage: Stage) -> None:
    stage.document["block_time"] = {"instances_per_series": 3}
    series = stage.series()
    stage.run()
    whole = one(ask(stage, "event", series))
    assert whole.verdict == "series"
    assert "events: 5 busy; blocks: 3 live" in whole.text
    assert "only the nearest 3" in whole.text
    seen = stage.calendar.expanded_glimpses(mail("dana"), stage.at(0, 0), stage.at(9, 0))
    found = [one(ask(stage, "event", each.id)).verdict for each in seen]
    assert found == ["block_ok"] * 3 + ["over_limit"] * 2


def test_duplicates_of_visits_are_shown_as_held(stage: Stage) -> None:
    for day in range(1, 7):
        stage.meeting(days=day)
        copy = stage.busy(days=day, hour=9)
    stage.run()
    part = one(ask(stage, "event", copy))
    assert (part.verdict, decided(part)) == ("twin_held", "twin_held")


def test_a_block_touched_in_welkin_and_an_event_that_went(stage: Stage) -> None:
    event_id = stage.busy()
    stage.run()
    [block] = stage.blocks()
    stage.clock.advance(minutes=2)
    stage.move(block.id, 5, 9)
    part = one(ask(stage, "event", event_id))
    assert (part.verdict, "`block_edited: restore`" in part.text) == ("block_edited", True)
    stage.calendar.delete_event(mail("dana"), event_id)
    part = one(ask(stage, "event", event_id))
    assert part.verdict in {"gone", "deleted"}
    stage.later()
    part = one(ask(stage, "event", event_id))
    assert part.verdict in {"removed", "deleted"}
    assert "delete_block" in str(part.facts)


def test_a_mirror_leads_to_its_appointment(stage: Stage) -> None:
    meeting = stage.meeting()
    stage.run()
    [seen] = stage.calendar.mirrors(mail("dana"))
    answer = ask(stage, "event", seen.id)
    assert answer.text == "a mirror"
    part = one(answer)
    assert part.verdict == "mirror"
    assert meeting.id in part.text
    assert "mirror OK" in part.text


def test_our_marker_without_a_link_never_blocks(stage: Stage) -> None:
    stage.meeting()
    stage.run()
    [seen] = stage.calendar.mirrors(mail("dana"))
    with stage.database.write() as connection:
        connection.execute(delete(t.link))
    part = one(ask(stage, "event", seen.id))
    assert part.verdict == "stray_mirror"


def test_an_unknown_event_says_where_it_was_looked_for(stage: Stage) -> None:
    answer = ask(stage, "event", "nonsense")
    assert not answer.found
    assert mail("ruben") in str(answer.looked_at)
    assert "--appointment" in str(answer.hints)
    only = ask(stage, "event", "nonsense", user_id=stage.ids["dana"])
    assert mail("ruben") not in str(only.looked_at)


def test_an_account_out_of_use_is_named(stage: Stage) -> None:
    event_id = stage.busy()
    stage.run()
    stage.calendar.revoke(mail("dana"))
    part = one(ask(stage, "event", event_id))
    assert part.verdict == "unread"
    assert "account_refused" in part.text or "access_denied" in part.text


# --- users ------------------------------------------------------------------------------------


def facts(part: Part) -> dict[str, str]:
    return {fact.name: fact.value for fact in part.facts}


def test_a_user_in_step(stage: Stage) -> None:
    stage.visit()
    stage.busy()
    stage.run()
    answer = ask(stage, "user", stage.ids["dana"])
    assert "active" in answer.facts[0].value
    part = one(answer)
    assert part.verdict == "in_step"
    told = facts(part)
    assert told["direction"] == "bidirectional (the platform's)"
    assert (told["mirrors live"], told["blocks live"]) == ("1", "1")
    assert told["calendar"] == "answers (primary)"
    assert told["work waiting"] == "no"
    assert told["next full comparison"].startswith("2026-03-03")
    assert ask(stage, "user", mail("dana").upper()).parts == answer.parts


def test_a_user_who_was_not_checked_for_long_is_late(stage: Stage) -> None:
    stage.run()
    stage.clock.advance(hours=2)
    part = one(ask(stage, "user", stage.ids["dana"]))
    assert part.verdict == "late"
    assert "late since 15:" in part.text


def test_a_failing_user_has_code_advice_and_next_try(stage: Stage) -> None:
    stage.visit()
    stage.calendar.revoke(mail("dana"))
    stage.run()
    part = one(ask(stage, "user", stage.ids["dana"]))
    assert part.verdict == "failing"
    assert "next try 15:" in part.text
    code = stage.state().error_code or "-"
    assert code in part.text
    assert code in facts(part)["calendar"]
    visit = stage.visit(days=3)
    mirror = one(ask(stage, "appointment", visit.event_id))
    assert code in facts(mirror)["user fails"]


def test_conflicts_and_refusals_of_a_user_are_listed(stage: Stage) -> None:
    stage.meeting()
    stage.run()
    [seen] = stage.calendar.mirrors(mail("dana"))
    stage.clock.advance(minutes=2)
    stage.calendar.move_event(mail("dana"), seen.id, stage.at(2, 9), stage.at(2, 9) + HOUR)
    stage.later()
    told = facts(one(ask(stage, "user", stage.ids["dana"])))
    assert "mirror_moved: restored, 1 time," in told["conflict"]


@pytest.mark.parametrize(
    ("how", "verdict"),
    [
        ("disabled", "disabled"),
        ("new", "not_synced_yet"),
        ("stopped", "platform_stopped"),
        ("unlisted", "welkin_inactive"),
        ("inactive", "inactive"),
        ("marked", "marked"),
    ],
)
def test_what_is_in_the_way_of_a_user(stage: Stage, how: str, verdict: str) -> None:
    store, pair = stage.store, (stage.ids["dana"], stage.platform)
    if how != "new":
        stage.run()
    if how == "disabled":
        stage.remap(dana={"enabled": False})
    elif how == "stopped":
        store.runs.set_fault(stage.platform, SyncCode.MANY_ACCOUNTS_FAILING, stage.clock.now())
    elif how == "unlisted":
        store.config.save_welkin_users([], stage.clock.now())
    elif how == "inactive":
        left = WelkinUser(pair[0], mail("dana"), None, False, inactive_because=INACTIVE)
        store.config.save_welkin_users([left], stage.clock.now())
    elif how == "marked":
        with stage.database.write() as connection:
            store.marks.mark(connection, [pair], stage.clock.now())
    assert one(ask(stage, "user", pair[0])).verdict == verdict


def test_a_former_account_that_cannot_be_cleared_is_shown(stage: Stage) -> None:
    meeting = stage.meeting()
    stage.run()
    stage.calendar.add_account("new@example.org")
    stage.calendar.revoke(mail("dana"))
    stage.remap(dana={"account": "new@example.org"})
    assert one(ask(stage, "appointment", meeting.id)).verdict == "left_in_account"
    stage.later()
    told = facts(one(ask(stage, "user", stage.ids["dana"])))
    assert told["left in the previous mailbox"] == f"{mail('dana')}: 1"
    part = one(ask(stage, "appointment", meeting.id))
    assert (part.verdict, part.account) == ("mirror_ok", "new@example.org")


def test_unknown_and_unmapped_users_are_distinguished(stage: Stage) -> None:
    stage.run()
    stage.remap("ruben")
    unmapped = ask(stage, "user", stage.ids["ruben"])
    assert not unmapped.found
    assert "not mapped" in unmapped.text
    unknown = ask(stage, "user", "nonsense")
    assert unknown.text == "this id is unknown"
    assert "mapping set" in str(unknown.hints)


def test_a_long_outage_is_dated(stage: Stage) -> None:
    stage.run()
    stage.clock.advance(timedelta(days=2).total_seconds())
    told = facts(one(ask(stage, "user", stage.ids["dana"])))
    assert told["last success"].startswith("2026-03-02")


def test_an_event_whose_time_cannot_be_read_keeps_its_block(stage: Stage) -> None:
    event_id = stage.busy()
    stage.run()
    edge = {"dateTime": "9999-12-31T23:59:59", "timeZone": "Etc/GMT+12"}
    stage.sandbox.faults.disguises.put(event_id, start=edge, end=edge)
    part = one(ask(stage, "event", event_id))
    assert "it has no time that can be read; its block stays" in part.text
    stage.calendar.patch_event(mail("dana"), event_id)
    stage.run(full=True)
    assert len(stage.blocks()) == 1
    user = ask(stage, "user", stage.ids["dana"])
    assert user.found


def test_a_users_own_calendar_is_named(stage: Stage) -> None:
    def calendar() -> str:
        [part] = ask(stage, "user", stage.ids["dana"]).parts
        return next((f.value for f in part.facts if f.name == "calendar for mirrors"), "")

    assert calendar() == ""
    stage.document = {"calendars": {stage.platform.value: {"mirrors": "own"}}}
    assert calendar() == "Welkin, which the next sync makes"
    stage.run()
    [made] = stage.calendar.calendars_of(mail("dana"))
    assert calendar() == f"Welkin (id {made})"
    stage.one_way("dana", Direction.CALENDAR_TO_WELKIN)
    stage.calendar.delete_calendar(mail("dana"), made)
    stage.later(again=2)
    assert calendar() == "Welkin, not made: nothing is written to the calendar"


def test_the_buffer_of_an_event_and_its_kind_are_named(stage: Stage) -> None:
    plain = stage.busy(days=2)
    google = stage.platform is Platform.GOOGLE
    there = stage.busy(location="Elm Street 12" if google else {"displayName": "Elm Street 12"})
    stage.document["block_time"] = {
        "buffers": {"with_place": {"before_minutes": 15, "after_minutes": 1}}
    }
    stage.run()
    part = one(ask(stage, "event", there))
    assert [fact.value for fact in part.facts if fact.name == "buffer"] == [
        "15 minutes before, 1 minute after"
    ]
    assert "Elm" not in str(part)
    assert "buffer" not in str(one(ask(stage, "event", plain)).facts)
    if google:
        return
    elsewhere = stage.busy(days=3, showAs="workingElsewhere")
    day = stage.day(4)
    off = stage.calendar.add_event(mail("dana"), start=day, end=day + DAY, showAs="oof")["id"]
    stage.document["block_time"] = {"all_day_kinds": {"out_of_office": "ignore"}}
    stage.run()
    found = [decided(one(ask(stage, "event", key))) for key in (elsewhere, off)]
    assert found == ["working_elsewhere", "all_day_kind_ignored"]


def test_kinds_of_busy_time_are_named(stage: Stage) -> None:
    google = stage.platform is Platform.GOOGLE
    decline = {"autoDeclineMode": "declineNone"}
    kind = {"eventType": "outOfOffice", "outOfOfficeProperties": decline}
    away = stage.busy(days=2, **(kind if google else {"showAs": "oof"}))
    day = stage.day(4)
    free = stage.calendar.plan(mail("dana"), day, day + DAY, "Fair", free=True)
    stage.document["block_time"] = {"out_of_office": "ignore"}
    stage.run()
    assert [decided(one(ask(stage, "event", key))) for key in (away, free)] == [
        "out_of_office",
        "free",
    ]
    stage.document["block_time"] = {"all_day_kinds": {"free": "block"}}
    stage.run()
    for key in (away, free):
        assert one(ask(stage, "event", key)).verdict == "block_ok"
