"""Answers of events.list: full reads, changes since a sync token, tombstones.

https://developers.google.com/workspace/calendar/api/guides/sync and the description of events.list.

What a deleted or shortened series leaves behind is not promised by the API. With ``thin`` the
double picks, by event and change, one of four behaviours: all tombstones, the master's alone, only
some, or all without the field that names the series.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from calendar_sync_sandbox.google.store import FAR_PAST, Calendar, Json, Version

FAR_FUTURE = datetime(2200, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Filter:
    """The parameters of events.list that choose events."""

    low: datetime | None = None
    high: datetime | None = None
    single: bool = False
    show_deleted: bool = False
    event_types: frozenset[str] = frozenset()
    private: tuple[tuple[str, str], ...] = ()
    shared: tuple[tuple[str, str], ...] = ()
    uid: str | None = None
    text: str | None = None
    updated_min: datetime | None = None

    def window(self) -> tuple[datetime, datetime]:
        """Return the bounds, far away where none was given."""
        return self.low or FAR_PAST, self.high or FAR_FUTURE

    def accepts(self, body: Json) -> bool:
        """Test everything but time and state."""
        if self.event_types and body["eventType"] not in self.event_types:
            return False
        if self.uid and body["iCalUID"] != self.uid:
            return False
        properties = body.get("extendedProperties", {})
        for half, wanted in (("private", self.private), ("shared", self.shared)):
            held = properties.get(half, {})
            if any(held.get(name) != value for name, value in wanted):
                return False
        if self.text:
            words = " ".join(str(body.get(n, "")) for n in ("summary", "description", "location"))
            return self.text.lower() in words.lower()
        return True


def everything(calendar: Calendar, wanted: Filter, horizon: int) -> list[Json]:
    """Return a full list as of a change, earliest change first."""
    low, high = wanted.window()
    found: list[Json] = []
    for version in _as_of(calendar, list(calendar.records), horizon):
        event_id = version.body["id"]
        recent = wanted.updated_min is not None
        if wanted.updated_min and version.at < wanted.updated_min:
            continue
        if version.series:
            found.extend(_exception(calendar, wanted, version, horizon, recent=recent))
        elif not version.live:
            touched = version.is_series or version.touches(low, high)
            if (
                (wanted.show_deleted or recent)
                and touched
                and not (wanted.single and version.is_series)
            ):
                found.append(tombstone(version.body))
        elif version.is_series and wanted.single:
            plain = calendar.instances(event_id, low, high, horizon)
            found.extend(
                v.body
                for v in plain
                if v.live and v.body["id"] not in calendar.records and wanted.accepts(v.body)
            )
        elif version.is_series:
            if wanted.accepts(version.body) and _any_instance(calendar, version, low, high):
                found.append(version.body)
        elif version.touches(low, high) and wanted.accepts(version.body):
            found.append(version.body)
    return found


def changes(
    calendar: Calendar, wanted: Filter, since: int, horizon: int, *, thin: str
) -> list[Json]:
    """Return what changed after ``since``; ``thin`` is a seed, ``lost``, or empty for none."""
    found: list[Json] = []
    for now in _as_of(calendar, calendar.changed_since(since), horizon):
        before = calendar.at(now.body["id"], since)
        if now.seq <= since:
            continue
        if now.live and not wanted.accepts(now.body):
            continue
        if now.series:
            found.extend(_changed_exception(calendar, wanted, now, before, since, horizon))
        elif wanted.single and (now.is_series or (before is not None and before.is_series)):
            found.extend(_changed_series(calendar, wanted, now, before, since, horizon, thin))
        elif not now.live:
            if before is None or before.live or not wanted.single:
                found.append(tombstone(now.body))
        else:
            found.extend(_changed_single(wanted, now, before, thin))
    return found


def _as_of(calendar: Calendar, ids: list[str], horizon: int) -> list[Version]:
    """Return the states of events after a change, earliest first, the same for every page."""
    versions = (calendar.at(event_id, horizon) for event_id in ids)
    return sorted((v for v in versions if v is not None), key=lambda v: v.seq)


def tombstone(body: Json) -> Json:
    """Return what remains of a deleted event in a list."""
    bare: Json = {"id": body["id"], "status": "cancelled"}
    for name in ("recurringEventId", "originalStartTime"):
        if name in body:
            bare[name] = body[name]
    return bare


def _exception(
    calendar: Calendar, wanted: Filter, version: Version, horizon: int, *, recent: bool
) -> list[Json]:
    low, high = wanted.window()
    master = calendar.at(version.series or "", horizon)
    if master is None or not master.live:
        return []
    if not version.live:
        # Without expansion the deleted instances of a living series always come.
        shown = wanted.show_deleted or recent or not wanted.single
        return [tombstone(version.body)] if shown and version.touches(low, high) else []
    shown = version.touches(low, high) and wanted.accepts(version.body)
    return [version.body] if shown else []


def _changed_exception(
    calendar: Calendar,
    wanted: Filter,
    now: Version,
    before: Version | None,
    since: int,
    horizon: int,
) -> list[Json]:
    low, high = wanted.window()
    master = calendar.at(now.series or "", horizon)
    if master is None or not master.live:
        return []
    if wanted.single and master.seq > since:
        return []  # told together with the series
    if not now.live:
        return [tombstone(now.body)]
    original = before or now
    if now.touches(low, high):
        return [now.body]
    return [now.body] if original.touches(low, high) or before is None else []


def _changed_series(
    calendar: Calendar,
    wanted: Filter,
    now: Version,
    before: Version | None,
    since: int,
    horizon: int,
    thin: str,
) -> list[Json]:
    low, high = wanted.window()
    event_id = now.body["id"]
    there: dict[str, Version] = {}
    if now.live and now.is_series:
        there = {v.body["id"]: v for v in calendar.instances(event_id, low, high, horizon)}
    elif now.live:
        there = {event_id: now} if now.touches(low, high) else {}
    gone: list[Json] = []
    if before is not None and before.live:
        if before.is_series:
            earlier = list(calendar.instances(event_id, low, high, since))
        else:
            earlier = [before] if before.touches(low, high) else []
        gone = [v.body for v in earlier if v.live and v.body["id"] not in there]
    gone.extend(v.body for v in there.values() if not v.live)
    found = [v.body for v in there.values() if v.live]
    return found + _thinned(gone, now, thin, alone=not found)


def _thinned(gone: list[Json], now: Version, thin: str, *, alone: bool) -> list[Json]:
    tombstones = [tombstone(body) for body in gone]
    if not thin or not tombstones:
        return tombstones
    if thin == "lost":
        return []
    choice = _dice(thin, now)
    if choice % 4 == 0:
        return tombstones
    if choice % 4 == 1:
        if not now.live:
            return [{"id": now.body["id"], "status": "cancelled"}]
        # Something of a series that changed is always told, if only one instance.
        return tombstones[:1] if alone else []
    if choice % 4 == 2:
        kept = [t for n, t in enumerate(tombstones) if (choice >> (n % 24)) & 1]
        return kept or tombstones[:1]
    return [{"id": t["id"], "status": "cancelled"} for t in tombstones]


def _changed_single(wanted: Filter, now: Version, before: Version | None, thin: str) -> list[Json]:
    low, high = wanted.window()
    if now.touches(low, high):
        return [now.body]
    if before is not None and before.live and before.touches(low, high):
        # It left the window: told as it is now, or as gone.
        return [tombstone(now.body) if thin and _dice(thin, now) % 2 else now.body]
    return []


def _dice(thin: str, version: Version) -> int:
    text = f"{thin}:{version.body['id']}:{version.seq}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=4).digest())


def _any_instance(calendar: Calendar, version: Version, low: datetime, high: datetime) -> bool:
    if low <= FAR_PAST and high >= FAR_FUTURE:
        return True
    ahead = min(high, max(low, version.start) + timedelta(days=800))
    return any(True for _ in calendar.instances(version.body["id"], low, ahead))
