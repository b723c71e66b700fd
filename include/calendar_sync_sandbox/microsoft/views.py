"""Reading events: one, lists, a window of the calendar, the occurrences of a series."""

from __future__ import annotations

import operator
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from calendar_sync_sandbox.microsoft.errors import GraphError, bad_option
from calendar_sync_sandbox.microsoft.preferences import (
    Preferences,
    check_options,
    prefers,
    read_expand,
    read_marker_filter,
    read_number,
    read_select,
)
from calendar_sync_sandbox.microsoft.store import Instance, Mailbox, Version
from calendar_sync_sandbox.microsoft.times import Json, parse
from calendar_sync_sandbox.microsoft.wire import (
    EVENT_NAMES,
    ONLY_ON_REQUEST,
    cancelled_occurrences,
    event_json,
    properties_json,
    selected,
)
from calendar_sync_sandbox.service import Call, Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from calendar_sync_sandbox.microsoft.store import Folder
    from calendar_sync_sandbox.microsoft.world import MicrosoftWorld

DEFAULT_PAGE = 10
ONE = frozenset({"$select", "$expand"})
LIST = frozenset({"$select", "$expand", "$top", "$skip", "$filter", "$orderby", "$count"})
VIEW = LIST | {"startDateTime", "endDateTime"}
ORDERS = ("start/dateTime", "start/dateTime asc", "start/dateTime desc")
Row = tuple[Version, Instance | None]
_BOUND = re.compile(
    r"(start|end)/dateTime\s+(ge|gt|le|lt|eq)\s+'([^']+)'", re.IGNORECASE
)  # fmt: skip
_COMPARED: dict[str, Callable[[Any, Any], bool]] = {
    "ge": operator.ge, "gt": operator.gt, "le": operator.le, "lt": operator.lt, "eq": operator.eq,
}  # fmt: skip
_UID = re.compile(r"iCalUId\s+eq\s+'([^']*)'$", re.IGNORECASE)


def read_window(call: Call) -> tuple[datetime, datetime]:
    """Read ``startDateTime`` and ``endDateTime``; without an offset they are in UTC.

    Raises:
        GraphError: 400 when one is missing, unreadable, or the window is empty.
    """
    found: list[datetime] = []
    for name in ("startDateTime", "endDateTime"):
        text = call.one(name)
        if text is None:
            raise GraphError(
                400,
                "ErrorInvalidParameter",
                "This request requires a time window specified by the query string parameters "
                "StartDateTime and EndDateTime.",
            )
        moment = parse(text)
        if moment is None:
            raise GraphError(400, "ErrorInvalidParameter", f"The value of '{name}' is not valid.")
        found.append(moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC))
    if found[1] < found[0]:
        raise GraphError(400, "ErrorInvalidParameter", "The EndDate is earlier than the StartDate.")
    return found[0], found[1]


def quoted(path: str) -> str:
    """Write a path as it stands in a link."""
    return quote(path, safe="/@=-_.~")


@dataclass(frozen=True, slots=True)
class _Shape:
    """How the rows of an answer are to be written."""

    how: Preferences
    names: frozenset[str] | None
    wanted: frozenset[str]


def _shape_of(call: Call) -> _Shape:
    return _Shape(prefers(call), read_select(call, EVENT_NAMES), read_expand(call))


def _inside(row: Row, bound: re.Match[str]) -> bool:
    """Whether one comparison of a filter holds; without an offset, its moment is in UTC."""
    moment = parse(bound[3])
    if moment is None:
        raise GraphError(400, "ErrorInvalidUrlQueryFilter", "The query filter is not supported.")
    moment = moment.replace(tzinfo=moment.tzinfo or UTC)
    span = row[1].span if row[1] else row[0].span
    own = span.start if bound[1].lower() == "start" else span.end
    return _COMPARED[bound[2].lower()](own, moment)


class Views:
    """The handlers that read."""

    def __init__(self, world: MicrosoftWorld) -> None:
        """Keep the world."""
        self.world = world

    def one(self, call: Call, mailbox: Mailbox, row: Row) -> Reply:
        """Answer one event."""
        check_options(call, ONE)
        version, instance = row
        shape = _shape_of(call)
        written = self._write(mailbox, row, shape)
        names = shape.names or frozenset()
        if version.is_series and instance is None:
            if "cancelledOccurrences" in names:
                written["cancelledOccurrences"] = cancelled_occurrences(mailbox, version, shape.how)
            if "exceptionOccurrences" in names:
                raise bad_option("$select", "needs $expand for exceptionOccurrences")
        context = self._context(mailbox, "/$entity")
        return Reply(200, {"@odata.context": context, **written})

    def find(self, call: Call, mailbox: Mailbox, folder: Folder, horizon: int) -> Reply:
        """Answer single events and masters of a calendar."""
        check_options(call, LIST)
        rows: list[Row] = [(v, None) for v in mailbox.living(folder.number, horizon)]
        text = call.one("$filter")
        if text is not None:
            rows = self._filtered(mailbox, rows, text)
        return self._page(call, mailbox, rows)

    def view(self, call: Call, mailbox: Mailbox, folder: Folder, horizon: int) -> Reply:
        """Answer the single events and occurrences of a window."""
        check_options(call, VIEW)
        low, high = read_window(call)
        if (high - low).days > 1825:
            raise GraphError(
                400, "ErrorCalendarViewRangeTooBig", "The window is longer than 1825 days."
            )
        rows: list[Row] = []
        for version in mailbox.living(folder.number, horizon):
            if version.is_series:
                rows.extend((version, each) for each in version.instances(low, high))
            elif version.span.touches(low, high):
                rows.append((version, None))
        text = call.one("$filter")
        if text is not None:
            rows = self._filtered(mailbox, rows, text)
        return self._page(call, mailbox, rows)

    def instances(self, call: Call, mailbox: Mailbox, row: Row) -> Reply:
        """Answer the occurrences of a series in a window."""
        check_options(call, VIEW - {"$filter"})
        low, high = read_window(call)
        version, instance = row
        if not version.is_series or instance is not None:
            raise GraphError(
                400, "ErrorInvalidRequest", "Your request can't be completed: no series master."
            )
        rows: list[Row] = [(version, each) for each in version.instances(low, high)]
        return self._page(call, mailbox, rows)

    def _filtered(self, mailbox: Mailbox, rows: list[Row], text: str) -> list[Row]:
        marker = read_marker_filter(text)
        if marker is not None:
            name, value = marker
            return [
                (version, instance)
                for version, instance in rows
                if instance is None
                and name in version.properties
                and version.properties[name][1].lower() == value
            ]
        bounds = [_BOUND.fullmatch(part.strip()) for part in re.split(r"\s+and\s+", text.strip())]
        if all(bounds):
            return [row for row in rows if all(_inside(row, each) for each in bounds if each)]
        uid = _UID.match(text.strip())
        if uid is None:
            raise GraphError(
                400, "ErrorInvalidUrlQueryFilter", "The query filter is not supported."
            )
        # Any preference gives the same iCalUId.
        return [row for row in rows if self._uid(mailbox, row) == uid[1]]

    def _uid(self, mailbox: Mailbox, row: Row) -> str:
        return str(event_json(mailbox, row[0], Preferences(), row[1])["iCalUId"])

    def _page(self, call: Call, mailbox: Mailbox, rows: list[Row]) -> Reply:
        order = call.one("$orderby")
        if order is not None:
            if order not in ORDERS:
                raise bad_option("$orderby", "is not supported")
            rows.sort(
                key=lambda row: row[1].span.start if row[1] else row[0].span.start,
                reverse=order.endswith("desc"),
            )
        shape = _shape_of(call)
        size = read_number(call, "$top", shape.how.page or DEFAULT_PAGE)
        skip = read_number(call, "$skip", 0, 1_000_000)
        page = rows[skip : skip + size]
        body: Json = {
            "@odata.context": self._context(mailbox, ""),
            "value": [self._write(mailbox, row, shape) for row in page],
        }
        if call.one("$count") == "true":
            body["@odata.count"] = len(rows)
        if skip + size < len(rows):
            kept = {k: v[-1] for k, v in call.query.items()}
            query = urlencode({**kept, "$skip": skip + size}, safe="$")
            body["@odata.nextLink"] = (
                f"{self.world.directory.graph_root}{quoted(call.path)}?{query}"
            )
        return Reply(200, body)

    def _write(self, mailbox: Mailbox, row: Row, shape: _Shape) -> Json:
        version, instance = row
        shift = self.world.shifts_days(mailbox)
        written = event_json(mailbox, version, shape.how, instance, shift_days=shift)
        names = shape.names
        written = selected(written, None if names is None else names - ONLY_ON_REQUEST)
        held = properties_json(version, instance, shape.wanted) if shape.wanted else []
        if held:
            written["singleValueExtendedProperties"] = held
        return written

    def _context(self, mailbox: Mailbox, suffix: str) -> str:
        root = self.world.directory.graph_root
        return f"{root}/v1.0/$metadata#users('{mailbox.guid}')/events{suffix}"
