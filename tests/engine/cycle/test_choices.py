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
MAY = {"people_may_choose": ["level", "reminder"]}
TYPE: dict[str, Any] = {"mirror_content": {"title": {"level": "type"}}}
BUSY = Choices(level="busy")


def chosen(s: Stage, name: str, choices: Choices) -> None:
    choose(s.store, s.ids[name], choices, "airflow:" + name, s.clock.now())


def titles(s: Stage, name: str) -> set[str]:
    return {seen.title for seen in s.calendar.mirrors(mail(name))}


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


def test_what_is_offered_follows_the_profile(stage: Make) -> None:
    profiles = {"nurses": {"people_may_choose": ["reminder"]}}
    s = stage("dana", "ruben", settings=TYPE | {"profiles": profiles})
    s.remap(ruben={"profile": "nurses"})
    settings = s.store.config.revision().settings
    assert not offer(settings, s.store.config.mapping(users=[s.ids["dana"]]))
    found = offer(settings, s.store.config.mapping(users=[s.ids["ruben"]]))
    assert (found.levels, found.reminders[:3]) == ((), ("default", "none", "0"))
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
