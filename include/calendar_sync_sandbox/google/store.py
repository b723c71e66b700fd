"""One calendar's events, with every version that each of them has had.

An event body is never changed in place.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from calendar_sync_sandbox.clock import stamp
from calendar_sync_sandbox.google import recurrence
from calendar_sync_sandbox.google.times import moment_of, write
from calendar_sync_sandbox.history import History

if TYPE_CHECKING:
    from collections.abc import Iterator

Json = dict[str, Any]
FAR_PAST = datetime(1970, 1, 1, tzinfo=UTC)
BARE = frozenset({"etag", "updated"})
ENDLESS = timedelta(days=800)
ORPHAN_REACH = timedelta(days=2)


@dataclass(slots=True)
class Version:
    """One state of an event: its change number, when it came, and the body with its span in UTC."""

    seq: int
    at: datetime
    body: Json
    start: datetime
    end: datetime
    expansions: dict[tuple[datetime, datetime], list[Json]] = field(default_factory=dict)

    @property
    def live(self) -> bool:
        """Whether the event exists in this state."""
        return bool(self.body["status"] != "cancelled")

    @property
    def is_series(self) -> bool:
        """Whether this is the master of a series."""
        return "recurrence" in self.body

    @property
    def series(self) -> str | None:
        """Id of the master, when this is an instance changed on its own."""
        value = self.body.get("recurringEventId")
        return str(value) if value else None

    def touches(self, low: datetime, high: datetime) -> bool:
        """Whether the event lies in the window, both bounds exclusive."""
        if self.start == self.end:
            return low <= self.start < high
        return self.end > low and self.start < high


@dataclass(slots=True)
class Calendar(History[str, Version]):
    """A calendar of one account.

    Attributes:
        id: the e-mail of the account for its primary calendar.
        time_zone: IANA name; moments are read back in it.
        token_generation: raised to make every sync token given so far invalid.
        hidden: whether its owner has hidden it in the list.
        by_client: whether the API's client has made it, at `made_at`.
    """

    id: str
    owner: str
    time_zone: str
    summary: str
    primary: bool = True
    token_generation: int = 0
    hidden: bool = False
    by_client: bool = False
    made_at: datetime | None = None
    exceptions: dict[str, list[str]] = field(default_factory=dict)

    def put(self, body: Json, now: datetime) -> Version:
        """Store a state; a state equal to the present one changes nothing, not even the etag."""
        event_id = body["id"]
        present = self.latest(event_id)
        if present is not None and _content(present.body) == _content(body):
            return present
        seq = self.seq + 1
        body = {
            **body,
            "etag": f'"{seq:04d}{int(now.timestamp() * 1000)}000"',
            "updated": stamp(now),
        }
        version = Version(
            seq,
            now,
            body,
            moment_of(body["start"], self.time_zone),
            moment_of(body["end"], self.time_zone),
        )
        self.note(event_id, version, now)
        if present is None and version.series:
            self.exceptions.setdefault(version.series, []).append(event_id)
        if present is not None and version.is_series and version.live:
            self._drop_orphans(version, now)
        return version

    def find(self, event_id: str) -> Version | None:
        """Return a stored event, or an instance of a series that was never changed on its own."""
        stored = self.latest(event_id)
        if stored is not None:
            master = self.latest(stored.series) if stored.series else None
            if master is not None and not master.live and stored.live:
                return self._version_of({**stored.body, "status": "cancelled"}, stored)
            return stored
        series, _, suffix = event_id.rpartition("_")
        master = self.latest(series) if series else None
        if master is None or not master.is_series:
            return None
        moment = _suffix_moment(suffix)
        if moment is None:
            return None
        reach = ORPHAN_REACH
        for body in self._plain_instances(master, moment - reach, moment + reach):
            if body["id"] == event_id:
                if not master.live:
                    body = {**body, "status": "cancelled"}
                return self._version_of(body, master)
        return None

    def instances(
        self, series: str, low: datetime, high: datetime, seq: int | None = None
    ) -> Iterator[Version]:
        """Yield the instances of a series in a window, deleted ones too, as of a change."""
        seq = self.seq if seq is None else seq
        master = self.at(series, seq)
        if master is None or not master.live or not master.is_series:
            return
        changed: dict[str, Version] = {}
        for event_id in self.exceptions.get(series, ()):
            version = self.at(event_id, seq)
            if version is not None:
                changed[event_id] = version
        for body in self._plain_instances(master, low, high):
            if body["id"] not in changed:
                yield self._version_of(body, master)
        for version in changed.values():
            if version.touches(low, high):
                yield version

    def _drop_orphans(self, master: Version, now: datetime) -> None:
        """Delete changed instances whose place in the series is gone."""
        for event_id in self.exceptions.get(master.body["id"], ()):
            version = self.latest(event_id)
            if version is None or not version.live:
                continue
            place = moment_of(version.body["originalStartTime"], self.time_zone)
            around = self._plain_instances(master, place - ORPHAN_REACH, place + ORPHAN_REACH)
            if all(body["id"] != event_id for body in around):
                self.put({**version.body, "status": "cancelled"}, now)

    def _version_of(self, body: Json, master: Version) -> Version:
        return Version(
            master.seq,
            master.at,
            body,
            moment_of(body["start"], self.time_zone),
            moment_of(body["end"], self.time_zone),
        )

    def _plain_instances(self, master: Version, low: datetime, high: datetime) -> list[Json]:
        high = min(high, max(master.at, master.start) + ENDLESS)
        window = (low, high)
        if window not in master.expansions:
            while len(master.expansions) >= 8:
                del master.expansions[next(iter(master.expansions))]
            master.expansions[window] = [
                self._instance(master, start)
                for start in recurrence.starts(master.body, self.time_zone, low, high)
            ]
        return master.expansions[window]

    def _instance(self, master: Version, start: Any) -> Json:
        body = {k: v for k, v in master.body.items() if k != "recurrence"}
        if "date" in body["start"]:
            first = datetime.fromisoformat(body["start"]["date"]).date()
            days = datetime.fromisoformat(body["end"]["date"]).date() - first
            body["start"] = {"date": start.isoformat()}
            body["end"] = {"date": (start + days).isoformat()}
            suffix = f"{start:%Y%m%d}"
        else:
            own = body["start"]["timeZone"]
            end = start + (master.end - master.start)
            body["start"] = {"dateTime": write(start, self.time_zone), "timeZone": own}
            body["end"] = {
                "dateTime": write(end, self.time_zone),
                "timeZone": body["end"]["timeZone"],
            }
            suffix = f"{start:%Y%m%dT%H%M%SZ}"
        body["id"] = f"{master.body['id']}_{suffix}"
        body["recurringEventId"] = master.body["id"]
        body["originalStartTime"] = body["start"]
        body["htmlLink"] = f"{master.body['htmlLink']}_{suffix}"
        return body


def _content(body: Json) -> Json:
    return {k: v for k, v in body.items() if k not in BARE}


def _suffix_moment(suffix: str) -> datetime | None:
    for form in ("%Y%m%dT%H%M%SZ", "%Y%m%d"):
        try:
            return datetime.strptime(suffix, form).replace(tzinfo=UTC)
        except ValueError:
            continue
    return None
