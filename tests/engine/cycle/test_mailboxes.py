"""Mailboxes that are renamed, swapped or restored from a copy, and deletions that are undone."""

from collections.abc import Callable
from typing import Any

import pytest

from calendar_sync.core.model import LinkState, Platform
from tests.engine.cycle.stage import Stage, mail
from tests.engine.cycle.test_removals import take_back
from tests.engine.cycle.test_restore import lose_state

Make = Callable[..., Stage]
SELF, NEW = mail("dana"), "dana.moss@new.example.org"
BOTH = pytest.mark.parametrize("platform", list(Platform), ids=str)


def filled(s: Stage) -> None:
    """Three visits, two events and a series, all in step."""
    for day in (1, 2, 3):
        s.visit(days=day)
    s.busy(days=4)
    s.busy(days=5)
    s.series(hour=16)
    s.run()
    s.clock.advance(minutes=2)


def spans(s: Stage, account: str) -> list[Any]:
    return sorted(seen.start for seen in s.calendar.mirrors(account))


def marked(s: Stage, marker: str | None) -> str:
    """A private event of Dana's with this mark of ours, as a copy has it; returns its id."""
    if s.platform is Platform.GOOGLE:
        private = {"private": {"calendarSync": marker}}
        return s.busy(days=2, visibility="private", extendedProperties=private)
    name = "String {3F1C0A5E-6D0B-4C7E-9A54-5A0C1F0D7B21} Name calendarSync"
    properties = [{"id": name, "value": marker}]
    return s.busy(days=2, sensitivity="private", singleValueExtendedProperties=properties)


def mornings(s: Stage) -> list[Any]:
    return [s.at(day, 9) for day in (1, 2, 3)]


# --- other names ----------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("answers", [True, False], ids=["the old name answers", "it does not"])
def test_a_renamed_account_shows_each_visit_once_and_keeps_its_blocks(
    stage: Make, platform: Platform, answers: bool
) -> None:
    s = stage(platform=platform)
    filled(s)
    ids = {seen.id for seen in s.calendar.mirrors(SELF)}
    blocks = {block.id for block in s.blocks()}
    s.calendar.rename_account(SELF, NEW, answers=answers)
    s.remap(dana={"account": NEW})
    before = s.position
    s.later()
    assert s.wrote(before) == [], "it is the same mailbox: everything stands"
    assert {seen.id for seen in s.calendar.mirrors(NEW)} == ids
    assert {block.id for block in s.blocks()} == blocks
    assert {link.account for link in s.links("dana", LinkState.LIVE)} == {NEW}
    assert s.conflicts() == []
    s.in_step()
    # What happens later reaches the mirrors that were there before.
    first = s.welkin.events[next(link.source.id for link in s.links() if link.kind == "mirror")]
    s.welkin.cancel_event(first.id)
    s.later()
    assert len(s.calendar.mirrors(NEW)) == 2
    [result] = take_back(s)
    assert result.clean, result
    assert s.calendar.mirrors(NEW) == []
    assert s.blocks() == []


@BOTH
def test_un_sync_finds_everything_of_an_account_that_was_renamed_before(
    stage: Make, platform: Platform
) -> None:
    s = stage(platform=platform)
    filled(s)
    s.calendar.rename_account(SELF, NEW)
    s.remap(dana={"account": NEW})
    [result] = take_back(s)
    assert result.clean, result
    assert s.calendar.mirrors(NEW) == []
    assert s.blocks() == []


@BOTH
def test_a_renamed_account_that_could_not_be_read_at_first_shows_each_visit_once(
    stage: Make, platform: Platform
) -> None:
    """The old name belongs to somebody else by now, who has none of these events."""
    s = stage(platform=platform)
    filled(s)
    wanted = mornings(s)
    s.calendar.rename_account(SELF, NEW)
    s.calendar.add_account(SELF)
    s.remap(dana={"account": NEW})
    s.calendar.revoke(NEW)
    s.later()
    s.calendar.restore(NEW)
    s.later(hours=1, again=2)
    assert spans(s, NEW) == wanted
    assert s.calendar.mirrors(SELF) == []
    s.later(hours=29)
    assert spans(s, NEW) == wanted
    s.in_step()


def test_the_object_id_of_a_mailbox_is_another_name_for_it(stage: Make) -> None:
    s = stage(platform=Platform.MICROSOFT)
    filled(s)
    s.remap(dana={"account": s.microsoft.account(SELF).guid})
    before = s.position
    s.later()
    assert s.wrote(before) == []
    assert spans(s, SELF) == mornings(s)
    s.in_step()


@BOTH
@pytest.mark.parametrize("mapped", ["the mailboxes", "the addresses"])
def test_of_two_people_whose_accounts_were_swapped_nothing_is_taken_over(
    stage: Make, platform: Platform, mapped: str
) -> None:
    s = stage("dana", "ruben", platform=platform)
    s.visit("dana", days=1)
    s.visit("ruben", days=2)
    s.busy("dana", days=4)
    s.busy("ruben", days=5)
    s.run()
    dana, ruben = mail("dana"), mail("ruben")
    if mapped == "the addresses":
        # Each keeps the mailbox, and both are called by the other's address.
        s.calendar.swap_accounts(dana, ruben)
    s.remap(dana={"account": ruben}, ruben={"account": dana})
    s.later(again=3)
    assert [seen.start for seen in s.calendar.mirrors(ruben)] == [s.at(1, 9)]
    assert [seen.start for seen in s.calendar.mirrors(dana)] == [s.at(2, 9)]
    days = (4, 5) if mapped == "the addresses" else (5, 4)
    assert s.block_times("dana") == [(s.at(days[0], 14), s.at(days[0], 15))]
    assert s.block_times("ruben") == [(s.at(days[1], 14), s.at(days[1], 15))]
    assert s.conflicts() == []
    assert s.store.runs.pending() == []


@BOTH
def test_another_mailbox_is_filled_and_the_previous_one_is_cleared(
    stage: Make, platform: Platform
) -> None:
    s = stage(platform=platform)
    filled(s)
    s.calendar.add_account(NEW)
    s.remap(dana={"account": NEW})
    s.later()
    assert (spans(s, SELF), spans(s, NEW)) == ([], mornings(s))
    assert s.blocks() == []
    s.in_step()


# --- other ids ------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("tombstones", [True, False], ids=["deleted", "unknown"])
def test_a_restored_mailbox_has_everything_once_without_an_approval(
    stage: Make, platform: Platform, tombstones: bool
) -> None:
    s = stage(platform=platform)
    for day in range(8, 24):
        s.busy(days=day)
    filled(s)
    blocks = {block.id for block in s.blocks()}
    times = s.block_times()
    s.calendar.reimport(SELF, tombstones=tombstones)
    before = s.position
    s.later(again=2)
    assert spans(s, SELF) == mornings(s)
    assert s.block_times() == times
    assert {block.id for block in s.blocks()} == blocks
    assert s.wrote(before) == []
    assert s.store.runs.pending() == []
    assert s.conflicts() == []
    s.in_step()
    s.clock.advance(hours=29)
    s.in_step()


@BOTH
def test_events_of_a_restored_mailbox_are_known_though_the_back_up_had_them_at_other_times(
    stage: Make, platform: Platform
) -> None:
    s = stage(platform=platform)
    events = [s.busy(days=day) for day in range(8, 24)]
    s.run()
    blocks = {block.id for block in s.blocks()}
    for number, event in enumerate(events):  # what was moved since the back-up
        day = 8 + number
        s.calendar.move_event(SELF, event, s.at(day, 18), s.at(day, 19))
    s.calendar.reimport(SELF, tombstones=False)
    s.later(again=2)
    assert s.block_times() == [(s.at(day, 18), s.at(day, 19)) for day in range(8, 24)]
    assert {block.id for block in s.blocks()} == blocks
    assert s.store.runs.pending() == []
    s.in_step()


@BOTH
def test_mirrors_of_a_restored_mailbox_follow_their_visits(stage: Make, platform: Platform) -> None:
    s = stage(platform=platform)
    visit, other = s.visit(), s.visit(days=2)
    s.run()
    s.calendar.reimport(SELF)
    s.move(visit.event_id, 3, 9)
    s.welkin.cancel_event(other.event_id)
    s.later(again=2)
    assert s.mirror_times() == [(s.at(3, 9), s.at(3, 10))]
    assert s.conflicts() == []
    s.in_step()


# --- deletions undone -----------------------------------------------------------------------------


@BOTH
def test_a_deletion_that_is_undone_after_the_mirror_was_made_again_leaves_one(
    stage: Make, platform: Platform
) -> None:
    s = stage(platform=platform)
    s.visit()
    s.run()
    [first] = s.calendar.mirrors(SELF)
    s.calendar.delete_event(SELF, first.id)
    s.later()
    s.clock.advance(minutes=5)
    s.calendar.undelete_event(SELF, first.id)
    s.later()
    assert s.mirror_times() == [(s.at(1, 9), s.at(1, 10))]
    assert s.store.runs.pending() == []
    s.in_step()


@BOTH
def test_a_deletion_that_is_undone_before_the_mirror_was_made_again_leaves_one(
    stage: Make, platform: Platform
) -> None:
    s = stage(platform=platform, settings={"mirror_deleted": "report"})
    visit = s.visit()
    s.run()
    [first] = s.calendar.mirrors(SELF)
    s.calendar.delete_event(SELF, first.id)
    s.later()
    assert s.links("dana", LinkState.DISMISSED)
    s.calendar.undelete_event(SELF, first.id)
    s.later()
    s.move(visit.event_id, 2, 9)
    s.later()
    assert s.mirror_times() == [(s.at(2, 9), s.at(2, 10))]
    s.welkin.cancel_event(visit.event_id)
    s.later()
    assert s.mirror_times() == []
    s.in_step()


@BOTH
def test_the_mirror_of_a_cancelled_visit_that_is_taken_out_of_the_bin_goes_again(
    stage: Make, platform: Platform
) -> None:
    s = stage(platform=platform)
    visit = s.visit()
    s.run()
    [first] = s.calendar.mirrors(SELF)
    s.welkin.cancel_event(visit.event_id)
    s.later()
    s.clock.advance(minutes=5)
    s.calendar.undelete_event(SELF, first.id)
    s.later()
    s.later(hours=29)
    assert s.mirror_times() == []
    s.in_step()


@BOTH
@pytest.mark.parametrize("deleted", ["restore", "report"])
@pytest.mark.parametrize("how", ["remapped", "unmapped"])
def test_a_deletion_that_is_undone_just_before_the_account_is_left_leaves_nothing_there(
    stage: Make, platform: Platform, how: str, deleted: str
) -> None:
    s = stage(platform=platform, settings={"mirror_deleted": deleted})
    s.visit()
    s.visit(days=2)
    s.run()
    mirror = s.calendar.mirrors(SELF)[0]
    s.calendar.delete_event(SELF, mirror.id)
    s.later()
    s.calendar.undelete_event(SELF, mirror.id)
    assert len(s.calendar.mirrors(SELF)) == (3 if deleted == "restore" else 2)
    if how == "remapped":
        s.calendar.add_account(NEW)
        s.remap(dana={"account": NEW})
    else:
        s.remap("dana")
    s.later()
    assert s.calendar.mirrors(SELF) == []


@BOTH
def test_a_deletion_of_before_the_mailbox_was_renamed_is_known_when_it_is_undone(
    stage: Make, platform: Platform
) -> None:
    s = stage(platform=platform)
    s.visit()
    s.run()
    [mirror] = s.calendar.mirrors(SELF)
    s.calendar.rename_account(SELF, NEW)
    s.remap(dana={"account": NEW})
    s.later()
    s.calendar.delete_event(NEW, mirror.id)
    s.later()
    s.calendar.undelete_event(NEW, mirror.id)
    assert len(s.calendar.mirrors(NEW)) == 2
    s.later(again=2)
    assert len(s.calendar.mirrors(NEW)) == 1
    s.in_step()


@BOTH
@pytest.mark.parametrize("order", ["lost, renamed", "renamed, lost", "renamed twice, lost between"])
def test_a_deletion_of_before_the_state_was_lost_is_known_when_it_is_undone_under_another_name(
    stage: Make, platform: Platform, order: str
) -> None:
    """Neither a link nor the record names the mirror, and its key was made under an older name."""
    s = stage(platform=platform)
    s.visit()
    s.run()
    [mirror] = s.calendar.mirrors(SELF)
    s.calendar.delete_event(SELF, mirror.id)

    def rename(old: str, new: str) -> None:
        s.calendar.rename_account(old, new)
        s.remap(dana={"account": new})
        s.later()

    if order == "lost, renamed":
        lose_state(s)
        s.later()
        rename(SELF, NEW)
    elif order == "renamed, lost":
        s.later()
        rename(SELF, NEW)
        lose_state(s)
        s.later()
    else:
        names = [SELF, "middle@example.org", NEW]
        s.later()
        rename(*names[:2])
        lose_state(s)
        s.later()
        rename(*names[1:])
    assert len(s.calendar.mirrors(NEW)) == 1
    s.clock.advance(minutes=5)
    s.calendar.undelete_event(NEW, mirror.id)
    assert len(s.calendar.mirrors(NEW)) == 2
    s.later(again=2)
    assert spans(s, NEW) == [s.at(1, 9)]
    assert s.store.runs.pending() == []
    s.in_step()


@BOTH
@pytest.mark.parametrize("how", ["remapped", "unmapped"])
def test_a_mailbox_that_is_left_loses_what_was_made_before_the_state_was_lost_and_it_renamed(
    stage: Make, platform: Platform, how: str
) -> None:
    s = stage(platform=platform)
    s.visit()
    s.run()
    [mirror] = s.calendar.mirrors(SELF)
    s.calendar.delete_event(SELF, mirror.id)
    lose_state(s)
    s.later()
    s.calendar.rename_account(SELF, NEW)
    s.remap(dana={"account": NEW})
    s.later()
    s.clock.advance(minutes=5)
    s.calendar.undelete_event(NEW, mirror.id)
    if how == "remapped":
        s.calendar.add_account("third@example.org")
        s.remap(dana={"account": "third@example.org"})
    else:
        s.remap("dana")
    s.later()
    assert s.calendar.mirrors(NEW) == []


@BOTH
def test_what_is_not_made_by_us_for_this_user_stays_beside_the_mirror(
    stage: Make, platform: Platform
) -> None:
    """A copy by hand, with our mark and no key of ours; and a mirror of another user's visit."""
    s = stage("dana", "ruben", platform=platform)
    visit = s.visit()
    s.welkin.add_participant(visit.event_id, s.ids["ruben"])
    s.run()
    [mine], [other] = s.calendar.mirrors(SELF), s.calendar.mirrors(mail("ruben"))
    copies = {marked(s, mark) for mark in (mine.marker, other.marker)}
    s.later(again=2)
    s.later(hours=29)
    there = {seen.id for seen in s.calendar.mirrors(SELF)}
    assert there == {mine.id, *copies}
    pair = (s.ids["dana"], platform)
    assert s.store.items.parked(*pair, s.clock.now()) == {}


@BOTH
@pytest.mark.parametrize("how", ["remapped", "unmapped"])
def test_a_mailbox_that_was_restored_just_before_it_is_left_is_left_clean(
    stage: Make, platform: Platform, how: str
) -> None:
    s = stage(platform=platform)
    s.visit()
    s.visit(days=2)
    s.run()
    s.calendar.reimport(SELF)
    if how == "remapped":
        s.calendar.add_account(NEW)
        s.remap(dana={"account": NEW})
    else:
        s.remap("dana")
    s.later()
    assert s.calendar.mirrors(SELF) == []
