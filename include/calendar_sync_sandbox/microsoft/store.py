"""One mailbox: its calendars, and its events with every version that each of them has had.

A series is one record: its exceptions and its deleted days belong to the version of the master, so
that a change of one occurrence changes the series too. Nothing in a version is changed in place.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from calendar_sync_sandbox.history import History
from calendar_sync_sandbox.microsoft import recurrence
from calendar_sync_sandbox.microsoft.times import Json, Span, windows_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from calendar_sync_sandbox.microsoft.ids import Ids

FAR_PAST = datetime(1970, 1, 1, tzinfo=UTC)
FAR_FUTURE = datetime(2199, 1, 1, tzinfo=UTC)
Properties = dict[str, tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Change:
    """An occurrence changed on its own: what differs from the master, and when it takes place."""

    fields: Json
    span: Span
    at: datetime
    properties: Properties = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Instance:
    """One occurrence of a series, changed or not; ``day`` is where the rule puts it."""

    day: date
    span: Span
    original: datetime
    change: Change | None = None


@dataclass(slots=True)
class Version:
    """One state of an event or of a series.

    Attributes:
        seq: number of its change within the mailbox.
        at: when it came.
        key: number of the item within the mailbox.
        folder: number of the calendar that it is in.
        fields: the properties as the API writes them, without start, end and what depends on the
            request.
        span: when it takes place; for a series, its first occurrence.
        created: when the item was made.
        properties: extended properties by their id in lower case.
        live: False once deleted.
        changed: exceptions by their day in the rule.
        cancelled: days of the rule without an occurrence.
    """

    seq: int
    at: datetime
    key: int
    folder: int
    fields: Json
    span: Span
    created: datetime
    properties: Properties = field(default_factory=dict)
    live: bool = True
    changed: dict[date, Change] = field(default_factory=dict)
    cancelled: frozenset[date] = frozenset()
    expansions: dict[tuple[datetime, datetime], list[Instance]] = field(
        default_factory=dict, compare=False
    )

    @property
    def is_series(self) -> bool:
        """Whether this is the master of a series."""
        return self.fields.get("recurrence") is not None

    @property
    def change_key(self) -> str:
        """The change key, which is another one after every change."""
        raw = self.key.to_bytes(4) + self.seq.to_bytes(5) + b"\xfb"
        return "CQAAABYAAAB" + base64.b64encode(raw).decode()

    @property
    def etag(self) -> str:
        """The etag made of the change key."""
        return f'W/"{self.change_key}"'

    def instance(self, day: date) -> Instance | None:
        """Return the occurrence that the rule puts on a day, None where there is none."""
        if not self.is_series or day in self.cancelled:
            return None
        if not recurrence.days(self.fields["recurrence"], day, day):
            return None
        plain = self.span.on(day)
        change = self.changed.get(day)
        return Instance(day, change.span if change else plain, plain.start, change)

    def instances(self, low: datetime, high: datetime) -> list[Instance]:
        """Return the occurrences that touch a window, in the order of the rule."""
        if not self.is_series:
            return []
        window = (low, high)
        found = self.expansions.get(window)
        if found is None:
            while len(self.expansions) >= 8:
                del self.expansions[next(iter(self.expansions))]
            found = self.expansions[window] = list(self._expand(low, high))
        return found

    def _expand(self, low: datetime, high: datetime) -> Iterator[Instance]:
        margin = (self.span.end - self.span.start) + timedelta(days=2)
        first, last = (low - margin).date(), (high + timedelta(days=2)).date()
        for day in recurrence.days(self.fields["recurrence"], first, last):
            if day in self.cancelled or day in self.changed:
                continue
            plain = self.span.on(day)
            if plain.touches(low, high):
                yield Instance(day, plain, plain.start)
        for day, change in sorted(self.changed.items()):
            if change.span.touches(low, high):
                yield Instance(day, change.span, self.span.on(day).start, change)

    def touches(self, low: datetime, high: datetime) -> bool:
        """Whether the event, or an occurrence of the series, lies in a window."""
        return bool(self.instances(low, high)) if self.is_series else self.span.touches(low, high)


@dataclass(slots=True)
class Folder:
    """A calendar of a mailbox.

    ``generation`` is raised to end every delta token given so far. ``owner`` is the address of who
    shares it, empty for one of the mailbox itself; ``made_at`` is when a client made it.
    """

    number: int
    id: str
    name: str
    primary: bool = True
    generation: int = 0
    owner: str = ""
    made_at: datetime | None = None


@dataclass(slots=True)
class Mailbox(History[int, Version]):
    """A mailbox.

    Attributes:
        email: its address, which is the user principal name too.
        guid: id of its user in the directory.
        time_zone: IANA name.
        state: ok, revoked, suspended, deleted, unlicensed or on_premises.
        ids: its ids.
        calendars: its calendars by id, the primary one first.
        opened: how many calendars it has ever had.
    """

    email: str
    guid: str
    time_zone: str
    ids: Ids
    state: str = "ok"
    calendars: dict[str, Folder] = field(default_factory=dict)
    opened: int = 0

    @property
    def zone_name(self) -> str:
        """The Windows name of its zone."""
        return windows_name(self.time_zone)

    @property
    def primary(self) -> Folder:
        """Its own calendar."""
        return next(iter(self.calendars.values()))

    def add_calendar(self, name: str) -> Folder:
        """Open one more calendar."""
        number, self.opened = self.opened, self.opened + 1
        folder = Folder(number, self.ids.calendar(number), name, primary=number == 0)
        self.calendars[folder.id] = folder
        return folder

    def put(self, version: Version, now: datetime) -> Version:
        """Store a state; one equal to the present one changes nothing, not even the etag."""
        present = self.latest(version.key)
        if present is not None and replace(version, seq=present.seq, at=present.at) == present:
            return present
        stored = replace(version, seq=self.seq + 1, at=now, expansions={})
        self.note(version.key, stored, now)
        return stored

    def new_key(self) -> int:
        """Return a number that no item of the mailbox has."""
        return len(self.records) + 1

    def find(self, item_id: str, *, immutable: bool | None = None) -> tuple[Version, date | None]:
        """Return what an id stands for, and the day for one occurrence of a series.

        Args:
            item_id: either kind of id.
            immutable: which kind is accepted; both for None.

        Raises:
            KeyError: for an id of nothing that is there now.
        """
        place = self.ids.read(item_id)
        if place is None:
            raise KeyError(item_id)
        if immutable is not None and immutable != (place.folder is None):
            raise KeyError(item_id)
        version = self.latest(place.key)
        if version is None or not version.live:
            raise KeyError(item_id)
        if place.folder is not None and place.folder != version.folder:
            raise KeyError(item_id)
        if place.day is not None and version.instance(place.day) is None:
            raise KeyError(item_id)
        return version, place.day

    def id_of(self, version: Version, day: date | None = None, *, immutable: bool = True) -> str:
        """Return the id of an item or of one occurrence, of the kind asked for."""
        if immutable:
            return self.ids.item(version.key, day)
        return self.ids.item_in(version.folder, version.key, day)

    def living(self, folder: int | None, seq: int) -> Iterator[Version]:
        """Yield the items of a calendar (of all for None) as of a change."""
        for key in self.records:
            version = self.at(key, seq) if seq < self.seq else self.latest(key)
            if version is not None and version.live and folder in (None, version.folder):
                yield version
