"""What people choose for themselves: less than the settings show, never more."""

from collections.abc import Callable
from typing import Any

import pytest

from calendar_sync.core.errors import ConfigurationError
from calendar_sync.core.model import Choices, Platform
from calendar_sync.operations.choosing import choose, offer
from tests.engine.cycle.stage import Stage, mail

Make = Callable[..., Stage]
both = pytest.mark.parametrize("platform", list(Platform))
MAY = {"people_may_choose": ["level", "reminder", "colour"]}
TYPE: dict[str, Any] = {"mirror_content": {"title": {"level": "type"}}}
BUSY = Choices(level="busy")


def chosen(s: Stage, name: str, choices: Choices) -> None:
    choose(s.store, s.ids[name], choices, "airflow:" + name, s.clock.now())


def titles(s: Stage, name: str) -> set[str]:
    return {seen.title for seen in s.calendar.mirrors(mail(name))}


def colours(s: Stage, name: str) -> list[list[str]]:
    """Google's number or Outlook's categories, of each mirror in order of time."""
    world: Any = s.calendar
    found = sorted(world.mirrors_of(mail(name)), key=lambda event: str(event["start"]))
    if s.platform is Platform.MICROSOFT:
        return [list(event["categories"]) for event in found]
    return [[event["colorId"]] if "colorId" in event else [] for event in found]


@both
def test_who_wants_to_see_less_does_and_nobody_else(stage: Make, platform: Platform) -> None:
    s = stage("dana", "ruben", settings=TYPE | MAY, platform=platform)
    for name in s.ids:
        s.meeting(name)
    s.run()
    assert titles(s, "dana") == {"Appointment"}
    chosen(s, "dana", BUSY)
    s.later()
    assert (titles(s, "dana"), titles(s, "ruben")) == ({"Busy"}, {"Appointment"})
    s.meeting("dana", days=2)
    s.later()
    assert titles(s, "dana") == {"Busy"}
    s.in_step()
    chosen(s, "dana", Choices())
    s.later()
    assert titles(s, "dana") == {"Appointment"}
    s.in_step()


def test_a_choice_holds_only_while_it_is_allowed(stage: Make) -> None:
    s = stage(settings=TYPE | MAY)
    s.meeting()
    s.run()
    chosen(s, "dana", BUSY)
    s.later()
    assert titles(s, "dana") == {"Busy"}
    s.document = TYPE
    s.later(again=2)
    assert titles(s, "dana") == {"Appointment"}
    s.document = TYPE | MAY
    s.later(again=2)
    assert titles(s, "dana") == {"Busy"}
    s.in_step()


def test_a_choice_keeps_what_may_not_be_chosen_meanwhile(stage: Make) -> None:
    s = stage(settings=TYPE | MAY)
    s.meeting()
    s.run()
    chosen(s, "dana", BUSY)
    s.document = TYPE | {"people_may_choose": ["colour"]}
    s.later(again=2)
    chosen(s, "dana", Choices(colour="sage"))
    s.document = TYPE | MAY
    s.later(again=2)
    assert (titles(s, "dana"), colours(s, "dana")) == ({"Busy"}, [["2"]])
    [row] = s.store.config.mapping()
    assert row.chosen == Choices("busy", colour="sage")


def test_what_was_chosen_before_is_no_new_choice(stage: Make) -> None:
    """As it is read, it can be stored again, also of somebody who is not synced just now."""
    s = stage(settings=TYPE | MAY)
    s.run()
    chosen(s, "dana", BUSY)
    s.document = TYPE | {"people_may_choose": ["reminder"]}
    s.later()
    chosen(s, "dana", Choices("busy", "10"))
    s.remap(dana={"enabled": False})
    for again in (Choices("busy", "10"), Choices()):
        chosen(s, "dana", again)
        [row] = s.store.config.mapping()
        assert row.chosen == Choices("busy", "10")


def test_nobody_can_choose_to_see_more(stage: Make) -> None:
    s = stage(settings=MAY)
    for level in ("type", "full", "nonsense"):
        with pytest.raises(ConfigurationError, match="not offered"):
            chosen(s, "dana", Choices(level=level))
    # Chosen when it showed less; the organisation has lowered its own level since.
    s.document = MAY | {
        "mirror_content": {
            "title": {"level": "full", "template": "{patient_last_name}"},
            "baa_confirmed": {"by": "Dana", "on": "2026-01-01"},
        }
    }
    s.visit()
    s.run()
    chosen(s, "dana", Choices(level="type"))
    s.later()
    assert not {title for title in titles(s, "dana") if "Example" in title}
    s.document = MAY
    s.later(again=2)
    assert titles(s, "dana") == {"Busy"}
    s.in_step()


@pytest.mark.parametrize("reminder", ["7", "-5", "later", "40321"])
def test_a_reminder_that_is_not_offered_is_refused(stage: Make, reminder: str) -> None:
    s = stage(settings=MAY)
    s.run()
    with pytest.raises(ConfigurationError, match="not offered"):
        chosen(s, "dana", Choices(reminder=reminder))


def test_a_reminder_is_for_new_events(stage: Make) -> None:
    s = stage(settings=MAY)
    s.run()
    chosen(s, "dana", Choices(reminder="15"))
    s.meeting()
    s.later()
    [mirror] = s.mirrors()
    assert mirror["reminders"] == {
        "useDefault": False,
        "overrides": [{"method": "popup", "minutes": 15}],
    }
    s.in_step()


GIVEN: dict[Platform, tuple[str, Choices, str]] = {
    Platform.GOOGLE: ("2", Choices(colour="tomato"), "11"),
    Platform.MICROSOFT: ("Follow-up", Choices(category="Blue category"), "Blue category"),
}
BY_TYPE: dict[str, Any] = {
    "title": {"level": "type"},
    "colours": {"APPOINTMENT": "sage"},
    "categories": {"APPOINTMENT": "Follow-up"},
}


@both
@pytest.mark.parametrize("level", ["busy", "type"])
def test_one_colour_for_all_instead_of_those_by_type(
    stage: Make, platform: Platform, level: str
) -> None:
    usual, choice, wanted = GIVEN[platform]
    content = {**BY_TYPE, "title": {"level": level}}
    s = stage("dana", "ruben", settings=MAY | {"mirror_content": content}, platform=platform)
    for name in s.ids:
        s.meeting(name)
    s.visit(days=2)
    s.run()
    by_type = [[usual] * (level == "type"), []]
    assert colours(s, "dana") == by_type
    chosen(s, "dana", choice)
    s.later()
    assert (colours(s, "dana"), colours(s, "ruben")) == ([[wanted], [wanted]], by_type[:1])
    s.meeting(days=3)
    s.later()
    assert colours(s, "dana") == [[wanted]] * 3
    s.in_step()
    google = platform is Platform.GOOGLE
    chosen(s, "dana", Choices(colour="none") if google else Choices(category="none"))
    s.later()
    assert colours(s, "dana") == [[]] * 3
    chosen(s, "dana", Choices())
    s.later()
    assert colours(s, "dana") == [*by_type, [usual] * (level == "type")]
    s.in_step()


@both
def test_a_colour_of_a_single_event_stays_whatever_is_chosen_for_all(
    stage: Make, platform: Platform
) -> None:
    _, choice, _ = GIVEN[platform]
    s = stage(settings=MAY, platform=platform)
    s.meeting()
    s.run()
    [mirror] = s.calendar.mirrors(mail("dana"))
    google = platform is Platform.GOOGLE
    own: dict[str, Any] = {"colorId": "3"} if google else {"categories": ["Mine"]}
    s.calendar.patch_event(mail("dana"), mirror.id, **own)
    s.later()
    chosen(s, "dana", choice)
    s.later()
    assert colours(s, "dana") == [["3"] if google else ["Mine"]]
    s.in_step()


@both
@pytest.mark.parametrize(
    "choice",
    [
        Choices(colour="11"),
        Choices(colour="mauve"),
        Choices(category="Mine"),
        Choices(category="tomato"),
    ],
)
def test_a_colour_that_is_not_offered_is_refused_by_name(
    stage: Make, platform: Platform, choice: Choices
) -> None:
    s = stage(settings=MAY, platform=platform)
    s.run()
    with pytest.raises(ConfigurationError, match=f"'{choice.colour or choice.category}' is not"):
        chosen(s, "dana", choice)
    # What the other calendar system has.
    other = Platform.MICROSOFT if platform is Platform.GOOGLE else Platform.GOOGLE
    with pytest.raises(ConfigurationError, match="not offered"):
        chosen(s, "dana", GIVEN[other][1])


def test_categories_are_those_of_the_settings_and_of_a_new_mailbox(stage: Make) -> None:
    content = {"categories": {"etmp-a": "Visit", "etmp-b": "Blue category"}}
    s = stage(settings=MAY | {"mirror_content": content}, platform=Platform.MICROSOFT)
    settings = s.store.config.revision().settings
    found = offer(settings, s.store.config.mapping())
    assert found.categories[:4] == ("none", "Blue category", "Visit", "Red category")
    assert len(found.categories) == len(set(found.categories)) == 8
    assert found.colours == ()


def test_what_is_offered_follows_the_profile(stage: Make) -> None:
    profiles = {"nurses": {"people_may_choose": ["reminder"]}}
    s = stage("dana", "ruben", settings=TYPE | {"profiles": profiles})
    s.remap(ruben={"profile": "nurses"})
    settings = s.store.config.revision().settings
    assert not offer(settings, s.store.config.mapping(users=[s.ids["dana"]]))
    found = offer(settings, s.store.config.mapping(users=[s.ids["ruben"]]))
    assert (found.levels, found.reminders[:3]) == ((), ("default", "none", "0"))
    assert found.colours == found.categories == ()
    with pytest.raises(ConfigurationError, match="not offered"):
        chosen(s, "ruben", BUSY)


def test_a_file_changes_no_choice(stage: Make) -> None:
    s = stage(settings=TYPE | MAY)
    s.run()
    chosen(s, "dana", BUSY)
    s.remap()
    s.remap(dana={"enabled": False})
    s.remap()
    assert [row.chosen for row in s.store.config.mapping()] == [BUSY]
