"""Names of time zones, there and back."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import pytest
from tzlocal import windows_tz

from calendar_sync.adapters.microsoft.zones import windows_name, zone_of

WINDOWS = sorted(windows_tz.win_tz)
# Files of a system's own beside the zones.
IANA = sorted(available_timezones() - {"localtime", "posixrules", "Factory"})
EVERY_TEN_DAYS = [datetime(2026, 1, 1, 12, tzinfo=UTC) + timedelta(days=10 * i) for i in range(73)]


def offsets(zone: ZoneInfo) -> list[timedelta | None]:
    return [moment.astimezone(zone).utcoffset() for moment in EVERY_TEN_DAYS]


def test_windows_has_as_many_zones_as_ever() -> None:
    assert len(WINDOWS) >= 142


def test_each_windows_name_gives_a_zone_and_comes_back() -> None:
    zones = {name: zone_of(name).key for name in WINDOWS}
    assert zones == {name: windows_tz.win_tz[name] for name in WINDOWS}
    assert {name: windows_name(zone) for name, zone in zones.items()} == {n: n for n in WINDOWS}


@pytest.mark.parametrize(
    ("name", "moment", "hours"),
    [
        ("Eastern Standard Time", datetime(2026, 1, 1, tzinfo=UTC), -5),
        ("Eastern Standard Time", datetime(2026, 7, 1, tzinfo=UTC), -4),
        ("AUS Eastern Standard Time", datetime(2026, 1, 1, tzinfo=UTC), 11),
        ("Line Islands Standard Time", datetime(2026, 1, 1, tzinfo=UTC), 14),
        ("Dateline Standard Time", datetime(2026, 1, 1, tzinfo=UTC), -12),
        ("GMT Standard Time", datetime(2026, 7, 1, tzinfo=UTC), 1),
        ("Greenwich Standard Time", datetime(2026, 7, 1, tzinfo=UTC), 0),
        ("UTC", datetime(2026, 7, 1, tzinfo=UTC), 0),
        ("UTC-11", datetime(2026, 7, 1, tzinfo=UTC), -11),
        ("America/Phoenix", datetime(2026, 7, 1, tzinfo=UTC), -7),
    ],
)
def test_zones(name: str, moment: datetime, hours: int) -> None:
    assert moment.astimezone(zone_of(name)).utcoffset() == timedelta(hours=hours)


@pytest.mark.parametrize(
    "name",
    [None, "", " ", 7, [], {}, "tzone://Microsoft/Custom", "tzone://Microsoft/Utc",
     "Customized Time Zone", "no such zone", "America", "../etc/passwd", "/etc/localtime", "\0",
     "\ud800", "x" * 5000],
    ids=ascii,
)  # fmt: skip
def test_an_unknown_zone_counts_as_utc(name: Any) -> None:
    assert zone_of(name) == ZoneInfo("UTC")


@pytest.mark.parametrize(
    ("zone", "name"),
    [
        ("Antarctica/Troll", "Greenwich Standard Time"),
        ("CST6CDT", "Central Standard Time"),
        ("EST5EDT", "Eastern Standard Time"),
        ("Europe/Uzhgorod", "FLE Standard Time"),
        ("Europe/Zaporozhye", "FLE Standard Time"),
        # London's clocks have a summer.
        ("GMT", "UTC"),
        ("Greenwich", "UTC"),
        ("Europe/London", "GMT Standard Time"),
        ("MST7MDT", "Mountain Standard Time"),
        ("PST8PDT", "Pacific Standard Time"),
        ("US/East-Indiana", "US Eastern Standard Time"),
        ("US/Eastern", "Eastern Standard Time"),
        ("Asia/Saigon", "SE Asia Standard Time"),
        ("America/Argentina/Buenos_Aires", "Argentina Standard Time"),
    ],
)
def test_further_names(zone: str, name: str) -> None:
    assert windows_name(zone) == name
    assert name in windows_tz.win_tz


def test_each_zone_has_a_name_that_exchange_knows() -> None:
    names = {zone: windows_name(zone) for zone in IANA}
    assert {zone for zone, name in names.items() if name not in windows_tz.win_tz} == set()
    # "UTC" is also what a zone without a Windows name gets: there is none such.
    utc = {zone for zone, name in names.items() if name == "UTC"}
    assert {zone for zone in utc if set(offsets(ZoneInfo(zone))) != {timedelta(0)}} == set()


def test_there_and_back_the_clocks_agree_the_whole_year() -> None:
    other = {
        zone for zone in IANA if offsets(zone_of(windows_name(zone))) != offsets(ZoneInfo(zone))
    }
    # Polar stations, and zones that changed after the table was made: theirs are the same dates.
    assert len(other) <= 12
    assert not [zone for zone in other if zone.startswith(("US/", "Canada/", "Europe/", "Etc/"))]
    assert not other & {"GMT", "UTC", "CST6CDT", "EST5EDT", "MST7MDT", "PST8PDT"}
