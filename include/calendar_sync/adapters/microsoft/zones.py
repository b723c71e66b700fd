"""Names of time zones: Exchange speaks Windows, everybody else the language of IANA.

https://learn.microsoft.com/graph/api/resources/datetimetimezone
"""

from zoneinfo import ZoneInfo

from tzlocal import windows_tz

from calendar_sync.core.model import zone_or_none

UTC = ZoneInfo("UTC")
# Names that the table of tzlocal lacks, and one that it should lack.
_FURTHER = {
    "": "UTC",
    "Antarctica/Troll": "Greenwich Standard Time",
    "CST6CDT": "Central Standard Time",
    "EST5EDT": "Eastern Standard Time",
    "Europe/Uzhgorod": "FLE Standard Time",
    "Europe/Zaporozhye": "FLE Standard Time",
    "MST7MDT": "Mountain Standard Time",
    "PST8PDT": "Pacific Standard Time",
    "US/East-Indiana": "US Eastern Standard Time",
}


def windows_name(name: str) -> str:
    """The Windows name of an IANA zone; "UTC" for one that Windows does not know."""
    return _FURTHER.get(name) or windows_tz.tz_win.get(name, "UTC")


def zone_of(name: object) -> ZoneInfo:
    """The zone of a Windows or IANA name; unknown (custom) zones count as UTC."""
    if not isinstance(name, str):
        return UTC
    return zone_or_none(windows_tz.win_tz.get(name, name)) or UTC
