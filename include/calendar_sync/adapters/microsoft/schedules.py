"""When mailboxes are busy, without their events.

https://learn.microsoft.com/graph/api/calendar-getschedule: 20 addresses in a request, 62 days at
most, application permission Calendars.Read. A mailbox is named by its address, not by its id.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from calendar_sync.adapters.http import HttpClient, TokenSource
from calendar_sync.adapters.microsoft.addresses import user
from calendar_sync.adapters.microsoft.errors import concerning
from calendar_sync.adapters.microsoft.slots import Slots
from calendar_sync.core.codes import MicrosoftCode
from calendar_sync.core.errors import TransientError
from calendar_sync.core.model import Window, parse_iso
from calendar_sync.core.ports import BusyTimes

#: Statuses of an item that take time; `tentative`, `workingElsewhere` and `free` do not.
BUSY = frozenset({"busy", "oof"})
_PREFER = {"Prefer": 'outlook.timezone="UTC"'}


class MicrosoftFreeBusy:
    """See `FreeBusy`.

    Args:
        http: the client of Graph's host.
        token: the tenant's token.
        slots: the places of requests that are under way.
    """

    most = 20

    def __init__(self, http: HttpClient, token: TokenSource, slots: Slots) -> None:
        self._http = http
        self._token = token
        self._slots = slots

    async def busy(
        self, account: str, calendars: Sequence[str], window: Window
    ) -> Mapping[str, BusyTimes | None]:
        """See `FreeBusy.busy`; calendars are main ones, by the addresses of their mailboxes."""
        sent = {
            "schedules": list(calendars),
            "startTime": _time(window.start),
            "endTime": _time(window.end),
            "availabilityViewInterval": 1440,
        }
        with concerning(account):
            answer = await self._http.request(
                "microsoft.schedule.get",
                "POST",
                f"{user(account)}/calendar/getSchedule",
                json=sent,
                headers=_PREFER,
                token=self._token,
                slot=lambda: self._slots.of(account),
                repeatable=True,
            )
        body = answer.json if isinstance(answer.json, Mapping) else {}
        rows = body.get("value")
        if not isinstance(rows, list):
            raise TransientError(MicrosoftCode.UNREADABLE_PAGE)
        found = {
            str(row.get("scheduleId", "")).lower(): _times(row)
            for row in rows
            if isinstance(row, Mapping)
        }
        return {name: found.get(name.lower()) for name in calendars}


def _times(row: Mapping[str, Any]) -> BusyTimes | None:
    """The times of one mailbox; None where they are not shown, or cannot be read."""
    items = row.get("scheduleItems")
    if row.get("error") or not isinstance(items, list):
        return None
    try:
        return tuple(sorted(_span(one) for one in items if one["status"] in BUSY))
    except (KeyError, TypeError, ValueError):
        return None


def _span(item: Any) -> tuple[datetime, datetime]:
    return _moment(item["start"]), _moment(item["end"])


def _moment(side: Any) -> datetime:
    """A time in UTC, as asked for; another zone is none that we can be sure of."""
    moment = parse_iso(f"{side['dateTime']}Z") if side["timeZone"] == "UTC" else None
    if not isinstance(moment, datetime):
        raise TypeError
    return moment


def _time(moment: datetime) -> dict[str, str]:
    return {"dateTime": f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}", "timeZone": "UTC"}
