"""Rule 7: a meeting that is in both calendars of a user has one block, whatever happens to it."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from calendar_sync.core.model import BlockLink, Direction, LinkState, Platform
from calendar_sync.insight.explain import Look, explain_event
from calendar_sync.operations.unsync import disable, standing, unsync
from calendar_sync.sync.cycle import read
from calendar_sync.sync.services import Services
from calendar_sync_sandbox.microsoft.wire import foreign_uid
from tests.engine.cycle.stage import EASTERN, HOUR, Both, Stage, mail
from tests.harness import START, Killed

ME = mail("dana")
UID = "board-1@google.com"
ORDERS = (tuple(Platform), tuple(reversed(Platform)))
CREATE, DELETE, MOVE = (
    f"welkin.events.{verb}" for verb in ("create 201", "delete 200", "patch 200")
)


class Meetings(Both):
    """Dana has meetings on both sides. `owner` is synced first, so that the block is its."""

    owner: Platform
    other: Platform

    def at(self, days: int, hour: int, minute: int = 0) -> datetime:
        """So many days from the first day, whenever it is asked."""
        day = START.astimezone(EASTERN).date() + timedelta(days=days)
        return datetime(day.year, day.month, day.day, hour, minute, tzinfo=EASTERN)

    def meet(self, days: int = 2, google: str = UID, microsoft: str = "") -> dict[Platform, str]:
        start = self.at(days, 9)
        ids = {Platform.GOOGLE: google, Platform.MICROSOFT: microsoft or foreign_uid(google)}
        names = {Platform.GOOGLE: "iCalUID", Platform.MICROSOFT: "iCalUId"}
        return {
            platform: str(
                self.calendars(platform).add_event(
                    ME, start=start, end=start + HOUR, **{names[platform]: uid}
                )["id"]
            )
            for platform, uid in ids.items()
        }

    def times(self) -> list[Any]:
        return [start for start, _ in self.block_times()]

    def go(self, *order: Platform, times: int = 1) -> None:
        self.both(times, order or (self.owner, self.other))

    def still(self, *starts: Any) -> None:
        """These are the blocks, and nothing more is written, however it is looked at."""
        self.go(times=2)
        assert self.times() == list(starts)
        before = self.position
        self.clock.advance(hours=30)
        self.go()
        self.go(self.other, self.owner)
        assert self.wrote(before) == []

    def states(self) -> dict[Platform, list[LinkState]]:
        user = self.ids["dana"]
        return {
            platform: [link.state for link in self.store.links.of(user, platform)]
            for platform in Platform
        }


@pytest.fixture(params=ORDERS, ids=[order[0].value for order in ORDERS])
def s(request: pytest.FixtureRequest) -> Iterator[Meetings]:
    made = Meetings(platform=Platform.MICROSOFT)
    made.owner, made.other = request.param
    made.go(times=2)
    yield made
    assert made.sandbox.requests.mail_risk == []
    made.database.close()


@pytest.mark.parametrize(
    ("google", "microsoft"),
    [
        (UID, foreign_uid(UID)),
        (UID, UID.upper()),
        ("040000008200e00074c5b7101a82e00800000000" + "ab" * 40,
         "040000008200E00074C5B7101A82E00807EA0304" + "AB" * 40),
    ],
    ids=["invited by Google", "as it was sent", "invited by Exchange"],
)  # fmt: skip
def test_one_meeting_in_both_calendars_has_one_block(
    s: Meetings, google: str, microsoft: str
) -> None:
    s.meet(google=google, microsoft=microsoft)
    before = s.position
    s.go()
    assert s.wrote(before) == [CREATE]
    assert s.states() == {s.owner: [LinkState.LIVE], s.other: [LinkState.SHARED]}
    s.still(s.at(2, 9))


def test_other_meetings_at_the_same_time_have_blocks_of_their_own(s: Meetings) -> None:
    s.meet(google=UID, microsoft=foreign_uid("another@google.com"))
    s.still(s.at(2, 9), s.at(2, 9))


def test_each_occurrence_of_a_series_has_one_block(s: Meetings) -> None:
    start, rule = s.at(1, 14), "FREQ=DAILY;COUNT=4"
    s.google.add_series(ME, rule, start, start + HOUR, iCalUID=UID)
    held = s.microsoft.add_series(ME, rule, start, start + HOUR, iCalUId=foreign_uid(UID))["id"]
    s.still(*(s.at(day, 14) for day in range(1, 5)))
    moved = next(
        seen.id
        for seen in s.microsoft.expanded_glimpses(ME, s.at(2, 0), s.at(3, 0))
        if seen.series_id == held
    )
    s.microsoft.move_event(ME, moved, s.at(2, 17), s.at(2, 18))
    s.still(s.at(1, 14), s.at(2, 14), s.at(2, 17), s.at(3, 14), s.at(4, 14))


def decline(s: Meetings, event_id: str) -> None:
    s.calendars(s.owner).respond(ME, event_id, "declined")


def free(s: Meetings, event_id: str) -> None:
    s.calendars(s.owner).show_as(ME, event_id, free=True)


def delete(s: Meetings, event_id: str) -> None:
    s.calendars(s.owner).delete_event(ME, event_id)


@pytest.mark.parametrize("leave", [delete, decline, free])
def test_if_it_leaves_the_calendar_with_the_block_the_other_makes_one(
    s: Meetings, leave: Callable[[Meetings, str], None]
) -> None:
    ids = s.meet()
    s.go()
    leave(s, ids[s.owner])
    s.go(s.owner)
    assert s.times() == []
    assert s.store.marks.of(s.ids["dana"], s.other).marked
    s.go(s.other)
    s.still(s.at(2, 9))


def test_if_it_moves_in_the_calendar_with_the_block_both_times_are_blocked(s: Meetings) -> None:
    ids = s.meet()
    s.go()
    s.calendars(s.owner).move_event(ME, ids[s.owner], s.at(3, 9), s.at(3, 10))
    s.go()
    assert s.times() == [s.at(2, 9), s.at(3, 9)]
    s.still(s.at(2, 9), s.at(3, 9))


def test_if_it_leaves_the_calendar_without_the_block_nothing_happens(s: Meetings) -> None:
    ids = s.meet()
    s.go()
    before = s.position
    s.calendars(s.other).delete_event(ME, ids[s.other])
    s.go(s.other, s.owner)
    assert s.wrote(before) == []
    s.calendars(s.owner).delete_event(ME, ids[s.owner])
    s.still()


@pytest.mark.parametrize("order", ORDERS, ids=["Google first", "Microsoft first"])
def test_if_it_moves_in_both_there_is_one_block_at_the_new_time(
    s: Meetings, order: tuple[Platform, ...]
) -> None:
    ids = s.meet()
    s.go()
    for platform, event_id in ids.items():
        s.calendars(platform).move_event(ME, event_id, s.at(3, 9), s.at(3, 10))
    s.go(*order)
    assert s.times() == [s.at(3, 9)]
    s.still(s.at(3, 9))
    for platform, event_id in ids.items():
        s.calendars(platform).delete_event(ME, event_id)
    s.still()


@pytest.mark.parametrize("order", ORDERS, ids=["Google first", "Microsoft first"])
def test_if_a_platform_is_left_the_other_makes_the_block(
    s: Meetings, order: tuple[Platform, ...]
) -> None:
    s.meet()
    s.go()
    s.remap(s.owner.value)
    s.go(*order, times=2)
    assert s.times() == [s.at(2, 9)]
    assert s.states()[s.other] == [LinkState.LIVE]
    s.remap()
    s.still(s.at(2, 9))


def test_if_a_platform_is_no_longer_synced_to_welkin_the_other_makes_the_block(
    s: Meetings,
) -> None:
    s.meet()
    s.go()
    s.remap(**{s.owner.value: {"direction": Direction.WELKIN_TO_CALENDAR}})
    s.go(times=2)
    # The block from before stays, and nobody keeps it any more.
    assert s.times() == [s.at(2, 9)] * 2
    s.remap()
    s.still(s.at(2, 9))


def test_if_a_platform_is_unsynced_the_other_makes_the_block(s: Meetings) -> None:
    s.meet()
    s.go()

    async def work(services: Services) -> None:
        rows = standing(services.store, [s.owner], [s.ids["dana"]])
        disable(services, rows, "tests")
        revision = services.store.config.revision()
        (done,) = await unsync(services, revision, rows, run_id="un-sync", owner="tests")
        assert done.clean

    asyncio.run(s.with_services(work))
    assert s.times() == []
    s.go(s.other)
    assert s.times() == [s.at(2, 9)]


def test_if_a_mailbox_changes_the_other_makes_the_block(s: Meetings) -> None:
    s.meet()
    s.calendars(s.owner).add_account("new@example.org")
    s.go()
    s.remap(**{s.owner.value: {"account": "new@example.org"}})
    s.still(s.at(2, 9))


def test_two_blocks_from_before_become_one(s: Meetings, monkeypatch: pytest.MonkeyPatch) -> None:
    s.meet()
    with monkeypatch.context() as before:
        before.setattr(read, "kept", lambda *_: {})
        s.go(times=2)
    assert s.times() == [s.at(2, 9)] * 2
    s.clock.advance(hours=30)
    s.go(s.other)
    assert s.times() == [s.at(2, 9)]
    s.still(s.at(2, 9))


@pytest.mark.parametrize("edited", ["restore", "accept"])
def test_only_the_calendar_with_the_block_follows_edits_in_welkin(s: Meetings, edited: str) -> None:
    s.document["block_time"] = {"block_edited": edited}
    s.meet()
    s.go(times=2)
    [block] = s.blocks()
    s.welkin.delete_event(block.id)
    s.still(*([s.at(2, 9)] if edited == "restore" else []))


def test_a_lost_state_database_finds_the_one_block_again(s: Meetings) -> None:
    s.meet()
    s.go()
    [block] = s.blocks()
    fresh = Meetings(platform=Platform.MICROSOFT)
    s.database.close()
    s.database = fresh.database
    s.remap()
    s.go(s.other, s.owner, times=2)
    assert [found.id for found in s.blocks()] == [block.id]
    s.still(s.at(2, 9))


def test_a_process_that_dies_leaves_the_meeting_to_the_next_run(s: Meetings) -> None:
    ids = s.meet()
    s.go()
    s.calendars(s.owner).delete_event(ME, ids[s.owner])
    s.clock.advance(minutes=2)
    s.platform = s.owner
    died = False
    for number in range(1, 60):
        s.transport.kill_at, s.transport.kill_after = s.transport.count + number, True
        try:
            s.run()
        except Killed:
            died = died or s.times() == []
        else:
            s.transport.revive()
            break
        s.transport.revive()
        s.clock.advance(minutes=3)
    assert died
    s.still(s.at(2, 9))


def test_a_failure_after_the_deletion_still_tells_the_other_platform(s: Meetings) -> None:
    ids = s.meet(2)
    gone = s.meet(3, google="other@google.com")
    s.go()
    for found in (ids, gone):
        s.calendars(s.owner).delete_event(ME, found[s.owner])
    s.fault("welkin", "status", method="DELETE", after=1, code=403, times=None)
    s.clock.advance(minutes=2)
    s.platform = s.owner
    s.run()
    assert len(s.times()) == 1
    assert s.store.marks.of(s.ids["dana"], s.other).marked
    s.sandbox.faults.clear()
    s.clock.advance(hours=7)
    s.still(s.at(2, 9), s.at(3, 9))


def test_explain_says_which_block_covers_it(s: Meetings) -> None:
    ids = s.meet()

    def words(platform: Platform) -> str:
        async def work(services: Services) -> Any:
            look = Look(services, services.store.config.revision())
            return await explain_event(look, ids[platform])

        [part] = asyncio.run(s.with_services(work)).parts
        return f"{part.verdict}: {part.text}"

    covers = "shared: another calendar's block covers it: the same meeting is in both"
    s.go(s.owner)
    assert words(s.owner).startswith("block_ok")
    assert words(s.other) == covers
    s.go(s.other)
    assert words(s.other) == covers
    s.calendars(s.owner).delete_event(ME, ids[s.owner])
    s.go(s.owner)
    assert words(s.other).startswith("to_create")


def test_of_busy_times_alone_nobody_knows_which_meeting_it_is(s: Meetings) -> None:
    s.document["block_time"] = {"source": "free_busy"}
    s.meet()
    s.go(times=3)
    assert s.times() == [s.at(2, 9)] * 2


def test_nothing_is_kept_of_the_meetings_name(s: Meetings) -> None:
    s.meet()
    s.go()
    links = [
        link
        for platform in Platform
        for link in s.store.links.of(s.ids["dana"], platform)
        if isinstance(link, BlockLink)
    ]
    assert len({link.event_uid for link in links}) == 1
    assert UID not in repr(links)
    assert foreign_uid(UID) not in repr(links)


# --- two calendars of one account -----------------------------------------------------------------


class TwoCalendars(Stage):
    """Dana's account has a second calendar that counts as busy."""

    def __init__(self, platform: Platform) -> None:
        super().__init__(platform=platform)
        self.team = str(self.calendar.add_calendar(ME, "Team").id)
        self.document = {"calendars": {platform.value: {"busy": ["primary", self.team]}}}
        self.field, self.uid = {
            Platform.GOOGLE: ("iCalUID", UID),
            Platform.MICROSOFT: ("iCalUId", foreign_uid(UID)),
        }[platform]
        self.run()

    def meet(self, calendar: str, days: int = 1) -> str:
        return self.busy(days=days, hour=9, calendar=calendar, **{self.field: self.uid})

    def still(self, *days: int) -> None:
        """Blocks on these days, and nothing more is written, however it is looked at."""
        self.later()
        before = self.position
        assert self.block_times() == [(self.at(day, 9), self.at(day, 10)) for day in days]
        self.run(full=True)
        assert self.wrote(before) == []


@pytest.fixture(params=list(Platform), ids=str)
def two(request: pytest.FixtureRequest) -> Iterator[TwoCalendars]:
    made = TwoCalendars(request.param)
    yield made
    made.database.close()


@pytest.mark.parametrize("together", [True, False])
def test_one_meeting_in_two_calendars_of_an_account_has_one_block(
    two: TwoCalendars, together: bool
) -> None:
    before = two.position
    two.meet(two.team)
    if not together:
        two.later()
    two.meet("primary")
    two.later()
    assert two.wrote(before) == [CREATE]
    two.still(1)


def test_each_occurrence_in_two_calendars_has_one_block(two: TwoCalendars) -> None:
    start, rule = two.at(1, 9), "FREQ=DAILY;COUNT=3"
    for calendar in ("primary", two.team):
        given = {two.field: two.uid, "calendar": calendar}
        two.calendar.add_series(ME, rule, start, start + HOUR, **given)
    two.later()
    two.still(1, 2, 3)


@pytest.mark.parametrize("leaves", ["primary", "team"])
def test_if_it_leaves_one_of_two_calendars_one_block_is_left(
    two: TwoCalendars, leaves: str
) -> None:
    ids = {"primary": two.meet("primary"), "team": two.meet(two.team)}
    two.later()
    calendar = two.team if leaves == "team" else "primary"
    two.calendar.delete_event(ME, ids.pop(leaves), calendar=calendar)
    # The pass in which it leaves makes the other block, too: nobody waits for another change.
    two.later()
    assert two.block_times() == [(two.at(1, 9), two.at(1, 10))]
    two.still(1)
    [(name, left)] = ids.items()
    two.calendar.delete_event(ME, left, calendar=two.team if name == "team" else "primary")
    two.still()


def test_if_it_moves_in_two_calendars_one_after_the_other_one_block_is_left(
    two: TwoCalendars,
) -> None:
    ids = {calendar: two.meet(calendar) for calendar in ("primary", two.team)}
    two.later()
    for number, (calendar, event_id) in enumerate(ids.items()):
        two.calendar.move_event(ME, event_id, two.at(2, 9), two.at(2, 10), calendar=calendar)
        two.later()
        days = [1, 2] if number == 0 else [2]
        assert two.block_times() == [(two.at(day, 9), two.at(day, 10)) for day in days]
    two.still(2)


def test_a_calendar_that_counts_no_longer_leaves_the_meeting_to_the_other(
    two: TwoCalendars,
) -> None:
    two.meet(two.team)
    two.later()
    two.meet("primary")
    two.later()
    two.document = {}
    two.still(1)
    two.document = {"calendars": {two.platform.value: {"busy": ["primary", two.team]}}}
    two.still(1)


def test_explain_names_the_other_calendar_of_the_account(two: TwoCalendars) -> None:
    two.meet("primary")
    event_id = two.meet(two.team)

    async def work(services: Services) -> Any:
        return await explain_event(Look(services, services.store.config.revision()), event_id)

    two.later()
    [part] = asyncio.run(two.with_services(work)).parts
    assert part.verdict == "shared"


def test_blocks_that_welkin_refuses_make_no_platform_wake_the_other_for_ever(s: Meetings) -> None:
    names = {Platform.GOOGLE: "iCalUID", Platform.MICROSOFT: "iCalUId"}
    teams = {one: str(s.calendars(one).add_calendar(ME, "Team").id) for one in Platform}
    s.document = {"calendars": {one.value: {"busy": ["primary", teams[one]]} for one in Platform}}
    s.go()
    s.fault("welkin", "status", method="POST", path="/events", code=400, times=None)
    start = s.at(2, 9)
    for platform, name in names.items():
        uid = f"of-{platform}@google.com"
        for calendar in ("primary", teams[platform]):
            s.calendars(platform).add_event(
                ME, start=start, end=start + HOUR, calendar=calendar, **{name: uid}
            )
    user = s.ids["dana"]

    def marked() -> list[Platform]:
        return [one for one in Platform if s.store.marks.of(user, one).marked]

    for _ in range(8):
        for platform in (s.owner, s.other):
            s.platform = platform
            s.clock.advance(minutes=2)
            s.run()
    assert marked() == []
    assert s.times() == []
    s.sandbox.faults.clear()
    s.clock.advance(hours=30)
    s.still(start, start)
