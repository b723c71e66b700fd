"""Location, join link, colour, reminder and status of a mirror, on both platforms."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from calendar_sync.core.model import GOOGLE_COLOURS, LinkState, Platform
from calendar_sync.insight.explain import Look, explain_appointment
from calendar_sync.insight.exposure import exposure
from calendar_sync_sandbox.google.writes import COLOURS
from tests.engine.cycle.stage import Stage, mail
from tests.harness import IN_MEMORY, fresh

Make = Callable[..., Stage]
SELF = mail("dana")
LINK = "https://us02.zoom.us/j/8551234567?pwd=aGVsbG8"
CONTENT: dict[str, Any] = {
    "title": {"level": "type"},
    "places": {"Room *": "Elm Street 1", "Annex": "Oak Street 2"},
    "link_hosts": ["*.zoom.us"],
    "colours": {"etmp-follow-up": "sage", "APPOINTMENT": "tomato"},
    "categories": {"etmp-follow-up": "Visit", "APPOINTMENT": "Meeting"},
    "tentative": ["Awaiting"],
}
SHOWN = {"mirror_content": CONTENT}
GIVEN = {Platform.GOOGLE: "2", Platform.MICROSOFT: "Visit"}
both = pytest.mark.parametrize("platform", list(Platform))


def changed(**more: Any) -> dict[str, Any]:
    return {"mirror_content": {**CONTENT, **more}}


def place(s: Stage, visit: Any, location: str | None, **changes: Any) -> None:
    """Somebody in Welkin writes where the visit is."""
    info = {"remarks": "", "location": location, "attachment": ""} if location else None
    s.welkin.change_event(visit.event_id, additional_info=info, **changes)


def mirrors(s: Stage, name: str = "dana") -> list[dict[str, Any]]:
    world: Any = s.calendar
    return list(world.mirrors_of(mail(name)))


def event(s: Stage) -> dict[str, Any]:
    """The only mirror, as its calendar has it."""
    [found] = mirrors(s)
    return dict(found)


def where(s: Stage) -> str:
    found = event(s).get("location") or ""
    return str(found["displayName"] if isinstance(found, dict) else found)


def colours(s: Stage) -> list[str]:
    found = event(s)
    if s.platform is Platform.MICROSOFT:
        return list(found["categories"])
    return [found["colorId"]] if "colorId" in found else []


def tentative(s: Stage) -> bool:
    found = event(s)
    if s.platform is Platform.MICROSOFT:
        return bool(found["showAs"] == "tentative")
    return bool(found["status"] == "tentative")


def change(s: Stage, **fields: Any) -> None:
    """The user edits the mirror: `location`, `colours`."""
    made: dict[str, Any] = {}
    if "location" in fields:
        text = fields["location"]
        made["location"] = text if s.platform is Platform.GOOGLE else {"displayName": text}
    if "colours" in fields:
        if s.platform is Platform.MICROSOFT:
            made["categories"] = fields["colours"]
        else:
            made["colorId"] = next(iter(fields["colours"]), None)
    s.calendar.patch_event(SELF, event(s)["id"], **made)


def settled(s: Stage) -> None:
    s.in_step()
    assert s.conflicts() == []


@both
def test_a_new_mirror_has_everything(stage: Make, platform: Platform) -> None:
    s = stage(platform=platform, settings=changed(reminder=30))
    visit = s.visit()
    place(s, visit, LINK, status="Awaiting")
    s.run()
    assert (where(s), colours(s), tentative(s)) == (LINK, [GIVEN[platform]], True)
    found = event(s)
    if platform is Platform.GOOGLE:
        overrides = [{"method": "popup", "minutes": 30}]
        assert found["reminders"] == {"useDefault": False, "overrides": overrides}
    else:
        assert (found["isReminderOn"], found["reminderMinutesBeforeStart"]) == (True, 30)
    [link] = s.links()
    assert link.level == "type/busy+link"
    settled(s)


@both
@pytest.mark.parametrize("reminder", ["default", "none", "0"])
def test_reminders_are_set_once(stage: Make, platform: Platform, reminder: str) -> None:
    s = stage(platform=platform, settings=changed(reminder=reminder))
    visit = s.visit()
    s.run()
    on = {"default": True, "none": False, "0": True}[reminder]

    def seen() -> tuple[bool, int]:
        found = event(s)
        if platform is Platform.MICROSOFT:
            return found["isReminderOn"], found["reminderMinutesBeforeStart"]
        of = found["reminders"]
        usual = 15 if of["useDefault"] else None
        minutes = [each["minutes"] for each in of.get("overrides", [])]
        return of["useDefault"] or bool(minutes), minutes[0] if minutes else usual or 15

    assert seen() == (on, 0 if reminder == "0" else 15)
    # Another policy is for new mirrors; nobody is read again for it.
    s.document = changed(reminder=45)
    before = s.position
    s.later(again=2)
    s.move(visit.event_id, 2, 11)
    s.later()
    assert seen() == (on, 0 if reminder == "0" else 15)
    assert len(s.wrote(before)) == 1
    settled(s)


@both
def test_a_location_follows_welkin(stage: Make, platform: Platform) -> None:
    s = stage(platform=platform, settings=SHOWN)
    visit = s.visit()
    s.run()
    assert where(s) == ""
    for location, text in (
        ("Room 9", "Elm Street 1"),
        (LINK, LINK),
        ("at Zyxwanda's", ""),
        ("Annex", "Oak Street 2"),
        (None, ""),
    ):
        place(s, visit, location)
        s.later()
        assert where(s) == text
    assert s.links()[0].level == "type/busy"
    settled(s)


@both
def test_an_edit_of_our_location_is_restored(stage: Make, platform: Platform) -> None:
    s = stage(platform=platform, settings=SHOWN)
    place(s, s.visit(), "Room 9")
    s.run()
    for text in ("the pub", ""):
        change(s, location=text)
        s.later()
        assert where(s) == "Elm Street 1"
    assert set(s.conflicts()) == {("mirror_edited", "restored")}
    s.in_step()


@both
@pytest.mark.parametrize("settings", [{}, SHOWN], ids=["old settings", "new settings"])
def test_what_the_user_adds_where_we_write_nothing_is_kept(
    stage: Make, platform: Platform, settings: dict[str, Any]
) -> None:
    s = stage(platform=platform, settings=settings)
    visit = s.visit(template="etmp-home-visit")
    s.run()
    mine = ["7"] if platform is Platform.GOOGLE else ["Mine", "Too"]
    change(s, location="my car", colours=mine)
    before = s.position
    s.later()
    s.run(full=True)
    assert s.wrote(before) == []
    s.move(visit.event_id, 2, 9)
    s.later()
    assert (where(s), colours(s)) == ("my car", mine)
    settled(s)


@both
def test_a_mirror_from_before_is_no_edit_when_the_settings_come(
    stage: Make, platform: Platform
) -> None:
    s = stage(platform=platform)
    visit = s.visit()
    place(s, visit, "Room 9")
    s.run()
    change(s, location="my car")
    s.later()
    s.document = SHOWN
    s.later(again=2)
    # It is ours now; a colour that the user has not chosen is, too.
    assert (where(s), colours(s)) == ("Elm Street 1", [GIVEN[platform]])
    settled(s)


@both
def test_our_colour_follows_type_and_settings_and_the_users_own_stays(
    stage: Make, platform: Platform
) -> None:
    s = stage(platform=platform, settings=SHOWN)
    visit = s.visit()
    s.run()
    s.document = changed(colours={"etmp-follow-up": "grape"}, categories={"etmp-follow-up": "V2"})
    s.later(again=2)
    assert colours(s) == ["3" if platform is Platform.GOOGLE else "V2"]
    mine = ["7"] if platform is Platform.GOOGLE else ["Mine"]
    change(s, colours=mine)
    s.document = SHOWN
    s.later(again=2)
    s.move(visit.event_id, 2, 9)
    s.later()
    assert colours(s) == mine
    settled(s)


def test_a_category_of_the_users_beside_ours_is_kept(stage: Make) -> None:
    s = stage(platform=Platform.MICROSOFT, settings=SHOWN)
    s.visit()
    s.run()
    change(s, colours=["Mine", "Visit"])
    s.document = changed(categories={})
    s.later(again=2)
    assert colours(s) == ["Mine"]
    settled(s)


@both
def test_the_status_is_kept_up_to_date(stage: Make, platform: Platform) -> None:
    s = stage(platform=platform, settings=SHOWN)
    visit = s.visit()
    s.run()
    assert not tentative(s)
    for status, shown in (("AWAITING", True), ("Confirmed", False), ("Awaiting", True)):
        s.welkin.change_event(visit.event_id, status=status)
        s.later()
        assert tentative(s) is shown
    settled(s)
    s.welkin.change_event(visit.event_id, status="Scheduled")
    s.later()
    assert not tentative(s)
    settled(s)


# --- privacy ----------------------------------------------------------------------------------


@both
@pytest.mark.parametrize(
    "lower",
    [
        {"mirror_content": {**CONTENT, "title": {"level": "busy"}}},
        {"mirror_content": {"title": {"level": "type"}}},
        {},
    ],
    ids=["busy", "switched off", "defaults"],
)
def test_a_lower_level_takes_all_of_it_away_and_keeps_what_is_the_users(
    stage: Make, platform: Platform, lower: dict[str, Any]
) -> None:
    s = stage(platform=platform, settings=SHOWN)
    past, ahead = s.visit(days=-25), s.visit()
    for visit in (past, ahead):
        place(s, visit, LINK)
    s.run()
    if platform is Platform.MICROSOFT:
        for found in mirrors(s):
            s.calendar.patch_event(SELF, found["id"], categories=["Mine", "Visit"])
    s.clock.advance(days=8)
    s.run(full=True)
    assert LinkState.RETIRED in {link.state for link in s.links()}
    s.document = lower
    s.later()
    text = json.dumps(mirrors(s))
    assert "zoom.us" not in text
    for found in mirrors(s):
        assert "colorId" not in found
        assert found.get("categories", ["Mine"]) == ["Mine"]
    shown = {level for entry in exposure(s.store, SELF) for level in entry.levels}
    now = "type/busy" if lower.get("mirror_content", {}).get("title") == {"level": "type"} else None
    assert shown == {"type/busy+link", now or "busy/busy"}
    settled(s)


@both
def test_a_lost_state_database_shows_no_more_than_the_level_allows(
    stage: Make, platform: Platform
) -> None:
    s = stage(platform=platform, settings=SHOWN)
    place(s, s.visit(), LINK)
    s.run()
    s.database.close()
    s.database = fresh(IN_MEMORY)
    s.document = {"mirror_content": {"title": {"level": "type"}}}
    s.remap()
    s.run()
    assert where(s) == ""
    settled(s)


@both
@pytest.mark.parametrize("level", ["busy", "type", "full"])
def test_no_canary_in_any_field_of_welkin_reaches_a_mirror(
    stage: Make, platform: Platform, level: str
) -> None:
    title: dict[str, Any] = {"level": level}
    if level == "full":
        title["template"] = "{encounter_type}"
    baa = {"by": "Dana", "on": "2026-01-01"}
    s = stage(platform=platform, settings=changed(title=title, baa_confirmed=baa))
    for number, form in enumerate(
        ["{first} {last}", "Room of {last}", LINK + "&n={first}", LINK + "&id={id}", LINK]
    ):
        visit = s.visit(days=number + 1)
        patient = s.welkin.patients[visit.patient_id]
        text = form.format(first=patient.first, last=patient.last, id=patient.id)
        place(s, visit, text)
    s.run()
    found = mirrors(s)
    assert len(found) == 5
    written = json.dumps(found)
    ids = set(s.welkin.patients)
    assert not [canary for canary in s.sandbox.canaries | ids if canary in written]
    assert written.count(json.dumps(LINK)) >= (level != "busy")
    if level == "busy":
        assert not [each for each in found if each.get("categories") or "colorId" in each]
        assert "zoom" not in written
        assert "Street" not in written
    settled(s)


@both
@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("https://us02.zoom.us/j/" + "1" * 8000, "more than 255 characters"),
        ("https://evil.example/j/1", "`mirror_content.link_hosts`"),
        ("somewhere", "`mirror_content.places`"),
        (["no text"], ""),
    ],
)
def test_bad_input_is_left_out_by_name_and_nobody_else_is_affected(
    stage: Make, platform: Platform, location: Any, reason: str
) -> None:
    s = stage("dana", "ruben", platform=platform, settings=SHOWN)
    visit = s.visit()
    place(s, visit, location)
    place(s, s.visit("ruben"), "Room 1")
    s.run()
    assert where(s) == ""
    assert "Elm Street 1" in json.dumps(mirrors(s, "ruben"))

    async def ask(services: Any) -> Any:
        look = Look(services, services.store.config.revision())
        return await explain_appointment(look, visit.event_id)

    [part] = asyncio.run(s.with_services(ask)).parts
    said = {fact.name: fact.value for fact in part.facts}.get("location", "")
    assert reason in said
    assert str(location)[:30] not in said or not reason
    settled(s)


# --- bad days ---------------------------------------------------------------------------------


@both
def test_an_update_whose_answer_was_lost_is_known_again(stage: Make, platform: Platform) -> None:
    s = stage(platform=platform, settings=SHOWN)
    visit = s.visit()
    s.run()
    place(s, visit, LINK)
    s.move(visit.event_id, 3, 9)
    s.fault(platform.value, "timeout_after", "PATCH", "/events")
    s.fault(platform.value, "status", "PATCH", "/events", code=503, times=4)
    s.later(rounds=1)
    s.sandbox.faults.clear()
    s.later(again=2, minutes=10)
    assert where(s) == LINK
    settled(s)


def test_the_colours_of_the_settings_are_those_of_google() -> None:
    assert {str(number) for number, _ in enumerate(GOOGLE_COLOURS, 1)} == COLOURS
