"""I9: what is odd about one row, account or item stops nobody and nothing else, and is named."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest

from calendar_sync.core.model import Platform
from calendar_sync.insight.attention import parked_items
from calendar_sync.state import tables as t
from tests.engine.cycle.stage import Stage, mail

Make = Callable[..., Stage]
PLATFORMS = list(Platform)
SYSTEMS = {Platform.GOOGLE: "google", Platform.MICROSOFT: "microsoft"}
END = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


@pytest.fixture(params=PLATFORMS, ids=[platform.value for platform in PLATFORMS])
def ward(request: pytest.FixtureRequest, stage: Make) -> Stage:
    """Two people with a visit and a busy hour each, in step on one platform."""
    s = stage("dana", "ruben", platform=request.param)
    fill(s)
    return s


def fill(s: Stage, day: int = 1) -> None:
    for name in s.ids:
        s.meeting(name, days=day)
        s.busy(name, days=day)


def whole(s: Stage, count: int = 1) -> None:
    """Everybody has so many mirrors and blocks."""
    for name in s.ids:
        assert len(s.calendar.mirrors(mail(name))) == count, name
        assert len(s.blocks(name)) == count, name


def named(s: Stage) -> set[tuple[str, str]]:
    """Codes and ids of what is parked."""
    return {(item.code, item.source.id) for item in parked_items(s.store, s.platform)}


# --- dates at the edge ----------------------------------------------------------------------------

EDGES = [
    "0001-01-01T00:00:00.000+14:00",
    "0001-01-01T00:00:00.000Z",
    "9999-12-31T23:59:59.000Z",
    "9999-12-31T23:59:59.999-12:00",
    "10000-01-01T00:00:00.000Z",
    "0000-00-00T00:00:00.000Z",
]


def test_leave_for_ever_stops_no_user(ward: Stage) -> None:
    s = ward
    leave = s.welkin.book_event(s.ids["dana"], s.at(0, 0), END, "LEAVE", all_day=True)
    assert s.run().failed == []
    whole(s)
    assert named(s) == {("welkin_unreadable_event", leave.id)}
    # It is changed, and shows in the feed.
    s.welkin.retitle(leave.id, "away")
    fill(s, day=2)
    assert s.later().failed == []
    whole(s, 2)
    s.in_step()


@pytest.mark.spread
@pytest.mark.parametrize("all_day", [False, True])
@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Etc/GMT+12"])
@pytest.mark.parametrize("edge", EDGES)
def test_an_appointment_at_the_edge_of_time_stops_no_user(
    ward: Stage, edge: str, zone: str, all_day: bool
) -> None:
    s = ward
    s.run()
    odd = s.meeting("dana", days=3)
    shown = {"startDateTime": edge, "endDateTime": edge, "timezone": zone, "allDayEvent": all_day}
    s.sandbox.faults.disguises.put(odd.id, **shown)
    fill(s, day=2)
    assert s.later().failed == []
    whole(s, 2)
    s.in_step()


@pytest.mark.spread
@pytest.mark.parametrize("key", ["start", "end"])
@pytest.mark.parametrize("edge", EDGES)
def test_an_appointment_that_wanders_to_the_edge_keeps_its_mirror_or_moves_it(
    ward: Stage, edge: str, key: str
) -> None:
    s = ward
    odd = s.meeting("dana", days=3)
    s.run()
    s.sandbox.faults.disguises.put(odd.id, **{f"{key}DateTime": edge})
    s.welkin.retitle(odd.id, "touched")
    fill(s, day=2)
    assert s.later().failed == []
    assert len(s.calendar.mirrors(mail("ruben"))) == len(s.blocks("ruben")) == 2
    assert len(s.calendar.mirrors(mail("dana"))) >= 2
    assert len(s.blocks("dana")) == 2
    s.sandbox.faults.disguises.drop(odd.id)
    s.welkin.retitle(odd.id, "sound again")
    s.later()
    assert len(s.calendar.mirrors(mail("dana"))) == 3
    s.in_step()


def calendar_times(platform: Platform, start: str, end: str, zone: str) -> dict[str, Any]:
    if platform is Platform.GOOGLE:
        return {
            "start": {"dateTime": start, "timeZone": zone},
            "end": {"dateTime": end, "timeZone": zone},
        }
    return {
        "start": {"dateTime": start.removesuffix("Z"), "timeZone": zone},
        "end": {"dateTime": end.removesuffix("Z"), "timeZone": zone},
        "isAllDay": False,
        "originalStartTimeZone": zone,
    }


@pytest.mark.spread(("edge", "ward"), ("zone",))
@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Etc/GMT+12"])
@pytest.mark.parametrize("edge", EDGES)
def test_an_event_at_the_edge_of_time_stops_no_user(ward: Stage, edge: str, zone: str) -> None:
    s = ward
    s.run()
    odd = s.busy("dana", days=3)
    times = calendar_times(s.platform, edge, edge, zone)
    s.sandbox.faults.disguises.put(odd, **times)
    fill(s, day=2)
    assert s.later().failed == []
    whole(s, 2)
    s.in_step()


@pytest.mark.parametrize("edge", EDGES)
def test_a_blocked_event_whose_time_cannot_be_read_any_more_keeps_its_block_and_is_shown(
    ward: Stage, edge: str
) -> None:
    s = ward
    odd = s.busy("dana", days=3)
    s.run()
    times = calendar_times(s.platform, edge, "9999-12-31T23:59:59-12:00", "Etc/GMT+12")
    s.sandbox.faults.disguises.put(odd, **times)
    s.calendar.patch_event(mail("dana"), odd, **touched(s.platform, "touched"))
    fill(s, day=2)
    assert s.later().failed == []
    assert len(s.blocks("dana")) == 3
    assert (f"{SYSTEMS[s.platform]}_unreadable_event", odd) in named(s)
    s.later(hours=29)
    assert len(s.blocks("dana")) == 3
    s.sandbox.faults.disguises.drop(odd)
    s.calendar.delete_event(mail("dana"), odd)
    s.later()
    whole(s, 2)
    s.later(hours=50)
    s.later(hours=25)
    assert named(s) == set()


def touched(platform: Platform, title: str) -> dict[str, str]:
    return {"summary" if platform is Platform.GOOGLE else "subject": title}


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Etc/GMT+12", "US/Eastern"])
def test_whole_days_from_the_first_to_the_last_take_time(stage: Make, zone: str) -> None:
    s = stage("dana", "ruben", zone=zone)
    s.google.add_event(mail("dana"), start=s.day(-1), end=date(9999, 12, 31))
    odd = s.busy("dana", days=5)
    shown = {"start": {"date": "0001-01-01"}, "end": {"date": "9999-12-31"}}
    s.sandbox.faults.disguises.put(odd, **shown)
    fill(s)
    assert s.run().failed == []
    s.later(again=3)  # Welkin may refuse such a leave: then it is parked
    assert len(s.mirrors("dana")) == len(s.mirrors("ruben")) == len(s.blocks("ruben")) == 1
    assert len(s.blocks("dana")) >= 2
    s.in_step()


# --- exceptions that nobody foresaw ---------------------------------------------------------------


def trip(
    monkeypatch: pytest.MonkeyPatch, target: str, odd: Callable[..., bool]
) -> list[tuple[Any, ...]]:
    """Have the function raise ZeroDivisionError where `odd` says so of its arguments."""
    import importlib

    module, _, name = target.rpartition(".")
    try:
        owner: Any = importlib.import_module(module)
    except ModuleNotFoundError:
        above, _, cls = module.rpartition(".")
        owner = getattr(importlib.import_module(above), cls)
    inner, met = getattr(owner, name), []

    def tripped(*args: Any, **options: Any) -> Any:
        if odd(*args, **options):
            met.append(args)
            raise ZeroDivisionError("Zelda Canary, born 1950-01-01")
        return inner(*args, **options)

    monkeypatch.setattr(owner, name, tripped)
    return met


def has_id(odd: str) -> Callable[..., bool]:
    """Any argument is this item, or is about it."""

    def about(thing: Any) -> bool:
        if isinstance(thing, dict):
            inner = thing.get("jsonBody")
            return odd in (thing.get("id"), inner and inner.get("calendarEventId"))
        for part in (thing, *(getattr(thing, each, None) for each in ("event", "source"))):
            if getattr(part, "id", None) == odd or part == odd:
                return True
        return False

    return lambda *args, **options: any(map(about, (*args, *options.values())))


W = "calendar_sync.adapters.welkin"
ROWS = [
    f"{W}.client.parse_event",
    f"{W}.feeds.parse_event",
    f"{W}.parse._span",
    "calendar_sync.core.identity.Identity.appointment",
    "calendar_sync.planner.mirror_text.draft",
    "calendar_sync.planner.mirrors.judge",
    "calendar_sync.planner.mirrors._wanted",
    "calendar_sync.sync.cycle.writes.Writer.perform",
]


@pytest.mark.spread
@pytest.mark.parametrize("target", ROWS)
@pytest.mark.parametrize("first", [True, False], ids=["first", "later"])
def test_a_bug_that_one_appointment_meets(
    ward: Stage, monkeypatch: pytest.MonkeyPatch, target: str, first: bool, caplog: Any
) -> None:
    s = ward
    if not first:
        s.run()
    odd = s.meeting("dana", days=4).id
    if target.endswith("_span"):
        met = trip(monkeypatch, target, lambda row, *_: row.get("id") == odd)
    else:
        met = trip(monkeypatch, target, has_id(odd))
    s.later(again=4)
    assert met
    whole_but(s, odd, target)


@pytest.mark.parametrize("target", [f"{W}.feeds.parse_encounter", f"{W}.client.parse_encounter"])
def test_a_bug_that_one_encounter_meets(
    ward: Stage, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    s = ward
    kept = s.visit("dana", days=6)
    s.run()
    odd = s.visit("dana", days=4).event_id
    trip(monkeypatch, target, has_id(odd))
    s.welkin.audit_enabled = False
    fill(s, day=2)
    assert s.later(again=2).failed == []
    s.later(hours=29)
    assert kept.event_id in {link.source.id for link in s.links("dana") if link.state == "live"}
    for name in s.ids:
        assert len(s.calendar.mirrors(mail(name))) >= 2
        assert len(s.blocks(name)) == 2


EVENTS = [
    "calendar_sync.adapters.{system}.client.parse_event",
    "calendar_sync.adapters.{system}.parse._availability",
    "calendar_sync.adapters.{system}.parse._span",
    "calendar_sync.planner.busy.why_not_busy",
    "calendar_sync.planner.blocks.why_not_busy",
    "calendar_sync.planner.blocks.why_no_block",
    "calendar_sync.sync.cycle.writes.Writer.perform",
]


@pytest.mark.spread(("target", "ward"), ("first",))
@pytest.mark.parametrize("target", EVENTS)
@pytest.mark.parametrize("first", [True, False], ids=["first", "later"])
def test_a_bug_that_one_event_meets(
    ward: Stage, monkeypatch: pytest.MonkeyPatch, target: str, first: bool
) -> None:
    s = ward
    if not first:
        s.run()
    odd = s.busy("dana", days=4)
    met = trip(monkeypatch, target.format(system=SYSTEMS[s.platform]), has_id(odd))
    s.later(again=4)
    assert met
    whole_but(s, odd, target)


#: Places beside a cycle's own: the cycle itself can read the item.
HARMLESS = (f"{W}.feeds.parse_event", "calendar_sync.planner.busy.why_not_busy")


def whole_but(s: Stage, odd: str, target: str) -> None:
    """Everything but the odd one is there, which is named; nothing is left to do for anybody."""
    assert s.results[-1].failed == []
    if target in HARMLESS:
        assert named(s) == set()
        assert len(s.calendar.mirrors(mail("dana"))) + len(s.blocks("dana")) == 3
    else:
        whole(s)
        assert odd in {source for _, source in named(s)}
    for name in s.ids:
        assert not s.state(name).marked
        assert s.state(name).failures == 0
    with s.database.read() as connection:
        for table in (t.parked_item, t.operation, t.conflict, t.user_sync):
            assert "Zelda" not in str(connection.execute(table.select()).all())
