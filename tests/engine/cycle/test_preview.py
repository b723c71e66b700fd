"""A change of the settings is shown before it is made, and nothing is written meanwhile."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from calendar_sync.config.settings import parse
from calendar_sync.core.model import Platform, Step
from calendar_sync.operations.preview import Effect, preview
from calendar_sync.state import tables as t
from calendar_sync.sync.services import Services
from tests.engine.cycle.stage import Stage, mail

pytestmark = pytest.mark.parametrize("platform", list(Platform))


def stage(platform: Platform) -> Stage:
    s = Stage("dana", "ruben", platform=platform)
    s.visit("dana", template="etmp-home-visit")
    s.visit("dana", days=2)
    s.visit("ruben", days=3)
    s.busy("ruben")
    s.run()
    return s


def effect(s: Stage, document: dict[str, Any], **options: Any) -> Effect:
    async def work(services: Services) -> list[Effect]:
        return await preview(services, parse(document), "tests", **options)

    found: list[Effect] = asyncio.run(s.with_services(work))
    [one] = [one for one in found if one.platform is s.platform]
    return one


def state_of(s: Stage) -> list[tuple[Any, ...]]:
    """Everything that decides what a run would do."""
    tables = (t.link, t.user_sync, t.cursor, t.operation, t.settings_revision, t.conflict)
    with s.store.database.read() as connection:
        return [tuple(row) for table in tables for row in connection.execute(table.select())]


def test_a_narrower_filter_shows_what_would_go(platform: Platform) -> None:
    s = stage(platform)
    before, position = state_of(s), s.position
    document = {"encounter_types": {"exclude": ["etmp-home-visit"]}}
    found = effect(s, document)
    assert found.planned == {("delete_mirror", "filtered"): 1}
    assert (found.users, found.affected, found.skipped["filtered"]) == (2, 1, 1)
    assert s.wrote(position) == []
    assert state_of(s) == before
    # And so it is.
    s.document = document
    s.later()
    assert len(s.calendar.mirrors(mail("dana"))) == 1


def test_buffers_show_whose_mirrors_become_longer(platform: Platform) -> None:
    s = stage(platform)
    before, position = state_of(s), s.position
    longer = {"types": {"etmp-home-*": {"before_minutes": 20}}}
    found = effect(s, {"mirror_content": {"buffers": longer}})
    assert found.planned == {("update_mirror", "changed"): 1}
    assert found.affected == 1
    assert s.wrote(position) == []
    assert state_of(s) == before


def test_what_is_known_so_far_is_shown(platform: Platform) -> None:
    s = stage(platform)
    told: list[tuple[int, int, int]] = []
    effect(
        s,
        {"mirror_content": {"busy_title": "Visit"}},
        progress=lambda done, total, so_far: told.append(
            (done, total, sum(one.affected for one in so_far))
        ),
    )
    assert told[-1] == (2, 2, 2)


def test_another_level_shows_who_is_concerned(platform: Platform) -> None:
    s = stage(platform)
    found = effect(s, {"mirror_content": {"title": {"level": "type"}}})
    assert found.steps == {"update_mirror": 3}
    assert found.affected == 2


def test_blocks_switched_off_are_counted(platform: Platform) -> None:
    s = stage(platform)
    found = effect(s, {"block_time": {"enabled": False}})
    assert found.steps == {"delete_block": 1}
    assert effect(s, {"block_time": {"enabled": False}}, users=[s.ids["dana"]]).steps == {}


def test_another_calendar_for_mirrors_shows_what_leaves_the_former(platform: Platform) -> None:
    s = Stage("dana", platform=platform)
    for days in (1, 2, 3):
        s.visit(days=days)
    s.busy()
    s.run()
    before, position = state_of(s), s.position
    mailboxes: Any = s.calendar
    other = mailboxes.add_calendar(mail("dana"), "Visits").id
    document = {"calendars": {platform.value: {"mirrors": other}}}
    found = effect(s, document)
    assert found.steps == {"create_mirror": 3, "delete_mirror": 3}
    assert found.planned["delete_mirror", "account_left"] == 3
    assert s.wrote(position) == []
    assert state_of(s) == before
    # And so it is.
    s.document = document
    s.later()
    s.later()
    done = sum((result.done for result in s.results[1:]), Counter())
    assert {step: done[step] for step in found.steps} == found.steps


def test_a_dry_run_shows_what_leaves_a_former_account(platform: Platform) -> None:
    s = Stage("dana", platform=platform)
    s.visit()
    s.busy()
    s.run()
    s.calendar.add_account("dana2@example.org", "America/New_York")
    s.remap(dana={"account": "dana2@example.org"})
    position = s.position
    [outcome] = s.run(dry_run=True).outcomes.values()
    assert outcome.result.plan is not None
    steps = Counter(action.step for action in outcome.result.plan.actions)
    assert steps == {Step.DELETE_MIRROR: 1, Step.DELETE_BLOCK: 1, Step.CREATE_MIRROR: 1}
    assert outcome.label.endswith("dry run, 3 changes planned")
    assert s.wrote(position) == []
    assert len(s.calendar.mirrors(mail("dana"))) == len(s.blocks()) == 1


def test_settings_that_change_nothing_show_nothing(platform: Platform) -> None:
    s = stage(platform)
    found = effect(s, {"polling": {"interval_seconds": 90}})
    assert (found.steps, found.affected, found.users) == ({}, 0, 2)


def test_who_cannot_be_read_is_named(platform: Platform) -> None:
    s = stage(platform)
    s.calendar.revoke(mail("dana"))
    found = effect(s, {"block_time": {"enabled": False}})
    assert list(found.failed) == [mail("dana")]
    assert found.steps == {"delete_block": 1}
    assert s.state("dana").failures == 0
