"""When up to 50 calendars are busy, in one request.

https://developers.google.com/workspace/calendar/api/v3/reference/freebusy/query: asked as one
account, it answers for each calendar whose free/busy times that account may see. Overlapping times
come as one; how times are cut at the ends of the window is not documented.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from calendar_sync.adapters.http import HttpClient, TokenSource
from calendar_sync.core.codes import GoogleCode
from calendar_sync.core.errors import TokenRejected, TransientError, UserUnavailable
from calendar_sync.core.model import Window, iso, parse_iso
from calendar_sync.core.ports import BusyTimes

PATH = "/calendar/v3/freeBusy"


class GoogleFreeBusy:
    """See `FreeBusy`.

    Args:
        http: the client of the Calendar API.
        token_of: a token with the scope `calendar.freebusy` that acts as an account.
    """

    most = 50

    def __init__(self, http: HttpClient, token_of: Callable[[str], TokenSource]) -> None:
        self._http = http
        self._token_of = token_of

    async def busy(
        self, account: str, calendars: Sequence[str], window: Window
    ) -> Mapping[str, BusyTimes | None]:
        """See `FreeBusy.busy`."""
        sent = {
            "timeMin": iso(window.start),
            "timeMax": iso(window.end),
            "calendarExpansionMax": self.most,
            "items": [{"id": name} for name in calendars],
        }
        try:
            answer = await self._http.request(
                "google.freebusy.query", "POST", PATH, json=sent, token=self._token_of(account)
            )
        except TokenRejected:
            raise UserUnavailable(GoogleCode.UNAUTHORIZED, detail=account) from None
        body = answer.json if isinstance(answer.json, Mapping) else {}
        found = body.get("calendars")
        if not isinstance(found, Mapping):
            raise TransientError(GoogleCode.UNREADABLE_PAGE)
        return {name: _times(found.get(name)) for name in calendars}


def _times(found: object) -> BusyTimes | None:
    """The times of one calendar; None where it is not seen, or cannot be read."""
    if not isinstance(found, Mapping) or found.get("errors"):
        return None
    busy = found.get("busy")
    if not isinstance(busy, list):
        return None
    try:
        return tuple(sorted(_span(one) for one in busy))
    except (KeyError, TypeError, ValueError):
        return None


def _span(one: Any) -> tuple[datetime, datetime]:
    start, end = parse_iso(one["start"]), parse_iso(one["end"])
    if not (isinstance(start, datetime) and isinstance(end, datetime)):
        raise TypeError
    return start, end
